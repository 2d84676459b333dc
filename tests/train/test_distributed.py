"""Several processes train the run that one process trains: the same numbers, written once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cli
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.stage import run
from pipeline.train.distributed import Ranks
from pipeline.workspace.runs import list_runs
from pipeline.workspace.workspace import Workspace
from tests.support.paths import ROOT


@given(st.integers(0, 300), st.integers(1, 9))
def test_the_parts_of_all_processes_are_the_whole_in_order(count: int, world: int) -> None:
    things = np.arange(count)
    parts = [things[Ranks(rank, world).part(count)] for rank in range(world)]
    if count < world:
        assert all(np.array_equal(part, things) for part in parts) and Ranks(0, world).copies(count) == world
    else:
        assert np.array_equal(np.concatenate(parts), things) and Ranks(0, world).copies(count) == 1
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        ("--mixup", "0.4", "--layers", "gradual", "--balance", "weights"),
        pytest.param((), marks=pytest.mark.exhaustive),
    ],
)
def test_two_processes_train_the_run_of_one(
    photographs: Path,
    tmp_path: Path,
    settings: tuple[str, ...],
    small_network: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    workspace = Workspace.create(tmp_path / "ws")
    run(import_images(workspace, ImportConfig(str(photographs))))
    train = ["train", str(workspace.root), "--image-size", "64", "--batch-size", "7", "--epochs", "2"]
    train += ["--freeze-epochs", "3", "--minutes", "60", "--device", "cpu", "--json", *settings]
    train += [word for name, value in small_network.items() for word in (f"--{name}", value)]
    assert cli.main(train) == 0
    one = json.loads(capsys.readouterr().out)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "cli.py"]
    done = subprocess.run([*launcher, *train], cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    two = json.loads(done.stdout)  # one document, from the first process
    assert len(list_runs(workspace)) == 2 and one["run"] != two["run"]
    assert len(one["epochs"]) == len(two["epochs"]) == 3
    for name in ("train_loss", "valid_loss", "error_rate"):
        assert [e[name] for e in one["epochs"]] == pytest.approx([e[name] for e in two["epochs"]], abs=2e-3), name
    assert one["test"]["error_rate"] == pytest.approx(two["test"]["error_rate"], abs=1e-3)
    assert not list(workspace.checkpoints.glob("*/*"))
