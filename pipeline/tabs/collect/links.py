"""The links card of Collect: a list of links to pictures of one class, fetched at once."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import gradio as gr

from pipeline.collect.download import DownloadConfig, download
from pipeline.errors import UsageError
from pipeline.jobs import job as jobs
from pipeline.jobs.job import Job
from pipeline.labels import clean_label
from pipeline.tabs.collect.collected import one_at_a_time
from pipeline.tabs.page.shared import Shared
from pipeline.tabs.page.uploads import keep_uploads
from pipeline.web.addresses import link
from pipeline.workspace.workspace import Workspace


def draw_links(shared: Shared) -> None:
    """Draw the card and make it work."""
    with gr.Column(elem_classes="w-card", min_width=320):
        gr.HTML("<h4>A list of links</h4><p>Links to pictures, one a line, all of one class.</p>")
        links = gr.Textbox(label="Links", lines=3, placeholder="https://…", elem_id="collect-links", max_lines=12)
        label = gr.Textbox(label="Class they show", placeholder="grizzly", elem_id="collect-links-label")
        follow = gr.Button("Download", elem_id="collect-links-download")
    shared.job.launch(
        follow.click,
        lambda v: links_job(shared.open(v[shared.picker]), v[links] or "", v[label] or "", shared.workspaces.uploads()),
        {shared.picker, links, label},
    )


def links_job(workspace: Workspace, lines: str, label: str, place: Path | None = None) -> Job:
    """Start fetching the pictures of a list of links, all of one class; the list is kept in ``place``."""
    links = [text.strip() for text in re.split(r"[\r\n]|\s+(?=https?://)", lines) if text.strip()]
    if not links:
        raise UsageError("Paste at least one link to a picture, one a line.")
    for wrong in (text for text in links if link(text) is None):
        raise UsageError(f"'{wrong[:60]}' is no link to a picture: they begin with http:// or https://, one a line.")
    if not label.strip():
        raise UsageError("Say which class these pictures show, in the box below the links.")
    one_at_a_time(workspace)
    own = clean_label(label)
    table = io.StringIO()
    csv.writer(table).writerows([("url", "label"), *((link, own) for link in links)])
    file = keep_uploads((), place) / "links.csv"
    file.write_text(table.getvalue(), encoding="utf-8")
    return jobs.start(workspace, download, DownloadConfig(urls=str(file)))
