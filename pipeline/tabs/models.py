"""Models: which backbone? The timm catalogue, with what can be trained without a network."""

from __future__ import annotations

from typing import Any

import gradio as gr

from pipeline.model.backbones import DEFAULT, Backbone, list_backbones
from pipeline.tabs.page.shared import Shared, translate
from pipeline.tabs.page.show import count, empty, guide, table

SHOWN = 200
PLACES = {
    "bundled": "on this machine, came with Winnow",
    "cached": "on this machine",
    "hub": "fetched from Hugging Face when you train",
}


def catalogue(text: str, offline_only: bool) -> str:
    """The backbones whose name contains ``text``, as HTML."""
    found = [backbone for backbone in list_backbones(text or "") if backbone.offline or not offline_only]
    if not found:
        return empty("No backbone of that name", "Try a part of it, like: convnext, resnet, vit")
    note = f"{count(len(found), 'backbone')}" + (f"; the first {SHOWN} are shown." if len(found) > SHOWN else ".")
    columns = ("name", "million weights", "image size", "pretrained weights")
    return table(columns, [_row(backbone) for backbone in found[:SHOWN]], numbers=(1, 2), caption=note)


def _row(backbone: Backbone) -> tuple[str, str, str, str]:
    also = [backbone.preset] if backbone.preset else []
    also += ["the default"] if backbone.name == DEFAULT else []
    name = f"{backbone.name} ({', '.join(also)})" if also else backbone.name
    size = f"{backbone.params_m:.1f}" if backbone.params_m is not None else "–"
    return name, size, f"{backbone.image_size} px", PLACES[backbone.weights]


def build(tab: gr.Tab, shared: Shared) -> None:
    """Draw the tab, then wire it."""
    guide(
        "Any of these can be the start of your model: write its name under Train, More options, Backbone. "
        "Not sure? Fast, balanced and accurate are names too."
    )
    with gr.Row():
        text = gr.Textbox(label="Name contains", placeholder="resnet", elem_id="models-filter", scale=3)
        offline = gr.Checkbox(label="Only those that need no network", elem_id="models-offline", min_width=260)
    listed = gr.HTML(elem_id="models-table")

    @translate
    def view(_name: str, wanted: str, offline_only: bool) -> str:
        return catalogue(wanted, offline_only)

    inputs: list[Any] = [shared.picker, text, offline]
    gr.on(
        [text.change, offline.change],
        view,
        inputs,
        listed,
        api_visibility="private",
        show_progress="hidden",
        trigger_mode="always_last",
    )
    shared.watch(tab, view, listed, [text, offline])
