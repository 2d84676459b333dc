"""Verify under fire: its workers and the whole of it killed at random moments; the workspace is always a valid one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from pipeline.collect.importing import ImportConfig, import_images
from pipeline.stage import Progress, run
from pipeline.verify.verify import VerifyConfig, verify
from pipeline.workspace.workspace import Workspace
from tests.support.killing import KILL_LOOP, killed_again_and_again
from tests.support.sharing import Sample

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")]

CHECK = """
import hashlib, json, sys
from pathlib import Path
from PIL import Image
from pipeline.verify.findings import verified
from pipeline.images.pixel_cache import PixelCache
from pipeline.workspace.workspace import Workspace

root, memory = Path(sys.argv[1]), Path(sys.argv[2])
before = json.loads(memory.read_text()) if memory.exists() else {}
workspace = Workspace.open(root)
images = workspace.store.images()
now = {}
for row in images.itertuples():
    file = workspace.image_file(row.file)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == row.id, f"changed: {file}"
    assert row.status in ("new", "ok", "set_aside"), row.status
    assert (row.status == "new") == (row.verdict is None), f"half a verdict: {row}"
    if row.status == "ok":
        with Image.open(workspace.thumbnail(row.id)) as thumbnail:
            thumbnail.load()
    now[row.id] = [row.status, row.verdict, row.split, row.group]
for image, (status, verdict, split, group) in before.items():
    if status != "new":
        assert now[image][:2] == [status, verdict], f"a verdict was lost or changed: {image}"
    if split is not None:
        assert now[image][2] == split, f"{image} moved to another split"
places = PixelCache.in_use(workspace.cache).rows(images["id"]).places
ok = set(images[images["status"] == "ok"]["id"])
assert ok <= set(places), "a row of the training cache is missing"
verified(workspace)
memory.write_text(json.dumps(now))
"""


@pytest.mark.skipif(not KILL_LOOP.is_file(), reason=f"there is no {KILL_LOOP.name} beside the repository")
def test_a_verify_that_is_killed_again_and_again_leaves_a_valid_workspace_each_time(
    tmp_path: Path, starter_folder: Path, sampled: Sample
) -> None:
    rounds = 8 if sampled.everything else 2
    root, checker = tmp_path / "workspace", tmp_path / "check.py"
    checker.write_text(CHECK)
    run(import_images(Workspace.create(root), ImportConfig(str(starter_folder))))
    check = (checker, root, tmp_path / "memory.json")
    killed_again_and_again(("verify", "--json"), root, check, rounds, sampled.seed)
    rows = Workspace.open(root).store.images()
    assert len(rows) == 600 and set(rows["status"]) == {"ok"} and rows["split"].notna().all()


def test_workers_killed_from_outside_cost_no_picture_its_verdict(workspace: Workspace, starter_folder: Path) -> None:
    run(import_images(workspace, ImportConfig(str(starter_folder))))
    killed: set[int] = set()

    def show(progress: Progress) -> None:
        if progress.done in (100, 200, 300):
            worker = next(child for child in psutil.Process().children() if _is_worker(child))
            killed.add(worker.pid)
            os.kill(worker.pid, signal.SIGKILL)

    found = run(verify(workspace, VerifyConfig(workers=2)), show)
    assert len(killed) == 3 and found.new == found.ok == 600


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):  # one that was killed and is not reaped yet
        return False
