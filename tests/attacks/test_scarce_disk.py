"""A disk that is full or may only be read: what is there can still be looked at and taken elsewhere, and what cannot be
written is named with the bytes it takes. On a small disk of its own where this system lets one be mounted, else with a
limit on the size of files.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cleaner.clean.decisions import keep
from cleaner.clean.suspects import suspects
from cleaner.review.review import review
from pipeline.dataset.export import DatasetConfig, export_dataset
from pipeline.errors import StoreError, WorkspaceError
from pipeline.images.in_workers import thumbnails
from pipeline.stage import run
from pipeline.workspace.runs import Run, load_run
from pipeline.workspace.workspace import Workspace, writing
from tests.support.paths import DATA, ROOT

MEGABYTES = 12
HEAVY = shutil.ignore_patterns("*.safetensors", "cache")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError:
        pytest.skip("nothing can be mounted here")
    if done.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], capture_output=True, check=True)


@pytest.fixture
def here(disk: Path, tiny_run: Run) -> Workspace:
    """A workspace with a run (without its weights) on that disk."""
    return Workspace.open(Path(shutil.copytree(tiny_run.folder.parents[1], disk / "ws", ignore=HEAVY)))


def fill(disk: Path) -> Path:
    """Take every byte that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            with suppress(OSError):
                while file.write(bytes(size)):
                    pass
    assert shutil.disk_usage(disk).free == 0
    return filler


def only_read(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


def look_around(workspace: Workspace, elsewhere: Path) -> None:
    """What has to work on any disk."""
    found = load_run(Workspace.open(workspace.root))
    assert len(workspace.store.images()) == 60 and len(thumbnails(workspace, workspace.store.images())) == 60
    assert sum(map(sum, review(workspace, found, "valid").confusion)) == 9
    assert suspects(workspace, found) is not None
    assert run(export_dataset(workspace, DatasetConfig(str(elsewhere)))).failed == ()
    assert Workspace.create(workspace.root) == workspace


def test_a_full_workspace_is_looked_at_and_exported_elsewhere(disk: Path, here: Workspace, tmp_path: Path) -> None:
    image = str(here.store.images()["id"][0])
    filler = fill(disk)
    look_around(here, tmp_path / "set")
    with pytest.raises(
        StoreError, match=r"winnow.sqlite cannot be written: .* 0 bytes are free there, and about"
    ) as no:
        for number in range(2000):  # the journal may have a page left
            keep(here, image)
            assert number < 1999
    assert "exported to another folder" in str(no.value)
    decided = len(here.store.journal.decisions())
    filler.unlink()
    keep(here, image)
    assert len(here.store.journal.decisions()) == decided + 1


def test_a_workspace_that_may_only_be_read_is_looked_at_and_exported_elsewhere(
    disk: Path, here: Workspace, tmp_path: Path
) -> None:
    image = str(here.store.images()["id"][0])
    only_read(disk)
    look_around(here, tmp_path / "set")
    with pytest.raises(StoreError, match=r"sqlite cannot be written: .*bytes are free"):
        keep(here, image)


def test_one_of_an_earlier_version_that_may_only_be_read_is_looked_at_and_exported_elsewhere(
    disk: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(DATA / "old_workspace.zip") as archive:
        archive.extractall(tmp_path / "old")
    [store] = (tmp_path / "old").rglob("winnow.sqlite")
    root = Path(shutil.copytree(store.parent, disk / "old", ignore=HEAVY))
    before = {file.name: file.read_bytes() for file in root.glob("winnow.sqlite*")}
    only_read(disk)
    workspace = Workspace.open(root)
    rows = workspace.store.images()
    assert len(rows) == 40 and "scene" in rows and len(workspace.store.journal.decisions()) == 23
    found = load_run(workspace)
    assert sum(map(sum, review(workspace, found, "valid").confusion)) > 0 and suspects(workspace, found) is not None
    assert run(export_dataset(workspace, DatasetConfig(str(tmp_path / "set")))).failed == ()
    with pytest.raises(StoreError, match="cannot be written"):
        keep(workspace, str(rows["id"][0]))
    assert {file.name: file.read_bytes() for file in root.glob("winnow.sqlite*")} == before
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    assert len(Workspace.open(root).store.images()) == 40


def test_what_was_committed_a_moment_ago_is_read_from_a_disk_that_became_read_only(disk: Path, here: Workspace) -> None:
    image = str(here.store.images()["id"][0])
    code = (
        "import os, sys; from pathlib import Path; from pipeline.workspace.workspace import Workspace;"
        "from cleaner.clean.decisions import keep; ws = Workspace.open(sys.argv[1]);"
        "held = ws.store.database.transaction(write=False); held.__enter__();"  # nobody writes it into the file
        "keep(ws, sys.argv[2]); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(here.root), image], cwd=ROOT, check=False)
    assert (here.root / "winnow.sqlite-wal").stat().st_size
    only_read(disk)
    assert [decision.image for decision in Workspace.open(here.root).store.journal.decisions()] == [image]


def test_a_picture_that_has_no_room_is_named_with_its_bytes(disk: Path, here: Workspace) -> None:
    fill(disk)
    with pytest.raises(WorkspaceError, match=rf"{disk}/ws/images/.*\.jpg, 54,321 bytes to write, 0 bytes free"):
        here.keep(bytes(54_321), "jpg")
    assert list(here.parts.glob("*")) == []


def test_the_terminal_says_it_in_a_line(disk: Path, here: Workspace, tmp_path: Path) -> None:
    pictures = tmp_path / "more" / "kiwi"
    pictures.mkdir(parents=True)
    for number in range(3):
        source = here.image_file(str(here.store.images()["file"][number])).read_bytes()
        (pictures / f"{number}.jpg").write_bytes(source + bytes(number + 1))
    fill(disk)
    command = [sys.executable, "cli.py", "import", str(here.root), str(pictures.parent), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert str(disk) in last and re.search(r"[\d,]+ bytes", last), last


# --- without a disk of one's own

LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
import cli
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="this system has no such limit")
@pytest.mark.parametrize("command", ["images", "decide", "decisions"])
def test_files_that_may_not_grow_stop_only_what_writes(tiny_run: Run, tmp_path: Path, command: str) -> None:
    source = tiny_run.folder.parents[1]
    root = Path(
        shutil.copytree(source, tmp_path / "ws", ignore=shutil.ignore_patterns("*.safetensors", "cache", "runs"))
    )
    image = str(Workspace.open(root).store.images()["id"][0])
    more = ["--id", image, "--keep"] if command == "decide" else []
    line = [sys.executable, "-c", LIMITED, command, str(root), *more, "--json"]
    done = subprocess.run(line, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    if command == "decide":
        assert done.returncode == 1 and "cannot be written" in done.stderr and "bytes" in done.stderr
    else:
        assert done.returncode == 0 and json.loads(done.stdout)[command] is not None


def test_nothing_is_left_of_what_could_not_be_written(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    target.write_text("before", encoding="utf-8")
    with pytest.raises(OSError, match=r"table.csv, 7 bytes to write"), writing(target, size=7) as part:
        part.write_text("half", encoding="utf-8")
        raise OSError(28, "No space left on device")
    assert [file.read_text(encoding="utf-8") for file in tmp_path.iterdir()] == ["before"]
