"""Clean: doubtful labels one by one, decided by key, click or touch; then train again and compare."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from cleaner.clean.queues import Queues
from cleaner.tabs.clean.auditing import build_auditing, split_choices, splits
from cleaner.tabs.clean.exchange import build_exchange
from cleaner.tabs.clean.history import build_history
from cleaner.tabs.clean.queue import ALL, Answer, Filters, View, apply, class_choices, queue_view, refuse
from cleaner.tabs.clean.renaming import build_renaming
from cleaner.tabs.compare import tab as compared
from cleaner.tabs.review.story import wire_viewer
from pipeline.errors import WorkspaceError
from pipeline.tabs.page.choose_run import LATEST, find_run, refreshed_run_list, run_list
from pipeline.tabs.page.component import component
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.show import guide
from pipeline.tabs.page.viewer import viewer
from pipeline.workspace.runs import Run
from pipeline.workspace.workspace import Workspace

KINDS = [
    ("anything", ALL),
    ("a doubtful label", "label"),
    ("two labels for one picture", "two labels"),
    ("unlike all others", "outlier"),
    ("a doubtful file", "file"),
]


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
    guide("Look at the labels the model doubts most, and decide. Everything is saved at once and can be undone.")
    with gr.Row(elem_classes="w-fields"):
        run = run_list("clean-run", "Run")
        label = gr.Dropdown(
            [("every class", ALL)], value=ALL, label="Class", elem_id="clean-class", allow_custom_value=True
        )
        split = gr.Dropdown(split_choices(False), value=ALL, label="Split", elem_id="clean-split")
        kind = gr.Dropdown(KINDS, value=ALL, label="Because of", elem_id="clean-kind")
    queue = component(Path(__file__).with_name("queue"), "clean-queue", ("desk", "grid", "keys"))
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
            refreshed_run_list(workspace, run),
            gr.Dropdown(choices=names, value=label),
            splits(workspace, run, split),
            view,
        ]

    @translate
    def refilter(values: Values) -> View:
        return queue_view(shared.open(values[shared.picker]), chosen(values), queues=queues)

    @translate
    def look(values: Values, event: gr.EventData) -> Any:
        sent: Mapping[str, Any] = event._data
        workspace = shared.open(values[shared.picker])
        if workspace.store.mark() == sent["mark"]:
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

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    inputs = {shared.picker, *w.filters}
    shared.watch(tab, fill, [w.run, w.label, w.split, w.queue], w.filters)
    gr.on([widget.input for widget in w.filters], refilter, inputs, w.queue, **quiet)
    w.queue.act(
        act,
        {*inputs, w.done},
        [w.queue, w.done],
        trigger_mode="multiple",
        concurrency_id="decide",
        concurrency_limit=1,
        **quiet,
    )
    w.queue.look(look, inputs, w.queue, trigger_mode="once", **quiet)
    return refilter


def _answer(shared: Shared, sent: Mapping[str, Any], done: tuple[str, int]) -> Answer:
    """Do what a page sent, in the workspace that it showed."""
    actions = _actions(sent["actions"])
    try:
        workspace = shared.open(str(sent["workspace"]))
    except WorkspaceError as error:
        return refuse(str(sent["page"]), actions, str(error))
    return apply(workspace, str(sent["page"]), actions, done)


def _actions(sent: Iterable[Any]) -> list[Mapping[str, Any]]:
    """What the page sent, as far as it is a list of actions at all."""
    return [action for action in sent if isinstance(action, dict) and {"number", "kind", "id", "seen"} <= action.keys()]
