"""The form of the Clean tab that gives a class another name or merges it into another; it says first what happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from cleaner.clean.decisions import plan, rename
from cleaner.tabs.clean.queue import View
from pipeline.errors import PipelineError
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.show import escape
from pipeline.workspace.workspace import Workspace

ABOUT = (
    "Every image of the class gets the new name at once, test images too: a name is a name. A name that exists already "
    "merges the two. The queue goes on under the new name. U or the history takes it back."
)


def class_names(workspace: Workspace) -> list[tuple[str, str]]:
    """(words, class) of every class that images in use carry, with how many."""
    return [(f"{name} ({number:,})", name) for name, number in workspace.store.label_counts().items()]


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
        gr.HTML(f'<p class="w-hint">{escape(ABOUT)}</p>')
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

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    shared.watch(tab, names, old, old)
    gr.on([old.input, new.change], preview, {shared.picker, old, new}, what, trigger_mode="multiple", **quiet)
    gr.on(
        [button.click, new.submit],
        do,
        {*inputs, old, new},
        [old, new, what, queue],
        concurrency_id="decide",
        concurrency_limit=1,
        **quiet,
    )
