"""Pictures of any source come into the workspace whole, once, labelled; nothing outside it is ever written."""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cleaner.clean.decisions import remove
from pipeline.collect.data_card import CARD
from pipeline.collect.entries import MAX_IMAGE_BYTES
from pipeline.collect.importing import ImportConfig, Imported, import_images
from pipeline.errors import PipelineError, SourceError, WorkspaceError
from pipeline.stage import Progress, run
from pipeline.workspace.workspace import Workspace
from tests.support.importing import bring_in, figures, lay, picture, snapshot, whole
from tests.support.paths import ROOT, SHARED
from tests.support.sharing import Sample

CORPUS = SHARED / "corpus"


# --- sources


def test_class_folders_are_copied_and_the_source_is_left_alone(workspace: Workspace, tmp_path: Path) -> None:
    source = lay(tmp_path / "pets", "cat/1.png", "cat/2.png", "dog/3.png")
    before = snapshot(source, workspace.root)
    assert figures(bring_in(workspace, source)) == (3, 0, (), {"cat": 2, "dog": 1})
    assert snapshot(source, workspace.root) == before
    whole(workspace)
    rows = workspace.store.images()
    assert list(rows["label"]) == list(rows["original_label"]) == ["cat", "cat", "dog"]
    assert set(rows["status"]) == {"new"} and set(rows["source_provider"]) == {"file"}
    assert list(rows["source_name"]) == ["cat/1.png", "cat/2.png", "dog/3.png"]


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar", "bztar", "xztar"])
def test_archives_are_read_without_being_unpacked_on_disk(workspace: Workspace, tmp_path: Path, kind: str) -> None:
    source = lay(tmp_path / "pets", "train/cat/1.png", "valid/cat/2.png", "test/dog/3.png")
    archive = shutil.make_archive(str(tmp_path / "archive"), kind, source)
    before = snapshot(tmp_path, workspace.root)
    assert figures(bring_in(workspace, archive)) == (3, 0, (), {"cat": 2, "dog": 1})
    assert snapshot(tmp_path, workspace.root) == before
    assert sorted(workspace.store.images()["given_split"]) == ["test", "train", "valid"]
    whole(workspace)


def test_the_starter_set_needs_no_source(workspace: Workspace) -> None:
    result = bring_in(workspace, "starter")
    assert result.added == 600 and result.duplicates == 0 and result.failed == ()
    assert set(result.classes) == {"apple", "melon", "orange", "pear", "satsuma"}
    assert set(workspace.store.images()["source_provider"]) == {"starter"}
    assert bring_in(workspace, "starter").duplicates == 600
    whole(workspace)


def test_the_messy_starter_keeps_its_truth_beside_the_pictures(workspace: Workspace) -> None:
    result = bring_in(workspace, "starter-messy")
    with (workspace.root / "starter-messy-truth.csv").open(encoding="utf-8", newline="") as lines:
        truth = list(csv.DictReader(lines))
    assert result.added + result.duplicates == len(truth) and result.failed == ()
    names = set(workspace.store.sources()["name"])
    assert names == {row["file"] for row in truth}
    whole(workspace)


def test_a_table_of_paths_brings_labels_and_splits(workspace: Workspace, tmp_path: Path) -> None:
    lay(tmp_path, "a/1.png", "2.png")
    (tmp_path / "t.csv").write_text("path,label,split\na/1.png,cat,train\n2.png,dog,test\nmissing.png,cat,\n")
    result = bring_in(workspace, tmp_path / "t.csv", split_from="column")
    assert (result.added, result.classes) == (2, {"cat": 1, "dog": 1})
    assert [(bad.path, "missing.png" in bad.reason) for bad in result.failed] == [("line 4", True)]
    assert list(workspace.store.images()["given_split"]) == ["train", "test"]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        return


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on this machine: its host:port, and the folder it serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"127.0.0.1:{serving.server_address[1]}", folder
        serving.shutdown()
        thread.join()


def test_a_table_of_urls_is_fetched(workspace: Workspace, tmp_path: Path, server: tuple[str, Path]) -> None:
    host, folder = server
    lay(folder, "1.png", "2.png")
    (tmp_path / "t.csv").write_text(
        f"url,label,split\nhttp://{host}/1.png,cat,test\nhttp://{host}/2.png,dog,\nhttp://{host}/3.png,dog,\n"
    )
    result = bring_in(workspace, tmp_path / "t.csv", allow_hosts=(host,))
    assert (result.added, result.duplicates, result.classes) == (2, 0, {"cat": 1, "dog": 1})
    assert [bad.path for bad in result.failed] == [f"http://{host}/3.png"] and result.failed[0].reason
    rows = workspace.store.images()
    assert dict(zip(rows["label"], rows["given_split"], strict=True)) == {"cat": "test", "dog": None}
    again = bring_in(workspace, tmp_path / "t.csv", allow_hosts=(host,))
    assert (again.added, again.duplicates) == (0, 2)
    whole(workspace)


