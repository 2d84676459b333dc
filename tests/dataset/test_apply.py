"""A person's own folder, cleaned and written beside theirs: it differs by exactly the rows of changes.csv."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import pytest

import cli
from cleaner.clean.decisions import relabel, remove, rename
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.collect.starter_set import write_starter
from pipeline.dataset.apply import Applied, ApplyConfig, apply
from pipeline.dataset.changes import CHANGES, Change, changes
from pipeline.errors import ExportError
from pipeline.safe_text import restored
from pipeline.stage import run
from pipeline.verify.verify import VerifyConfig, verify
from pipeline.workspace.workspace import Workspace
from tests.dataset.test_export import picture

Tree = dict[str, bytes]


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def tree(root: Path) -> Tree:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def stamps(root: Path) -> dict[str, tuple[int, int, int]]:
    found = (root, *root.rglob("*"))
    return {str(path): (about.st_mtime_ns, about.st_size, about.st_mode) for path in found for about in [path.lstat()]}


def rows(folder: Path) -> list[Change]:
    with (folder / CHANGES).open(encoding="utf-8-sig", newline="") as lines:
        return [Change(**{key: restored(cell) for key, cell in row.items()}) for row in csv.DictReader(lines)]


def followed(theirs: Tree, told: list[Change]) -> Tree:
    """Their folder, changed as the rows say."""
    moved = {row.path: row.file for row in told}
    return {moved.get(name, name): data for name, data in theirs.items() if moved.get(name, name)}


def imported(root: Path, source: Path) -> Workspace:
    workspace = Workspace.create(root)
    run(import_images(workspace, ImportConfig(str(source))))
    return workspace


def applied(workspace: Workspace, source: Path, out: Path, links: bool = False) -> Applied:
    return run(apply(workspace, ApplyConfig(str(source), str(out), links)))


def id_of(workspace: Workspace, name: str) -> str:
    sources = workspace.store.sources()
    return str(sources[sources["name"] == name]["image_id"].iloc[0])


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Workspace]:
    """A person's 200 files, some broken, twice, no pictures, or in sub-folders; imported, verified and decided on."""
    root = tmp_path_factory.mktemp("person")
    starter = write_starter(root / "starter")
    names = {"apple": "Äpfel", "melon": "melon", "pear": "polar pear"}
    photos = [path for name in names for path in sorted(starter.rglob(f"{name}/*.jpg"))[:62]]
    files: dict[str, bytes] = {}
    for number, photo in enumerate(photos):
        sub = ("", "2019/Sömmer/", "2020/")[number % 3]
        files[f"{names[photo.parent.name]}/{sub}照片 {number}.jpg"] = photo.read_bytes()
    twice = list(files)[10]
    files |= {f"melon/copy {number}.jpg": files[twice] for number in range(3)}
    broken = list(files)[20]
    files |= {f"melon/broken {number}.jpg": files[broken][: 500 + number] for number in range(5)}
    files |= {"notes.txt": b"mine", "melon/list.md": b"# melons", "Thumbs.db": b"?", "melon/empty.jpg": b""}
    files["polar pear/.hidden.jpg"] = files[broken]
    files["melon/cover.psd"] = b"8BPS" + bytes(30)
    source = write(root / "photos", files)
    assert len(files) == 200, len(files)
    os.utime(source / "notes.txt", (1e9, 1e9))
    workspace = imported(root / "workspace", source)
    run(verify(workspace, VerifyConfig(accept_broken=True)))
    ids = list(workspace.store.images("ok")["id"])
    for image in ids[:9]:
        relabel(workspace, image, "=plums/old")
    for image in ids[30:40]:
        relabel(workspace, image, "melon")
    for image in ids[50:60]:
        remove(workspace, image)
    rename(workspace, "polar pear", "pear")
    return source, workspace


