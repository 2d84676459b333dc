"""The viewer: one picture in large over the page, with what is known about it; and the small picture that opens it."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from pipeline.images.decode import large_picture
from pipeline.predict import Unreadable
from pipeline.tabs.page.component import component
from pipeline.workspace.workspace import Workspace


def viewer(elem_id: str) -> gr.HTML:
    """The component, closed. Its value opens it: id (empty: stay closed), large or trouble (:func:`large`), title,
    answers ((class, probability) pairs), facts ((name, value) pairs), name; and a nonce, as the same picture may be
    opened twice. More where it has it: story (about, sources, labels, runs, duplicates, neighbours, no_neighbours: what
    ``cleaner.tabs.review.story`` makes of an image; its pictures raise ``open`` with an id), and looks: whether
    ``look`` may be raised, which is answered by the prop ``look``: id, heat (what is laid over the picture, or None),
    words.
    """
    return component(Path(__file__).with_name("viewer"), elem_id, look=None)


def thumbnail(workspace: Workspace, image_id: str) -> str | None:
    """The path of an image's thumbnail, or None where there is none."""
    path = workspace.thumbnail(image_id)
    return str(path) if path.exists() else None


def large(workspace: Workspace, image_id: str, file: str) -> tuple[str | None, str]:
    """The path of an image's large picture, made if need be; or None, and why there is none."""
    try:
        return str(large_picture(workspace, image_id, file)), ""
    except (Unreadable, OSError) as error:
        return None, f"This image cannot be shown: {error}"
