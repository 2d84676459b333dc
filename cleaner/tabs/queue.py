"""The queue of the Clean tab: what its page shows, and doing what the page sends."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeAlias

import pandas as pd

from cleaner import decisions
from cleaner.suspects import decided_since, suspects
from cleaner.tabs.show import LATEST, find_run
from pipeline.errors import PipelineError, RunError, StoreError
from pipeline.labels import named
from pipeline.records import State
from pipeline.runs import Run
from pipeline.tabs.show import count
from pipeline.tabs.viewer import large, thumbnail
from pipeline.workspace import Workspace

ALL = ""
BEFORE, AFTER, LARGE_AHEAD = 15, 45, 4
View: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Filters:
    """What the person chose to look at: a run, and only one class or one split (ALL: every one)."""

    run: str = LATEST
    label: str = ALL
    split: str = ALL


@dataclass(frozen=True)
class Answer:
    """What became of the actions a page sent: how far they were done, what to tell, which image to go to.

    ``forget`` is set where the page can no longer count on taking its own decisions back.
    """

    page: str = ""
    done_up_to: int = 0
    message: str = ""
    focus: str | None = None
    forget: bool = False


def queue_view(workspace: Workspace, filters: Filters, at: str | None = None, answer: Answer | None = None) -> View:
    """What the queue component shows: a stretch of the queue around the image ``at``, with the counts of all of it."""
    answer = answer or Answer()
    told = {"page": answer.page, "done_up_to": answer.done_up_to, "message": answer.message, "focus": answer.focus}
    key = "|".join([workspace.name, filters.run, filters.label, filters.split])
    view = {**told, "warning": answer.forget, "forget": answer.forget, "key": key, "workspace": workspace.name}
    view |= {"nonce": uuid.uuid4().hex, "rows": [], "start": 0, "position": 0, "shown": 0, "done": 0, "left": 0}
    try:
        run = find_run(workspace, filters.run)
    except RunError as error:
        return {**view, "run": "", "classes": [], "filter": "", "empty": str(error)}
    return view | _stretch(workspace, run, filters, [answer.focus, at])


def _stretch(workspace: Workspace, run: Run, filters: Filters, wanted: Sequence[str | None]) -> View:
    """The part of the queue around the first of the ``wanted`` images that is in it, else around its head."""
    queue = suspects(workspace, run)
    shown = filtered(queue, filters)
    ids = shown["id"].tolist()
    position = next((ids.index(image) for image in wanted if image in ids), 0)
    start = max(0, position - BEFORE)
    return {
        "run": run.id,
        "classes": classes(workspace, run),
        "rows": _rows(workspace, shown.iloc[start : position + AFTER], position - start),
        "start": start,
        "position": position,
        "shown": len(shown),
        "left": len(queue),
        "done": _done(workspace, run),
        "filter": "" if len(shown) == len(queue) else f"{len(shown)} of them shown",
        "empty": _why_empty(queue, shown),
    }


def filtered(queue: pd.DataFrame, filters: Filters) -> pd.DataFrame:
    """The part of the queue that the filters let through, in the same order."""
    wanted = pd.Series(True, index=queue.index)
    if filters.label != ALL:
        wanted &= queue["label"].map(lambda label: filters.label in named(str(label))).astype(bool)
    if filters.split != ALL:
        wanted &= queue["split"] == filters.split
    return queue[wanted]


def classes(workspace: Workspace, run: Run) -> list[str]:
    """The classes of the run, then those that labels have named since, in alphabetical order."""
    now = workspace.store.images()
    labels = now.loc[now["status"].isin(["ok", "new"]), "label"].dropna().astype(str)
    return [*run.answers, *sorted(frozenset().union(*map(named, set(labels))) - set(run.answers))]


def class_choices(workspace: Workspace, run: str | None) -> list[tuple[str, str]]:
    """(words, value) of the class filter: every class first."""
    try:
        names = classes(workspace, find_run(workspace, run))
    except RunError:
        names = []
    return [("every class", ALL), *((name, name) for name in names)]


def _rows(workspace: Workspace, part: pd.DataFrame, position: int) -> list[View]:
    known = workspace.store.images().set_index("id")
    rows: list[View] = []
    for number, row in enumerate(part.to_dict("records")):
        image_id, file = str(row["id"]), str(row["file"])
        picture, trouble = None, ""
        if position <= number < position + LARGE_AHEAD:
            picture, trouble = large(workspace, image_id, file)
        now = known.loc[image_id]
        shown = {str(name): row[name] for name in ("label", "suggested", "suggested_probability", "why", "split")}
        seen = {"labels": sorted(named(str(row["label"]))), "status": now["status"], "reason": now["reason"]}
        name = PurePosixPath(str(now["source_name"] or file)).name
        files = {"thumbnail": thumbnail(workspace, image_id), "large": picture, "trouble": trouble}
        rows.append({"id": image_id, "name": name, "seen": seen, **shown, **files})
    return rows


def _done(workspace: Workspace, run: Run) -> int:
    """How many of the run's train and valid images were decided on since."""
    table = run.predictions()
    mine = set(table.loc[table["split"].isin(["train", "valid"]), "id"])
    return len(mine & decided_since(run, workspace.store.decisions()))


