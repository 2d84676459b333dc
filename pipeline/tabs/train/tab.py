"""Train: one button with good defaults; every setting under More options; the runs so far."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from pipeline.tabs.page.component import component
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.show import guide, heading
from pipeline.tabs.train.fields import command, draw_fields, held, starting_points
from pipeline.tabs.train.preview import wire_views
from pipeline.tabs.train.rates import wire_rates
from pipeline.tabs.train.run_panel import draw_run_panel
from pipeline.tabs.train.start import material, train_job
from pipeline.workspace.runs import list_runs


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
    gr.on(
        [tab.select, shared.picker.change, *changes],
        spelled_out,
        inputs,
        line,
        api_visibility="private",
        show_progress="hidden",
        trigger_mode="always_last",
    )


def _wire_material(tab: gr.Tab, shared: Shared, counts: gr.HTML, fields: Mapping[str, Component]) -> None:
    def view(name: str) -> list[Any]:
        workspace = shared.open(name)
        return [material(workspace), gr.Dropdown(choices=starting_points(list_runs(workspace)))]

    shared.watch(tab, view, [counts, fields["weights"]])