@pytest.mark.parametrize("links", [False, True])
def test_the_folder_differs_by_exactly_the_rows_of_changes(
    links: bool, person: tuple[Path, Workspace], tmp_path: Path
) -> None:
    source, workspace = person
    before, theirs = stamps(source), tree(source)
    out = source.parent / f"cleaned-{links}"
    done = applied(workspace, source, out, links)
    assert stamps(source) == before and tree(source) == theirs
    told, ours = rows(out), tree(out)
    own = {name: ours.pop(name) for name in (CHANGES, "classes.csv")}
    assert b"plums/old" in own["classes.csv"]
    assert ours == followed(theirs, told) and tuple(told) == done.changes
    statuses = {status: sum(row.status == status for row in told) for status in {row.status for row in told}}
    assert statuses["removed"] == 10 and statuses["duplicate"] == 3 and statuses["set aside"] >= 6
    assert statuses["left out"] == 2 and "polar pear" not in {path.name for path in out.iterdir()}
    assert (out / "notes.txt").stat().st_mtime == 1e9
    assert (out / "notes.txt").samefile(source / "notes.txt") == links
    assert not done.new and not done.changed and not done.missing
    assert applied_again(out, tmp_path) == {"melon", "pear", "Äpfel", "=plums/old"}


def applied_again(out: Path, tmp_path: Path) -> set[str]:
    """The classes of the folder that was written, as an import reads them."""
    return set(imported(tmp_path / "again", out).store.class_counts())


def test_every_row_of_changes_says_why(person: tuple[Path, Workspace], tmp_path: Path) -> None:
    _, workspace = person
    told = changes(workspace, tmp_path / "changes.csv").changes
    assert told == tuple(rows(tmp_path)) and all(row.why and row.path for row in told)
    assert len({row.path for row in told}) == len(told)
    failed = [row for row in told if row.status == "failed"]
    assert {row.path for row in failed} >= {"notes.txt"} and all("picture" in row.why for row in failed)
    twice = [row for row in told if row.status == "duplicate"]
    assert len(twice) == 3 and len({row.why for row in twice}) == 1 and len({row.id for row in twice}) == 1


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Workspace]:
    files = {f"train/{label}/{n}.png": picture(n + 10 * (label == "dog")) for label in ("cat", "dog") for n in range(3)}
    files |= {
        f"test/{label}/{n}.png": picture(n + 30 + 10 * (label == "dog")) for label in ("cat", "dog") for n in (1,)
    }
    source = write(tmp_path / "mine", files)
    return source, imported(tmp_path / "workspace", source)


def test_splits_stay_and_names_that_meet_are_numbered(small: tuple[Path, Workspace], tmp_path: Path) -> None:
    source, workspace = small
    relabel(workspace, id_of(workspace, "train/cat/1.png"), "dog")
    relabel(workspace, id_of(workspace, "test/cat/1.png"), "bird")
    done = applied(workspace, source, tmp_path / "out")
    assert [(row.path, row.before, row.now, row.file) for row in done.changes] == [
        ("test/cat/1.png", "cat", "bird", "test/bird/1.png"),
        ("train/cat/1.png", "cat", "dog", "train/dog/1-2.png"),
    ]


def test_what_is_new_changed_or_missing_is_said(small: tuple[Path, Workspace], tmp_path: Path) -> None:
    source, workspace = small
    remove(workspace, id_of(workspace, "train/cat/0.png"))
    write(source, {"train/cat/new.png": picture(77), "train/dog/0.png": picture(78)})
    (source / "train/dog/1.png").unlink()
    (source / "train/cat/1.png").rename(source / "train/dog/moved.png")
    done = applied(workspace, source, tmp_path / "out")
    assert (done.new, done.changed, done.missing) == (
        ("train/cat/new.png",),
        ("train/dog/0.png",),
        ("train/dog/1.png",),
    )
    assert {row.path: row.file for row in done.changes} == {
        "train/cat/0.png": "",
        "train/dog/moved.png": "train/cat/moved.png",
    }
    assert (tmp_path / "out" / "train/dog/0.png").read_bytes() == picture(78)


