"""Draw a gr.HTML component from .js and .css files that lie beside its tab; foreign text reaches it as data only."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import gradio as gr

from pipeline.tabs.page.scripts import glued

View: TypeAlias = dict[str, Any]
"""What a component shows, as plain data (JSON can hold it): its value, which its script draws."""

FOLDER = Path(__file__).resolve().parent
NO_ANSWER: Mapping[str, Any] = {"page": "", "number": 0}


def component(place: Path, elem_id: str, **props: Any) -> gr.HTML:
    """The component written in ``place`` with .js (and what that imports) and .css at its end (``common.css`` goes
    before it).

    Its template is a constant: whatever is shown travels in ``value`` and is put on the page by ``textContent``, so
    that a class or file name is never read as HTML or as a template. ``props``: what else it holds, beside its value.
    """
    return gr.HTML(
        None,
        html_template=f'<div class="{place.name}"></div>',
        css_template=_read(FOLDER / "common.css") + _read(place.with_suffix(".css")),
        js_on_load=glued(place.with_suffix(".js")),
        apply_default_css=False,
        elem_id=elem_id,
        **props,
    )


def answer_to(told: Mapping[str, Any]) -> dict[str, Any]:
    """Which message of which page is done, given the message: goes back in the ``answer`` of the view, so that the page
    knows what is still on its way (``heard`` in common.js).
    """
    return {"page": str(told["page"]), "number": whole(told["number"])}


def whole(number: object) -> int:
    """A whole number as a page sent it; 0 where it is none."""
    return number if isinstance(number, int) else 0


def nonce() -> str:
    """A mark for a view, so that its component draws it even where it is the very same as before."""
    return uuid.uuid4().hex


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8")
