"""kill -9 at any moment of a training or an export: what is there is whole, and the next try ends as if unbroken."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.machine import own_group
from pipeline.predict import Classifier, read_info
from pipeline.workspace.runs import Run, list_runs
from pipeline.workspace.workspace import Workspace
from tests.support.paths import ROOT
from tests.support.sharing import Sample

KILLS = 30
TRAIN = ("--epochs", "1", "--layers", "all", "--image-size", "32", "--batch-size", "16", "--seed", "3")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on Windows"),
]


def killed(seconds: float, *command: str) -> bool:
    """Run a command and kill it after so long; False where it had ended by then."""
    line = [sys.executable, "cli.py", *command, "--json"]
    process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **own_group())
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True


def to_the_end(*command: str) -> float:
    """Run a command; how many seconds it took."""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "cli.py", *command, "--json"], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return time.monotonic() - began


def whole(run: Run) -> None:
    """All that a run consists of is there and as it was written."""
    assert read_info(run.folder)["run"] == run.id
    assert len(run.predictions()) == 60 and len(run.out_of_fold()) and run.features() is not None


def fresh(tiny_run: Run, place: Path) -> Workspace:
    left_out = shutil.ignore_patterns("runs", "cache", "checkpoints")
    workspace = Workspace(Path(shutil.copytree(tiny_run.folder.parents[1], place, ignore=left_out)))
    workspace.runs.mkdir()
    return workspace


def test_a_training_that_is_killed_leaves_whole_runs_and_ends_as_an_unbroken_one(
    tiny_run: Run, tmp_path: Path, sampled: Sample
) -> None:
    unbroken, broken = (fresh(tiny_run, tmp_path / name) for name in ("unbroken", "broken"))
    seconds = to_the_end("train", str(unbroken.root), *TRAIN)
    chance = random.Random(sampled.seed)
    for _ in range(sampled.times(KILLS)):
        killed(chance.uniform(0, seconds), "train", str(broken.root), *TRAIN)
        for run in list_runs(Workspace.open(broken.root)):
            whole(run)
    to_the_end("train", str(broken.root), *TRAIN)
    (one, *_), (other,) = list_runs(broken), list_runs(unbroken)
    whole(one)
    both = [run.predictions().sort_values("id") for run in (one, other)]
    columns = [f"p:{name}" for name in other.classes]
    assert np.allclose(both[0][columns], both[1][columns], atol=1e-4) and one.test == other.test


def test_an_export_that_is_killed_is_whole_or_absent(trained: Workspace, tmp_path: Path, sampled: Sample) -> None:
    (run,) = list_runs(trained)
    out = tmp_path / "out" / "model"
    out.parent.mkdir()
    chance = random.Random(sampled.seed)
    seconds = to_the_end("export", str(trained.root), run.id, str(tmp_path / "unbroken"))
    for _ in range(sampled.times(KILLS)):
        killed(chance.uniform(0, seconds), "export", str(trained.root), run.id, str(out))
        if out.exists():
            assert Classifier.load(out).classes == run.classes
    to_the_end("export", str(trained.root), run.id, str(out))
    assert Classifier.load(out).classes == run.classes
    whole(list_runs(trained)[0])
