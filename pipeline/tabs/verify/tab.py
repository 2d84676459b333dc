"""Verify: every picture is opened once; what is wrong is shown as cards, and acted on there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import gradio as gr
import pandas as pd

from pipeline.errors import NotEnoughData, PipelineError, StoreError, UsageError
from pipeline.jobs import job as jobs
from pipeline.jobs.job import Job
from pipeline.jobs.stages import StageName
from pipeline.labels import in_words
from pipeline.tabs.page.component import NO_ANSWER, View, answer_to, component, nonce, whole
from pipeline.tabs.page.job_panel import QUIET
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.show import count, empty, escape, facts, guide, heading, splits
from pipeline.tabs.page.viewer import large, thumbnail, viewer
from pipeline.tabs.verify.together import Together, asks, draw_together, examples, kept_in_words, together_view
from pipeline.verify.cards import GROUPS, Acted, Card, Group, act, card_of, cards, choices, take_back
from pipeline.verify.findings import Verified, verified
from pipeline.verify.scenes import NO_SCENES
from pipeline.verify.split import keep_together
from pipeline.verify.verify import ASK, DOUBT, VerifyConfig, verify
from pipeline.workspace.workspace import Workspace

IMAGE_IDS = 100_000
PAGE, OF_A_GROUP = 48, 24


def verify_job(workspace: Workspace, accept_broken: bool = False) -> Job:
    """Start checking. Raises NotEnoughData where there is nothing to check, UsageError where it is at work already."""
    if workspace.store.images().empty:
        raise NotEnoughData("There are no pictures to check yet. Go to Collect and bring some in first.")
    if jobs.running(workspace, StageName.VERIFY):
        raise UsageError("The pictures are being checked already; see above.")
    return jobs.start(workspace, verify, VerifyConfig(accept_broken=accept_broken, scenes=ASK))


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
    words = [_new(new, bool(doubt(workspace))), _what_now(found), found.scales]
    return facts(numbers) + "".join(f'<p class="w-hint">{escape(line)}</p>' for line in words if line)


def _new(new: int, asked: bool) -> str:
    if not new:
        return ""
    if asked:
        return f"{count(new, 'picture waits', 'pictures wait')} for your answer below."
    return f"{count(new, 'picture')} came in since and should be checked too."


def _what_now(found: Verified) -> str:
    if asks(found):
        return "The splits wait for one answer: what was taken together?"
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


@dataclass(frozen=True)
class OpenCard:
    """Which card a person has open, and which page of it; no kind: none is open. ``asked``: the number of the page's
    message that opened it, by which the page knows a view that was begun before.
    """

    kind: str = ""
    page: int = 0
    asked: int = 0


@dataclass(frozen=True)
class Told:
    """What is told of the last action; ``acted``: what it did, where that may be taken back."""

    words: str
    acted: Acted | None = None
    warning: bool = False


def carry_out(workspace: Workspace, sent: View, before: Told | None) -> Told:
    """Do what the page sent (kind, action, ids or all, seen); what stands against it is told in its place. ``before``:
    what was told of the action that may be undone.
    """
    kind, action = str(sent["kind"]), str(sent["action"])
    ids = None if sent["all"] else [str(image) for image in sent["ids"][:IMAGE_IDS]]
    try:
        if action == "undo":
            undone = (before and before.acted) or Acted()
            number = count(take_back(workspace, undone), "picture")
            words = {
                "restore": "set aside again",
                "label": "with the label of before",
                "not_same": "in their duplicate group again",
            }.get(undone.action, "back in use")
            return Told(f"{number} {words}.")
        if action == "notice":
            card = card_of(workspace, kind)
            workspace.store.notice(kind)
            return Told(f"{card.ignored if card else 0:,} shown again.")
        done = act(workspace, kind, action, ids, str(sent["seen"]), str(sent.get("label", "")))
    except PipelineError as error:
        return Told(str(error), warning=True)
    if action == "set_aside":
        return Told(f"{count(done.number, 'picture')} set aside.", done)
    if action == "keep_best":
        return Told(f"{count(done.number, 'copy', 'copies')} set aside; the best of each is kept.", done)
    if action == "restore":
        unknown = not set(done.images).isdisjoint(workspace.store.images("new")["id"])
        again = " Check the pictures, and they are looked at again." if unknown else ""
        return Told(f"{count(done.number, 'picture')} taken back.{again}", done)
    if action == "label":
        return Told(f"{count(done.number, 'picture')} now {in_words(str(sent['label']))[:80]}.", done)
    if action == "not_same":
        return Told(f"Not the same: {count(len(done.groups), 'group')} dissolved for good.", done)
    what = count(len(done.groups), "group" if kind in GROUPS else "picture")
    return Told(f"No problem: {what} not shown here any more.")


def cards_view(
    workspace: Workspace,
    looking: OpenCard,
    found: Verified | None = None,
    done: Told | None = None,
    answer: Mapping[str, Any] | None = None,
) -> View:
    """What the component shows: every card with its counts, and a page of the open one. ``done``: what to tell of the
    last action; ``answer`` says which of a page's messages are done (page, number).
    """
    every = cards(workspace, found)
    here = next((card for card in every if card.kind == looking.kind), None)
    pages = _pages(here.groups if here else ())
    number = min(max(looking.page, 0), max(len(pages) - 1, 0))
    told = done and {"words": done.words, "warning": done.warning, "undo": bool(done.acted and done.acted.images)}
    return {
        "workspace": workspace.name,
        "cards": [_summary(card) for card in every],
        "open": here.kind if here else "",
        "asked": looking.asked,
        "seen": here.seal if here else "",
        "page": number,
        "pages": len(pages),
        "groups": _groups(workspace, here, pages[number]) if here and pages else [],
        "done": told,
        "answer": dict(answer or NO_ANSWER),
    }


def large_view(workspace: Workspace, kind: str, image_id: str) -> View:
    """What the viewer shows of one picture of a card; nothing where it is not in it, or cannot be shown."""
    card = card_of(workspace, kind)
    if card is None or not any(image_id in group for group in card.groups):
        return {"id": "", "nonce": nonce()}
    return any_view(workspace, image_id, card.reasons.get(image_id, ""), _others(card, image_id))


def any_view(workspace: Workspace, image_id: str, reason: str = "", copies: str = "") -> View:
    """What the viewer shows of one picture; nothing where there is none. ``reason``: why it is on a card (else why it
    was set aside); ``copies``: which others the card holds beside it.
    """
    try:
        row = workspace.store.image(image_id)
    except StoreError:
        row = {}
    if not row or not thumbnail(workspace, image_id):
        return {"id": "", "nonce": nonce()}
    path, trouble = large(workspace, image_id, str(row["file"]))
    facts = {
        "class": _text(row["label"]) or "none",
        "split": _text(row["split"]) or "none yet",
        "size": f"{_size(row)}, {row['bytes'] / 1024:,.0f} KB, {row['format']}",
        "reason": reason or _text(row["reason"]),
        "copies": copies,
    }
    return {
        "id": image_id,
        "large": path,
        "trouble": trouble,
        "title": _name(row),
        "facts": [(name, str(value)) for name, value in facts.items() if value],
        "answers": [],
        "name": "",
        "nonce": nonce(),
    }


def _summary(card: Card) -> View:
    return {
        "kind": card.kind,
        "title": card.title,
        "meaning": card.meaning,
        "grouped": card.kind in GROUPS,
        "groups": len(card.groups),
        "pictures": sum(map(len, card.groups)),
        "ignored": card.ignored,
        "actions": [action for action in card.actions if action != "label"],  # that stands at each group
        "aside": card.kind.startswith("broken_"),
    }


def _pages(groups: Sequence[Group]) -> list[list[Group]]:
    """The groups a page: as many as have PAGE pictures to show together, at least one."""
    pages: list[list[Group]] = []
    room = 0
    for group in groups:
        shown = min(len(group), OF_A_GROUP)
        if shown > room:
            pages.append([])
            room = PAGE
        pages[-1].append(group)
        room -= shown
    return pages


def _groups(workspace: Workspace, card: Card, groups: Sequence[Group]) -> list[View]:
    shown = [image for group in groups for image in group[:OF_A_GROUP]]
    images = workspace.store.images()
    rows = {str(row["id"]): row for row in images[images["id"].isin(shown)].to_dict("records")}
    told = _told_elsewhere(workspace, card.kind, shown)
    labels = choices(workspace, groups) if "label" in card.actions else {}
    return [
        {
            "ids": list(group) if group[0] in labels else [],
            "choices": [{"label": label, "words": in_words(label)} for label in labels.get(group[0], ())],
            "pictures": [_picture(workspace, card, group, rows[image], told) for image in group[:OF_A_GROUP]],
            "more": max(len(group) - OF_A_GROUP, 0),
        }
        for group in groups
    ]


def _picture(workspace: Workspace, card: Card, group: Group, row: Mapping[Any, Any], told: Mapping[str, str]) -> View:
    image = str(row["id"])
    if card.kind in GROUPS:
        words = [*_label_and_split(card, row, told), _size(row)]
    else:
        words = [_text(row["label"]) or "no class", card.reasons.get(image) or _size(row)]
    return {
        "id": image,
        "thumbnail": thumbnail(workspace, image),
        "name": _name(row),
        "words": [word for word in words if word],
        "best": "keep_best" in card.actions and len(group) > 1 and image == group[0],
    }


def _label_and_split(card: Card, row: Mapping[Any, Any], told: Mapping[str, str]) -> Iterator[str]:
    yield _text(row["label"]) or "no class"
    yield told.get(str(row["id"]), "")
    if card.kind == "leak":
        yield _text(row["split"])


def _told_elsewhere(workspace: Workspace, kind: str, shown: Sequence[str]) -> dict[str, str]:
    """What the sources of pictures say, where that is the problem: other classes, or the splits they asked for."""
    column = {"label_conflict": "claimed_label", "given_leak": "given_split"}.get(kind)
    if column is None:
        return {}
    sources: pd.DataFrame = workspace.store.sources()
    of_shown = sources[sources["image_id"].isin(shown) & sources[column].notna()]
    words = "called {}" if kind == "label_conflict" else "given as {}"
    said = of_shown.groupby("image_id")[column].agg(lambda values: sorted(set(map(str, values))))
    several = {str(image): values for image, values in said.items() if kind == "given_leak" or len(values) > 1}
    return {image: words.format(" and ".join(values)) for image, values in several.items()}


def _name(row: Mapping[Any, Any]) -> str:
    """What the place it came from calls it."""
    name = _text(row["source_name"]) or str(row["file"])
    return PurePosixPath(name).name or name


def _text(value: Any) -> str:
    return "" if value is None or pd.isna(value) else str(value)


def _size(row: Mapping[Any, Any]) -> str:
    known = not pd.isna(row["width"]) and not pd.isna(row["height"])
    return f"{int(row['width'])} × {int(row['height'])}" if known else ""


def _others(card: Card, image_id: str) -> str:
    group = next(group for group in card.groups if image_id in group)
    if len(group) == 1:
        return ""
    return f"the best of {len(group):,}" if group[0] == image_id else f"one of {len(group):,}"


@dataclass(frozen=True)
class _Widgets:
    """Everything on the tab; ``looking`` is what a page has open, ``done`` what its last action did."""

    check: gr.Button
    result: gr.HTML
    asking: gr.Column
    question: gr.HTML
    go_on: gr.Button
    together: Together
    cards: gr.HTML
    viewer: gr.HTML
    divided: gr.Column
    shares: gr.HTML
    looking: gr.State
    done: gr.State

    @property
    def outputs(self) -> list[Any]:
        """What :func:`_view` fills."""
        above = [self.check, self.result, self.asking, self.question, *self.together.outputs]
        return [*above, self.cards, self.divided, self.shares]


def build(tab: gr.Tab, shared: Shared, story: Callable[[Workspace, str], View] | None = None) -> None:
    """Draw the tab, then wire it. ``story``: what the viewer tells of an image besides (see ``viewer``), by its id."""
    guide("Open every picture once, set the broken ones aside, and see what else may be wrong.")
    check = gr.Button("Check the pictures", variant="primary", elem_id="verify-run")
    result = gr.HTML(elem_id="verify-summary")
    with gr.Column(visible=False, elem_classes="w-card", elem_id="verify-asking") as asking:
        asked = gr.HTML(elem_id="verify-question")
        go_on = gr.Button("Set them aside and go on", elem_id="verify-go-on")
    together = draw_together()
    cards = component(Path(__file__).with_name("cards"), "verify-cards")
    large = viewer("verify-viewer")
    with gr.Column(visible=False) as divided:
        heading("The classes, and how they are divided")
        gr.HTML(
            "<p>A model learns from <b>train</b>, is steered by <b>valid</b>, and is judged by <b>test</b>. "
            "A picture never moves from one to another.</p>"
        )
        shares = gr.HTML(elem_id="verify-splits")
    states = gr.State(OpenCard()), gr.State(None)
    above = (check, result, asking, asked, go_on, together)
    _wire(tab, shared, _Widgets(*above, cards, large, divided, shares, *states), story)


def _wire(tab: gr.Tab, shared: Shared, w: _Widgets, story: Callable[[Workspace, str], View] | None) -> None:
    def view(name: str, looking: OpenCard) -> list[Any]:
        return _view(shared.open(name), looking)

    def with_story(workspace: Workspace, seen: View) -> View:
        return {**seen, "story": story(workspace, seen["id"])} if story and seen["id"] else seen

    @translate
    def look(event: gr.EventData) -> list[Any]:
        told = event._data
        looking = OpenCard(str(told["kind"]), whole(told["page"]), whole(told["asked"]))
        return [looking, cards_view(shared.open(str(told["workspace"])), looking)]

    @translate
    def do(values: Values, event: gr.EventData) -> list[Any]:
        told = event._data
        workspace = shared.open(str(told["workspace"]))
        done = carry_out(workspace, told, values[w.done])
        answer = answer_to(told)
        looking = OpenCard(str(told["kind"]), whole(told["at"]), whole(told["asked"]))
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

    @translate
    def settle(keep: bool, values: Values) -> list[Any]:
        workspace = shared.open(values[w.together.of])
        keep_together(workspace, str(values[w.together.kind] or NO_SCENES) if keep else NO_SCENES)
        return _view(workspace, values[w.looking])

    @translate
    def show_kind(name: str, by: str | None) -> str:
        return examples(shared.open(name), by) if by else ""

    def start(accept_broken: bool, values: Values) -> Job:
        return verify_job(shared.open(values[shared.picker]), accept_broken)

    in_turn: dict[str, Any] = {**QUIET, "concurrency_id": "verify-cards", "concurrency_limit": 1}
    w.cards.look(look, None, [w.looking, w.cards], trigger_mode="multiple", **in_turn)
    w.cards.act(do, {w.done}, [w.looking, w.done, *w.outputs], trigger_mode="multiple", **in_turn)
    w.cards.enlarge(enlarge, None, w.viewer, **QUIET)
    w.viewer.open(walk, {shared.picker}, w.viewer, trigger_mode="always_last", **QUIET)
    w.together.kind.input(show_kind, [w.together.of, w.together.kind], w.together.pictures, **QUIET)
    for button, keep in ((w.together.keep, True), (w.together.apart, False)):
        button.click(partial(settle, keep), {w.together.of, w.together.kind, w.looking}, w.outputs, **in_turn)
    for button, accept in ((w.check, False), (w.go_on, True)):
        shared.job.launch(button.click, partial(start, accept), {shared.picker})
    shared.watch(tab, view, w.outputs, w.looking)


def _view(workspace: Workspace, looking: OpenCard, done: Told | None = None, answer: View | None = None) -> list[Any]:
    found, asked = verified(workspace), doubt(workspace)
    shares = splits(workspace, found)
    new = bool(len(workspace.store.images("new")))
    words = "Check again" if not new and len(workspace.store.images("ok")) else "Check the pictures"
    return [
        gr.Button(words, variant="primary" if new else "secondary"),
        summary(workspace, found),
        gr.Column(visible=bool(asked)),
        question(asked),
        *together_view(workspace, found),
        cards_view(workspace, looking, found, done, answer),
        gr.Column(visible=bool(shares)),
        shares + kept_in_words(found),
    ]
