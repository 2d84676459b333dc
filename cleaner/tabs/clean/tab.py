"""Clean: doubtful labels one by one, decided by key, click or touch; then train again and compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import gradio as gr

from cleaner.clean import decisions
from cleaner.clean.audit import audits, log_audit
from cleaner.clean.audit import in_words as audits_in_words
from cleaner.clean.decisions import plan, rename
from cleaner.clean.queues import Queues
from cleaner.tabs.clean.exchange import build_exchange
from cleaner.tabs.clean.queue import (
    ALL,
    AUDIT,
    Answer,
    Filters,
    apply,
    class_choices,
    in_past,
    queue_view,
    refuse,
)
from cleaner.tabs.compare import tab as compared
from cleaner.tabs.review.story import wire_viewer
from pipeline.errors import PipelineError, RunError, WorkspaceError
from pipeline.tabs.page.choose_run import LATEST, draw_run_list, find_run, refreshed_run_list
from pipeline.tabs.page.component import View, component, nonce
from pipeline.tabs.page.job_panel import PRIVATE
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.show import ago, count, escape, guide
from pipeline.tabs.page.viewer import thumbnail, viewer
from pipeline.workspace.records import Decision, Step
from pipeline.workspace.runs import Run
from pipeline.workspace.workspace import Workspace

BECAUSE = [
    ("anything", ALL),
    ("a doubtful label", "label"),
    ("two labels for one picture", "two labels"),
    ("unlike all others", "outlier"),
    ("a doubtful file", "file"),
]
# Steps a page of the history, and pictures of a step.
STEPS_A_PAGE, PICTURES_A_STEP = 20, 8
ABOUT_RENAMING = (
    "Every image of the class gets the new name at once, test images too: a name is a name. A name that exists already "
    "merges the two. The queue goes on under the new name. U or the history takes it back."
)
ABOUT_AUDITS = (
    "The test split is locked so that it stays an honest exam: it is never in the queue. Where its own labels are "
    "wrong, look through them here. The audit is written down for good, and every comparison and the ledger say that "
    "there was one, as labels that are mended with a run's answers in sight may lean towards that run."
)


@dataclass(frozen=True)
class _Widgets:
    run: gr.Dropdown
    label: gr.Dropdown
    split: gr.Dropdown
    kind: gr.Dropdown
    queue: gr.HTML
    done: gr.State

    @property
    def filters(self) -> list[gr.Dropdown]:
        return [self.run, self.label, self.split, self.kind]


def build(tab: gr.Tab, shared: Shared) -> None:
    """Draw the tab, then wire it."""
    queue = component(Path(__file__).with_name("queue"), "clean-queue")
    guide("Look at the labels the model doubts most, and decide. Everything is saved at once and can be undone.")
    with gr.Row(elem_classes="w-fields"):
        run = draw_run_list("clean-run", "Run", LATEST)
        label = gr.Dropdown(
            [("every class", ALL)], value=ALL, label="Class", elem_id="clean-class", allow_custom_value=True
        )
        split = gr.Dropdown(split_choices(False), value=ALL, label="Split", elem_id="clean-split")
        kind = gr.Dropdown(BECAUSE, value=ALL, label="Because of", elem_id="clean-kind")
    story = viewer("clean-story")
    below = gr.Column()
    w = _Widgets(run, label, split, kind, queue, gr.State(("", 0)))
    refilter = _wire(tab, shared, w)
    inputs = {shared.picker, *w.filters}

    def where(values: Values) -> tuple[Workspace, Run, str]:
        workspace = shared.open(values[shared.picker])
        return workspace, find_run(workspace, values[run]), str(values[split])

    wire_viewer(story, [queue], inputs, where)
    with below:
        build_history(shared, queue, inputs, refilter)
        build_renaming(tab, shared, queue, inputs, refilter)
        build_exchange(tab, shared, queue, inputs, refilter)
        build_auditing(tab, shared, queue, inputs, refilter, w.run, w.split)
    compared.build(tab, shared)


def _wire(tab: gr.Tab, shared: Shared, w: _Widgets) -> Callable[[Values], View]:
    """Wire the queue; returns what gives its view as it is then."""
    queues = Queues()

    def chosen(values: Values) -> Filters:
        return Filters(*(str(values[widget] or ALL) for widget in w.filters))

    def fill(name: str, run: str, label: str, split: str, kind: str) -> list[Any]:
        workspace = shared.open(name)
        names = class_choices(workspace, run)
        label = label if label in [value for _, value in names] else ALL
        view = queue_view(workspace, Filters(run or LATEST, label, split or ALL, kind or ALL), queues=queues)
        return [
            refreshed_run_list(workspace, run, LATEST),
            gr.Dropdown(choices=names, value=label),
            split_filter(workspace, run, split),
            view,
        ]

    @translate
    def refilter(values: Values) -> View:
        return queue_view(shared.open(values[shared.picker]), chosen(values), queues=queues)

    @translate
    def look(values: Values, event: gr.EventData) -> Any:
        sent: Mapping[str, Any] = event._data
        workspace = shared.open(values[shared.picker])
        if workspace.store.journal.mark() == sent["mark"]:
            return gr.skip()
        return queue_view(
            workspace, chosen(values), str(sent["at"] or "") or None, None, queues, False, bool(sent["many"])
        )

    @translate
    def act(values: Values, event: gr.EventData) -> tuple[View, tuple[str, int]]:
        sent: Mapping[str, Any] = event._data
        answer = _answer(shared, sent, values[w.done])
        now = shared.open(values[shared.picker])
        view = queue_view(now, chosen(values), str(sent["at"] or "") or None, answer, queues, False, bool(sent["many"]))
        return view, (answer.page, answer.done_up_to)

    inputs = {shared.picker, *w.filters}
    shared.watch(tab, fill, [w.run, w.label, w.split, w.queue], w.filters)
    gr.on([widget.input for widget in w.filters], refilter, inputs, w.queue, **PRIVATE)
    w.queue.act(
        act,
        {*inputs, w.done},
        [w.queue, w.done],
        trigger_mode="multiple",
        concurrency_id="decide",
        concurrency_limit=1,
        **PRIVATE,
    )
    w.queue.look(look, inputs, w.queue, trigger_mode="once", **PRIVATE)
    return refilter


def _answer(shared: Shared, sent: Mapping[str, Any], done: tuple[str, int]) -> Answer:
    """Do what a page sent, in the workspace that it showed."""
    wanted = {"number", "kind", "id", "seen"}
    actions = [action for action in sent["actions"] if isinstance(action, dict) and wanted <= action.keys()]
    try:
        workspace = shared.open(str(sent["workspace"]))
    except WorkspaceError as error:
        return refuse(str(sent["page"]), actions, str(error))
    return apply(workspace, str(sent["page"]), actions, done)


def history_view(workspace: Workspace, page: int = 0, message: str = "", warning: bool = False) -> View:
    """A page of the history, as steps: decisions made in one go are one. Every view opens the panel."""
    store = workspace.store
    mark = store.journal.mark()
    steps, total = store.journal.steps(max(page, 0) * STEPS_A_PAGE, STEPS_A_PAGE, PICTURES_A_STEP)
    images = store.images_of({decision.image for step in steps for decision in step.decisions})
    names = {str(image): str(name or file) for image, name, file in images[["id", "source_name", "file"]].to_numpy()}
    return {
        "nonce": nonce(),
        "workspace": workspace.name,
        "mark": mark,
        "page": max(page, 0),
        "pages": max(1, -(-total // STEPS_A_PAGE)),
        "total": total,
        "standing": store.journal.standing(),
        "redoable": store.journal.redoable(),
        "message": message,
        "warning": warning,
        "rows": [_step(workspace, step, names) for step in steps],
    }


def _step(workspace: Workspace, step: Step, names: Mapping[str, str]) -> View:
    made = step.decisions
    words = list(dict.fromkeys(map(in_past, made)))
    whole = words[0] if len(words) == 1 and step.count <= len(made) else f"{words[0]} and so on"
    title = PurePosixPath(names.get(made[0].image, "")).name
    return {
        "first": step.first,
        "last": step.last,
        "later": step.later,
        "standing": step.count - step.undone,
        "redoable": step.redoable,
        "words": words[0] if step.count == 1 else f"{count(step.count, 'image')}: {whole}",
        "name": title if step.count == 1 else "",
        "when": ago(made[0].at),
        "at": made[0].at[:19].replace("T", " ") + " UTC",
        "more": step.count - len(made),
        "pictures": [thumbnail(workspace, decision.image) for decision in made],
    }


def go_through(workspace: Workspace, sent: Mapping[str, Any]) -> View:
    """Take back or redo what the page asked for, and show the history after it. What cannot be done is said."""
    page, first, last, mark = int(sent["page"]), int(sent["first"]), int(sent["last"]), str(sent["mark"])
    ways: Mapping[str, Callable[[], list[Decision]]] = {
        "step": lambda: decisions.undo_these(workspace, first, last),
        "point": lambda: decisions.undo_after(workspace, last, mark),
        "redo": lambda: decisions.redo_step(workspace),
        "redo_to": lambda: decisions.redo_to(workspace, first, last, mark),
    }
    try:
        changed = ways[str(sent["kind"])]()
    except PipelineError as error:
        return history_view(workspace, page, str(error), warning=True)
    done = "redone" if sent["kind"] in ("redo", "redo_to") else "taken back"
    return history_view(workspace, page, f"{count(len(changed), 'decision')} {done}.")


def build_history(shared: Shared, queue: gr.HTML, inputs: set[Any], refreshed: Callable[[Values], View]) -> None:
    """Draw the panel, closed, and wire it to the ``queue``; ``refreshed`` gives that one's view as it is then."""
    panel = component(Path(__file__).with_name("history"), "clean-history")

    @translate
    def show(name: str, event: gr.EventData) -> View:
        return history_view(shared.open(name), int(event._data["page"]))

    @translate
    def undo(values: Values, event: gr.EventData) -> tuple[View, View]:
        sent: Mapping[str, Any] = event._data
        return go_through(shared.open(str(sent["workspace"])), sent), refreshed(values)

    queue.history(show, shared.picker, panel, **PRIVATE)
    panel.turn(show, shared.picker, panel, **PRIVATE)
    panel.undo(undo, inputs, [panel, queue], concurrency_id="decide", concurrency_limit=1, **PRIVATE)