def test_labels_of_a_table_are_told_by_a_table(tmp_path: Path) -> None:
    files = {f"photos/{n}.png": picture(n) for n in range(4)}
    lines = "path,label\n" + "".join(f"photos/{n}.png,{'cat' if n < 2 else 'dog'}\n" for n in range(4))
    source = write(tmp_path / "mine", {**files, "labels.csv": lines.encode()})
    workspace = imported(tmp_path / "workspace", source)
    relabel(workspace, id_of(workspace, "photos/0.png"), "dog")
    done = applied(workspace, source, tmp_path / "out")
    assert [(row.path, row.file, row.now) for row in done.changes] == [("photos/0.png", "photos/0.png", "dog")]
    assert "labels-2.csv says" in done.notes[0]
    assert '"photos/0.png","dog"' in (tmp_path / "out" / "labels-2.csv").read_text(encoding="utf-8")
    assert (tmp_path / "out" / "labels.csv").read_bytes() == lines.encode()


def test_of_a_store_and_links_to_it_the_links_count(tmp_path: Path) -> None:
    source = write(tmp_path / "mine", {f"blobs/{n}{'0' * 40}": picture(n) for n in range(4)})
    for n in range(4):
        link = source / "snapshot" / ("cat", "dog")[n % 2] / f"{n}.png"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(source / f"blobs/{n}{'0' * 40}")
    workspace = imported(tmp_path / "workspace", source)
    relabel(workspace, id_of(workspace, "snapshot/cat/0.png"), "dog")
    done = applied(workspace, source, tmp_path / "out")
    assert {row.path: row.file for row in done.changes if row.status != "duplicate"} == {
        "snapshot/cat/0.png": "snapshot/dog/0.png"
    }
    pictures = {f"snapshot/dog/{n}.png" for n in (0, 1, 3)} | {"snapshot/cat/2.png"}
    assert set(tree(tmp_path / "out")) == pictures | {CHANGES}


def test_a_picture_of_two_classes_stays_in_the_folders_of_both(tmp_path: Path) -> None:
    source = write(tmp_path / "mine", {"cat/1.png": picture(1), "dog/1.png": picture(1), "dog/2.png": picture(2)})
    workspace = imported(tmp_path / "workspace", source)
    relabel(workspace, id_of(workspace, "cat/1.png"), "cat|dog")
    done = applied(workspace, source, tmp_path / "out")
    assert set(tree(tmp_path / "out")) == {"cat/1.png", "dog/1.png", "dog/2.png", CHANGES}
    assert {row.now for row in done.changes} <= {"cat, dog"}


def test_names_of_any_bytes_and_a_classes_csv_of_their_own(tmp_path: Path) -> None:
    files = {f"{label}/{n}.png": picture(n + 5 * (label == "Cat")) for label in ("cat", "Cat") for n in range(3)}
    source = write(tmp_path / "mine", {**files, "classes.csv": b"name\ncat\n"})
    odd = os.fsencode(source / "cat") + b"/\xff\xfe.png"
    Path(os.fsdecode(odd)).write_bytes(picture(90))
    workspace = imported(tmp_path / "workspace", source)
    [odd_name] = [name for name in workspace.store.sources()["name"] if name[4:5] not in "012"]
    for name, label in ((odd_name, "CON"), ("Cat/1.png", "cat")):
        relabel(workspace, id_of(workspace, name), label)
    done = applied(workspace, source, tmp_path / "out")
    moved = {row.path: row.file for row in done.changes}
    assert moved.pop("Cat/1.png") == "cat/1-2.png" and moved.pop("classes.csv") == ""
    assert list(moved) == [odd_name] and moved[odd_name].startswith("_CON-")
    assert len(tree(tmp_path / "out")) == 9
    again = imported(tmp_path / "again", tmp_path / "out")
    assert again.store.class_counts() == {"CON": 1, "Cat": 2, "cat": 4}


