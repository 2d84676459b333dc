"""Deploy: a run -> a folder that is a complete prediction app, to download or to send to Hugging Face."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from huggingface_hub import HfApi

from pipeline import jobs
from pipeline.deploy import DeployConfig, deploy, read_space
from pipeline.errors import DeployError, PipelineError, UsageError
from pipeline.export import ExportConfig, export
from pipeline.jobs import Job
from pipeline.limits import Limits
from pipeline.runs import Run, load_run
from pipeline.stage import Progress
from pipeline.stage import run as drive
from pipeline.tabs.choose_run import draw_run_list, refreshed
from pipeline.tabs.job_panel import running
from pipeline.tabs.shared import Shared, Values, translate
from pipeline.tabs.show import count, empty, escape, facts, guide, heading, table
from pipeline.workspace import Workspace, writing

BEFORE_SENDING = (
    "<p>You need a Hugging Face account and a token that may write. Hugging Face asks for a subscription (PRO, Team or "
    "Enterprise) before it makes a <b>new</b> Space that runs an app, and refuses with “402” without one; "
    "updating a Space that you have already needs none. The folder also runs on any machine: "
    "<code>pip install -r requirements.txt &amp;&amp; python app.py</code></p>"
)

NOT_FROM_HERE = (
    "A token should not be typed into a public demo: download the folder, and send it to Hugging Face from a machine "
    "of your own."
)


def space_folder(workspace: Workspace, run: Run) -> Path:
    """Where the Space folder of a run is made."""
    return workspace.exports / f"{run.id}-space"


def export_job(workspace: Workspace, run_id: str | None, examples: int) -> Job:
    """Start making the Space folder of a run (None: the newest), with so many example pictures."""
    run = load_run(workspace, run_id or None)
    if running(workspace, "export"):
        raise UsageError("A folder is being made already; see above.")
    out = str(space_folder(workspace, run))
    return jobs.start(workspace, export, ExportConfig(run.id, out, space=True, examples=int(examples or 0)))


def contents(workspace: Workspace, run: Run) -> str:
    """What is in the Space folder of a run, and how it was checked, as HTML; empty where there is none."""
    folder = space_folder(workspace, run)
    if not folder.is_dir():
        return ""
    sizes = read_space(folder).sizes
    numbers = [("files", f"{len(sizes):,}"), ("to send", f"{sum(sizes.values()) / 1e6:.1f} MB")]
    rows = [(name, _size(size)) for name, size in sizes.items()]
    return facts(numbers) + _parity(workspace, folder) + table(("file", "size"), rows, numbers=(1,))


def _size(number: int) -> str:
    return f"{number / 1e6:.1f} MB" if number >= 1e6 else f"{max(number / 1e3, 0.1):.1f} kB"


def _parity(workspace: Workspace, folder: Path) -> str:
    parity = next((p for job in jobs.list_jobs(workspace) if (p := _measured(job, folder))), None)
    if parity is None:
        return ""
    sentence = (
        f"Checked: a fresh process without Winnow gives the same probabilities on {count(parity['images'], 'picture')} "
        f"(largest difference {parity['max_difference']:.1g})."
    )
    return f'<p class="w-good">{escape(sentence)}</p>'


def _measured(job: Job, folder: Path) -> Mapping[str, Any] | None:
    if job.stage != "export" or job.status != "done" or Path(job.config["out"]) != folder:
        return None
    parity: Mapping[str, Any] | None = (job.result or {}).get("parity")
    return parity


def zipped(folder: Path, cache: Path) -> Path:
    """The Space folder as a zip file below ``cache``, made again where the folder is newer."""
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    target = cache / name / f"{folder.name}.zip"
    newest = max(file.stat().st_mtime for file in folder.rglob("*"))
    if not target.exists() or target.stat().st_mtime < newest:
        with writing(target) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            for file in sorted(read_space(folder).sizes):
                archive.write(folder / file, f"{folder.name}/{file}")
    return target


def send(
    config: DeployConfig, token: str | None, show: Callable[[Progress], None], hub: Callable[[], HfApi] = HfApi
) -> str:
    """Send a Space folder to Hugging Face; returns what to say, as HTML. Raises DeployError."""
    if not Path(config.folder).is_dir():
        raise DeployError("Make the Space folder first, with the button above.")
    deployed = drive(deploy(config, token, hub), show)
    link = f'<a href="{escape(deployed.url)}" target="_blank" rel="noopener noreferrer">{escape(deployed.url)}</a>'
    return f'<p class="w-good">It is there: {link}. Hugging Face needs a few minutes to start it.</p>'


# --- the tab -------------------------------------------------------------------------------------------------------


def build(tab: gr.Tab, shared: Shared, hub: Callable[[], HfApi] = HfApi) -> None:
    """Draw the tab, then wire it."""
    guide("Turn a model into a small app of its own that anybody can open in a browser.")
    notice = gr.HTML(elem_id="deploy-notice")
    with gr.Column() as body:
        with gr.Row():
            run = draw_run_list("deploy-run")
            examples = gr.Slider(
                0, 8, 4, step=1, label="Example pictures", elem_id="deploy-examples", min_width=260,
                info="for visitors to try; they become public with the app",
            )  # fmt: skip
        make = gr.Button("Make the Space folder", variant="primary", elem_id="deploy-export")
        listing = gr.HTML(elem_id="deploy-files")
        download = gr.DownloadButton("Download as zip", visible=False, elem_id="deploy-download")
        with gr.Column(visible=False) as form:
            heading("Send it to Hugging Face")
            gr.HTML(BEFORE_SENDING)
            with gr.Row():
                repo = gr.Textbox(
                    label="Name of the Space", placeholder="your-name/bears", elem_id="deploy-repo", min_width=260
                )
                token = gr.Textbox(
                    label="Token", type="password", elem_id="deploy-token", min_width=260,
                    placeholder="used once, never kept" + ("; empty: HF_TOKEN" if _token(shared, "") else ""),
                )  # fmt: skip
            private = gr.Checkbox(label="Private: only you can open it", elem_id="deploy-private")
            push = gr.Button("Send to Hugging Face", variant="primary", elem_id="deploy-push")
            sent = gr.HTML(elem_id="deploy-result")
    outputs = [notice, body, run, listing, download, form]

    def view(name: str, chosen: str | None) -> list[Any]:
        return _view(shared.open(name), chosen, Path(download.GRADIO_CACHE))

    def start(values: Values) -> Job:
        return export_job(shared.open(values[shared.picker]), values[run], values[examples])

    @translate
    def push_now(
        name: str,
        chosen: str,
        repo_id: str,
        hidden: bool,
        secret: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - Gradio looks for it there
    ) -> tuple[str, str]:
        workspace = _may_send(shared.open(name))
        folder = space_folder(workspace, load_run(workspace, chosen or None))
        config = DeployConfig(str(folder), repo_id.strip(), hidden)
        return send(config, _token(shared, secret), lambda step: _tell(progress, step), hub), ""

    shared.job.launch(make.click, start, {shared.picker, run, examples})
    run.input(translate(view), [shared.picker, run], outputs, api_visibility="private", show_progress="hidden")
    push.click(
        push_now,
        [shared.picker, run, repo, private, token],
        [sent, token],
        api_visibility="private",
        show_progress_on=sent,
    )
    shared.watch(tab, view, outputs, run)


def _may_send(workspace: Workspace) -> Workspace:
    """The same workspace. Raises UsageError in a public demo."""
    if Limits.of(workspace):
        raise UsageError(NOT_FROM_HERE)
    return workspace


def _tell(progress: gr.Progress, step: Progress) -> None:
    progress((step.done, step.total), desc=step.note)


def _token(shared: Shared, typed: str) -> str | None:
    """The token for this one call; the machine's own is only for people of this machine."""
    return typed.strip() or (os.environ.get("HF_TOKEN") if shared.local else None)


def _view(workspace: Workspace, chosen: str | None, cache: Path) -> list[Any]:
    runs = refreshed(workspace, chosen)
    if runs is None:
        notice = empty("Nothing to deploy yet", "Train a model first; then it can go online from here.")
        return [notice, gr.Column(visible=False), gr.skip(), "", *_hidden()]
    dropdown, now = runs
    run = load_run(workspace, now)
    folder = space_folder(workspace, run)
    try:
        listing = contents(workspace, run)
    except PipelineError as error:
        return ["", gr.Column(visible=True), dropdown, f'<p class="w-warn">{escape(error)}</p>', *_hidden()]
    if not listing:
        return ["", gr.Column(visible=True), dropdown, "", *_hidden()]
    file = gr.DownloadButton(value=str(zipped(folder, cache)), visible=True)
    if Limits.of(workspace):
        listing = f"{listing}<p>{NOT_FROM_HERE}</p>"
        return ["", gr.Column(visible=True), dropdown, listing, file, gr.Column(visible=False)]
    return ["", gr.Column(visible=True), dropdown, listing, file, gr.Column(visible=True)]


def _hidden() -> list[Any]:
    return [gr.DownloadButton(visible=False), gr.Column(visible=False)]