def class_names(workspace: Workspace) -> list[tuple[str, str]]:
    """(words, class) of every class that images in use carry, with how many."""
    return [(f"{name} ({number:,})", name) for name, number in workspace.store.class_counts().items()]


def planned(workspace: Workspace, old: str | None, new: str | None) -> str:
    """What renaming would do, as HTML; empty while the form is."""
    if not (old and new and new.strip()):
        return ""
    try:
        return f'<p class="w-hint">{escape(plan(workspace, old, new).words)}</p>'
    except PipelineError as error:
        return f'<p class="w-warn">{escape(error)}</p>'


def build_renaming(
    tab: gr.Tab, shared: Shared, queue: gr.HTML, inputs: set[Any], refreshed: Callable[[Values], View]
) -> None:
    """Draw the form and wire it; ``refreshed`` gives the queue's view as it is then."""
    with gr.Accordion("Rename or merge classes", open=False, elem_id="clean-renaming"):
        gr.HTML(f'<p class="w-hint">{escape(ABOUT_RENAMING)}</p>')
        with gr.Row(elem_classes="w-fields"):
            old = gr.Dropdown([], label="Class", elem_id="clean-rename-old", allow_custom_value=True, value=None)
            new = gr.Textbox(label="New name, or that of another class", elem_id="clean-rename-new", max_length=255)
        what = gr.HTML(elem_id="clean-rename-what")
        button = gr.Button("Rename", elem_id="clean-rename", size="lg")

    def names(name: str, chosen: str | None) -> Any:
        choices = class_names(shared.open(name))
        return gr.Dropdown(choices=choices, value=chosen if chosen in [value for _, value in choices] else None)

    @translate
    def preview(values: Values) -> Any:
        # An emptied field leaves what is said, which may be that it is done.
        return planned(shared.open(values[shared.picker]), values[old], values[new]) or gr.skip()

    @translate
    def do(values: Values) -> list[Any]:
        workspace = shared.open(values[shared.picker])
        done = rename(workspace, str(values[old] or ""), str(values[new] or ""))
        words = f"Done: {done.images:,} called {done.new} now. U takes it back."
        return [names(workspace.name, done.new), "", f'<p class="w-good">{escape(words)}</p>', refreshed(values)]

    shared.watch(tab, names, old, old)
    gr.on([old.input, new.change], preview, {shared.picker, old, new}, what, trigger_mode="multiple", **PRIVATE)
    gr.on(
        [button.click, new.submit],
        do,
        {*inputs, old, new},
        [old, new, what, queue],
        concurrency_id="decide",
        concurrency_limit=1,
        **PRIVATE,
    )