def test_importing_urls_does_not_fetch_what_an_earlier_search_found(
    workspace: Workspace, tmp_path: Path, server: tuple[str, Path]
) -> None:
    host, folder = server
    lay(folder, "1.png", "searched.png")
    workspace.store.add_candidates([{"url": f"http://{host}/searched.png", "label": "bear", "provider": "search"}])
    (tmp_path / "t.csv").write_text(f"url,label\nhttp://{host}/1.png,cat\n")
    assert bring_in(workspace, tmp_path / "t.csv", allow_hosts=(host,)).classes == {"cat": 1}
    assert list(workspace.store.candidates("new")["label"]) == ["bear"]


def test_private_addresses_are_not_fetched_unless_told(
    workspace: Workspace, tmp_path: Path, server: tuple[str, Path]
) -> None:
    host, folder = server
    lay(folder, "1.png")
    (tmp_path / "t.csv").write_text(f"url,label\nhttp://{host}/1.png,cat\nfile:///etc/passwd,cat\n")
    result = bring_in(workspace, tmp_path / "t.csv")
    assert result.added == 0 and len(result.failed) == 2
    assert workspace.store.images().empty


# --- the same again


def test_importing_twice_adds_nothing(workspace: Workspace, tmp_path: Path) -> None:
    source = lay(tmp_path / "s", "cat/1.png", "dog/2.png")
    bring_in(workspace, source)
    before = workspace.store.images()
    assert figures(bring_in(workspace, source)) == (0, 2, (), {"cat": 1, "dog": 1})
    assert before.equals(workspace.store.images())
    assert len(workspace.store.sources()) == 2


def test_the_same_bytes_under_two_names_are_one_image_with_two_sources(workspace: Workspace, tmp_path: Path) -> None:
    source = lay(tmp_path / "s", "cat/1.png")
    (source / "dog").mkdir()
    (source / "dog" / "copy.png").write_bytes(picture(0))
    assert figures(bring_in(workspace, source)) == (1, 0, (), {"cat": 1})  # a conflict, see test_relabelling
    assert list(workspace.store.sources()["claimed_label"]) == ["cat", "dog"]


def test_what_was_removed_stays_removed_when_it_is_imported_again(workspace: Workspace, tmp_path: Path) -> None:
    source = lay(tmp_path / "s", "cat/1.png", "cat/2.png")
    bring_in(workspace, source)
    gone = workspace.store.images()["id"][0]
    remove(workspace, gone)
    assert bring_in(workspace, source).duplicates == 2
    assert workspace.store.image(gone)["status"] == "removed"
    assert workspace.store.class_counts() == {"cat": 1}


# --- what is refused


