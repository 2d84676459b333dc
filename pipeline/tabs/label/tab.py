"""Label: pictures without a label come as sheets of alike ones, which are named at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import gradio as gr

from pipeline.errors import NotEnoughData, PipelineError, StaleDecision, UsageError
from pipeline.jobs import job as jobs
from pipeline.jobs.job import Job
from pipeline.jobs.stages import StageName
from pipeline.label.features import LookConfig, look, unseen
from pipeline.label.rest import WRONG_AT_MOST, Rest, accept_rest, rest
from pipeline.label.sheets import LARGEST, Sheet, answer, counts, next_sheet
from pipeline.labels import in_words
from pipeline.predict import NONE, SEVERAL
from pipeline.tabs.page.component import NO_ANSWER, View, answer_to, component, nonce
from pipeline.tabs.page.job_panel import QUIET
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.show import count, guide
from pipeline.tabs.page.viewer import thumbnail
from pipeline.verify.verify import DOUBT
from pipeline.workspace.records import ACCEPT, IN_USE, LABEL, Decision, Step
from pipeline.workspace.workspace import Workspace

STEPS_AT_ONCE = 20


@dataclass(frozen=True)
class Told:
    """What is told of the last action; ``made``: a picture that it was about, where that may be taken back; ``forget``:
    the page can no longer count on taking its own answers back.
    """

    words: str = ""
    warning: bool = False
    made: str = ""
    forget: bool = False


def look_job(workspace: Workspace) -> Job:
    """Start looking. Raises NotEnoughData where there are no pictures, UsageError where it is at work already."""
    if workspace.store.images().empty:
        raise NotEnoughData("There are no pictures to look at yet. Go to Collect and bring some in first.")
    if jobs.running(workspace, StageName.LOOK):
        raise UsageError("The pictures are being looked at already; see above.")
    return jobs.start(workspace, look, LookConfig())


# --- what is shown ------------------------------------------------------------------------------------------------


def sheet_view(
    workspace: Workspace, told: Told | None = None, said: View | None = None, of: str = "", keep: bool = False
) -> View:
    """What the component shows: the next sheet, the classes it may be, and how far one is. ``told``: what became of the
    last action; ``said``: the page's message that this answers; ``of``: the sheet that it asked about; ``keep``: it
    keeps that one.
    """
    told, mark = told or Told(), workspace.store.journal.mark()
    images = workspace.store.images()
    labelled, left = counts(workspace)
    waiting, working = unseen(workspace), jobs.running(workspace, StageName.LOOK) is not None
    by_model = workspace.store.journal.by_model() & set(images["id"][images["status"].isin(IN_USE)])
    sheet = next_sheet(workspace, wait=False) if left > waiting and not keep else None
    classes = workspace.store.class_counts()
    return {
        "nonce": nonce(),
        "workspace": workspace.name,
        "mark": mark,
        "unseen": waiting,
        "working": working,
        "keep": keep,
        "of": of,
        "sheet": sheet and _sheet(workspace, sheet),
        "classes": _in_order(sheet.likely if sheet else (), classes),
        "several": any(SEVERAL in str(label) or label == NONE for label in images["label"].dropna().unique()),
        "none": NONE,
        "progress": _progress(labelled, len(by_model), left) if left else "",
        "share": labelled / (labelled + left) if labelled + left else 0.0,
        "note": _not_seen(workspace, waiting, working) if waiting and (sheet or keep) else "",
        "empty": "" if sheet or keep else _why_empty(workspace, labelled, len(by_model), left, waiting, working),
        "told": {"words": told.words, "warning": told.warning},
        "made": told.made,
        "forget": told.forget,
        "answer": answer_to(said) if said else dict(NO_ANSWER),
    }


def button_to_look(view: View) -> gr.Button:
    """The button that starts looking, where something was not looked at."""
    return gr.Button(visible=bool(view["unseen"] and not view["working"]))


def _sheet(workspace: Workspace, sheet: Sheet) -> View:
    return {
        "id": sheet.id,
        "suggested": sheet.suggested or "",
        "copies": sheet.copies,
        "images": _pictures(workspace, sheet.images),
    }


def _pictures(workspace: Workspace, ids: Sequence[str]) -> list[View]:
    rows = workspace.store.images_of(ids)[["id", "source_name", "file"]].to_numpy()
    return [
        {"id": image, "name": PurePosixPath(str(name or file)).name, "thumbnail": thumbnail(workspace, image)}
        for image, name, file in rows
    ]


def _in_order(likely: Sequence[str], classes: Mapping[str, int]) -> list[str]:
    """Every class but NONE, the likeliest first, then the largest."""
    rest_of_them = sorted(classes, key=lambda name: -classes[name])
    return [name for name in dict.fromkeys([*likely, *rest_of_them]) if name != NONE]


def _progress(labelled: int, by_model: int, left: int) -> str:
    model = f" ({by_model:,} of them by the model)" if by_model else ""
    return f"{labelled:,} named{model}, {left:,} left"


def _not_seen(workspace: Workspace, waiting: int, working: bool) -> str:
    if working:
        return f"{count(waiting, 'more picture')} without a label are being looked at."
    return f"{count(waiting, 'more picture')} without a label not looked at yet.{_doubt(workspace)}"


def _doubt(workspace: Workspace) -> str:
    return " Some wait for your answer in Verify." if workspace.store.fact(DOUBT) else ""


def _why_empty(workspace: Workspace, labelled: int, by_model: int, left: int, waiting: int, working: bool) -> str:
    """What is said where there is no sheet."""
    if not labelled + left:
        return "No pictures yet. Those without a class are named here: go to Collect and bring some in first."
    if not left:
        model = f", {by_model:,} of them by the model: Clean shows those first" if by_model else ""
        return f"All pictures have a label: {labelled:,}{model}. On to Train."
    if working:
        return "The pictures are being looked at. The first sheet comes in a moment."
    return (
        f"{count(left, 'picture has', 'pictures have')} no label. Look at them once: alike ones come together on "
        f"a sheet, and are named at once.{_doubt(workspace)}"
    )


# --- what the page sends --------------------------------------------------------------------------------------------


def carry_out(workspace: Workspace, sent: View) -> Told:
    """Do what the page sent (kind, sheet, label, but, images, about); what stands against it is told in its place."""
    try:
        if sent["kind"] == "undo":
            return _take_back(workspace, str(sent["about"] or ""))
        if sent["kind"] == "redo":
            return _redo(workspace, str(sent["about"] or ""))
        label, but = str(sent["label"]), [str(image) for image in sent["but"][:LARGEST]]
        done = answer(workspace, str(sent["sheet"]), label, but)
    except PipelineError as error:
        return Told(str(error), warning=True)
    left = {*but, *done.refused}
    made = next((str(image) for image in sent["images"][:LARGEST] if image not in left), "") if done.named else ""
    words = (
        f"{count(done.named, 'picture')} named {in_words(label)}." if done.named else f"None named {in_words(label)}."
    )
    if done.refused:
        were = count(len(done.refused), "picture had", "pictures had")
        words += f" {were} a label by then, or was out of use: somebody else was there first."
    return Told(words + (" U takes it back." if done.named else ""), bool(done.refused), made)


def _take_back(workspace: Workspace, about: str) -> Told:
    """Undo the last step; where the page thinks that it was ``about`` a picture, only if that is so."""
    step = _last_step(workspace)
    if step is None:
        return Told("There is nothing to undo.")
    if step.decisions[0].action not in (LABEL, ACCEPT):
        return Told("The last decision was not made here: the Clean tab takes it back.", warning=True, forget=True)
    try:
        undone = workspace.store.journal.undo_step(about or None)
    except StaleDecision:
        words = "The last answer is no longer yours: somebody else named pictures meanwhile. "
        return Told(words + "Press U again to take back the last one, whosever it is.", warning=True, forget=True)
    return Told(f"Taken back: {_in_words(undone)}. Shift+U redoes it.")


def _redo(workspace: Workspace, about: str) -> Told:
    """Redo what the page took back last, which was ``about`` a picture; others may move files, and are Clean's."""
    if not about:
        return Told("Nothing was taken back here that can be redone. Clean's history has everything.")
    try:
        redone = workspace.store.journal.redo_step(about)
    except PipelineError as error:
        return Told(str(error), warning=True, forget=True)
    return Told(f"Redone: {_in_words(redone)}. U takes it back.", made=about) if redone else Told("Nothing to redo.")


