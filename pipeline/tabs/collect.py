"""Collect: pictures from a ready-made set, one's own files, a web search or a list of links."""

from __future__ import annotations

import csv
import io
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline import jobs
from pipeline.download import DownloadConfig, download, waiting
from pipeline.errors import UsageError
from pipeline.importing import ImportConfig, import_images
from pipeline.jobs import Job
from pipeline.search import SearchConfig, providers, search
from pipeline.sources import PICTURE_SUFFIXES, clean_label
from pipeline.tabs.collected import candidates_view, overview, sample
from pipeline.tabs.shared import Shared, Values
from pipeline.tabs.show import count, guide, heading, pictures_html
from pipeline.workspace import Workspace

UPLOADS = "winnow-upload-"
KEEP_UPLOADS_SECONDS = 86_400


def import_job(workspace: Workspace, source: str, label: str | None = None) -> Job:
    """Start importing ``source``. Raises UsageError while another import runs here."""
    _one_at_a_time(workspace)
    return jobs.start(workspace, import_images, ImportConfig(source, label))


def upload_job(workspace: Workspace, files: Sequence[str] | None, label: str, local: bool) -> Job:
    """Start importing uploaded files: one archive or table, or loose pictures of one class."""
    paths = [Path(file) for file in files or ()]
    if not paths:
        raise UsageError("Choose files first: a zip with one folder per class, a CSV file, or pictures of one class.")
    _one_at_a_time(workspace)
    pictures = all(path.suffix.lower() in PICTURE_SUFFIXES for path in paths)
    if pictures and not label.strip():
        raise UsageError("Say which class these pictures show, in the box below them.")
    if not pictures and len(paths) > 1:
        raise UsageError("Take one zip or CSV file at a time, or only pictures.")
    if paths[0].suffix.lower() == ".csv" and not local:
        _refuse_paths(paths[0])
    kept = keep_uploads(paths)
    return import_job(workspace, str(kept if pictures else kept / paths[0].name), label.strip() or None)


def _refuse_paths(table: Path) -> None:
    with table.open(encoding="utf-8-sig", errors="replace") as file:
        names = [name.strip().strip('"').lower() for name in file.readline(4096).split(",")]
    if "path" in names:
        raise UsageError(
            "This table names files of a machine. Send the pictures in a zip, or a table with a column 'url'."
        )


def keep_uploads(files: Sequence[Path]) -> Path:
    """A folder with the uploaded files (of a day at most), so that an interrupted import can go on after a restart."""
    _forget_old_uploads()
    folder = Path(tempfile.mkdtemp(prefix=UPLOADS))
    for number, file in enumerate(files):
        target = folder / file.name
        target = folder / f"{number}-{file.name}" if target.exists() else target
        try:
            os.link(file, target)
        except OSError:  # another disk
            shutil.copy2(file, target)
    return folder


def _forget_old_uploads() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{UPLOADS}*"):
        if time.time() - folder.stat().st_mtime > KEEP_UPLOADS_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def search_job(workspace: Workspace, lines: str, maximum: int, provider: str) -> Job:
    """Start a search from lines ``class = what to search for``."""
    _one_at_a_time(workspace)
    return jobs.start(workspace, search, SearchConfig(tuple(wanted_classes(lines)), int(maximum or 0), provider))


def wanted_classes(lines: str) -> Iterator[tuple[str, str]]:
    """(class, query) from lines ``class = query`` or just ``class``. Raises UsageError where there is none."""
    rows = [line.strip() for line in lines.splitlines() if line.strip()]
    if not rows:
        raise UsageError("Write at least one class into the box, one a line, like: grizzly bear")
    for row in rows:
        label, _, query = row.partition("=")
        yield clean_label(label), query.strip() or label.strip()


def download_job(workspace: Workspace) -> Job:
    """Start fetching what the search found. Raises UsageError where there is nothing to fetch."""
    _one_at_a_time(workspace)
    if not waiting(workspace):
        raise UsageError("There is nothing to download yet. Search for pictures first.")
    return jobs.start(workspace, download, DownloadConfig())


def links_job(workspace: Workspace, lines: str, label: str) -> Job:
    """Start fetching the pictures of a list of links, all of one class."""
    links = lines.split()
    if not links:
        raise UsageError("Paste at least one link to a picture, one a line.")
    _one_at_a_time(workspace)
    own = clean_label(label or "")
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerows([("url", "label"), *((link, own) for link in links)])
    folder = keep_uploads(())
    file = folder / "links.csv"
    file.write_text(table.getvalue(), encoding="utf-8")
    return jobs.start(workspace, download, DownloadConfig(urls=str(file)))


def _one_at_a_time(workspace: Workspace) -> None:
    busy = next((job for job in jobs.list_jobs(workspace) if job.active and job.stage in _COLLECTING), None)
    if busy:
        raise UsageError("Pictures are being collected already. Wait until that is done, or cancel it above.")


_COLLECTING = ("import_images", "search", "download")


# --- the tab -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Widgets:
    """Every widget the doors need."""

    starter: gr.Button
    messy: gr.Button
    files: gr.File
    label: gr.Textbox
    path: gr.Textbox | None
    take: gr.Button
    classes: gr.Textbox
    maximum: gr.Slider
    provider: gr.Dropdown
    find: gr.Button
    found: gr.HTML
    fetch: gr.Button
    links: gr.Textbox
    link_label: gr.Textbox
    follow: gr.Button


