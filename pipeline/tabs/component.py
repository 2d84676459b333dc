"""Draw a gr.HTML component from .js and .css files that lie beside its tab; foreign text reaches it as data only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

FOLDER = Path(__file__).resolve().parent


def component(name: str, elem_id: str, folder: Path = FOLDER, parts: Sequence[str] = (), **props: Any) -> gr.HTML:
    """The component written in ``name``.js and ``name``.css in ``folder`` (``common`` of both goes before them, the
    scripts ``parts`` behind, all in one scope).

    Its template is a constant: whatever is shown travels in ``value`` and is put on the page by ``textContent``, so
    that a class or file name is never read as HTML or as a template. ``props``: what else it holds, beside its value.
    """
    return gr.HTML(
        None,
        html_template=f'<div class="{name}"></div>',
        css_template=_read(FOLDER / "common.css") + _read(folder / f"{name}.css"),
        js_on_load=_read(FOLDER / "common.js") + "".join(_read(folder / f"{part}.js") for part in (name, *parts)),
        apply_default_css=False,
        elem_id=elem_id,
        **props,
    )


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8")
