from __future__ import annotations

import shlex
from dataclasses import asdict, fields
from typing import Any

import gradio as gr
import pytest

from pipeline.errors import UsageError
from pipeline.settings import settings_of
from pipeline.tabs.train.fields import command, config_from, draw_fields, starting_points, widget_value
from pipeline.terminal.arguments import parser
from pipeline.train.config import GROUPS, TrainConfig, recalled
from pipeline.workspace.runs import Run
from pipeline.workspace.workspace import Workspace
from tests.workspace.test_runs import made_up

DEFAULTS = asdict(TrainConfig())


def of(workspace: Workspace, **config: Any) -> Run:
    return Run(made_up(workspace, "r", "2026"), {"id": "r", "created": "2026", "config": config})


def test_every_setting_of_training_has_a_widget_that_starts_at_its_default() -> None:
    names = [field.name for field in fields(TrainConfig)]
    told = settings_of(TrainConfig)
    assert list(told) == names and {setting.group for setting in told.values()} == set(GROUPS)
    with gr.Blocks(analytics_enabled=False):
        drawn = draw_fields()
    assert sorted(drawn) == sorted(names), "each in one group"
    for name, component in drawn.items():
        assert component.elem_id == f"train-{name.replace('_', '-')}"
        assert component.label == told[name].label and component.info == told[name].info
    assert config_from({name: component.value for name, component in drawn.items()}) == TrainConfig()


def test_what_is_in_a_widget_becomes_the_setting() -> None:
    config = config_from({**DEFAULTS, "sizes": " 128, 192;224 ", "snapshots": "average", "schedule": "restarts"})
    assert config.sizes == (128, 192, 224) and config.snapshots == "average"
    assert widget_value(asdict(config), "sizes") == "128, 192, 224"
    with pytest.raises(UsageError, match="'12x' is no such number"):
        config_from({**DEFAULTS, "sizes": "12x"})


def test_the_experts_find_their_terms_and_the_words_of_the_command_line() -> None:
    with gr.Blocks(analytics_enabled=False):
        drawn: dict[str, Any] = draw_fields()
    assert {"Progressive resizing", "Gradient clipping", "LR schedule", "Class balance", "MixUp", "Early stopping"} <= {
        component.label for component in drawn.values()
    }
    assert ("up, then down (one-cycle)", "one-cycle") in drawn["schedule"].choices
    assert ("photographs", "photo") in drawn["augmentation"].choices and ("cpu", "cpu") in drawn["device"].choices


def test_an_empty_box_is_named() -> None:
    with pytest.raises(UsageError, match="'Batch size' is empty"):
        config_from({**DEFAULTS, "batch_size": None})


def test_the_command_line_spells_out_only_what_differs(workspace: Workspace) -> None:
    assert command(workspace, DEFAULTS) == f"python cli.py train {workspace.root}"
    line = command(workspace, {**DEFAULTS, "epochs": 5, "base_lr": 0.002, "note": "it's a try", "image_size": None})
    assert line.endswith("""--epochs 5 --base-lr 0.002 --note 'it'"'"'s a try'""")
    assert command(workspace, {**DEFAULTS, "note": "-x"}).endswith("--note=-x")


def test_the_command_line_is_one_that_trains_the_same(workspace: Workspace) -> None:
    changed: dict[str, Any] = {
        "backbone": "fast",
        "weights": "a b.safetensors",
        "drop_rate": 0.1,
        "drop_path_rate": 0.2,
        "layers": "gradual",
        "epochs": 5,
        "freeze_epochs": 1,
        "minutes": 2.5,
        "image_size": 96,
        "image_width": 128,
        "resize": "pad",
        "padding": "border",
        "presize": 200,
        "sizes": (64, 96),
        "min_scale": 0.3,
        "max_rotate": 3.0,
        "max_lighting": 0.0,
        "flip": "every-way",
        "augmentation": "text",
        "batch_size": 8,
        "optimizer": "sgd",
        "base_lr": 1.5e-4,
        "layer_decay": 0.9,
        "weight_decay": 0.01,
        "clip": 0.0,
        "schedule": "restarts",
        "warmup": 0.2,
        "cycle_epochs": 2,
        "cycle_factor": 1.5,
        "snapshots": "ensemble",
        "label_smoothing": 0.1,
        "mixup": 0.2,
        "cutmix": 1.0,
        "head": "sigmoid",
        "ema": 0.99,
        "patience": 2,
        "balance": "weights",
        "seed": 7,
        "device": "cpu",
        "note": "--a 'note'",
    }
    words = shlex.split(command(workspace, {**DEFAULTS, **changed}))
    assert words[:2] == ["python", "cli.py"]
    read = vars(parser().parse_args(words[2:]))
    assert {name: tuple(read[name]) if name == "sizes" else read[name] for name in changed} == changed


def test_the_settings_of_a_run_come_back(workspace: Workspace) -> None:
    config = TrainConfig(epochs=0, schedule="restarts", snapshots="average", sizes=(64, 96), base_lr=0.01, seed=3)
    here = recalled({**asdict(config), "sizes": [64, 96]})
    assert TrainConfig(**here.values) == config and here.left_out == ()


def test_of_a_run_of_another_version_what_is_known_comes_back_and_the_rest_is_named(workspace: Workspace) -> None:
    run = of(workspace, epochs=7, momentum=0.9, resize="melt", batch_size="many", seed=True, snapshots="average")
    here = recalled(run.config)
    assert here.values == {**DEFAULTS, "epochs": 7}
    assert set(here.left_out) == {"momentum", "resize", "batch_size", "seed", "snapshots"}
    assert command(workspace, here.values).endswith("--epochs 7")


def test_a_training_can_start_from_a_run(workspace: Workspace) -> None:
    run = of(workspace)
    assert starting_points([run]) == [("the pretrained ones", ""), ("run r", str(run.folder / "model.safetensors"))]
