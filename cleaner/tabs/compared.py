"""Did it help? Train again, then two runs on the same images: the lower half of the Clean tab."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from cleaner.compare import Comparison, compare
from cleaner.tabs.show import LATEST, PREVIOUS, find_run, refreshed, run_list
from pipeline.errors import PipelineError
from pipeline.jobs import Job
from pipeline.tabs.shared import Shared, Values, translate
from pipeline.tabs.show import empty, escape, facts, guide, heading, percent
from pipeline.tabs.train_fields import recalled
from pipeline.tabs.train_jobs import train_job
from pipeline.workspace import Workspace


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


# --- the widgets ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Widgets:
    train: gr.Button
    before: gr.Dropdown
    after: gr.Dropdown
    button: gr.Button
    compared: gr.HTML


def build(tab: gr.Tab, shared: Shared) -> None:
    """Draw this part of ``tab``, then wire it."""
    heading("Did it help?")
    guide("Train again with the settings of the latest run, then compare the two on the same images.")
    train = gr.Button("Train again", variant="primary", elem_id="clean-train", size="lg")
    with gr.Row(elem_classes="w-fields"):
        before = run_list("clean-before", "Before", PREVIOUS)
        after = run_list("clean-after", "After")
    button = gr.Button("Compare", elem_id="clean-compare", size="lg")
    _wire(tab, shared, _Widgets(train, before, after, button, gr.HTML(elem_id="clean-compared")))


def _wire(tab: gr.Tab, shared: Shared, w: _Widgets) -> None:
    def fill(name: str, before: str, after: str) -> list[Any]:
        workspace = shared.open(name)
        pair = [refreshed(workspace, before, PREVIOUS), refreshed(workspace, after)]
        return [*pair, comparison_view(workspace, before, after)]

    @translate
    def compared(values: Values) -> str:
        return comparison_view(shared.open(values[shared.picker]), values[w.before], values[w.after])

    def train_again(values: Values) -> Job:
        workspace = shared.open(values[shared.picker])
        return train_job(workspace, recalled(find_run(workspace, LATEST)).values)

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    shared.watch(tab, fill, [w.before, w.after, w.compared], [w.before, w.after])
    w.button.click(compared, {shared.picker, w.before, w.after}, w.compared, **quiet)
    shared.job.launch(w.train.click, train_again, {shared.picker})
