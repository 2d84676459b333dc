"""The audit of the locked test split from the Clean tab: said beforehand, logged, and shown from then on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from cleaner.clean.audit import audits, in_words, log_audit
from cleaner.tabs.clean.queue import ALL, AUDIT, View
from pipeline.errors import RunError
from pipeline.tabs.page.choose_run import find_run
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.show import escape
from pipeline.workspace.workspace import Workspace

ABOUT = (
    "The test split is locked so that it stays an honest exam: it is never in the queue. Where its own labels are "
    "wrong, look through them here. The audit is written down for good, and every comparison and the ledger say that "
    "there was one, as labels that are mended with a run's answers in sight may lean towards that run."
)


def split_choices(audited: bool) -> list[tuple[str, str]]:
    """(words, value) of the split filter; the test split only once its audit was logged."""
    return [("train and valid", ALL), ("train", "train"), ("valid", "valid"), *[("test, audit", AUDIT)] * audited]


def splits(workspace: Workspace, run: str | None, chosen: str | None) -> gr.Dropdown:
    """The split filter as it is for that run; ``chosen`` stays where it may."""
    try:
        audited = find_run(workspace, run).id in {audit.run for audit in audits(workspace)}
    except RunError:
        audited = False
    choices = split_choices(audited)
    return gr.Dropdown(choices=choices, value=chosen if chosen in [value for _, value in choices] else ALL)


def said_so_far(workspace: Workspace) -> str:
    """Which audits there were, as HTML."""
    words = in_words(audits(workspace))
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
        gr.HTML(f'<p class="w-hint">{escape(ABOUT)}</p>')
        so_far = gr.HTML(elem_id="clean-audits")
        button = gr.Button("Write it down and show me the test split", elem_id="clean-audit", size="lg")

    @translate
    def audit(values: Values) -> list[Any]:
        workspace = shared.open(values[shared.picker])
        chosen = find_run(workspace, values[run])
        log_audit(workspace, chosen.id)
        return [splits(workspace, values[run], AUDIT), said_so_far(workspace), refreshed({**values, split: AUDIT})]

    shared.watch(tab, lambda name: said_so_far(shared.open(name)), so_far)
    button.click(audit, inputs, [split, so_far, queue], api_visibility="private", show_progress="hidden")
