"""The queue of the Clean tab: what its page shows, and doing what the page sends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, TypeAlias

import pandas as pd

from cleaner.clean import decisions
from cleaner.clean.audit import audits
from cleaner.clean.progress import outlook, pace
from cleaner.clean.queues import Queue, Queues
from cleaner.clean.suspects import CLEANED
from pipeline.errors import PipelineError, RunError, StaleDecision, StoreError, UsageError
from pipeline.labels import named
from pipeline.predict import NONE
from pipeline.tabs.page.choose_run import LATEST, find_run
from pipeline.tabs.page.component import View, nonce
from pipeline.tabs.page.show import count
from pipeline.tabs.page.viewer import large, thumbnail
from pipeline.workspace.journal import last_of
from pipeline.workspace.records import ACCEPT, LABEL, Decision, State, Wish
from pipeline.workspace.runs import Run, doubted_by_in_words
from pipeline.workspace.workspace import Workspace

ALL, AUDIT = "", "test"
BEFORE, AFTER, AFTER_MANY, LARGE_AHEAD = 15, 30, 60, 6
KEYS = 27  # classes that have a key of their own: ten digits, and the letters that are no commands
MOST_AT_ONCE = 500
Told: TypeAlias = tuple[str | None, str, bool]


@dataclass(frozen=True)
class Filters:
    """What the person chose to look at: a run, and only one class, split or kind of suspect (ALL: every one)."""

    run: str = LATEST
    label: str = ALL
    split: str = ALL
    kind: str = ALL


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


def queue_view(
    workspace: Workspace,
    filters: Filters,
    at: str | None = None,
    answer: Answer | None = None,
    queues: Queues | None = None,
    whole: bool = True,
    many: bool = False,
) -> View:
    """What the queue component shows: a stretch of the queue around the image ``at``, with the counts of all of it.

    ``queues`` are those that were opened before; ``whole``: look for changes to the store that are no decisions, too;
    ``many``: enough of it for many pictures at once.
    """
    answer = answer or Answer()
    told = {"page": answer.page, "done_up_to": answer.done_up_to, "message": answer.message, "focus": answer.focus}
    key = "|".join([workspace.name, filters.run, filters.label, filters.split, filters.kind])
    view = {**told, "warning": answer.forget, "forget": answer.forget, "key": key, "workspace": workspace.name}
    view |= {"nonce": nonce(), "rows": [], "start": 0, "position": 0, "shown": 0, "done": 0, "left": 0}
    view |= {"mark": "", "several": False, "none": NONE, "fate": None, "outlook": "", "stop": False, "pace": None}
    try:
        run = find_run(workspace, filters.run)
        audited = filters.split == AUDIT and is_audited(workspace, run)
        filters = filters if audited or filters.split != AUDIT else replace(filters, split=ALL)
        queue = (queues or Queues()).open(workspace, run, whole, (AUDIT,) if audited else CLEANED)
    except RunError as error:
        return {**view, "run": "", "classes": [], "filter": "", "empty": str(error)}
    return (
        view | _stretch(workspace, queue, filters, [answer.focus, at], AFTER_MANY if many else AFTER) | _progress(queue)
    )


def is_audited(workspace: Workspace, run: Run) -> bool:
    """Whether the audit of the test split with this run was logged, so that it may be shown."""
    return run.id in {audit.run for audit in audits(workspace)}


def _stretch(workspace: Workspace, queue: Queue, filters: Filters, wanted: Sequence[str | None], after: int) -> View:
    """The part of the queue around the first of the ``wanted`` images that is in it, else around its head."""
    run, rows = queue.run, queue.rows
    shown = queue.only(filters.label, filters.split, filters.kind)
    ids = shown["id"].tolist()
    position = next((ids.index(image) for image in wanted if image in ids), 0)
    start = max(0, position - BEFORE)
    names = _with_new(run, queue.names)
    fate = None  # what was decided about the image that the page shows, where it is no longer in the queue
    if (gone := wanted[-1]) and gone not in ids and (decision := workspace.store.journal.decided_on([gone]).get(gone)):
        fate = {"id": gone, "words": in_past(decision), "number": decision.id}
    return {
        "run": run.id,
        "classes": names,
        "several": run.outputs.kind == "sigmoid" or queue.several,
        "mark": queue.mark,
        "rows": _rows(workspace, queue, shown.iloc[start : position + after], position - start, len(names)),
        "start": start,
        "position": position,
        "shown": len(shown),
        "left": len(rows),
        "done": len(queue.done),
        "filter": "" if len(shown) == len(rows) else f"{len(shown)} of them shown",
        "empty": _why_empty(rows, shown),
        "fate": fate,
    }


def _progress(queue: Queue) -> View:
    """How fast it goes, and how much is probably left."""
    scores, wrong = queue.doubts()
    found = outlook(scores.to_numpy(), wrong, queue.scores(queue.rows["id"]).to_numpy())
    by = doubted_by_in_words((queue.run.record.get("set_on") or {}).get("out_of_fold"))
    words = {"outlook": f"{found.words} {by}".rstrip(), "stop": found.stop} if found else {}
    return {**words, "pace": pace(queue.moments)}


def in_past(decision: Decision) -> str:
    """``relabelled from ant to bee``, ``kept as ant``, ``removed``."""
    before, after = (", ".join(state.labels) or "nothing" for state in (decision.before, decision.after))
    if decision.action in ("keep", LABEL, ACCEPT):
        said = {"keep": f"kept as {after}", LABEL: f"named {after}", ACCEPT: f"named {after} by the model"}
        return said[decision.action]
    if before != after:
        return f"{'renamed' if decision.action == 'rename' else 'relabelled'} from {before} to {after}"
    words = {"set_aside": "set aside", "restore": "restored", "not_same": "not the same as its copies"}
    return words.get(decision.action, "removed")


def classes(workspace: Workspace, run: Run) -> list[str]:
    """The classes of the run, then those that labels have named since, in alphabetical order."""
    return _with_new(run, workspace.store.class_counts())


def _with_new(run: Run, names: Iterable[str]) -> list[str]:
    return [*run.answers, *sorted(set(names) - set(run.answers))]


def class_choices(workspace: Workspace, run: str | None) -> list[tuple[str, str]]:
    """(words, value) of the class filter: every class first."""
    try:
        names = classes(workspace, find_run(workspace, run))
    except RunError:
        names = []
    return [("every class", ALL), *((name, name) for name in names)]


def _rows(workspace: Workspace, queue: Queue, part: pd.DataFrame, position: int, classes: int) -> list[View]:
    known = workspace.store.images_of(part["id"]).set_index("id")
    rows: list[View] = []
    for number, row in enumerate(part.to_dict("records")):
        image_id, file = str(row["id"]), str(row["file"])
        picture, trouble = None, ""
        if position <= number < position + LARGE_AHEAD:
            picture, trouble = large(workspace, image_id, file)
        now = known.loc[image_id]
        shown = {
            str(name): row[name] for name in ("label", "suggested", "suggested_probability", "why", "split", "kind")
        }
        seen = {"labels": sorted(named(str(row["label"]))), "status": now["status"], "reason": now["reason"]}
        seen |= {"known": last_of(queue.mark)}
        name = PurePosixPath(str(now["source_name"] or file)).name
        files = {"thumbnail": thumbnail(workspace, image_id), "large": picture, "trouble": trouble}
        likely = queue.likely(image_id) if classes > KEYS else []
        rows.append({"id": image_id, "name": name, "seen": seen, "likely": likely, **shown, **files})
    return rows


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
            focus, told, lost = _act(workspace, action)
        except PipelineError as error:
            focus, told, lost = str(action["id"] or "") or None, str(error), True
        forget |= lost
        if told:
            messages.append(told)
    return Answer(page, last, " ".join(messages), focus, forget)


def refuse(page: str, actions: Sequence[Mapping[str, Any]], why: str) -> Answer:
    """None of the actions can be done, now or later: the page is to forget them."""
    return Answer(page, max((int(action["number"]) for action in actions), default=0), why, None, True)


def _act(workspace: Workspace, action: Mapping[str, Any]) -> Told:
    """Do one action; returns the image to go to next (None: where the page is), what to tell, and whether the page can
    no longer count on taking its own decisions back.
    """
    kind, image_id = str(action["kind"]), str(action["id"] or "")
    if kind in ("undo", "redo"):
        return _undo(workspace, image_id) if kind == "undo" else _redo(workspace, image_id)
    items = action.get("items")
    if isinstance(items, list):
        return _many(workspace, kind, items)
    decisions.decide(workspace, _wish(kind, {**action, "id": image_id}))
    return None, "", False


def _many(workspace: Workspace, kind: str, items: Sequence[Mapping[str, Any]]) -> Told:
    """Decide on many images in one go; what changed meanwhile is left and told."""
    if len(items) > MOST_AT_ONCE:
        raise UsageError(f"Decide on at most {MOST_AT_ONCE} images at a time.")
    done, refused = decisions.decide_each(workspace, [_wish(kind, item) for item in items])
    if not refused:
        return None, "", False
    reason = refused[0].reason
    message = f"{count(len(done), 'image')} done; {count(len(refused), 'image was', 'images were')} left: {reason}"
    return refused[0].image, message, True


def _wish(kind: str, item: Mapping[str, Any]) -> Wish:
    seen = item["seen"]
    state = State(tuple(str(label) for label in seen["labels"]), str(seen["status"]), str(seen["reason"]))
    known = seen.get("known")
    return decisions.wish(
        kind, str(item["id"]), str(item.get("label") or ""), state, None if known is None else int(known)
    )


def _undo(workspace: Workspace, image_id: str) -> Told:
    """Undo the last step; if the page thinks it was about ``image_id``, only if that is so."""
    try:
        undone = decisions.undo_step(workspace, image_id or None)
    except StaleDecision as error:
        raise StoreError(
            "The last decision is no longer yours: somebody else decided meanwhile, or it was not saved. "
            "Press U again to take back the last one, whosever it is."
        ) from error
    if not undone:
        return None, "There is nothing to undo.", False
    if image_id:
        return None, "", False  # the page is there already
    last = undone[-1]
    if len(undone) > 1:
        return last.image, f"Taken back: {len(undone)} decisions made at once.", False
    return last.image, f"Taken back: {last.action} of {' and '.join(last.before.labels)}.", False


def _redo(workspace: Workspace, image_id: str) -> Told:
    """Redo what was taken back last; if the page thinks it was about ``image_id``, only if that is so."""
    redone = decisions.redo_step(workspace, image_id or None)
    if image_id:
        return None, "", False  # the page has shown it already
    if not redone:
        return None, "There is nothing to redo.", False
    what = f"{len(redone)} decisions made at once" if len(redone) > 1 else in_past(redone[0])
    return None, f"Redone: {what}.", False
