"""Which run? The list that Predict and Deploy share, newest first."""

from __future__ import annotations

import gradio as gr

from pipeline.tabs.page.show import ago, error_rate
from pipeline.workspace.runs import list_runs
from pipeline.workspace.workspace import Workspace


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
