"""Verify: every picture is opened once; what is wrong is shown as cards, and acted on there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.errors import NotEnoughData, PipelineError, UsageError
from pipeline.jobs import job as jobs
from pipeline.jobs.job import Job
from pipeline.jobs.stages import StageName
from pipeline.tabs.page.component import component
from pipeline.tabs.page.job_panel import QUIET, running
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.show import count, empty, escape, facts, guide, heading, splits
from pipeline.tabs.page.viewer import viewer
from pipeline.tabs.verify.cards import Done, Looking, View, act, any_view, cards_view, large_view, notice, take_back
from pipeline.verify.findings import Verified, verified
from pipeline.verify.verify import DOUBT, VerifyConfig, verify
from pipeline.workspace.workspace import Workspace

IMAGE_IDS = 100_000


def verify_job(workspace: Workspace, accept_broken: bool = False) -> Job:
    """Start checking. Raises NotEnoughData where there is nothing to check, UsageError where it is at work already."""
    if workspace.store.images().empty:
        raise NotEnoughData("There are no pictures to check yet. Go to Collect and bring some in first.")
    if running(workspace, StageName.VERIFY):
        raise UsageError("The pictures are being checked already; see above.")
    return jobs.start(workspace, verify, VerifyConfig(accept_broken=accept_broken))


def summary(workspace: Workspace, found: Verified) -> str:
    """What verify found, in numbers and words, as HTML."""
    images = workspace.store.images()
    new = int((images["status"] == "new").sum())
    if images.empty:
        return empty("No pictures yet", "Go to Collect and bring some in first.")
    if not found.checked:
        hint = "They wait for your answer below." if doubt(workspace) else "Press the button above; it takes seconds."
        return empty(f"{count(new, 'picture')} not checked yet", hint)
    numbers: list[tuple[str, object]] = [
        ("checked", f"{found.checked:,}"),
        ("fine", f"{found.ok:,}"),
        ("set aside", f"{len(found.set_aside):,}"),
        ("duplicate groups", f"{len(found.duplicate_groups):,}"),
    ]
    words = [_new(new, bool(doubt(workspace))), _what_now(found)]
    return facts(numbers) + "".join(f'<p class="w-hint">{escape(line)}</p>' for line in words if line)


def _new(new: int, asked: bool) -> str:
    if not new:
        return ""
    if asked:
        return f"{count(new, 'picture waits', 'pictures wait')} for your answer below."
    return f"{count(new, 'picture')} came in since and should be checked too."


def _what_now(found: Verified) -> str:
    doubtful = (found.suspects, found.label_conflicts, found.leaks, found.given_leaks, found.duplicate_groups)
    if any(doubtful) or any(found.problems.values()):
        return "Nothing below has to be done before you train: what cannot be used is out of use already."
    if found.set_aside:
        return "What cannot be used is out of use already. All the others are fine."
    return "Nothing is wrong with any of them. On to Train."


def doubt(workspace: Workspace) -> str:
    """The question that waits for an answer: why something else may be wrong with very many pictures; else empty."""
    return str(workspace.store.fact(DOUBT) or "")


def question(sentence: str) -> str:
    """The doubt, and the two ways on, as HTML."""
    return (
        f"<h4>Is something else wrong?</h4><p>{escape(sentence)}</p>"
        "<p><b>If there is one cause</b>, put it right (import from the right place, or download again), then press "
        "<b>Check the pictures</b> once more. <b>If these files are simply broken</b>, go on: they are set aside "
        "with their reasons, none is deleted, and they can be taken back.</p>"
    )


# --- the tab -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Widgets:
    """Everything on the tab; ``looking`` is what a page has open, ``done`` what its last action did."""

    check: gr.Button
    result: gr.HTML
    asking: gr.Column
    question: gr.HTML
    go_on: gr.Button
    cards: gr.HTML
    viewer: gr.HTML
    divided: gr.Column
    shares: gr.HTML
    looking: gr.State
    done: gr.State

    @property
    def outputs(self) -> list[Any]:
        """What :func:`_view` fills."""
        return [self.check, self.result, self.asking, self.question, self.cards, self.divided, self.shares]


def build(tab: gr.Tab, shared: Shared, story: Callable[[Workspace, str], View] | None = None) -> None:
    """Draw the tab, then wire it. ``story``: what the viewer tells of an image besides (see ``viewer``), by its id."""
    guide("Open every picture once, set the broken ones aside, and see what else may be wrong.")
    check = gr.Button("Check the pictures", variant="primary", elem_id="verify-run")
    result = gr.HTML(elem_id="verify-summary")
    with gr.Column(visible=False, elem_classes="w-card", elem_id="verify-asking") as asking:
        asked = gr.HTML(elem_id="verify-question")
        go_on = gr.Button("Set them aside and go on", elem_id="verify-go-on")
    cards = component(Path(__file__).with_name("cards"), "verify-cards")
    large = viewer("verify-viewer")
    with gr.Column(visible=False) as divided:
        heading("The classes, and how they are divided")
        gr.HTML(
            "<p>A model learns from <b>train</b>, is steered by <b>valid</b>, and is judged by <b>test</b>. "
            "A picture never moves from one to another.</p>"
        )
        shares = gr.HTML(elem_id="verify-splits")
    states = gr.State(Looking()), gr.State(None)
    _wire(tab, shared, _Widgets(check, result, asking, asked, go_on, cards, large, divided, shares, *states), story)


def _wire(tab: gr.Tab, shared: Shared, w: _Widgets, story: Callable[[Workspace, str], View] | None) -> None:
    def view(name: str, looking: Looking) -> list[Any]:
        return _view(shared.open(name), looking)

    def with_story(workspace: Workspace, seen: View) -> View:
        return {**seen, "story": story(workspace, seen["id"])} if story and seen["id"] else seen

    @translate
    def look(event: gr.EventData) -> list[Any]:
        told = event._data
        looking = Looking(str(told["kind"]), _whole(told["page"]))
        return [looking, cards_view(shared.open(str(told["workspace"])), looking)]

    @translate
    def do(values: Values, event: gr.EventData) -> list[Any]:
        told = event._data
        workspace = shared.open(str(told["workspace"]))
        done = _done(workspace, told, values[w.done])
        answer = {"page": str(told["page"]), "number": _whole(told["number"])}
        looking = Looking(str(told["kind"]), _whole(told["at"]))
        return [looking, done, *_view(workspace, looking, done, answer)]

    @translate
    def enlarge(event: gr.EventData) -> View:
        told = event._data
        workspace, image_id = shared.open(str(told["workspace"])), str(told["id"])
        return with_story(workspace, large_view(workspace, str(told["kind"]), image_id))

    @translate
    def walk(values: Values, event: gr.EventData) -> View:
        workspace = shared.open(values[shared.picker])
        return with_story(workspace, any_view(workspace, str(event._data["id"])))

    in_turn: dict[str, Any] = {**QUIET, "concurrency_id": "verify-cards", "concurrency_limit": 1}
    w.cards.look(look, None, [w.looking, w.cards], trigger_mode="multiple", **in_turn)
    w.cards.act(do, {w.done}, [w.looking, w.done, *w.outputs], trigger_mode="multiple", **in_turn)
    w.cards.enlarge(enlarge, None, w.viewer, **QUIET)
    w.viewer.open(walk, {shared.picker}, w.viewer, trigger_mode="always_last", **QUIET)
    for button, accept in ((w.check, False), (w.go_on, True)):
        shared.job.launch(button.click, _start(shared, accept), {shared.picker})
    shared.watch(tab, view, w.outputs, w.looking)


def _start(shared: Shared, accept_broken: bool) -> Any:
    return lambda values: verify_job(shared.open(values[shared.picker]), accept_broken)


def _done(workspace: Workspace, told: View, before: Done | None) -> Done:
    """Do what the page asks; what stands against it is told in its place among the cards."""
    kind, action = str(told["kind"]), str(told["action"])
    ids = None if told["all"] else [str(image) for image in told["ids"][:IMAGE_IDS]]
    try:
        if action == "undo":
            return take_back(workspace, before or Done(""))
        if action == "notice":
            return notice(workspace, kind)
        return act(workspace, kind, action, ids, str(told["seen"]))
    except PipelineError as error:
        return Done(str(error), warning=True)


def _whole(number: object) -> int:
    return number if isinstance(number, int) else 0


def _view(workspace: Workspace, looking: Looking, done: Done | None = None, answer: View | None = None) -> list[Any]:
    found, asked = verified(workspace), doubt(workspace)
    shares = splits(workspace, found)
    return [
        _check_button(workspace),
        summary(workspace, found),
        gr.Column(visible=bool(asked)),
        question(asked),
        cards_view(workspace, looking, found, done, answer),
        gr.Column(visible=bool(shares)),
        shares,
    ]


def _check_button(workspace: Workspace) -> gr.Button:
    new = bool(len(workspace.store.images("new")))
    words = "Check again" if not new and len(workspace.store.images("ok")) else "Check the pictures"
    return gr.Button(words, variant="primary" if new else "secondary")