def test_theirs_is_never_written_into(small: tuple[Path, Workspace], tmp_path: Path) -> None:
    source, workspace = small
    before = stamps(source)
    (tmp_path / "door").symlink_to(source)
    (tmp_path / "into").symlink_to(source / "train")
    for out in (
        source,
        source / "new",
        source / "train" / "deep" / "er",
        tmp_path / "door" / "x",
        tmp_path / "into" / "x",
    ):
        with pytest.raises(ExportError, match=r"is in|not empty"):
            applied(workspace, source, out)
    for bad in (tmp_path / "nowhere", source / "train/cat/1.png", workspace.root, tmp_path):
        with pytest.raises(ExportError, match=r"is no folder|holds the workspace"):
            applied(workspace, bad, tmp_path / "out")
    with pytest.raises(ExportError, match="part of the workspace"):
        applied(workspace, source, workspace.root / "out")
    assert stamps(source) == before and not (tmp_path / "out").exists()


def test_links_are_followed_within_the_folder_only(small: tuple[Path, Workspace], tmp_path: Path) -> None:
    source, workspace = small
    secret = tmp_path / "secret.txt"
    secret.write_text("secret", encoding="utf-8")
    (source / "train/cat/out.png").symlink_to(secret)
    (source / "train/cat/in.png").symlink_to(source / "train/cat/1.png")
    (source / "train/loop").symlink_to(source)
    done = applied(workspace, source, tmp_path / "out")
    assert {row.path: row.status for row in done.changes} == {
        "train/cat/out.png": "left out",
        "train/loop": "left out",
        "train/cat/in.png": "duplicate",
    }
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))


def test_it_appears_whole_or_not_at_all(
    small: tuple[Path, Workspace], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, workspace = small
    stage = apply(workspace, ApplyConfig(str(source), str(tmp_path / "a" / "out")))
    for _ in range(12):
        next(stage)
    stage.close()
    assert list((tmp_path / "a").iterdir()) == []
    copy = shutil.copyfile

    def late(source: Path, target: Path, **more: bool) -> object:
        made = copy(source, target, **more)  # type: ignore[call-overload]
        Path(target).write_bytes(b"changed meanwhile")
        return made

    monkeypatch.setattr("pipeline.dataset.apply.shutil.copyfile", late)
    with pytest.raises(ExportError, match="was changed meanwhile"):
        applied(workspace, source, tmp_path / "a" / "out")
    assert list((tmp_path / "a").iterdir()) == []


def test_the_commands_say_it(small: tuple[Path, Workspace], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, workspace = small
    relabel(workspace, id_of(workspace, "train/cat/1.png"), "dog")
    assert cli.main(["changes", str(workspace.root), "--out", str(tmp_path / "c.csv"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["path"] for row in told["changes"]] == ["train/cat/1.png"] and told["out"] == str(tmp_path / "c.csv")
    assert cli.main(["apply", str(workspace.root), str(source), str(tmp_path / "out"), "--links", "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["changes"][0]["file"] == "train/dog/1-2.png" and done["files"] == 8
    arguments = ["apply", str(workspace.root), str(source), str(tmp_path / "out"), "--copies"]
    assert cli.main(arguments) == 1 and "not empty" in capsys.readouterr().err
    write(source, {"train/cat/new.png": picture(77)})
    assert cli.main([*arguments[:3], str(tmp_path / "other")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        f"9 files written to {tmp_path / 'other'}.",
        "Not as it was imported: 1 file (1 relabelled).",
    ]
    assert lines[2].startswith("  train/cat/1.png: relabelled. cat -> dog. It was given this label on 2")
    assert lines[3:] == ["New there, and taken along as they are (1): train/cat/new.png."]
