"""Collect: pictures from a ready-made set, one's own files, a web search or a list of links."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block

from pipeline.errors import PipelineError
from pipeline.tabs.collect.collected import collecting, newest, overview, papers, sample
from pipeline.tabs.collect.found import FoundPart, draw_found
from pipeline.tabs.collect.links import draw_links
from pipeline.tabs.collect.own_pictures import draw_own, draw_ready_made
from pipeline.tabs.collect.preview import Looking
from pipeline.tabs.collect.web_search import draw_search
from pipeline.tabs.page.job_panel import QUIET
from pipeline.tabs.page.shared import Shared, Values
from pipeline.tabs.page.show import guide, heading, pictures_html
from pipeline.workspace.workspace import Workspace

LIVE_SECONDS = 2.0


@dataclass(frozen=True)
class _View:
    """What the tab shows of the workspace; filled again when that may have changed."""

    summary: gr.HTML
    pictures: gr.HTML
    card: gr.DownloadButton
    starter: gr.Button
    found: FoundPart

    @property
    def outputs(self) -> list[Any]:
        return [self.summary, self.pictures, self.card, self.starter, *self.found.outputs]

    def fill(self, workspace: Workspace, looking: Looking) -> list[Any]:
        at_work = collecting(workspace)
        nothing = workspace.store.images().empty
        first = gr.Button(variant="primary" if nothing else "secondary")
        pictures = (newest if at_work else sample)(workspace)
        zipped = None if nothing else papers(workspace, Path(self.card.GRADIO_CACHE), anew=not at_work)
        card = gr.DownloadButton(value=str(zipped) if zipped else None, visible=zipped is not None)
        return [overview(workspace), pictures, card, first, *self.found.fill(workspace, looking)]


def build(tab: gr.Tab, shared: Shared) -> None:
    """Draw the tab, then wire it."""
    guide("Bring in pictures of the things you want to tell apart. 30 of each is a good start.")
    with gr.Row(elem_classes="w-split"):
        with gr.Column(scale=2, min_width=280):
            summary = gr.HTML(elem_id="collect-summary")
            card = gr.DownloadButton("Data card and attributions", visible=False, size="sm", elem_id="collect-card")
        with gr.Column(scale=3, min_width=320):
            pictures = pictures_html("collect-pictures")
    found = draw_found()
    heading("Add pictures")
    with gr.Row(elem_classes="w-cards"):
        with gr.Column(min_width=320, elem_classes="w-stack"):
            starter = draw_ready_made(shared)
            search = draw_search()
        with gr.Column(min_width=320, elem_classes="w-stack"):
            draw_own(shared)
            draw_links(shared)
    search.wire(shared)
    found.wire(shared)
    _wire(tab, shared, _View(summary, pictures, card, starter, found))


def _wire(tab: gr.Tab, shared: Shared, view: _View) -> None:
    def fill(name: str, looking: Looking) -> list[Any]:
        return view.fill(shared.open(name), looking)

    def arriving(values: Values) -> list[Any]:
        """What came meanwhile, every LIVE_SECONDS at most; nothing for another tab or where nothing is collected."""
        last: float = values[refreshed]
        now = time.monotonic()
        nothing = [gr.skip()] * (len(view.outputs) + 1)
        if values[shared.opened] != tab.id or now - last < LIVE_SECONDS:
            return nothing
        try:
            workspace = shared.open(values[shared.picker])
        except PipelineError:  # it is gone, and saying so again and again would help nobody
            return nothing
        if not collecting(workspace):
            return nothing
        filled = view.fill(workspace, values[view.found.looking])
        return [time.monotonic(), *filled]

    refreshed = gr.State(0.0)
    inputs: set[Block] = {shared.picker, shared.opened, refreshed, view.found.looking}
    shared.watch(tab, fill, view.outputs, view.found.looking)
    shared.job.shown.change(arriving, inputs, [refreshed, *view.outputs], **QUIET)
