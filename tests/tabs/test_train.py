from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from pipeline import jobs
from pipeline.errors import NotEnoughData, UsageError
from pipeline.importing import ImportConfig, import_images
from pipeline.runs import Run, list_runs
from pipeline.stage import run
from pipeline.tabs.train import FIELDS, command, config_from, latest, material, runs_table, train_job
from pipeline.train import TrainConfig
from pipeline.verify import VerifyConfig, verify
from pipeline.workspace import Workspace
from tests.fixtures_run import tiny_run, trained

__all__ = ["tiny_run", "trained"]

DEFAULTS = asdict(TrainConfig())


def test_every_setting_of_training_has_a_widget_that_starts_at_its_default() -> None:
    assert set(FIELDS) == {field.name for field in fields(TrainConfig)}
    with gr.Blocks(analytics_enabled=False):
        drawn = {name: draw(DEFAULTS[name]) for name, draw in FIELDS.items()}
    assert {name: component.value for name, component in drawn.items()} == DEFAULTS
    assert config_from({name: component.value for name, component in drawn.items()}) == TrainConfig()


def test_an_empty_box_is_named() -> None:
    with pytest.raises(UsageError, match="'batch size' is empty"):
        config_from({**DEFAULTS, "batch_size": None})


def test_a_value_out_of_range_is_refused_before_anything_runs(trained: Workspace) -> None:
    with pytest.raises(UsageError, match="epochs"):
        train_job(trained, {**DEFAULTS, "epochs": -1})
    assert jobs.list_jobs(trained) == []


def test_the_command_line_spells_out_only_what_differs(workspace: Workspace) -> None:
    assert command(workspace, DEFAULTS) == f"python cli.py train {workspace.root}"
    line = command(workspace, {**DEFAULTS, "epochs": 5, "base_lr": 0.002, "note": "it's a try", "image_size": None})
    assert line.endswith("""--epochs 5 --base-lr 0.002 --note 'it'"'"'s a try'""")


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


def test_without_runs_the_next_step_is_named() -> None:
    assert "Press Train" in runs_table([]) and latest([]) == ""


def test_a_run_is_listed_with_error_interval_and_note(tiny_run: Run) -> None:
    noted = Run(tiny_run.folder, {**tiny_run.record, "config": {**tiny_run.config, "note": "<b>first</b>"}})
    html = runs_table([noted])
    assert tiny_run.id in html and "tf_efficientnet_lite0" in html and "% (" in html
    assert "&lt;b&gt;first" in html and "<b>" not in html


def test_the_newest_run_is_told_with_its_baseline(tiny_run: Run) -> None:
    html = latest([tiny_run])
    assert "always saying the largest class" in html and "valid_loss" in html


def test_a_run_without_test_pictures_claims_nothing(tiny_run: Run) -> None:
    record: dict[str, Any] = {**tiny_run.record, "test": {**tiny_run.test, "n": 0}}
    html = latest([Run(tiny_run.folder, record)])
    assert "95%" not in html and "–" in html


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
