"""Clean: doubtful labels one by one, decided by key, click or touch; then train again and compare."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from cleaner.compare import Comparison, compare
from cleaner.queues import Queues
from cleaner.tabs.component import component
from cleaner.tabs.exchange import build_exchange
from cleaner.tabs.history import build_history
from cleaner.tabs.queue import ALL, Answer, Filters, View, apply, class_choices, queue_view, refuse
from cleaner.tabs.renaming import build_renaming
from cleaner.tabs.show import LATEST, PREVIOUS, find_run, refreshed, run_list
from pipeline.errors import PipelineError, WorkspaceError
from pipeline.jobs import Job
from pipeline.tabs.shared import Shared, Values, translate
from pipeline.tabs.show import empty, escape, facts, guide, heading, percent
from pipeline.tabs.train_fields import recalled
from pipeline.tabs.train_jobs import train_job
from pipeline.workspace import Workspace

SPLITS = [("train and valid", ALL), ("train", "train"), ("valid", "valid")]


# --- comparing -----------------------------------------------------------------------------------------------------


def comparison_view(workspace: Workspace, before: str | None, after: str | None) -> str:
    """Run ``after`` against run ``before``, as HTML; or why they cannot be compared."""
    try:
        return _comparison(compare(workspace, find_run(workspace, before), find_run(workspace, after)))
    except PipelineError as error:
        return empty("Nothing to compare yet", str(error))


def _comparison(found: Comparison) -> str:
    title = {"better": "Better", "worse": "Worse"}.get(found.verdict, "Cannot be told apart")
    interval = f"{100 * found.low:+.1f} to {100 * found.high:+.1f}"
    numbers = facts(
        [
            ("error rate before", percent(found.a.error_rate)),
            ("error rate after", percent(found.b.error_rate)),
            ("points, 95% interval", interval),
            ("fixed / broken", f"{found.fixed} / {found.broken}"),
        ]
    )
    return f'<p class="w-verdict"><strong>{title}</strong></p>{numbers}<p>{escape(found.words)}</p>'


# --- the tab -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Widgets:
    run: gr.Dropdown
    label: gr.Dropdown
    split: gr.Dropdown
    queue: gr.HTML
    done: gr.State
    train: gr.Button
    before: gr.Dropdown
    after: gr.Dropdown
    button: gr.Button
    compared: gr.HTML

    @property
    def filters(self) -> list[gr.Dropdown]:
        return [self.run, self.label, self.split]


def build(tab: gr.Tab, shared: Shared) -> None:
    """Draw the tab, then wire it."""
    guide("Look at the labels the model doubts most, and decide. Everything is saved at once and can be undone.")
    with gr.Row(elem_classes="w-fields"):
        run = run_list("clean-run", "Run")
        label = gr.Dropdown(
            [("every class", ALL)], value=ALL, label="Class", elem_id="clean-class", allow_custom_value=True
        )
        split = gr.Dropdown(SPLITS, value=ALL, label="Split", elem_id="clean-split")
    queue = component("queue", "clean-queue", ("desk", "grid", "keys"))
    below = gr.Column()
    heading("Did it help?")
    guide("Train again with the settings of the latest run, then compare the two on the same images.")
    train = gr.Button("Train again", variant="primary", elem_id="clean-train", size="lg")
    with gr.Row(elem_classes="w-fields"):
        before = run_list("clean-before", "Before", PREVIOUS)
        after = run_list("clean-after", "After")
    button = gr.Button("Compare", elem_id="clean-compare", size="lg")
    compared = gr.HTML(elem_id="clean-compared")
    w = _Widgets(run, label, split, queue, gr.State(("", 0)), train, before, after, button, compared)
    refilter = _wire(tab, shared, w)
    inputs = {shared.picker, *w.filters}
    with below:
        build_history(shared, queue, inputs, refilter)
        build_renaming(tab, shared, queue, inputs, refilter)
        build_exchange(tab, shared, queue, inputs, refilter)


def _wire(tab: gr.Tab, shared: Shared, w: _Widgets) -> Callable[[Values], View]:
    """Wire the queue; returns what gives its view as it is then."""
    queues = Queues()

    def chosen(values: Values) -> Filters:
        return Filters(*(str(values[widget] or ALL) for widget in w.filters))

    def fill(name: str, run: str, label: str, split: str, before: str, after: str) -> list[Any]:
        workspace = shared.open(name)
        names = class_choices(workspace, run)
        label = label if label in [value for _, value in names] else ALL
        runs = [refreshed(workspace, run), gr.Dropdown(choices=names, value=label)]
        pair = [refreshed(workspace, before, PREVIOUS), refreshed(workspace, after)]
        view = queue_view(workspace, Filters(run or LATEST, label, split or ALL), queues=queues)
        return [*runs, view, *pair, comparison_view(workspace, before, after)]

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

    @translate
    def compared(values: Values) -> str:
        return comparison_view(shared.open(values[shared.picker]), values[w.before], values[w.after])

    def train_again(values: Values) -> Job:
        workspace = shared.open(values[shared.picker])
        return train_job(workspace, recalled(find_run(workspace, LATEST)).values)

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    inputs = {shared.picker, *w.filters}
    shared.watch(tab, fill, [w.run, w.label, w.queue, w.before, w.after, w.compared], [*w.filters, w.before, w.after])
    gr.on([widget.input for widget in w.filters], refilter, inputs, w.queue, **quiet)
    w.queue.act(
        act, {*inputs, w.done}, [w.queue, w.done],
        trigger_mode="multiple", concurrency_id="decide", concurrency_limit=1, **quiet,
    )  # fmt: skip
    w.queue.look(look, inputs, w.queue, trigger_mode="once", **quiet)
    w.button.click(compared, {shared.picker, w.before, w.after}, w.compared, **quiet)
    shared.job.launch(w.train.click, train_again, {shared.picker})
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