def _in_words(step: Sequence[Decision]) -> str:
    """``18 pictures named apple``, ``18 pictures by the model``."""
    names = {", ".join(decision.after.labels) for decision in step}
    how = " by the model" if step[0].action == ACCEPT else f" named {names.pop()}" if len(names) == 1 else ""
    return count(len(step), "picture") + how


def _last_step(workspace: Workspace) -> Step | None:
    """The newest step of which something stands."""
    start, total = 0, 1
    while start < total:
        steps, total = workspace.store.journal.steps(start, STEPS_AT_ONCE, 1)
        for step in steps:
            if step.undone < step.count:
                return step
        start += STEPS_AT_ONCE
    return None


def looked_again(workspace: Workspace, seen: View) -> View | None:
    """What to show a page that has ``seen`` a sheet of these images: None where nothing changed since; the next sheet
    where somebody else named some of them.
    """
    working = jobs.running(workspace, StageName.LOOK) is not None
    if seen["mark"] == workspace.store.journal.mark() and not working and not seen["working"]:
        return None
    ids = [str(image) for image in seen["images"][:LARGEST]]
    now = workspace.store.images_of(ids)
    gone = len(ids) - int((now["status"].isin(IN_USE) & now["label"].isna()).sum())
    of = str(seen["of"]) if ids else ""
    if not gone:
        return sheet_view(workspace, of=of, keep=bool(ids))
    words = (
        f"Somebody else named {count(gone, 'picture')} of your sheet meanwhile, or took them out: here is the next one."
    )
    return sheet_view(workspace, Told(words, warning=True), of=of)


