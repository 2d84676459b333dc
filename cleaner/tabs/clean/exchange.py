"""What a person takes along from the Clean tab: the cleaned set, the decisions, what changed; and what they bring."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from huggingface_hub import HfApi

from cleaner.clean.replay import Replayed, export_decisions, replay
from pipeline.dataset.changes import changes
from pipeline.dataset.export import DatasetConfig, export_dataset, last_dataset
from pipeline.deploy.hub_dataset import SendConfig, licences, licences_in_words, send_dataset
from pipeline.errors import UsageError
from pipeline.jobs import job as jobs
from pipeline.jobs.job import Job
from pipeline.jobs.stages import StageName
from pipeline.stage import Progress
from pipeline.stage import run as drive
from pipeline.tabs.deploy.tab import TOKEN_NEEDED, token_for
from pipeline.tabs.page.component import View
from pipeline.tabs.page.downloads import click_on, place_of, zipped
from pipeline.tabs.page.job_panel import PRIVATE
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.show import count, escape, heading, table
from pipeline.workspace.workspace import Workspace

LAYOUTS = [
    ("class folders (ImageFolder)", "folders"),
    ("labels.csv and images", "csv"),
    ("Hugging Face imagefolder (metadata.csv)", "metadata"),
    ("Hugging Face Parquet files", "parquet"),
]
NAMES = [
    ("keep sub-folders", "keep_folders"),
    ("anonymous file names", "anonymous_names"),
]
MOST_SHOWN = 50
NOT_FROM_HERE = (
    "This is a public demo: it takes no token. Download the set, and send it from a machine of your own "
    "(python cli.py send-dataset FOLDER NAME)."
)


def decisions_file(workspace: Workspace, cache: Path) -> Path:
    """The journal as a CSV file below ``cache``, for downloading."""
    file = place_of(workspace.root, cache) / f"{workspace.name}-decisions.csv"
    return Path(export_decisions(workspace, file).file)


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


def changes_file(workspace: Workspace, cache: Path) -> Path:
    """What is not as it was imported, as a CSV file below ``cache``, for downloading."""
    file = place_of(workspace.root, cache) / f"{workspace.name}-changes.csv"
    changes(workspace, file)
    return file


def dataset_job(workspace: Workspace, layout: str, names: Sequence[str] = ()) -> Job:
    """Start writing the cleaned set into a new folder of the workspace's exports; ``names``: some of NAMES."""
    if jobs.running(workspace, StageName.DATASET):
        raise UsageError("The set is being written already; see above.")
    out = workspace.exports / f"dataset-{layout}-{time.strftime('%Y%m%d-%H%M%S')}"
    return jobs.start(workspace, export_dataset, DatasetConfig(str(out), layout, **dict.fromkeys(names, True)))


def dataset_view(folder: Path | None, local: bool) -> str:
    """Where the newest set lies, as HTML; its path is for people of this machine only."""
    if folder is None:
        return ""
    files = sum(file.is_file() for file in folder.rglob("*"))
    where = f" in <code>{escape(folder)}</code>" if local else f": {escape(folder.name)}"
    return f'<p class="w-good">Written: {count(files, "file")}{where}</p>'


def send(config: SendConfig, token: str | None, show: Callable[[Progress], None], hub: Callable[[], HfApi]) -> str:
    """Send an exported set to Hugging Face; returns what to say, as HTML. Raises DeployError."""
    sent = drive(send_dataset(config, token, hub), show)
    link = f'<a href="{escape(sent.url)}" target="_blank" rel="noopener noreferrer">{escape(sent.url)}</a>'
    who = "Everybody may see it" if sent.public else "You alone see it"
    return f'<p class="w-good">It is there: {link}. {who}.</p>'


