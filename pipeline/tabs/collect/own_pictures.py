"""The cards of Collect for pictures that are there already: ready-made sets, one's own files and folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from pipeline.collect.importing import ImportConfig, import_images
from pipeline.collect.ready_made import READY_MADE, ReadyMade
from pipeline.collect.sources import TABLE_SUFFIXES
from pipeline.collect.tables import names_files
from pipeline.errors import UsageError
from pipeline.images.formats import PICTURE_SUFFIXES
from pipeline.jobs import job as jobs
from pipeline.jobs.job import Job
from pipeline.tabs.collect.collected import one_at_a_time
from pipeline.tabs.page.component import component
from pipeline.tabs.page.job_panel import QUIET
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.show import count
from pipeline.tabs.page.uploads import KeptFolder, keep_folder, keep_uploads
from pipeline.workspace.workspace import Workspace

FILE_TYPES = ["image", ".zip", ".tar", ".tgz", ".gz", ".csv", ".tsv", ".jsonl"]
MOST_BYTES_FOR_VISITORS = 512 << 20


def import_job(workspace: Workspace, config: ImportConfig) -> Job:
    """Start importing. Raises UsageError while another collection runs here."""
    one_at_a_time(workspace)
    return jobs.start(workspace, import_images, config)


def upload_job(workspace: Workspace, files: Sequence[str] | None, told: ImportConfig, place: Path | None = None) -> Job:
    """Start importing uploaded files: one archive or table, or loose pictures. ``told`` says all but the source; they
    are kept in ``place``.
    """
    paths = [Path(file) for file in files or ()]
    if not paths:
        raise UsageError(
            "Choose files first: a folder, a zip with one folder per class, a CSV file, or pictures of one class."
        )
    one_at_a_time(workspace)
    pictures = all(path.suffix.lower() in PICTURE_SUFFIXES for path in paths)
    if pictures and not (told.label or told.label_regex):
        raise UsageError("Say which class these pictures show, in the box below them.")
    if not pictures and len(paths) > 1:
        raise UsageError("Take one zip or CSV file at a time, or only pictures.")
    if paths[0].suffix.lower() in TABLE_SUFFIXES and not told.local and names_files(paths[0]):
        raise UsageError(
            "This table names files of a machine. Send the pictures in a zip, or a table with a column 'url'."
        )
    kept = keep_uploads(paths, place)
    return import_job(workspace, replace(told, source=str(kept if pictures else kept / paths[0].name)))


# --- the cards -----------------------------------------------------------------------------------------------------


def draw_ready_made(shared: Shared) -> gr.Button:
    """Draw the card of ready-made sets and make it work; returns its first button."""
    with gr.Column(elem_classes="w-card", min_width=320):
        gr.HTML(
            "<h4>A ready-made set</h4><p>Photographs of fruit and vegetables in shops, already sorted. They come with "
            "Winnow and need no network.</p>"
        )
        starter = gr.Button("Use the starter set", variant="primary", elem_id="collect-starter")
        gr.HTML("<p>The same pictures with damage planted in them: broken files, duplicates, wrong classes.</p>")
        messy = gr.Button("Use the messy set", elem_id="collect-messy")

        chosen = gr.Dropdown(
            ready_made_choices(None if shared.local else MOST_BYTES_FOR_VISITORS),
            value=None,
            label="Or a well-known set from the internet",
            elem_id="collect-set",
            info="It is fetched from fast.ai's servers, so this needs the network, and time.",
        )
        get = gr.Button("Get this set", elem_id="collect-set-get")

    def take(values: Values, source: str | None) -> Job:
        if not source:
            raise UsageError("Choose a set from the list first.")
        return import_job(shared.open(values[shared.picker]), ImportConfig(source))

    launch, name = shared.job.launch, shared.picker
    launch(starter.click, lambda values: take(values, "starter"), {name})
    launch(messy.click, lambda values: take(values, "starter-messy"), {name})
    launch(get.click, lambda values: take(values, values[chosen]), {name, chosen})
    return starter


def ready_made_choices(most_bytes: int | None = None) -> list[tuple[str, str]]:
    """(name with its size, name) of the well-known sets with archives of at most ``most_bytes``, in order."""
    sets = ReadyMade()
    sizes = {name: sets.archive(name)[1] for name in sorted(READY_MADE)}
    return [
        (f"{name}, {size_in_words(size)}", name)
        for name, size in sizes.items()
        if most_bytes is None or size <= most_bytes
    ]


def size_in_words(size: int) -> str:
    """``3.2 MB``, ``811 MB``, ``5.7 GB``."""
    number, unit = (size / 1e9, "GB") if size >= 1e9 else (size / 1e6, "MB")
    return f"{number:.0f} {unit}" if number >= 10 else f"{number:.1f} {unit}"


@dataclass(frozen=True)
class _Own:
    """The widgets of the card for one's own pictures; ``sent`` is the folder that was sent, kept by the server."""

    files: gr.File
    folder: gr.HTML
    sent: gr.State
    path: gr.Textbox | None
    label: gr.Textbox
    regex: gr.Textbox
    separator: gr.Textbox
    take: gr.Button

    def job(self, shared: Shared, values: Values) -> Job:
        """Import from the one place the person chose. Raises UsageError where that is none, or more than one."""
        workspace = shared.open(values[shared.picker])
        label, regex = self._text(values, self.label), self._text(values, self.regex)
        separator = str(values[self.separator] or "") or None
        told = ImportConfig("", label, label_regex=regex, label_separator=separator, local=shared.local)
        sent: KeptFolder | None = values[self.sent]
        path = self._text(values, self.path)
        if sum(map(bool, (values[self.files], sent, path))) > 1:
            raise UsageError(
                "Choose one thing at a time: files, a folder to send, or a folder on this machine. Clear the others."
            )
        if sent or path:
            return import_job(workspace, replace(told, source=sent.path if sent else str(path)))
        return upload_job(workspace, values[self.files], told, shared.workspaces.uploads())

    def _text(self, values: Values, widget: gr.Textbox | None) -> str | None:
        return (str(values[widget] or "").strip() or None) if widget is not None else None


