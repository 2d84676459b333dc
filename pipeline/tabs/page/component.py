"""Draw a gr.HTML component from .js and .css files that lie beside its tab; foreign text reaches it as data only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import gradio as gr

from pipeline.tabs.page.scripts import glued

View: TypeAlias = dict[str, Any]
"""What a component shows, as plain data (JSON can hold it): its value, which its script draws."""

FOLDER = Path(__file__).resolve().parent


def component(place: Path, elem_id: str, parts: Sequence[str] = (), **props: Any) -> gr.HTML:
    """The component written in ``place`` with .js (and what that imports) and .css at its end (``common.css`` goes
    before it); the scripts ``parts`` beside it go behind, into its scope.

    Its template is a constant: whatever is shown travels in ``value`` and is put on the page by ``textContent``, so
    that a class or file name is never read as HTML or as a template. ``props``: what else it holds, beside its value.
    """
    return gr.HTML(
        None,
        html_template=f'<div class="{place.name}"></div>',
        css_template=_read(FOLDER / "common.css") + _read(place.with_suffix(".css")),
        js_on_load=glued(place.with_suffix(".js")) + "".join(_read(place.with_name(f"{part}.js")) for part in parts),
        apply_default_css=False,
        elem_id=elem_id,
        **props,
    )


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8")