def build_exchange(
    tab: gr.Tab,
    shared: Shared,
    queue: gr.HTML,
    inputs: set[Any],
    refreshed: Callable[[Values], View],
    hub: Callable[[], HfApi] = HfApi,
) -> None:
    """Draw the buttons and wire them; ``refreshed`` gives the queue's view as it is then."""
    heading("Take it with you")
    with gr.Row(elem_classes="w-fields"):
        layout = gr.Dropdown(LAYOUTS, value="folders", label="The cleaned set as", elem_id="clean-layout")
    names = gr.CheckboxGroup(
        NAMES,
        label="File names",
        info="They stay as they were; names and folders may tell about people.",
        elem_id="clean-names",
    )
    with gr.Row(elem_classes="w-fields"):
        export = gr.Button("Export the cleaned set", elem_id="clean-dataset", size="lg")
        save = gr.Button("Decisions as CSV", elem_id="clean-csv", size="lg")
        differ = gr.Button("What changed, as CSV", elem_id="clean-changes", size="lg")
        load = gr.UploadButton(
            "Import decisions", file_types=[".csv"], elem_id="clean-replay", size="lg", type="filepath"
        )
    written = gr.HTML(elem_id="clean-written")
    with gr.Row(elem_classes="w-buttons"):
        pack = gr.Button("Download the set as zip", visible=False, elem_id="clean-zip", size="sm")
        file = gr.DownloadButton("Download", visible=False, elem_id="clean-download", size="sm")
    told = gr.HTML(elem_id="clean-replayed")
    sending = build_sending(shared, hub)

    def fill(name: str) -> list[Any]:
        folder = last_dataset(shared.open(name))
        form = gr.Column(visible=folder is not None and not shared.limits)
        claimed = f'<p class="w-hint">{escape(licences_in_words(licences(folder)))}</p>' if folder else ""
        return [dataset_view(folder, shared.local), gr.Button(visible=folder is not None), form, claimed]

    @translate
    def csv(name: str) -> Any:
        made = decisions_file(shared.open(name), shared.workspaces.outgoing())
        return gr.DownloadButton(f"Download {made.name}", value=str(made), visible=True)

    @translate
    def differences(name: str) -> Any:
        made = changes_file(shared.open(name), shared.workspaces.outgoing())
        return gr.DownloadButton(f"Download {made.name}", value=str(made), visible=True)

    @translate
    def archive(name: str) -> Any:
        workspace = shared.open(name)
        folder = last_dataset(workspace)
        if folder is None:
            raise UsageError("There is no exported set any more. Export it once more.")
        files = {
            f"{folder.name}/{file.relative_to(folder).as_posix()}": file
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        }
        target = place_of(workspace.root, shared.workspaces.outgoing()) / f"{workspace.name}-{folder.name}.zip"
        made = zipped(files, target, folder.stat().st_mtime)
        return gr.DownloadButton(f"Download {made.name}", value=str(made), visible=True)

    @translate
    def come_in(values: Values) -> tuple[str, View]:
        done = replay(shared.open(values[shared.picker]), Path(str(values[load])))
        return replayed_view(done), refreshed(values)

    shared.watch(tab, fill, [written, pack, *sending])
    shared.job.launch(
        export.click,
        lambda values: dataset_job(shared.open(values[shared.picker]), values[layout], values[names] or ()),
        {shared.picker, layout, names},
    )
    for button, make in ((save, csv), (differ, differences), (pack, archive)):
        made = button.click(make, shared.picker, file, **{**PRIVATE, "show_progress": "minimal"})
        made.success(None, None, None, js=click_on("clean-download"))
    load.upload(come_in, {*inputs, load}, [told, queue], concurrency_id="decide", concurrency_limit=1, **PRIVATE)


def build_sending(shared: Shared, hub: Callable[[], HfApi]) -> list[Any]:
    """Draw the form that sends the newest set to Hugging Face, and wire it; returns the form and what it says of
    licences.
    """
    with (
        gr.Column(visible=False, elem_id="clean-sending") as form,
        gr.Accordion("Send the set to Hugging Face", open=False),
    ):
        claimed = gr.HTML(elem_id="clean-licences")
        gr.HTML(TOKEN_NEEDED)
        with gr.Row():
            repo = gr.Textbox(
                label="Name of the data set", placeholder="your-name/bears", elem_id="clean-repo", min_width=260
            )
            token = gr.Textbox(
                label="Token",
                type="password",
                elem_id="clean-token",
                min_width=260,
                placeholder="used once, never kept" + ("; empty: HF_TOKEN" if token_for(shared, "") else ""),
            )
        public = gr.Checkbox(label="Public: everybody may see it (else you alone)", elem_id="clean-public")
        accept = gr.Checkbox(
            label="I looked at the licences above, and may publish these pictures", elem_id="clean-accept"
        )
        push = gr.Button("Send to Hugging Face", variant="primary", elem_id="clean-push")
        sent = gr.HTML(elem_id="clean-sent")

    @translate
    def push_now(
        name: str,
        repo_id: str,
        everybody: bool,
        accepted: bool,
        secret: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - Gradio looks for it there
    ) -> tuple[str, str]:
        if shared.limits:
            raise UsageError(NOT_FROM_HERE)
        folder = last_dataset(shared.open(name))
        if folder is None:
            raise UsageError("There is no exported set any more. Export it once more.")
        if everybody and not accepted:
            raise UsageError("Look at the licences that the pictures claim, and tick that you may publish them.")

        def show(step: Progress) -> None:
            progress((step.done, step.total), desc=step.note)

        config = SendConfig(str(folder), repo_id.strip(), everybody, accepted)
        return send(config, token_for(shared, secret), show, hub), ""

    push.click(
        push_now,
        [shared.picker, repo, public, accept, token],
        [sent, token],
        api_visibility="private",
        show_progress_on=sent,
    )
    return [form, claimed]
