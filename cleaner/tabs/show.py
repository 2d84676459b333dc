"""What both tabs show alike: the list of runs."""

from __future__ import annotations

import gradio as gr

from pipeline.errors import RunError
from pipeline.tabs.page.choose_run import run_choices
from pipeline.workspace.runs import Run, list_runs, load_run
from pipeline.workspace.workspace import Workspace

LATEST, PREVIOUS = "latest", "previous"


def run_list(elem_id: str, label: str, value: str = LATEST) -> gr.Dropdown:
    """A list of runs, still empty, that starts at LATEST or PREVIOUS. The server checks the id wherever it is used."""
    return gr.Dropdown([(f"{value} run", value)], value=value, label=label, elem_id=elem_id, allow_custom_value=True)


def refreshed(workspace: Workspace, chosen: str | None, first: str = LATEST) -> gr.Dropdown:
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
