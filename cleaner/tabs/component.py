"""Draw a gr.HTML component from the .js and .css files that lie here; foreign text reaches it as data only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gradio as gr

from pipeline.tabs import component as drawn

FOLDER = Path(__file__).resolve().parent


def component(name: str, elem_id: str, parts: Sequence[str] = ()) -> gr.HTML:
    """The component written in ``name``.js, the scripts ``parts`` and ``name``.css of this folder."""
    return drawn.component(name, elem_id, FOLDER, parts)