def _why_empty(queue: pd.DataFrame, shown: pd.DataFrame) -> str:
    if len(shown):
        return ""
    if len(queue):
        return f"Nothing is left here with these filters; {count(len(queue), 'image')} without them."
    return "Every image was decided on. Train again below, then compare the two runs."


# --- what the page sends -----------------------------------------------------------------------------------------


def apply(workspace: Workspace, page: str, actions: Sequence[Mapping[str, Any]], done: tuple[str, int]) -> Answer:
    """Do what a page sent, in order; what it sent before (``done``: page and number) is not done twice.

    A decision that is refused, because the image changed meanwhile or for any other reason, is told in the answer's
    message and leaves the others as they are.
    """
    last = done[1] if done[0] == page else 0
    messages, focus, forget = [], None, False
    for action in actions:
        if int(action["number"]) <= last:
            continue
        last = int(action["number"])
        try:
            focus, told = _act(workspace, action)
        except PipelineError as error:
            focus, told, forget = str(action["id"] or "") or None, str(error), True
        if told:
            messages.append(told)
    return Answer(page, last, " ".join(messages), focus, forget)


def refuse(page: str, actions: Sequence[Mapping[str, Any]], why: str) -> Answer:
    """None of the actions can be done, now or later: the page is to forget them."""
    return Answer(page, max((int(action["number"]) for action in actions), default=0), why, None, True)


def _act(workspace: Workspace, action: Mapping[str, Any]) -> tuple[str | None, str]:
    """Do one action; returns the image to go to next (None: where the page is) and what to tell."""
    kind, image_id = str(action["kind"]), str(action["id"] or "")
    if kind == "undo":
        return _undo(workspace, image_id)
    expected = _state(action["seen"])
    if kind == "keep":
        decisions.keep(workspace, image_id, expected)
    elif kind == "remove":
        decisions.remove(workspace, image_id, expected)
    elif kind == "relabel":
        decisions.relabel(workspace, image_id, str(action["label"]), expected)
    else:
        raise StoreError(f"There is no decision called {kind!r}.")
    return None, ""


def _undo(workspace: Workspace, image_id: str) -> tuple[str | None, str]:
    """Undo the last decision; if the page thinks it was about ``image_id``, only if that is so."""
    standing = [decision for decision in decisions.decisions(workspace) if not decision.undone]
    if not standing:
        return None, "There is nothing to undo."
    if image_id and standing[-1].image != image_id:
        raise StoreError(
            "The last decision is no longer yours: somebody else decided meanwhile, or it was not saved. "
            "Press U again to take back the last one, whosever it is."
        )
    [undone] = decisions.undo(workspace)
    if image_id:
        return None, ""  # the page is there already
    return undone.image, f"Taken back: {undone.action} of {' and '.join(undone.before.labels)}."


def _state(seen: Mapping[str, Any]) -> State:
    return State(tuple(str(label) for label in seen["labels"]), str(seen["status"]), str(seen["reason"]))
