"""Which run? A list of them, newest first, and what its value means; the same in every tab that asks for a run."""

from __future__ import annotations

import gradio as gr

from pipeline.errors import RunError
from pipeline.tabs.page.show import ago, error_rate
from pipeline.train.new_scenes import probably
from pipeline.workspace.runs import Run, list_runs, load_run
from pipeline.workspace.workspace import Workspace

LATEST, PREVIOUS = "latest", "previous"


def draw_run_list(elem_id: str, label: str, first: str = "", min_width: int = 160) -> gr.Dropdown:
    """A list of runs, still empty; its value is a run's id. ``first``: LATEST or PREVIOUS, which stands before the runs
    and moves along as runs are added. The server checks the value wherever it is used.
    """
    choices = [(f"{first} run", first)] if first else []
    return gr.Dropdown(
        choices,
        value=first or None,
        label=label,
        elem_id=elem_id,
        allow_custom_value=True,
        min_width=min_width,
    )


def run_choices(workspace: Workspace) -> list[tuple[str, str]]:
    """(what to show, run id), newest first."""
    return [
        (f"{ago(run.created)}, test error {error_rate(run.test)}{_elsewhere(run)} · {run.id}", run.id)
        for run in list_runs(workspace)
    ]


def _elsewhere(run: Run) -> str:
    where = probably(run.record)
    return f", in a new place {where}" if where else ""


def refreshed_run_list(workspace: Workspace, chosen: str | None, first: str = "") -> gr.Dropdown:
    """The list as it is now; ``chosen`` stays if it is still there, else it is ``first`` or the newest run."""
    choices = [*([(f"{first} run", first)] if first else []), *run_choices(workspace)]
    known = [value for _, value in choices]
    return gr.Dropdown(choices=choices, value=chosen if chosen in known else next(iter(known), None))


def find_run(workspace: Workspace, chosen: str | None) -> Run:
    """The run of that id, or the LATEST or the PREVIOUS one. Raises RunError where there is none."""
    if chosen != PREVIOUS:
        return load_run(workspace, None if chosen in (None, "", LATEST) else chosen)
    runs = list_runs(workspace)
    if not runs:
        return load_run(workspace)  # which says what to do
    if len(runs) < 2:
        raise RunError("There is only one run so far. Train again, then compare the two.")
    return runs[1]


def run_or_newest(workspace: Workspace, chosen: str | None) -> Run | None:
    """The run of that id if it is still there, else the newest; None where nothing was trained yet."""
    runs = list_runs(workspace)
    return next((run for run in runs if run.id == chosen), runs[0] if runs else None)
