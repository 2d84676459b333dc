"""The question of Verify, what was taken together: asked before splits are given, with some of the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from pipeline.tabs.page.show import count, escape, picture, pictures_html
from pipeline.verify.findings import Verified
from pipeline.verify.scenes import NO_SCENES, Proposal, Scene, scenes
from pipeline.workspace.workspace import Workspace

SHOWN_SCENES, SHOWN_PICTURES = 3, 5
WHY = (
    "What was taken in one place and session looks more alike than what comes next. Kept together, it is either learnt "
    "from or examined on, never both, so the error says more about new places. The splits wait for your answer."
)


@dataclass(frozen=True)
class Together:
    """The widgets of the question; ``of``: the name of the workspace that it is about."""

    box: gr.Column
    words: gr.HTML
    kind: gr.Radio
    pictures: gr.HTML
    keep: gr.Button
    apart: gr.Button
    of: gr.State

    @property
    def outputs(self) -> list[Any]:
        """What :func:`together_view` fills."""
        return [self.box, self.words, self.kind, self.pictures, self.of]


def draw_together() -> Together:
    """Draw the question, which is not to be seen until there is one."""
    with gr.Column(visible=False, elem_classes="w-card", elem_id="verify-together") as box:
        words = gr.HTML(elem_id="verify-together-words")
        kind = gr.Radio([], label="Known by", elem_id="verify-together-kind", visible=False)
        pictures = pictures_html("verify-together-pictures")
        with gr.Row():
            keep = gr.Button("Keep each together", variant="primary", elem_id="verify-keep-together")
            apart = gr.Button("Draw each picture by itself", elem_id="verify-draw-apart")
    return Together(box, words, kind, pictures, keep, apart, gr.State(""))


def asks(found: Verified) -> bool:
    """Whether the splits wait for an answer: everything was checked, and something may have been taken together."""
    return bool(found.scenes_proposed) and found.checked > 0


def together_view(workspace: Workspace, found: Verified) -> list[Any]:
    """What the widgets show; the box only where :func:`asks` says so, and no picture is new."""
    ask = asks(found) and workspace.store.images("new").empty
    proposed = found.scenes_proposed if ask else ()
    first = proposed[0].by if proposed else NO_SCENES
    choices = [(one.words, one.by) for one in proposed]
    return [
        gr.Column(visible=ask),
        _question(proposed),
        gr.Radio(choices, value=first if proposed else None, visible=len(choices) > 1),
        examples(workspace, first) if proposed else "",
        workspace.name,
    ]


def _question(proposed: Sequence[Proposal]) -> str:
    if not proposed:
        return ""
    asked = f"{proposed[0].words}: keep each together?" if len(proposed) == 1 else "Which of these belongs together?"
    return f"<h4>{escape(asked)}</h4><p>{WHY}</p>"


def examples(workspace: Workspace, by: str) -> str:
    """Some pictures of the largest scenes of a kind, as HTML."""
    found = scenes(workspace, by).scenes
    shown = "".join(_figure(workspace, scene) for scene in found[:SHOWN_SCENES])
    return f'<div class="w-series">{shown}</div>'


def _figure(workspace: Workspace, scene: Scene) -> str:
    step = max(1, len(scene.images) // SHOWN_PICTURES)
    files = [workspace.thumbnail(image) for image in scene.images[::step][:SHOWN_PICTURES]]
    pictures = "".join(picture(file, scene.id) for file in files if file.exists())
    return (
        f"<figure><div>{pictures}</div><figcaption>{escape(count(len(scene.images), 'picture'))}</figcaption></figure>"
    )


def kept_in_words(found: Verified) -> str:
    """A sentence about what is kept together, as HTML; empty where nothing is, or that is still open."""
    if found.scenes is None or found.scenes_proposed or any(one.kind == "scene" for one in found.split_problems):
        return ""
    return f'<p class="w-hint">{escape(found.scenes.words)}: each stays in one split.</p>'