def draw_own(shared: Shared) -> None:
    """Draw the card for one's own pictures and make it work."""
    with gr.Column(elem_classes="w-card", min_width=320):
        gr.HTML(
            "<h4>Your own pictures</h4><p>A folder or a zip with one folder per class, a CSV file, or loose pictures "
            "of one class. Your files stay as they are; Winnow works on copies.</p>"
        )
        folder = component(Path(__file__).parents[1] / "page" / "folder", "collect-folder")
        files = gr.File(
            file_count="multiple",
            file_types=FILE_TYPES,
            height=140,
            show_label=False,
            elem_id="collect-files",
            elem_classes="w-upload",
        )
        path = None
        if shared.local:
            path = gr.Textbox(
                label="Or a folder, zip or CSV file on this machine",
                placeholder="/home/me/bears",
                elem_id="collect-path",
            )
        label = gr.Textbox(
            label="Class of these pictures", placeholder="only for loose pictures", elem_id="collect-label"
        )
        with gr.Accordion("More options", open=False, elem_id="collect-import-options"):
            regex = gr.Textbox(
                label="Class from the file name (regular expression)",
                placeholder=r"^(.+)_\d+",
                elem_id="collect-regex",
                info="What the first brackets match is the class: great_pyrenees_173.jpg is 'great_pyrenees'.",
            )
            separator = gr.Textbox(
                label="Between several classes of one picture, in a CSV file",
                placeholder=";",
                max_length=5,
                elem_id="collect-separator",
                info="Left empty, only a column 'labels' holds several: 'dog;person' or 'dog person'.",
            )
        take = gr.Button("Import", elem_id="collect-import")
    _wire(shared, _Own(files, folder, gr.State(None), path, label, regex, separator, take))


def _wire(shared: Shared, own: _Own) -> None:
    @translate
    def keep(event: gr.EventData) -> tuple[KeptFolder, str]:
        arrived = keep_folder(event._data.get("files"), Path(get_upload_folder()), shared.workspaces.uploads())
        return arrived, folder_in_words(arrived, event._data.get("lost"))

    kept = [own.sent, own.folder]
    own.folder.sent(keep, None, kept, **QUIET)
    own.folder.forget(lambda: (None, ""), None, kept, **QUIET)
    inputs = {shared.picker, own.files, own.sent, own.label, own.regex, own.separator}
    started = shared.job.launch(
        own.take.click,
        lambda values: own.job(shared, values),
        inputs | ({own.path} if own.path is not None else set()),
    )
    started.success(lambda: (None, ""), None, kept, **QUIET)


def folder_in_words(kept: KeptFolder, lost: Any) -> str:
    """What came of a folder that was sent, and what to do next."""
    missing = kept.refused + (lost if isinstance(lost, int) and lost > 0 else 0)
    left = f" {count(missing, 'file')} could not be sent." if missing else ""
    return f"{count(kept.files, 'file')} here.{left} Press Import to take them in."
