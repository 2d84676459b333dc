"""The preview of the Train tab: some pictures as the model is tested on them, and as it learns from them."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

import gradio as gr
from gradio.components import Component
from PIL import Image

from pipeline.tabs.page.job_panel import QUIET
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.show import count, escape
from pipeline.tabs.train.fields import config_from, held
from pipeline.train.config import TrainConfig
from pipeline.train.preview import Array, Preview, Viewed, preview

SIDE = 224
INTO_VIEW = """() => setTimeout(
    () => document.querySelector('#train-views')?.scrollIntoView({block: 'nearest', behavior: 'smooth'}), 100)"""


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
