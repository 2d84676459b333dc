"""The settings of a training as widgets, made from what is told beside their fields; and what is started with them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from pipeline.errors import NotEnoughData, UsageError
from pipeline.jobs import job as jobs
from pipeline.jobs.job import Job
from pipeline.jobs.stages import StageName
from pipeline.model.backbones import BUNDLED, PRESETS, bundled_weights
from pipeline.predict import WEIGHTS
from pipeline.settings import Setting, option, settings_of, shown
from pipeline.train.config import GROUPS, LrFindConfig, TrainConfig
from pipeline.train.data import usable_rows
from pipeline.train.lr_finder import find_lr
from pipeline.train.train import train
from pipeline.workspace.limits import Limits
from pipeline.workspace.runs import Run, list_runs
from pipeline.workspace.workspace import Workspace

TOLD = settings_of(TrainConfig)
PRETRAINED = (TOLD["weights"].means[""], "")
MOST_EPOCHS, LONGEST_NOTE = 30, 200


# --- the widgets ---------------------------------------------------------------------------------------------------


def draw_fields() -> dict[str, Component]:
    """All widgets, in their groups, by the name of the field."""
    defaults = asdict(TrainConfig())
    drawn: dict[str, Component] = {}
    for group in GROUPS:
        box = gr.Accordion(group, open=False, elem_classes="w-group-of-fields") if group else nullcontext()
        with box, gr.Row(elem_classes="w-fields"):
            for name, told in TOLD.items():
                if told.group == group:
                    drawn[name] = _draw(name, told, defaults[name])
    return drawn


def _draw(name: str, told: Setting, value: Any) -> Component:
    """The widget of a setting: the field's own term over it, plain words under that."""
    words: dict[str, Any] = {"label": told.label, "info": told.info, "elem_id": f"train-{name.replace('_', '-')}"}
    if name == "epochs":
        return gr.Slider(0, MOST_EPOCHS, value, step=1, **words)
    if name == "backbone":
        return gr.Dropdown([*PRESETS, *offline_backbones()], value=value, allow_custom_value=True, **words)
    if name == "weights":
        return gr.Dropdown([PRETRAINED], value=value, allow_custom_value=True, **words)
    if told.choices:
        return gr.Dropdown([_choice(*choice) for choice in told.named_choices], value=value, **words)
    if isinstance(value, tuple):
        return gr.Textbox(shown(value), placeholder="128, 192", **words)
    if isinstance(value, str):
        return gr.Textbox(value, max_length=LONGEST_NOTE, **words)
    return gr.Number(value, precision=0 if isinstance(value, int) else None, **words)


def _choice(words: str, value: str) -> tuple[str, str]:
    """(what to show, value): the words, and the value as the command line has it, where they do not hold it."""
    return words if value.casefold() in words.casefold() else f"{words} ({value})", value


def offline_backbones() -> list[str]:
    """The backbones whose pretrained weights came with the installation."""
    return [name for name in BUNDLED if bundled_weights(name)]


def starting_points(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """(what to show, safetensors file; empty: the pretrained weights): what a training can start from."""
    return [PRETRAINED, *((f"run {run.name}", str(run.folder / WEIGHTS)) for run in runs)]


def title_of(name: str) -> str:
    """What a setting is called, as over its widget; one of another version by its name: ``cycle length``."""
    return TOLD[name].label if name in TOLD else name.replace("_", " ")


def widget_value(values: Mapping[str, Any], name: str) -> Any:
    """What the widget of a field is to hold for a setting."""
    return shown(values[name]) if name == "sizes" else values[name]


# --- from the widgets ----------------------------------------------------------------------------------------------


def held(values: Mapping[Component, Any], fields: Mapping[str, Component]) -> dict[str, Any]:
    """What the widgets hold, by field name."""
    return {name: values[component] for name, component in fields.items()}


def settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings from what the widgets hold, by field name. Raises UsageError where a box is empty or odd."""
    if missing := [name for name, value in values.items() if value is None]:
        raise UsageError(f"'{title_of(missing[0])}' is empty. Fill it in, or reload the page for the default.")
    return {name: _sizes(value) if name == "sizes" else value for name, value in values.items()}


def config_from(values: Mapping[str, Any]) -> TrainConfig:
    """The configuration from what the widgets hold. Raises UsageError where one is empty or makes no sense."""
    return TrainConfig(**settings(values))


def _sizes(text: Any) -> tuple[int, ...]:
    if not isinstance(text, str):
        return tuple(text)
    words = [word for word in re.split(r"[\s,;]+", text) if word]
    if odd := [word for word in words if not re.fullmatch(r"[0-9]{1,5}", word)]:
        title = title_of("sizes")
        raise UsageError(f"'{title}' is a list of pixels, like 128, 192; '{odd[0]}' is no such number.")
    return tuple(int(word) for word in words)


def command(workspace: Workspace, values: Mapping[str, Any]) -> str:
    """The command line that trains the same; only what differs from the defaults is spelled out."""
    given = settings({name: value for name, value in values.items() if value is not None})
    defaults = asdict(TrainConfig())
    place = workspace.name if Limits.of(workspace) else str(workspace.root)  # a visitor learns no path of the host
    words = ["python", "cli.py", "train", place]
    for name, value in given.items():
        if value != defaults[name]:
            words += _argument(option(name), value)
    return shlex.join(words)


def _argument(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [name if value else name.replace("--", "--no-", 1)]
    if isinstance(value, tuple):
        return [name, *map(shown, value)]
    return [f"{name}={value}"] if str(value).startswith("-") else [name, shown(value)]


# --- what is started with them -------------------------------------------------------------------------------------


def train_job(workspace: Workspace, values: Mapping[str, Any], local: bool = True) -> Job:
    """Start a training. Raises NotEnoughData and UsageError at once, where it could not succeed.

    Where the app is open to others (not ``local``), weights may only be those of the workspace's runs.
    """
    config = config_from(values)
    _check(workspace, config, local)
    return jobs.start(workspace, train, config)


def find_job(workspace: Workspace, values: Mapping[str, Any], local: bool = True) -> Job:
    """Start looking for a learning rate for a training with these settings; errors as of :func:`train_job`."""
    config = LrFindConfig(**settings(values))
    _check(workspace, config, local)
    return jobs.start(workspace, find_lr, config)


def _check(workspace: Workspace, config: TrainConfig, local: bool) -> None:
    """Raises NotEnoughData and UsageError where training with ``config`` could not begin now."""
    images = workspace.store.images()
    if images.empty:
        raise NotEnoughData("There are no pictures to learn from yet. Go to Collect and bring some in first.")
    if not (images["status"] == "new").any():
        usable_rows(workspace, config.head)
    weights, known = config.weights, [file for _, file in starting_points(list_runs(workspace))]
    if weights and weights not in known and not local:
        raise UsageError("Here a training can start from the pretrained weights or from a run of this workspace only.")
    if weights and not Path(weights).is_file():
        raise UsageError(f"There is no file {weights} to start from. Choose the pretrained weights, or those of a run.")
    if jobs.running(workspace, StageName.TRAIN, StageName.FIND_LR):
        raise UsageError("A training is running already. Wait for it, or cancel it above.")