# --- the model's word -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Offer:
    """What the page shows of the model's word: ``rest`` of the ``workspace``, with a ``mark`` of its own."""

    workspace: str
    rest: Rest
    mark: str


def offer_view(workspace: Workspace, offer: Offer | None) -> View:
    """What the panel shows: nothing where nothing can be promised."""
    if offer is None or not offer.rest.labels:
        return {"workspace": workspace.name, "mark": "", "number": 0, "words": "", "sample": []}
    given = offer.rest
    pictures = _pictures(workspace, given.sample)
    return {
        "workspace": workspace.name,
        "mark": offer.mark,
        "number": len(given.labels),
        "words": given.words,
        "sample": [{**one, "label": in_words(given.labels[one["id"]])} for one in pictures],
    }


def take_its_word(workspace: Workspace, sent: View, offer: Offer | None) -> Told:
    """Give the pictures of the ``offer`` that the page showed the model's label."""
    if offer is None or (offer.workspace, offer.mark) != (workspace.name, sent["mark"]):
        return Told("This offer is an older one. Look at the new one first.", warning=True)
    try:
        taken = accept_rest(workspace, offered=offer.rest)
    except PipelineError as error:
        return Told(str(error), warning=True)
    fewer = len(offer.rest.labels) - taken
    were = f" {count(fewer, 'picture had', 'pictures had')} a label by then." if fewer else ""
    if not taken:
        return Told(f"None named by the model.{were}", warning=True)
    words = f"{count(taken, 'picture')} named by the model.{were} U takes it back."
    return Told(words, made=next(iter(offer.rest.labels)))


# --- the tab --------------------------------------------------------------------------------------------------------


def build(tab: gr.Tab, shared: Shared) -> None:
    """Draw the tab, then wire it."""
    guide("Pictures without a class: alike ones come together on a sheet. Name most of them, strike out the others.")
    button = gr.Button("Look at the pictures", variant="primary", elem_id="label-look", visible=False)
    sheet = component(Path(__file__).with_name("sheet"), "label-sheet")
    panel = component(Path(__file__).with_name("rest"), "label-rest")
    offered = gr.State(None)

    def filled(view: View) -> list[Any]:
        return [button_to_look(view), view]

    @translate
    def fill(name: str) -> list[Any]:
        return filled(sheet_view(shared.open(name)))

    @translate
    def act(event: gr.EventData) -> list[Any]:
        sent = event._data
        workspace = shared.open(str(sent["workspace"]))
        return filled(sheet_view(workspace, carry_out(workspace, sent), sent))

    @translate
    def again(event: gr.EventData) -> list[Any]:
        view = looked_again(shared.open(str(event._data["workspace"])), event._data)
        return filled(view) if view else [gr.skip(), gr.skip()]

    @translate
    def ask(event: gr.EventData) -> list[Any]:
        workspace = shared.open(str(event._data["workspace"]))
        offer = Offer(workspace.name, rest(workspace, WRONG_AT_MOST, wait=False), nonce())
        return [offer, offer_view(workspace, offer)]

    @translate
    def accept(values: Values, event: gr.EventData) -> list[Any]:
        workspace = shared.open(str(event._data["workspace"]))
        told = take_its_word(workspace, event._data, values[offered])
        return [None, offer_view(workspace, None), *filled(sheet_view(workspace, told))]

    shown = [button, sheet]
    started = shared.job.launch(
        button.click, lambda values: look_job(shared.open(values[shared.picker])), {shared.picker}
    )
    started.success(fill, shared.picker, shown, **QUIET)
    sheet.act(act, None, shown, trigger_mode="multiple", **QUIET)
    sheet.look(again, None, shown, trigger_mode="once", **QUIET)
    sheet.ask(ask, None, [offered, panel], trigger_mode="once", **QUIET)
    panel.accept(accept, {offered}, [offered, panel, *shown], trigger_mode="once", **QUIET)
    shared.watch(tab, fill, shown)
