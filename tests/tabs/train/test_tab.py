"""What the tab starts, and what it refuses before anything runs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from pipeline.collect.importing import ImportConfig, import_images
from pipeline.errors import NotEnoughData, UsageError
from pipeline.jobs import job as jobs
from pipeline.stage import run
from pipeline.tabs.train.fields import train_job
from pipeline.tabs.train.tab import material
from pipeline.train.train import TrainConfig
from pipeline.verify.verify import VerifyConfig, verify
from pipeline.workspace.runs import list_runs
from pipeline.workspace.workspace import Workspace

DEFAULTS = asdict(TrainConfig())


def test_a_value_out_of_range_is_refused_before_anything_runs(trained: Workspace) -> None:
    with pytest.raises(UsageError, match="epochs"):
        train_job(trained, {**DEFAULTS, "epochs": -1})
    assert jobs.list_jobs(trained) == []


def test_an_empty_workspace_is_sent_to_collect(workspace: Workspace) -> None:
    assert "Go to Collect" in material(workspace)
    with pytest.raises(NotEnoughData, match="Go to Collect"):
        train_job(workspace, DEFAULTS)


def test_one_class_alone_is_refused_before_anything_runs(workspace: Workspace, photographs: Path) -> None:
    run(import_images(workspace, ImportConfig(str(photographs / "apple"), label="apple")))
    run(verify(workspace, VerifyConfig(workers=1)))
    assert "at least 2 classes" in material(workspace)
    with pytest.raises(NotEnoughData, match="at least 2 classes"):
        train_job(workspace, DEFAULTS)


def test_unchecked_pictures_are_announced(workspace: Workspace, photographs: Path) -> None:
    run(import_images(workspace, ImportConfig(str(photographs))))
    assert "40 pictures not checked yet: training will check them first." in material(workspace)


def test_the_material_is_counted_per_class_and_split(trained: Workspace) -> None:
    html = material(trained)
    assert all(f">{name}</td>" in html for name in ("apple", "melon", "pear"))
    assert "w-hint" not in html


def test_weights_are_those_of_a_run_unless_the_machine_is_ones_own(trained: Workspace, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"")
    for weights, local, words in ((str(tmp_path / "secret"), False, "this workspace only"), ("/no", True, "no file")):
        with pytest.raises(UsageError, match=words):
            train_job(trained, {**DEFAULTS, "weights": weights}, local)
    assert jobs.list_jobs(trained) == []


@pytest.mark.slow
def test_training_runs_as_a_job_and_a_second_one_is_refused_meanwhile(trained: Workspace) -> None:
    before = len(list_runs(trained))
    values = {**DEFAULTS, "epochs": 0, "image_size": 64, "augmentation": "none", "device": "cpu", "note": "again"}
    job = train_job(trained, values)
    with pytest.raises(UsageError, match="running already"):
        train_job(trained, values)
    job = jobs.wait_for(trained, job.id, 300)
    assert job.status == "done", job.note
    assert len(list_runs(trained)) == before + 1 and list_runs(trained)[0].note == "again"
