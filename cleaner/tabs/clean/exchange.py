"""What leaves the Clean tab and comes back: decisions as a CSV file, and the cleaned set as a folder for others."""

from __future__ import annotations

import hashlib
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from cleaner.clean.replay import Replayed, export_decisions, replay
from cleaner.tabs.clean.queue import View
from pipeline.dataset.export import DatasetConfig, export_dataset
from pipeline.errors import UsageError
from pipeline.jobs import job as jobs
from pipeline.jobs.job import Job
from pipeline.jobs.stages import StageName
from pipeline.tabs.page.job_panel import running
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.show import count, escape, heading, table
from pipeline.workspace.workspace import Workspace, writing

LAYOUTS = [
    ("class folders (ImageFolder)", "folders"),
    ("labels.csv and images", "csv"),
    ("Hugging Face imagefolder (metadata.csv)", "metadata"),
]
MOST_SHOWN = 50
DOWNLOAD = "() => setTimeout(() => document.querySelector('#{0} a, a#{0}, #{0}')?.click(), 300)"


def decisions_file(workspace: Workspace, cache: Path) -> Path:
    """The journal as a CSV file below ``cache``, for downloading."""
    return Path(export_decisions(workspace, _place(workspace, cache) / f"{workspace.name}-decisions.csv").file)


def replayed_view(done: Replayed) -> str:
    """What became of a file of decisions, as HTML."""
    told = f'<p class="{"w-good" if not done.conflicts else "w-warn"}">{escape(done.words)}</p>'
    rows = [(conflict.line or "", conflict.image[:12], conflict.reason) for conflict in done.conflicts[:MOST_SHOWN]]
    if rows:
        told += table(("line", "image", "why it was not done"), rows, caption="In conflict")
    if done.unknown:
        some = ", ".join(image[:12] for image in done.unknown[:8])
        told += f'<p class="w-hint">Not here: {escape(some)}{" …" if len(done.unknown) > 8 else ""}</p>'
    return told


def dataset_job(workspace: Workspace, layout: str) -> Job:
    """Start writing the cleaned set into a new folder of the workspace's exports."""
    if running(workspace, StageName.DATASET):
        raise UsageError("The set is being written already; see above.")
    out = workspace.exports / f"dataset-{layout}-{time.strftime('%Y%m%d-%H%M%S')}"
    return jobs.start(workspace, export_dataset, DatasetConfig(str(out), layout))


def last_dataset(workspace: Workspace) -> Path | None:
    """The folder of the newest set that was written here and is still there."""
    done = (job for job in jobs.list_jobs(workspace) if job.stage == "export_dataset" and job.status == "done")
    folders = (Path(job.config["out"]) for job in done)
    return next((folder for folder in folders if folder.parent == workspace.exports and folder.is_dir()), None)


def dataset_view(folder: Path | None, local: bool) -> str:
    """Where the newest set lies, as HTML; its path is for people of this machine only."""
    if folder is None:
        return ""
    files = sum(file.is_file() for file in folder.rglob("*"))
    where = f" in <code>{escape(folder)}</code>" if local else f": {escape(folder.name)}"
    return f'<p class="w-good">Written: {count(files, "file")}{where}</p>'


def zipped(workspace: Workspace, folder: Path, cache: Path) -> Path:
    """The set as a zip file below ``cache``; pictures are not compressed once more."""
    target = _place(workspace, cache) / f"{workspace.name}-{folder.name}.zip"
    if not target.exists():
        with writing(target, durable=False) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                archive.write(file, f"{folder.name}/{file.relative_to(folder).as_posix()}")
    return target


def _place(workspace: Workspace, cache: Path) -> Path:
    return cache / hashlib.sha256(str(workspace.root).encode()).hexdigest()[:16]


def build_exchange(
    tab: gr.Tab, shared: Shared, queue: gr.HTML, inputs: set[Any], refreshed: Callable[[Values], View]
) -> None:
    """Draw the buttons and wire them; ``refreshed`` gives the queue's view as it is then."""
    heading("Take it with you")
    with gr.Row(elem_classes="w-fields"):
        layout = gr.Dropdown(LAYOUTS, value="folders", label="The cleaned set as", elem_id="clean-layout")
        export = gr.Button("Export the cleaned set", elem_id="clean-dataset", size="lg")
        save = gr.Button("Decisions as CSV", elem_id="clean-csv", size="lg")
        load = gr.UploadButton(
            "Import decisions", file_types=[".csv"], elem_id="clean-replay", size="lg", type="filepath"
        )
    written = gr.HTML(elem_id="clean-written")
    with gr.Row(elem_classes="w-buttons"):
        pack = gr.Button("Download the set as zip", visible=False, elem_id="clean-zip", size="sm")
        file = gr.DownloadButton("Download", visible=False, elem_id="clean-download", size="sm")
    told = gr.HTML(elem_id="clean-replayed")
    cache = Path(file.GRADIO_CACHE)

    def fill(name: str) -> list[Any]:
        folder = last_dataset(shared.open(name))
        return [dataset_view(folder, shared.local), gr.Button(visible=folder is not None)]

    @translate
    def csv(name: str) -> Any:
        made = decisions_file(shared.open(name), cache)
        return gr.DownloadButton(f"Download {made.name}", value=str(made), visible=True)

    @translate
    def archive(name: str) -> Any:
        workspace = shared.open(name)
        folder = last_dataset(workspace)
        if folder is None:
            raise UsageError("There is no exported set any more. Export it once more.")
        made = zipped(workspace, folder, cache)
        return gr.DownloadButton(f"Download {made.name}", value=str(made), visible=True)

    @translate
    def come_in(values: Values) -> tuple[str, View]:
        done = replay(shared.open(values[shared.picker]), Path(str(values[load])))
        return replayed_view(done), refreshed(values)

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    shared.watch(tab, fill, [written, pack])
    shared.job.launch(
        export.click,
        lambda values: dataset_job(shared.open(values[shared.picker]), values[layout]),
        {shared.picker, layout},
    )
    for button, make in ((save, csv), (pack, archive)):
        made = button.click(make, shared.picker, file, **{**quiet, "show_progress": "minimal"})
        made.success(None, None, None, js=DOWNLOAD.format("clean-download"))
    load.upload(come_in, {*inputs, load}, [told, queue], concurrency_id="decide", concurrency_limit=1, **quiet)