def test_the_workspace_itself_is_refused(workspace: Workspace) -> None:
    lay(workspace.root / "mine", "cat/1.png")
    for source in (workspace.root, workspace.images, workspace.root.parent, workspace.root / "mine", "/"):
        with pytest.raises(WorkspaceError, match="Choose the folder of your pictures"):
            bring_in(workspace, source)
    assert workspace.store.images().empty


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_the_workspace_behind_a_link_is_refused_too(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(workspace.root.parent)
    with pytest.raises(WorkspaceError):
        bring_in(workspace, tmp_path / "link")


@pytest.mark.parametrize("source", ["with\0nought", "~nobody-of-this-name/x"])
def test_a_source_that_cannot_be_is_explained(workspace: Workspace, source: str) -> None:
    with pytest.raises(SourceError):
        bring_in(workspace, source)


@pytest.mark.parametrize("source", ["nowhere", "x" * 5000, "CARS"])
def test_a_source_that_is_not_there_is_explained_with_what_could_be(workspace: Workspace, source: str) -> None:
    with pytest.raises(SourceError, match=r"nothing at .*'starter'.*ready-made set: .*MNIST_SAMPLE.*PETS"):
        bring_in(workspace, source)


def test_a_name_that_is_nearly_one_beside_it_is_asked_about(workspace: Workspace, tmp_path: Path) -> None:
    lay(tmp_path / "pets", "cat/1.png")
    with pytest.raises(SourceError, match=r"petz \(did you mean pets\?\)"):
        bring_in(workspace, tmp_path / "petz")


def test_a_source_without_pictures_is_explained(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    lay(tmp_path / "hidden", ".cat/1.png", "dog/.2.png")
    zipfile.ZipFile(tmp_path / "empty.zip", "w").close()
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "labels.csv").write_text("a,b\n1,2\n")
    for source in ("empty", "hidden", "empty.zip", "table"):
        with pytest.raises(SourceError, match="There are no pictures in"):
            bring_in(workspace, tmp_path / source)


def test_files_that_are_no_pictures_by_name_or_content_are_listed(workspace: Workspace, tmp_path: Path) -> None:
    source = lay(tmp_path / "s", "cat/1.png")
    for name, data in (
        ("notes.txt", b"hello"),
        ("page.jpg", b"<html></html>"),
        ("picture.dat", picture(5)),
        ("empty.jpg", b""),
        ("run.exe", b"MZ"),
        ("inner.zip", b"PK\5\6"),
        ("train.csv", b"a,b"),
        ("inner.dat", b"PK\3\4"),
    ):
        (source / "cat" / name).write_bytes(data)
    result = bring_in(workspace, source)
    reasons = {bad.path: bad.reason for bad in result.failed}
    assert "cat/train.csv was not used" in result.notes[0]
    assert set(reasons) == {"cat/notes.txt", "cat/run.exe", "cat/inner.zip", "cat/inner.dat"}
    for name, reason in reasons.items():
        assert ("import it by itself" if "inner" in name else "It is not a picture, by its name and") in reason
    rows = workspace.store.images()
    stored = dict(zip(rows["source_name"], rows["file"].str.split(".").str[-1], strict=True))
    assert stored == {"cat/1.png": "png", "cat/page.jpg": "jpg", "cat/picture.dat": "png", "cat/empty.jpg": "jpg"}


def test_half_a_gigabyte_is_refused_without_being_read(workspace: Workspace, tmp_path: Path) -> None:
    source = lay(tmp_path / "s", "cat/1.png")
    with (source / "cat" / "junk.jpg").open("wb") as file:
        file.truncate(500 << 20)
    result = bring_in(workspace, source)
    assert result.added == 1
    assert [(bad.path, bad.reason) for bad in result.failed] == [
        ("cat/junk.jpg", f"It is larger than {MAX_IMAGE_BYTES >> 20} MiB.")
    ]


def test_an_entry_with_a_wrong_checksum_is_listed_and_the_rest_is_taken(workspace: Workspace, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(3):
            archive.writestr(f"cat/{number}.png", picture(number))
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[data.index(picture(1)) + 40] ^= 1
    (tmp_path / "a.zip").write_bytes(data)
    result = bring_in(workspace, tmp_path / "a.zip")
    assert result.added == 2 and [bad.path for bad in result.failed] == ["cat/1.png"]
    assert "cannot be read" in result.failed[0].reason
    whole(workspace)


def test_a_bomb_with_a_lying_size_is_cut_off(workspace: Workspace, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cat/bomb.png", bytes(70 << 20))
        archive.writestr("cat/1.png", picture())
    data = bytearray((tmp_path / "a.zip").read_bytes())
    claimed, real = (1000).to_bytes(4, "little"), (70 << 20).to_bytes(4, "little")
    assert data.count(real) == 2
    (tmp_path / "a.zip").write_bytes(data.replace(real, claimed))
    result = bring_in(workspace, tmp_path / "a.zip")
    assert result.added == 1 and [bad.path for bad in result.failed] == ["cat/bomb.png"]


def test_names_that_climb_out_write_nothing_outside(workspace: Workspace, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number, name in enumerate(
            ("../../up.png", "/tmp/abs.png", "cat/..\\..\\up.png", "cat/1.png", "dog/nul.png")
        ):
            archive.writestr(name, picture(number))
    before = snapshot(tmp_path, workspace.root)
    assert bring_in(workspace, tmp_path / "a.zip").added == 2
    assert snapshot(tmp_path, workspace.root) == before
    assert not Path("/tmp/abs.png").exists()
    whole(workspace)


def test_a_disk_that_cannot_be_written_stops_it_in_words_and_keeps_what_came_before(
    workspace: Workspace, tmp_path: Path
) -> None:
    source = lay(tmp_path / "s", "cat/1.png", "cat/2.png", "cat/3.png")
    second = hashlib.sha256(picture(1)).hexdigest()
    (workspace.images / second[:2]).write_text("in the way")
    with pytest.raises(WorkspaceError, match=r"cannot be written.*what is here already stays"):
        bring_in(workspace, source)
    assert list(workspace.store.images()["source_name"]) == ["cat/1.png"]
    (workspace.images / second[:2]).unlink()
    assert figures(bring_in(workspace, source)) == (2, 1, (), {"cat": 3})


@pytest.mark.parametrize(("packed", "free"), [(True, 150_000), (False, 90_000)], ids=["archive", "folder"])
def test_a_disk_without_room_is_told_before_anything_is_copied(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool, free: int
) -> None:
    """A folder may take what is free, an archive half of it."""
    folder = tmp_path / "pictures" / "cat"
    folder.mkdir(parents=True)
    (folder / "1.png").write_bytes(picture(1) + bytes(100_000))
    source = Path(shutil.make_archive(str(tmp_path / "a"), "zip", folder.parent)) if packed else folder.parent
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=free))
    with pytest.raises(SourceError, match=r"need [\d,]+ bytes.*Free some space"):
        bring_in(workspace, source)
    whole(workspace)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=3 * free))
    assert bring_in(workspace, source).added == 1