def build(tab: gr.Tab, shared: Shared) -> None:
    """Draw the tab, then wire it."""
    guide("Bring in pictures of the things you want to tell apart. 30 of each is a good start.")
    with gr.Row(elem_classes="w-split"):
        with gr.Column(scale=2, min_width=280):
            summary = gr.HTML(elem_id="collect-summary")
        with gr.Column(scale=3, min_width=320):
            pictures = pictures_html("collect-pictures")
    heading("Add pictures")
    with gr.Row(elem_classes="w-cards"):
        with gr.Column(min_width=320, elem_classes="w-stack"):
            starter, messy = _draw_ready_made()
            search_widgets = _draw_search()
        with gr.Column(min_width=320, elem_classes="w-stack"):
            files, label, path, take = _draw_own(shared.local)
            link_widgets = _draw_links()
    widgets = _Widgets(starter, messy, files, label, path, take, *search_widgets, *link_widgets)
    _wire(shared, widgets)

    def view(name: str) -> tuple[str, str, str, Any, Any]:
        workspace = shared.open(name)
        number = waiting(workspace)
        fetch = gr.Button(f"Download {count(number, 'picture')}", visible=number > 0)
        first = gr.Button(variant="primary" if workspace.store.images().empty else "secondary")
        return overview(workspace), sample(workspace), candidates_view(workspace), fetch, first

    shared.watch(tab, view, [summary, pictures, widgets.found, widgets.fetch, starter])


def _draw_ready_made() -> tuple[gr.Button, gr.Button]:
    with gr.Column(elem_classes="w-card", min_width=320):
        gr.HTML(
            "<h4>A ready-made set</h4><p>Photographs of fruit and vegetables in shops, already sorted. They come with "
            "Winnow and need no network.</p>"
        )
        starter = gr.Button("Use the starter set", variant="primary", elem_id="collect-starter")
        gr.HTML("<p>The same pictures with damage planted in them: broken files, duplicates, wrong classes.</p>")
        messy = gr.Button("Use the messy set", elem_id="collect-messy")
    return starter, messy


def _draw_own(local: bool) -> tuple[gr.File, gr.Textbox, gr.Textbox | None, gr.Button]:
    with gr.Column(elem_classes="w-card", min_width=320):
        gr.HTML(
            "<h4>Your own pictures</h4><p>A zip with one folder per class, a CSV file, or loose pictures of one class. "
            "Your files stay as they are; Winnow works on copies.</p>"
        )
        files = gr.File(
            file_count="multiple", file_types=["image", ".zip", ".tar", ".tgz", ".gz", ".csv"], height=120,
            show_label=False, elem_id="collect-files", elem_classes="w-upload",
        )  # fmt: skip
        label = gr.Textbox(
            label="Class of these pictures", placeholder="only for loose pictures", elem_id="collect-label"
        )
        path = None
        if local:
            path = gr.Textbox(label="Or a folder on this machine", placeholder="/home/me/bears", elem_id="collect-path")
        take = gr.Button("Import", elem_id="collect-import")
    return files, label, path, take


def _draw_search() -> tuple[gr.Textbox, gr.Slider, gr.Dropdown, gr.Button, gr.HTML, gr.Button]:
    with gr.Column(elem_classes="w-card", min_width=320):
        gr.HTML("<h4>Search the web</h4><p>One class a line. After = you may say what to search for.</p>")
        classes = gr.Textbox(
            label="Classes", lines=4, elem_id="collect-classes",
            placeholder="grizzly = grizzly bear in the wild\nblack bear\nteddy = teddy bear",
        )  # fmt: skip
        with gr.Row():
            maximum = gr.Slider(10, 200, 60, step=10, label="Pictures of each", elem_id="collect-maximum")
            names = sorted(providers())
            provider = gr.Dropdown(
                names, value=names[0], label="Search engine", elem_id="collect-provider", min_width=140
            )
        find = gr.Button("Find pictures", elem_id="collect-find")
        found = gr.HTML(elem_id="collect-found")
        fetch = gr.Button("Download them", variant="primary", visible=False, elem_id="collect-download")
    return classes, maximum, provider, find, found, fetch


def _draw_links() -> tuple[gr.Textbox, gr.Textbox, gr.Button]:
    with gr.Column(elem_classes="w-card", min_width=320):
        gr.HTML("<h4>A list of links</h4><p>Links to pictures, one a line, all of one class.</p>")
        links = gr.Textbox(label="Links", lines=4, placeholder="https://…", elem_id="collect-links", max_lines=12)
        label = gr.Textbox(label="Class they show", placeholder="grizzly", elem_id="collect-links-label")
        follow = gr.Button("Download", elem_id="collect-links-download")
    return links, label, follow


def _wire(shared: Shared, w: _Widgets) -> None:
    def here(values: Values) -> Workspace:
        return shared.open(values[shared.picker])

    def text(values: Values, widget: gr.Textbox | None) -> str:
        return str(values[widget] or "").strip() if widget is not None else ""

    def own(values: Values) -> Job:
        folder, label = text(values, w.path), text(values, w.label)
        if folder and not values[w.files]:
            return import_job(here(values), folder, label or None)
        return upload_job(here(values), values[w.files], label, shared.local)

    def find(values: Values) -> Job:
        return search_job(here(values), text(values, w.classes), values[w.maximum], values[w.provider])

    def follow(values: Values) -> Job:
        return links_job(here(values), text(values, w.links), text(values, w.link_label))

    launch, name = shared.job.launch, shared.picker
    launch(w.starter.click, lambda v: import_job(here(v), "starter"), {name})
    launch(w.messy.click, lambda v: import_job(here(v), "starter-messy"), {name})
    launch(w.take.click, own, {name, w.files, w.label} | ({w.path} if w.path is not None else set()))
    launch(w.find.click, find, {name, w.classes, w.maximum, w.provider})
    launch(w.fetch.click, lambda v: download_job(here(v)), {name})
    launch(w.follow.click, follow, {name, w.links, w.link_label})
