"""The history of the Clean tab: everything decided so far, newest first, to take back one by one or to a point."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import gradio as gr

from cleaner.clean import decisions
from cleaner.tabs.clean.queue import View, in_past
from pipeline.errors import PipelineError
from pipeline.tabs.page.component import component
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.show import ago, count
from pipeline.tabs.page.viewer import thumbnail
from pipeline.workspace.records import Step
from pipeline.workspace.workspace import Workspace

PER_PAGE, FEW = 20, 8


def history_view(workspace: Workspace, page: int = 0, message: str = "", warning: bool = False) -> View:
    """A page of the history, as steps: decisions made in one go are one. Every view opens the panel."""
    store = workspace.store
    mark = store.mark()
    steps, total = store.steps(max(page, 0) * PER_PAGE, PER_PAGE, FEW)
    images = store.image_rows({decision.image for step in steps for decision in step.decisions})
    names = {str(image): str(name or file) for image, name, file in images[["id", "source_name", "file"]].to_numpy()}
    return {
        "nonce": uuid.uuid4().hex,
        "workspace": workspace.name,
        "mark": mark,
        "page": max(page, 0),
        "pages": max(1, -(-total // PER_PAGE)),
        "total": total,
        "message": message,
        "warning": warning,
        "rows": [_row(workspace, step, names) for step in steps],
    }


def _row(workspace: Workspace, step: Step, names: Mapping[str, str]) -> View:
    made = step.decisions
    words = list(dict.fromkeys(map(in_past, made)))
    whole = words[0] if len(words) == 1 and step.count <= len(made) else f"{words[0]} and so on"
    title = PurePosixPath(names.get(made[0].image, "")).name
    return {
        "first": step.first,
        "last": step.last,
        "later": step.later,
        "standing": step.count - step.undone,
        "words": words[0] if step.count == 1 else f"{count(step.count, 'image')}: {whole}",
        "name": title if step.count == 1 else "",
        "when": ago(made[0].at),
        "at": made[0].at[:19].replace("T", " ") + " UTC",
        "more": step.count - len(made),
        "pictures": [thumbnail(workspace, decision.image) for decision in made],
    }


def act(workspace: Workspace, sent: Mapping[str, Any]) -> View:
    """Take back what the page asked for, and show the history after it. What cannot be done is said."""
    page = int(sent["page"])
    try:
        if sent["kind"] == "step":
            undone = decisions.undo_these(workspace, int(sent["first"]), int(sent["last"]))
        else:
            undone = decisions.undo_after(workspace, int(sent["last"]), str(sent["mark"]))
    except PipelineError as error:
        return history_view(workspace, page, str(error), warning=True)
    return history_view(workspace, page, f"{count(len(undone), 'decision')} taken back.")


def build_history(shared: Shared, queue: gr.HTML, inputs: set[Any], refreshed: Callable[[Values], View]) -> None:
    """Draw the panel, closed, and wire it to the ``queue``; ``refreshed`` gives that one's view as it is then."""
    panel = component(Path(__file__).with_name("history"), "clean-history")
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

    @translate
    def show(name: str, event: gr.EventData) -> View:
        return history_view(shared.open(name), int(event._data["page"]))

    @translate
    def take_back(values: Values, event: gr.EventData) -> tuple[View, View]:
        sent: Mapping[str, Any] = event._data
        shown = act(shared.open(str(sent["workspace"])), sent)
        return shown, refreshed(values)

    queue.history(show, shared.picker, panel, **quiet)
    panel.turn(show, shared.picker, panel, **quiet)
    panel.undo(take_back, inputs, [panel, queue], concurrency_id="decide", concurrency_limit=1, **quiet)