def split_choices(audited: bool) -> list[tuple[str, str]]:
    """(words, value) of the split filter; the test split only once its audit was logged."""
    return [("train and valid", ALL), ("train", "train"), ("valid", "valid"), *[("test, audit", AUDIT)] * audited]


def split_filter(workspace: Workspace, run: str | None, chosen: str | None) -> gr.Dropdown:
    """The split filter as it is for that run; ``chosen`` stays where it may."""
    try:
        audited = find_run(workspace, run).id in {audit.run for audit in audits(workspace)}
    except RunError:
        audited = False
    choices = split_choices(audited)
    return gr.Dropdown(choices=choices, value=chosen if chosen in [value for _, value in choices] else ALL)


def said_so_far(workspace: Workspace) -> str:
    """Which audits there were, as HTML."""
    words = audits_in_words(audits(workspace))
    return f'<p class="w-hint">{escape(words)}</p>' if words else ""


def build_auditing(
    tab: gr.Tab,
    shared: Shared,
    queue: gr.HTML,
    inputs: set[Any],
    refreshed: Callable[[Values], View],
    run: gr.Dropdown,
    split: gr.Dropdown,
) -> None:
    """Draw the form and wire it; ``refreshed`` gives the queue's view as it is then."""
    with gr.Accordion("Audit the test split", open=False, elem_id="clean-auditing"):
        gr.HTML(f'<p class="w-hint">{escape(ABOUT_AUDITS)}</p>')
        so_far = gr.HTML(elem_id="clean-audits")
        button = gr.Button("Write it down and show me the test split", elem_id="clean-audit", size="lg")

    @translate
    def audit(values: Values) -> list[Any]:
        workspace = shared.open(values[shared.picker])
        chosen = find_run(workspace, values[run])
        log_audit(workspace, chosen.id)
        return [
            split_filter(workspace, values[run], AUDIT),
            said_so_far(workspace),
            refreshed({**values, split: AUDIT}),
        ]

    shared.watch(tab, lambda name: said_so_far(shared.open(name)), so_far)
    button.click(audit, inputs, [split, so_far, queue], **PRIVATE)
