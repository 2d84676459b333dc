"""The settings of a training as widgets, in groups; from what they hold to a configuration or a command, and back."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from pipeline.errors import UsageError
from pipeline.model.backbones import BUNDLED, PRESETS, bundled_weights
from pipeline.predict import WEIGHTS
from pipeline.train.config import TrainConfig
from pipeline.workspace.limits import Limits
from pipeline.workspace.runs import Run
from pipeline.workspace.workspace import Workspace

RESIZES = [("crop the middle", "crop"), ("keep all, add borders", "pad"), ("squeeze to fit", "squish")]
AUGMENTATIONS = [
    ("photographs", "photo"),
    ("seen from above", "top-down"),
    ("text and digits", "text"),
    ("none", "none"),
]
PADDINGS = [("black", "zeros"), ("the edge drawn out", "border"), ("a mirror image", "reflection")]
LAYERS = [
    ("as many as help", "auto"),
    ("the head alone", "head"),
    ("more each epoch", "gradual"),
    ("all of them", "all"),
]
SCHEDULES = [
    ("up, then down (one cycle)", "one-cycle"),
    ("down (cosine)", "cosine"),
    ("down again and again", "restarts"),
]
SNAPSHOTS = [("only the best counts", "none"), ("average them", "average"), ("ask all of them", "ensemble")]
FLIPS = [
    ("by what they are like", "auto"),
    ("never", "none"),
    ("sideways", "sideways"),
    ("every way", "every-way"),
]
HEADS = [
    ("as the labels need", "auto"),
    ("exactly one class", "softmax"),
    ("several, or none of these", "sigmoid"),
]
OPTIMIZERS = [("AdamW", "adamw"), ("SGD with momentum", "sgd")]
BALANCES = [
    ("as they come", "none"),
    ("rare ones count more", "weights"),
    ("rare ones are shown more often", "sampling"),
]
DEVICES = ["auto", "cpu", "cuda", "mps"]
PRETRAINED = ("the pretrained ones", "")
Draw = Callable[[Any], Component]


def _number(label: str, info: str = "", precision: int | None = None) -> Draw:
    return lambda v: gr.Number(v, label=label, info=info or None, precision=precision)


def _whole(label: str, info: str = "") -> Draw:
    return _number(label, info, 0)


def _choice(label: str, choices: Sequence[Any], info: str = "") -> Draw:
    return lambda v: gr.Dropdown(choices, value=v, label=label, info=info or None)


# One line a field of TrainConfig: how it is asked for, given its default.
FIELDS: Mapping[str, Draw] = {
    "epochs": lambda v: gr.Slider(0, 30, v, step=1, label="Epochs", info="passes over the pictures; 0: the head alone"),
    "backbone": lambda v: gr.Dropdown(
        [*PRESETS, *offline_backbones()],
        value=v,
        label="Backbone",
        allow_custom_value=True,
        info="or any name from Models",
    ),
    "note": lambda v: gr.Textbox(v, label="Note", placeholder="what you are trying", max_length=200),
    "weights": lambda v: gr.Dropdown(
        [PRETRAINED], value=v, label="Start from", allow_custom_value=True, info="other weights: those of a run"
    ),
    "drop_rate": _number("Dropout", "share of features left out before the head; 0: none"),
    "drop_path_rate": _number("Drop path", "share of layers left out at random; 0: none"),
    "head": _choice("A picture shows", HEADS),
    "layers": _choice("Layers that learn", LAYERS),
    "freeze_epochs": _whole("Head first", "views of each picture the head learns from, the rest frozen"),
    "minutes": _number("Minutes at most", "for 'as many as help'"),
    "patience": _whole("Patience", "epochs without progress after which it stops; 0: never"),
    "balance": _choice("Classes", BALANCES),
    "base_lr": _number("Learning rate", "the highest one, of the head"),
    "layer_decay": _number("Layer decay", "how much slower lower layers learn"),
    "optimizer": _choice("Optimizer", OPTIMIZERS),
    "weight_decay": _number("Weight decay"),
    "clip": _number("Longest gradient", "longer ones are cut; 0: never"),
    "schedule": _choice("Rate over time", SCHEDULES),
    "warmup": _number("Warm-up", "share of the steps, for cosine"),
    "cycle_epochs": _whole("First cycle", "epochs, for 'again and again'"),
    "cycle_factor": _number("Cycles grow by", "1: all of one length"),
    "snapshots": _choice("Ends of the cycles", SNAPSHOTS, "for 'again and again'"),
    "batch_size": _whole("Batch size", "pictures at a time"),
    "label_smoothing": _number("Label smoothing", "doubt about every label, from 0 to 1"),
    "ema": _number("Average of weights", "its decay, like 0.99; 0: off"),
    "seed": _whole("Seed", "same seed, same result"),
    "device": _choice("Device", DEVICES),
    "image_size": _whole("Image size", "pixels high; 0: the backbone's own"),
    "image_width": _whole("Image width", "pixels; 0: the same"),
    "resize": _choice("Fit pictures by", RESIZES),
    "padding": _choice("Borders", PADDINGS, "where there is no picture"),
    "augmentation": _choice("Vary them like", AUGMENTATIONS, "so less is enough"),
    "min_scale": _number("Smallest crop", "share of the picture; 0: by what they are like"),
    "max_rotate": _number("Turn by up to", "degrees; -1: by what they are like"),
    "max_lighting": _number("Change light by up to", "share; -1: by what they are like"),
    "flip": _choice("Mirror them", FLIPS),
    "mixup": _number("Mixup", "blends two pictures; 0: off, 0.2 is usual"),
    "cutmix": _number("CutMix", "pastes one into another; 0: off, 1 is usual"),
    "sizes": lambda v: gr.Textbox(
        shown(v), label="Smaller first", placeholder="128, 192", info="sizes that the epochs go through"
    ),
    "presize": _whole("Cut views from", "pixels a side; 0: a little more than the image size"),
}

# Title of the accordion ("": always in sight under More options) and its fields.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "": ("epochs", "backbone", "note"),
    "The pictures": (
        "image_size",
        "image_width",
        "resize",
        "padding",
        "augmentation",
        "min_scale",
        "max_rotate",
        "max_lighting",
        "flip",
        "mixup",
        "cutmix",
        "sizes",
        "presize",
    ),
    "What learns": ("head", "layers", "freeze_epochs", "minutes", "patience", "balance"),
    "How it learns": (
        "base_lr",
        "layer_decay",
        "schedule",
        "warmup",
        "cycle_epochs",
        "cycle_factor",
        "snapshots",
        "batch_size",
        "optimizer",
        "weight_decay",
        "clip",
        "label_smoothing",
        "ema",
        "seed",
        "device",
    ),
    "The network": ("weights", "drop_rate", "drop_path_rate"),
}


def offline_backbones() -> list[str]:
    """The backbones whose pretrained weights came with the installation."""
    return [name for name in BUNDLED if bundled_weights(name)]


def draw_fields() -> dict[str, Component]:
    """All widgets, in their groups, by the name of the field."""
    defaults = asdict(TrainConfig())
    drawn: dict[str, Component] = {}
    for title, names in GROUPS.items():
        if not title:
            drawn |= _draw_row(names, defaults)
            continue
        with gr.Accordion(title, open=False, elem_classes="w-group-of-fields"):
            drawn |= _draw_row(names, defaults)
    return drawn


def _draw_row(names: Sequence[str], defaults: Mapping[str, Any]) -> dict[str, Component]:
    with gr.Row(elem_classes="w-fields"):
        return {name: _draw_field(name, defaults[name]) for name in names}


def _draw_field(name: str, default: Any) -> Component:
    component = FIELDS[name](default)
    component.elem_id = f"train-{name.replace('_', '-')}"
    return component


def title_of(name: str) -> str:
    """A field's name in words: ``base lr``."""
    return name.replace("_", " ")


