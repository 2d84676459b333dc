"""Train: one button with good defaults; every setting under More options; the runs so far."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import gradio as gr
from gradio.components import Component

from pipeline import jobs
from pipeline.backbones import BUNDLED, bundled_weights
from pipeline.data import usable_rows
from pipeline.errors import NotEnoughData, UsageError
from pipeline.jobs import Job
from pipeline.runs import Run, list_runs
from pipeline.tabs.job_panel import running
from pipeline.tabs.job_view import epoch_table
from pipeline.tabs.shared import Shared, Values, translate
from pipeline.tabs.show import ago, count, empty, error_rate, escape, facts, guide, heading, percent, table
from pipeline.tabs.verify import splits
from pipeline.train import TrainConfig, train
from pipeline.workspace import Workspace

RESIZES = [("crop the middle", "crop"), ("keep all, add borders", "pad"), ("squeeze to fit", "squish")]
AUGMENTATIONS = [
    ("photographs", "photo"), ("seen from above", "top-down"), ("text and digits", "text"), ("none", "none"),
]  # fmt: skip
DEVICES = ["auto", "cpu", "cuda", "mps"]

# One line a field of TrainConfig: how it is asked for, given its default.
FIELDS: Mapping[str, Callable[[Any], Component]] = {
    "epochs": lambda v: gr.Slider(0, 30, v, step=1, label="Epochs", info="passes over the pictures; 0: the head alone"),
    "backbone": lambda v: gr.Dropdown(
        offline_backbones(), value=v, label="Backbone", allow_custom_value=True, info="any name from Models"
    ),
    "image_size": lambda v: gr.Number(v, label="Image size", precision=0, info="pixels a side; 0: the backbone's own"),
    "resize": lambda v: gr.Dropdown(RESIZES, value=v, label="Fit pictures by"),
    "augmentation": lambda v: gr.Dropdown(AUGMENTATIONS, value=v, label="Vary them like", info="so less is enough"),
    "batch_size": lambda v: gr.Number(v, label="Batch size", precision=0, info="pictures at a time"),
    "base_lr": lambda v: gr.Number(v, label="Learning rate", info="the highest one, of the head"),
    "layer_decay": lambda v: gr.Number(v, label="Layer decay", info="how much slower lower layers learn"),
    "weight_decay": lambda v: gr.Number(v, label="Weight decay"),
    "label_smoothing": lambda v: gr.Number(v, label="Label smoothing"),
    "seed": lambda v: gr.Number(v, label="Seed", precision=0, info="same seed, same result"),
    "device": lambda v: gr.Dropdown(DEVICES, value=v, label="Device"),
    "note": lambda v: gr.Textbox(v, label="Note", placeholder="what you are trying", max_length=200),
}


def offline_backbones() -> list[str]:
    """The backbones whose pretrained weights came with the installation."""
    return [name for name in BUNDLED if bundled_weights(name)]


def config_from(values: Mapping[str, Any]) -> TrainConfig:
    """The configuration from what the widgets hold, by field name. Raises UsageError where a box is empty or odd."""
    if missing := [name for name, value in values.items() if value is None]:
        raise UsageError(f"'{missing[0].replace('_', ' ')}' is empty. Fill it in, or reload the page for the default.")
    return TrainConfig(**values)


def command(workspace: Workspace, values: Mapping[str, Any]) -> str:
    """The command line that trains the same; only what differs from the defaults is spelled out."""
    defaults = asdict(TrainConfig())
    words = ["python", "cli.py", "train", str(workspace.root)]
    for name, value in values.items():
        if value is not None and value != defaults[name]:
            words += [f"--{name.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else str(value)]
    return shlex.join(words)


def train_job(workspace: Workspace, values: Mapping[str, Any]) -> Job:
    """Start a training. Raises NotEnoughData and UsageError at once, where it could not succeed."""
    config = config_from(values)
    images = workspace.store.images()
    if images.empty:
        raise NotEnoughData("There are no pictures to learn from yet. Go to Collect and bring some in first.")
    if not (images["status"] == "new").any():
        usable_rows(workspace)
    if running(workspace, "train"):
        raise UsageError("A training is running already. Wait for it, or cancel it above.")
    return jobs.start(workspace, train, config)


def material(workspace: Workspace) -> str:
    """What there is to learn from, per class and split, as HTML."""
    images = workspace.store.images()
    if images.empty:
        return empty("No pictures yet", "Go to Collect and bring some in first.")
    new = int((images["status"] == "new").sum())
    line = f"{count(new, 'picture')} not checked yet: training will check them first." if new else _missing(workspace)
    return splits(workspace) + (f'<p class="w-hint">{escape(line)}</p>' if line else "")


def _missing(workspace: Workspace) -> str:
    """Why nothing can be learnt from the checked pictures; empty where it can."""
    try:
        usable_rows(workspace)
    except NotEnoughData as error:
        return str(error)
    return ""


def runs_table(runs: Sequence[Run]) -> str:
    """The runs, newest first, as HTML."""
    if not runs:
        return empty("Nothing trained yet", "Press Train; the default takes a minute or two.")
    rows = [
        (run.id, error_rate(run.test), ago(run.created), run.config.get("backbone", ""), run.note or "–")
        for run in runs
    ]
    return table(("run", "test error (95% interval)", "when", "backbone", "note"), rows)


def latest(runs: Sequence[Run]) -> str:
    """What the newest run achieved, and its epochs, as HTML."""
    if not runs:
        return ""
    test = runs[0].test
    numbers = [("of the test pictures are wrong", percent(test["error_rate"]) if test.get("n") else "–")]
    if test.get("n"):
        numbers += [
            ("is where it lies, 95% sure", f"{100 * test['low']:.1f}–{percent(test['high'])}"),
            ("would be wrong by always saying the largest class", percent(test["baseline_error_rate"])),
        ]
    return facts(numbers) + epoch_table(runs[0].epochs)


# --- the tab -------------------------------------------------------------------------------------------------------


def build(tab: gr.Tab, shared: Shared) -> None:
    """Draw the tab, then wire it."""
    guide("Teach a model your classes. It starts from one that has seen a million pictures, so minutes are enough.")
    with gr.Row(elem_classes="w-split"):
        with gr.Column(min_width=320):
            start = gr.Button("Train", variant="primary", elem_id="train-run", size="lg")
            with gr.Accordion("More options", open=False, elem_id="train-options"):
                defaults = asdict(TrainConfig())
                with gr.Row(elem_classes="w-fields"):
                    fields = {name: _draw_field(name, defaults[name]) for name in FIELDS}
                line = gr.Textbox(
                    label="The same on the command line", interactive=False, buttons=["copy"], elem_id="train-command"
                )
        with gr.Column(min_width=320):
            heading("What it learns from")
            counts = gr.HTML(elem_id="train-material")
    with gr.Column(visible=False) as newest:
        heading("The latest run")
        result = gr.HTML(elem_id="train-latest")
    heading("All runs")
    runs = gr.HTML(elem_id="train-runs")
    _wire(tab, shared, start, fields, line, [counts, newest, result, runs])


def _draw_field(name: str, default: Any) -> Component:
    component = FIELDS[name](default)
    component.elem_id = f"train-{name.replace('_', '-')}"
    return component


def _wire(
    tab: gr.Tab,
    shared: Shared,
    start: gr.Button,
    fields: Mapping[str, Component],
    line: gr.Textbox,
    outputs: Sequence[Any],
) -> None:
    def by_name(values: Values) -> dict[str, Any]:
        return {name: values[component] for name, component in fields.items()}

    @translate
    def spelled_out(values: Values) -> str:
        return command(shared.open(values[shared.picker]), by_name(values))

    def view(name: str) -> list[Any]:
        workspace = shared.open(name)
        every = list_runs(workspace)
        return [material(workspace), gr.Column(visible=bool(every)), latest(every), runs_table(every)]

    inputs = {shared.picker, *fields.values()}
    shared.job.launch(start.click, lambda v: train_job(shared.open(v[shared.picker]), by_name(v)), inputs)
    changes = [field.change for field in fields.values()]  # type: ignore[attr-defined]
    gr.on(
        [tab.select, shared.picker.change, *changes], spelled_out, inputs, line,
        api_visibility="private", show_progress="hidden", trigger_mode="always_last",
    )  # fmt: skip
    shared.watch(tab, view, list(outputs))
