"""Which run? The list that Predict and Deploy share, newest first."""

from __future__ import annotations

import gradio as gr

from pipeline.errors import RunError
from pipeline.tabs.page.show import ago, error_rate
from pipeline.workspace.runs import Run, list_runs, load_run
from pipeline.workspace.workspace import Workspace

LATEST, PREVIOUS = "latest", "previous"


def draw_run_list(elem_id: str) -> gr.Dropdown:
    """The list, still empty; the run's id is its value. The server checks the id wherever it is used."""
    return gr.Dropdown([], label="Model", elem_id=elem_id, allow_custom_value=True, min_width=280)


def run_choices(workspace: Workspace) -> list[tuple[str, str]]:
    """(what to show, run id), newest first."""
    return [
        (f"{ago(run.created)}, test error {error_rate(run.test)} · {run.id}", run.id) for run in list_runs(workspace)
    ]


def refreshed(workspace: Workspace, chosen: str | None) -> tuple[gr.Dropdown, str] | None:
    """The list as it is now, and the chosen id: ``chosen`` if it is there, else the newest. None without runs."""
    choices = run_choices(workspace)
    if not choices:
        return None
    known = [run for _, run in choices]
    now = chosen if chosen in known else known[0]
    return gr.Dropdown(choices=choices, value=now), now


# --- What both tabs show alike: the list of runs ---------------------------------------------------------------------


def run_list(elem_id: str, label: str, value: str = LATEST) -> gr.Dropdown:
    """A list of runs, still empty, that starts at LATEST or PREVIOUS. The server checks the id wherever it is used."""
    return gr.Dropdown([(f"{value} run", value)], value=value, label=label, elem_id=elem_id, allow_custom_value=True)


def refreshed_run_list(workspace: Workspace, chosen: str | None, first: str = LATEST) -> gr.Dropdown:
    """The list as it is now; ``chosen`` stays, if it is still there. ``first`` moves along as runs are added."""
    choices = [(f"{first} run", first), *run_choices(workspace)]
    return gr.Dropdown(choices=choices, value=chosen if chosen in [run for _, run in choices] else first)


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