def shown(value: Any) -> str:
    """A setting's value as text: ``128, 192`` for several numbers, ``yes`` or ``no``."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (tuple, list)):
        return ", ".join(map(shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


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
        raise UsageError(f"'Smaller first' is a list of pixels, like 128, 192; '{odd[0]}' is no such number.")
    return tuple(int(word) for word in words)


def command(workspace: Workspace, values: Mapping[str, Any]) -> str:
    """The command line that trains the same; only what differs from the defaults is spelled out."""
    given = settings({name: value for name, value in values.items() if value is not None})
    defaults = asdict(TrainConfig())
    place = workspace.name if Limits.of(workspace) else str(workspace.root)  # a visitor learns no path of the host
    words = ["python", "cli.py", "train", place]
    for name, value in given.items():
        if value != defaults[name]:
            words += _option(f"--{name.replace('_', '-')}", value)
    return shlex.join(words)


def _option(option: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [option if value else option.replace("--", "--no-", 1)]
    if isinstance(value, tuple):
        return [option, *map(shown, value)]
    return [f"{option}={value}"] if str(value).startswith("-") else [option, shown(value)]


# --- from a run ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recalled:
    """The settings of a run as this version has them, by field name; ``left_out``: those it does not know or take."""

    values: dict[str, Any]
    left_out: tuple[str, ...]


def recalled(run: Run) -> Recalled:
    """The settings a run was trained with. What it does not say (it is older) is at today's default."""
    values = asdict(TrainConfig())
    waiting = {name: value for name, value in run.config.items() if name in values and _alike(value, values[name])}
    for _ in range(2):  # one may be allowed only beside another that comes later
        for name in list(waiting):
            if _allowed({**values, name: waiting[name]}):
                values[name] = waiting.pop(name)
    left_out = [name for name, value in run.config.items() if name not in values or values[name] != value]
    return Recalled(asdict(TrainConfig(**values)), tuple(left_out))


def _alike(value: Any, default: Any) -> bool:
    """Whether ``value`` is of the kind of a field's default."""
    kinds: dict[type, tuple[type, ...]] = {float: (int, float), tuple: (list, tuple)}
    return type(value) in kinds.get(type(default), (type(default),))


def _allowed(values: Mapping[str, Any]) -> bool:
    try:
        TrainConfig(**values)
        return True
    except (UsageError, TypeError, ValueError):
        return False


def widget_value(values: Mapping[str, Any], name: str) -> Any:
    """What the widget of a field is to hold for a setting."""
    return shown(values[name]) if name == "sizes" else values[name]


def starting_points(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """(what to show, safetensors file; empty: the pretrained weights): what a training can start from."""
    return [PRETRAINED, *((f"run {run.name}", str(run.folder / WEIGHTS)) for run in runs)]
