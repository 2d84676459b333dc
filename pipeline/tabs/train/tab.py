"""Train: one button with good defaults; every setting under More options; the runs so far."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component
from PIL import Image

from pipeline.errors import NotEnoughData
from pipeline.tabs.page.component import component
from pipeline.tabs.page.job_panel import QUIET
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.show import count, empty, escape, guide, heading, splits
from pipeline.tabs.train.fields import command, config_from, draw_fields, held, starting_points, train_job
from pipeline.tabs.train.rates import wire_rates
from pipeline.tabs.train.runs import draw_run_panel
from pipeline.train.config import TrainConfig
from pipeline.train.data import usable_rows
from pipeline.train.preview import Array, Preview, Viewed, preview
from pipeline.verify.scenes import waiting
from pipeline.workspace.runs import list_runs
from pipeline.workspace.workspace import Workspace

SIDE = 224
# Where many fields change at once, each asks for itself, and the answer that comes last need not be the one that was
# asked for last: so all of them ask when the last field has its value.
SETTLED = "() => new Promise((settled) => setTimeout(settled, 200))"
INTO_VIEW = """() => setTimeout(
    () => document.querySelector('#train-views')?.scrollIntoView({block: 'nearest', behavior: 'smooth'}), 100)"""


def build(tab: gr.Tab, shared: Shared) -> None:
    """Draw the tab, then wire it."""
    guide("Teach a model your classes. It starts from one that has seen a million pictures, so minutes are enough.")
    with gr.Row(elem_classes="w-split"):
        with gr.Column(min_width=320):
            start = gr.Button("Train", variant="primary", elem_id="train-run", size="lg")
            with gr.Accordion("More options", open=False, elem_id="train-options") as options:
                fields = draw_fields()
                with gr.Row(elem_classes="w-buttons"):
                    show = gr.Button("Preview the pictures", size="sm", elem_id="train-preview")
                    find = gr.Button("Find a learning rate", size="sm", elem_id="train-find")
                rates = component(Path(__file__).with_name("rates"), "train-rates")
                line = gr.Textbox(
                    label="The same on the command line", interactive=False, buttons=["copy"], elem_id="train-command"
                )
        with gr.Column(min_width=320, elem_id="train-beside"):
            heading("What it learns from")
            counts = gr.HTML(elem_id="train-material")
            views = gr.HTML(visible=False, elem_id="train-views")
    runs = draw_run_panel()
    wire_views(shared, show, views, fields)
    wire_rates(shared, tab, find, rates, fields)
    _wire_settings(tab, shared, start, fields, line)
    _wire_material(tab, shared, counts, fields)
    runs.wire(shared, tab, fields, options)


def _wire_settings(
    tab: gr.Tab, shared: Shared, start: gr.Button, fields: Mapping[str, Component], line: gr.Textbox
) -> None:
    @translate
    def spelled_out(values: Values) -> str:
        return command(shared.open(values[shared.picker]), held(values, fields))

    inputs = {shared.picker, *fields.values()}
    shared.job.launch(
        start.click, lambda v: train_job(shared.open(v[shared.picker]), held(v, fields), shared.local), inputs
    )
    changes = [field.change for field in fields.values()]  # type: ignore[attr-defined]
    settled = gr.on([tab.select, shared.picker.change, *changes], None, None, None, js=SETTLED, show_progress="hidden")
    settled.then(spelled_out, inputs, line, trigger_mode="always_last", **QUIET)


def _wire_material(tab: gr.Tab, shared: Shared, counts: gr.HTML, fields: Mapping[str, Component]) -> None:
    def view(name: str) -> list[Any]:
        workspace = shared.open(name)
        return [material(workspace), gr.Dropdown(choices=starting_points(list_runs(workspace)))]

    shared.watch(tab, view, [counts, fields["weights"]])


def material(workspace: Workspace) -> str:
    """What there is to learn from, per class and split, as HTML."""
    images = workspace.store.images()
    if images.empty:
        return empty("No pictures yet", "Go to Collect and bring some in first.")
    new = int((images["status"] == "new").sum())
    line = f"{count(new, 'picture')} not checked yet: training will check them first." if new else ""
    if not new and waiting(workspace):
        line = "Verify asks what was taken together. A training that starts before you answer keeps it together."
    elif not new:
        try:
            usable_rows(workspace)
        except NotEnoughData as error:
            line = str(error)
    return splits(workspace) + (f'<p class="w-hint">{escape(line)}</p>' if line else "")


# --- the preview: some pictures as the model is tested on them, and as it learns from them ---------------------------


def views_html(shown: Preview, config: TrainConfig) -> str:
    """A row a picture, as HTML: the picture as it is tested, then random views of it; and what to know about all."""
    height, width = shown.size
    words = [
        f"Left: all the model sees of a picture when it is tested or used, {width} × {height} pixels. "
        "Right: as it learns from it, another way each time."
    ]
    if config.augmentation == "none":
        words[0] = f"All the model sees of a picture, {width} × {height} pixels, always the same: nothing is varied."
    if config.mixup or config.cutmix:
        words.append("Mixup and CutMix come on top: they mix two of these.")
    if shown.unreadable:
        words.append(f"{count(shown.unreadable, 'picture')} could not be opened; Verify says why.")
    hints = "".join(f'<p class="w-hint">{escape(line)}</p>' for line in words)
    warning = f'<p class="w-warn" role="alert">{escape(shown.warning)}</p>' if shown.warning else ""
    rows = "".join(map(_row, shown.pictures))
    return f'<h3>What the model sees</h3>{warning}{hints}<div class="w-views">{rows}</div>'


def _row(one: Viewed) -> str:
    tested = f'<img class="w-tested" src="{_address(one.tested)}" alt="{escape(one.label)}, as it is tested">'
    learnt = "".join(f'<img src="{_address(view)}" alt="a view to learn from">' for view in one.learnt)
    return f"<figure>{tested}{learnt}<figcaption>{escape(one.label)}</figcaption></figure>"


def _address(pixels: Array) -> str:
    """A picture (uint8 [H, W, 3]) as an address that holds it; a large one is reduced to SIDE pixels."""
    image = Image.fromarray(pixels)
    image.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def wire_views(shared: Shared, button: gr.Button, views: gr.HTML, fields: Mapping[str, Component]) -> None:
    """Show the preview for the settings as they are; another workspace takes it away."""

    @translate
    def show(values: Values) -> Any:
        config = config_from(held(values, fields))
        return gr.HTML(views_html(preview(shared.open(values[shared.picker]), config), config), visible=True)

    shown = button.click(
        show, {shared.picker, *fields.values()}, views, api_visibility="private", show_progress_on=[button, views]
    )
    shown.success(None, None, None, js=INTO_VIEW)
    shared.picker.change(lambda: gr.HTML("", visible=False), None, views, **QUIET)
