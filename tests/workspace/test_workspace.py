"""A workspace is made, reopened or refused in words; a file is there whole or not at all."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.errors import PipelineError, StoreError, WorkspaceError
from pipeline.workspace.store import NewImage
from pipeline.workspace.workspace import Workspace, writing
from tests.support.paths import ROOT

NOT_THERE = Path("/proc/winnow-cannot-be-made")  # nobody may make files there, root included


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# --- making and opening


def test_a_new_workspace_has_its_folders_and_its_store(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "new" / "bears")
    assert workspace.name == "bears"
    assert {"images", "trash", "thumbnails", "runs", "jobs", "winnow.sqlite"} <= set(listing(workspace.root))
    assert workspace.store.images().empty


def test_every_path_lies_below_the_root(workspace: Workspace) -> None:
    for path in (
        *(workspace.database, workspace.images, workspace.trash, workspace.thumbnails, workspace.runs),
        *(workspace.jobs, workspace.cache, workspace.exports, workspace.thumbnail("abcd"), workspace.image_file("a/b")),
    ):
        assert workspace.root in path.parents


def test_creating_twice_keeps_what_is_there(tmp_path: Path) -> None:
    first = Workspace.create(tmp_path / "w")
    first.store.add_images([NewImage("a1", "a1/a1.jpg", 3, "cat", "file", "cat/1.jpg")])
    again = Workspace.create(tmp_path / "w")
    assert list(again.store.images()["id"]) == ["a1"]
    assert list(Workspace.open(tmp_path / "w").store.images()["id"]) == ["a1"]


def test_naming_a_workspace_touches_no_file(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "nowhere")
    assert workspace.store.database.file == tmp_path / "nowhere" / "winnow.sqlite"
    assert listing(tmp_path) == []


def test_opening_what_is_not_there_says_what_to_do_and_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"no workspace at .*cli\.py import"):
        Workspace.open(tmp_path / "nowhere")
    assert listing(tmp_path) == []


def test_a_file_in_the_way_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(WorkspaceError, match=r"cannot be written.*Choose a folder"):
            Workspace.create(root)
        with pytest.raises(WorkspaceError, match="There is no workspace"):
            Workspace.open(root)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a /proc, where not even root may make files")
def test_a_folder_that_may_not_be_made_is_explained() -> None:
    with pytest.raises(WorkspaceError, match=r"cannot be written.*Choose a folder you may write to"):
        Workspace.create(NOT_THERE)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission_is_explained(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(WorkspaceError, match=r"cannot be written.*[Pp]ermission"):
        Workspace.create(tmp_path / "locked")


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    (tmp_path / "cats" / "1.jpg").write_text("x")
    with pytest.raises(WorkspaceError, match=r"already holds other files \(cats"):
        Workspace.create(tmp_path)
    assert listing(tmp_path) == ["cats", "cats/1.jpg"]


def test_an_empty_folder_and_one_with_only_hidden_files_are_fine(tmp_path: Path) -> None:
    (tmp_path / ".DS_Store").write_text("x")
    assert Workspace.create(tmp_path).database.is_file()


def test_a_workspace_left_before_its_store_was_made_can_be_made_again(tmp_path: Path) -> None:
    (tmp_path / "w" / "images").mkdir(parents=True)
    assert Workspace.create(tmp_path / "w").store.images().empty


@pytest.mark.parametrize("name", ["Bären und Pilze", "熊と猫", "медведи", "with 'quotes' and %41?x#y", "🐻", "a;b|c"])
def test_names_in_any_script_work(tmp_path: Path, name: str) -> None:
    workspace = Workspace.create(tmp_path / name)
    image_id, file = workspace.keep(b"bytes", "jpg")
    workspace.store.add_images([NewImage(image_id, file, 5, name, "file", f"{name}/1.jpg")])
    again = Workspace.open(tmp_path / name)
    assert again.store.image(image_id)["label"] == name
    assert again.image_file(file).read_bytes() == b"bytes"


@pytest.mark.parametrize("length", [300, 700, 3000, 6000])
def test_a_very_long_path_works_or_is_refused_in_words(tmp_path: Path, length: int) -> None:
    root = tmp_path
    while len(str(root)) < length:
        root = root / ("long" * 20)
    try:
        workspace = Workspace.create(root)
        assert workspace.store.images().empty
    except PipelineError as error:
        assert length > 300 and "cannot be" in str(error)
    if length > 300:
        with pytest.raises(PipelineError):
            Workspace.open(root / "not-there")


@pytest.mark.parametrize("root", ["with\0nought", "~nobody-of-this-name/x", "x" * 300])
def test_a_path_that_cannot_be_is_refused_in_words(root: str) -> None:
    with pytest.raises(WorkspaceError):
        Workspace.create(root)
    with pytest.raises(WorkspaceError):
        Workspace.open(root)
    assert not Path(root.split("/")[0]).exists() if "\0" not in root and len(root) < 255 else True


def test_a_store_that_is_no_database_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "winnow.sqlite").write_bytes(b"not a database at all, but long enough to look like one" * 50)
    with pytest.raises(StoreError, match=r"winnow\.sqlite refused.*not a database"):
        Workspace.open(tmp_path)


def test_two_processes_may_make_the_same_workspace_at_once(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; import pipeline.workspace.store\n"
        "from pipeline.workspace.workspace import Workspace\n"
        "print('ready', flush=True); sys.stdin.readline(); Workspace.create(sys.argv[1]); print('made', flush=True)"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "w")],
            **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "cwd": ROOT, "text": True},
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.communicate()[0] for process in processes] == ["made\n"] * 2
    assert Workspace.open(tmp_path / "w").store.images().empty


def test_many_threads_may_make_the_same_workspace_at_once(tmp_path: Path) -> None:
    for turn in range(10):
        with ThreadPoolExecutor(8) as threads:
            made = list(threads.map(Workspace.create, [tmp_path / str(turn)] * 8))
        assert all(workspace.store.images().empty for workspace in made)


# --- image files


def test_keeping_bytes_names_them_by_their_sha256(workspace: Workspace) -> None:
    image_id, file = workspace.keep(b"some bytes", "jpg")
    assert image_id == hashlib.sha256(b"some bytes").hexdigest()
    assert file == f"{image_id[:2]}/{image_id}.jpg"
    assert workspace.image_file(file).read_bytes() == b"some bytes"


def test_keeping_the_same_bytes_again_changes_nothing(workspace: Workspace) -> None:
    _, file = workspace.keep(b"some bytes", "jpg")
    before = workspace.image_file(file).stat().st_mtime_ns
    assert workspace.keep(b"some bytes", "jpg")[1] == file
    assert workspace.image_file(file).stat().st_mtime_ns == before
    assert len([name for name in listing(workspace.images) if name.endswith(".jpg")]) == 1


def test_keeping_bytes_that_lie_in_the_trash_does_not_bring_them_back(workspace: Workspace) -> None:
    _, file = workspace.keep(b"some bytes", "jpg")
    workspace.to_trash(file)
    workspace.keep(b"some bytes", "jpg")
    assert not (workspace.images / file).exists() and (workspace.trash / file).exists()


def test_a_picture_that_cannot_be_written_is_explained(workspace: Workspace) -> None:
    image_id = hashlib.sha256(b"some bytes").hexdigest()
    (workspace.images / image_id[:2]).write_text("a file in the way")
    with pytest.raises(WorkspaceError, match=r"cannot be written.*[Ff]ree"):
        workspace.keep(b"some bytes", "jpg")


def test_the_trash_and_back_loses_nothing_and_may_be_repeated(workspace: Workspace) -> None:
    _, file = workspace.keep(b"some bytes", "jpg")
    for _ in range(2):
        workspace.to_trash(file)
        assert workspace.image_file(file) == workspace.trash / file
    assert workspace.image_file(file).read_bytes() == b"some bytes"
    for _ in range(2):
        workspace.from_trash(file)
        assert workspace.image_file(file) == workspace.images / file
    assert workspace.image_file(file).read_bytes() == b"some bytes"


# --- whole or not at all


@pytest.mark.parametrize("durable", [True, False])
def test_writing_makes_folders_and_leaves_only_the_target(tmp_path: Path, durable: bool) -> None:
    with writing(tmp_path / "a" / "b.txt", durable) as part:
        assert part.parent == tmp_path / "a"
        part.write_text("new")
        assert not (tmp_path / "a" / "b.txt").exists()
    assert listing(tmp_path) == ["a", "a/b.txt"]


def test_writing_replaces_a_file_in_one_step(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("old")
    with writing(tmp_path / "f") as part:
        part.write_text("new")
        assert (tmp_path / "f").read_text() == "old"
    assert (tmp_path / "f").read_text() == "new"


@pytest.mark.parametrize("trouble", [RuntimeError, KeyboardInterrupt, GeneratorExit, SystemExit])
def test_writing_leaves_nothing_behind_when_it_is_stopped(tmp_path: Path, trouble: type[BaseException]) -> None:
    (tmp_path / "f").write_text("old")
    with pytest.raises(trouble), writing(tmp_path / "f") as part:
        part.write_text("half")
        raise trouble
    with pytest.raises(trouble), writing(tmp_path / "folder") as part:
        (part / "deep" / "er").mkdir(parents=True)
        (part / "deep" / "er" / "x").write_text("half")
        raise trouble
    assert listing(tmp_path) == ["f"] and (tmp_path / "f").read_text() == "old"


def test_writing_a_folder_shows_it_whole(tmp_path: Path) -> None:
    with writing(tmp_path / "run") as part:
        part.mkdir()
        (part / "x").write_text("1")
        assert listing(tmp_path) == [part.name, f"{part.name}/x"]
    assert listing(tmp_path) == ["run", "run/x"]


def test_two_writers_of_one_target_do_not_disturb_each_other(tmp_path: Path) -> None:
    with writing(tmp_path / "f") as one, writing(tmp_path / "f") as two:
        one.write_text("one")
        two.write_text("two")
    assert listing(tmp_path) == ["f"] and (tmp_path / "f").read_text() == "one"


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
def test_writing_that_is_killed_leaves_the_target_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("old")
    script = (
        "import os, sys; from pathlib import Path; from pipeline.workspace.workspace import writing\n"
        "with writing(Path(sys.argv[1])) as part:\n    part.write_text('half'); os.kill(os.getpid(), 9)"
    )
    for target in ("f", "new"):
        done = subprocess.run([sys.executable, "-c", script, str(tmp_path / target)], cwd=ROOT, check=False)
        assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "f").read_text() == "old"
    assert not (tmp_path / "new").exists()


def test_what_is_being_written_is_not_among_the_images_and_is_swept_when_it_is_stale(workspace: Workspace) -> None:
    stale, fresh = workspace.parts / "a.jpg.1.part", workspace.parts / "b.jpg.2.part"
    workspace.keep(b"whole", "jpg")
    assert workspace.parts.is_dir() and list(workspace.parts.iterdir()) == []
    for part in (stale, fresh):
        part.write_bytes(b"half")
    os.utime(stale, (0, 0))
    workspace.sweep()
    assert not stale.exists() and fresh.exists()
    assert [file.suffix for file in workspace.images.rglob("*.*")] == [".jpg"]
    Workspace.create(workspace.root)