# --- stopped in the middle


def test_what_was_copied_before_a_cancel_stays(workspace: Workspace, tmp_path: Path) -> None:
    source = lay(tmp_path / "s", *(f"cat/{number:03d}.png" for number in range(200)))

    def show(progress: Progress) -> None:
        if progress.done == 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(import_images(workspace, ImportConfig(str(source))), show)
    assert len(workspace.store.images()) == 100
    assert "100 pictures of 1 class" in (workspace.root / CARD).read_text(encoding="utf-8")
    whole(workspace)
    assert figures(bring_in(workspace, source)) == (100, 100, (), {"cat": 200})
    whole(workspace)


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
def test_an_import_that_is_killed_can_be_done_again(tmp_path: Path) -> None:
    source = lay(tmp_path / "s", *(f"cat/{number:03d}.png" for number in range(300)))
    workspace = Workspace.create(tmp_path / "w")
    script = (
        "import os, sys; from pipeline.collect.importing import ImportConfig, import_images\n"
        "from pipeline.stage import run\n"
        "from pipeline.workspace.workspace import Workspace\n"
        "def show(progress):\n    if progress.done == 170: os.kill(os.getpid(), 9)\n"
        "run(import_images(Workspace.open(sys.argv[1]), ImportConfig(sys.argv[2])), show)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(workspace.root), str(source)], capture_output=True, check=False, cwd=ROOT
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = len(workspace.store.images())
    assert 128 <= left <= 170
    assert figures(bring_in(workspace, source)) == (300 - left, left, (), {"cat": 300})
    whole(workspace)


# --- a corpus of hostile archives


def corpus_rows() -> list[dict[str, str]]:
    if not (CORPUS / "truth_archives_dev.csv").exists():
        pytest.skip("the corpus of archives is not here")
    with (CORPUS / "truth_archives_dev.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def complaint(row: dict[str, str], outcome: Imported | str) -> str:
    """What is wrong with how the import of an archive of the corpus ended, if anything."""
    files = int(row["regular_files"])
    if isinstance(outcome, str):
        if row["expected"] == "safe" and files:
            return outcome
        return "" if outcome.endswith(".") else f"not in words: {outcome}"
    if row["expected"] == "reject-archive" and "unicode path" not in row["error"]:  # Python 3.11 reads these
        return "was not rejected"
    if row["expected"] == "safe" and outcome.added + outcome.duplicates + len(outcome.failed) != files:
        return f"{files} files are in it, and not all are accounted for"
    took_all = REFUSED_HAZARDS & set(row["hazards"].split("|")) and not outcome.failed
    return "took a bad entry without a word" if took_all else ""


REFUSED_HAZARDS = {"symlink", "hardlink", "dotdot", "absolute", "device", "encrypted", "bomb-ratio", "link-outside"}


def test_no_hostile_archive_writes_outside_or_stops_with_anything_but_words(tmp_path: Path, sampled: Sample) -> None:
    sandbox = tmp_path / "a" / "b" / "c"  # room for ../../..
    workspace = Workspace.create(sandbox / "workspace")
    before, sources = snapshot(tmp_path, workspace.root), snapshot(CORPUS, workspace.root)
    wrong = {}
    for row in sampled.of(corpus_rows(), lambda row: row["file"]):
        outcome: Imported | str
        try:
            outcome = bring_in(workspace, CORPUS / row["file"], label="thing")
        except PipelineError as error:
            outcome = str(error)
        if told := complaint(row, outcome):
            wrong[row["file"]] = (row["expected"], row["hazards"], told)
    assert wrong == {}
    assert snapshot(tmp_path, workspace.root) == before and snapshot(CORPUS, workspace.root) == sources
    whole(workspace)
