"""Deploy: a run -> a folder that is a complete prediction app; tested, then downloaded or sent to Hugging Face."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component
from huggingface_hub import HfApi

from pipeline.deploy.export import ExportConfig, export
from pipeline.deploy.hub import DeployConfig, deploy
from pipeline.deploy.space import read_space
from pipeline.deploy.trial import TrialConfig, try_space
from pipeline.errors import DeployError, PipelineError, UsageError
from pipeline.jobs import job as jobs
from pipeline.jobs.job import Job
from pipeline.jobs.stages import StageName
from pipeline.stage import Progress
from pipeline.stage import run as drive
from pipeline.tabs.deploy.space import (
    DEFAULT_KIND,
    KINDS,
    about,
    by_hand,
    contents,
    last_trial,
    made,
    proof,
    space_folder,
    zipped,
)
from pipeline.tabs.page.choose_run import draw_run_list, refreshed
from pipeline.tabs.page.job_panel import running
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.show import empty, escape, guide, heading
from pipeline.workspace.runs import Run, load_run
from pipeline.workspace.workspace import Workspace

TOKEN_NEEDED = (
    "<p>You need a Hugging Face account and a token that may write to it. It is used for this one call, never kept.</p>"
)
WAIT_SECONDS = 900.0
NOT_FROM_HERE = (
    "This is a public demo: it neither installs a Space nor takes a token. Download the folder, then test it and send "
    "it to Hugging Face from a machine of your own (python cli.py test-space FOLDER, python cli.py deploy FOLDER NAME)."
)


def export_job(workspace: Workspace, run_id: str | None, kind: str, examples: int) -> Job:
    """Start making the Space folder of a run (None: the newest), with so many example pictures."""
    run = load_run(workspace, run_id or None)
    if running(workspace, StageName.EXPORT):
        raise UsageError("A folder is being made already; see above.")
    out = str(space_folder(workspace, run, kind))
    return jobs.start(workspace, export, ExportConfig(run.id, out, space=True, kind=kind, examples=int(examples or 0)))


def trial_job(workspace: Workspace, run_id: str | None, kind: str, url: str = "") -> Job:
    """Start testing the Space folder of a run: here, or (``url``: an address, or user/name) where it is online."""
    folder = _made(workspace, load_run(workspace, run_id or None), kind)
    if running(workspace, StageName.TRY_SPACE):
        raise UsageError("A Space is being tested already; see above.")
    return jobs.start(workspace, try_space, TrialConfig(str(folder), url.strip()))


def send(
    workspace: Workspace,
    config: DeployConfig,
    token: str | None,
    show: Callable[[Progress], None],
    hub: Callable[[], HfApi] = HfApi,
) -> str:
    """Send a Space folder that was tested to Hugging Face; returns what to say, as HTML. Raises DeployError."""
    if last_trial(workspace, read_space(config.folder)) is None:
        raise DeployError("Test the Space first: it is sent as it was tested.")
    deployed = drive(deploy(config, token, hub), show)
    link = f'<a href="{escape(deployed.url)}" target="_blank" rel="noopener noreferrer">{escape(deployed.url)}</a>'
    goes_on = "It runs" if deployed.stage == "RUNNING" else "Hugging Face still builds it"
    return f'<p class="w-good">It is there: {link}. {goes_on}.</p>'


def _made(workspace: Workspace, run: Run, kind: str) -> Path:
    folder = space_folder(workspace, run, kind)
    if not folder.is_dir():
        raise DeployError("Make the Space folder first, with the button above.")
    return folder


# --- the tab -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Widgets:
    """What the tab consists of, once it is drawn."""

    notice: gr.HTML
    body: gr.Column
    run: gr.Dropdown
    kind: gr.Radio
    words: gr.HTML
    examples: gr.Slider
    make: gr.Button
    listing: gr.HTML
    made: gr.Column
    proven: gr.HTML
    test: gr.Button
    download: gr.DownloadButton
    form: gr.Column
    repo: gr.Textbox
    token: gr.Textbox
    private: gr.Checkbox
    push: gr.Button
    sent: gr.HTML
    commands: gr.HTML
    url: gr.Textbox
    ask: gr.Button

    @property
    def outputs(self) -> list[Any]:
        return [
            self.notice,
            self.body,
            self.run,
            self.words,
            self.listing,
            self.made,
            self.proven,
            self.download,
            self.form,
            self.commands,
        ]


def build(tab: gr.Tab, shared: Shared, hub: Callable[[], HfApi] = HfApi) -> None:
    """Draw the tab, then wire it."""
    guide("Turn a model into a small app of its own that anybody can open in a browser.")
    w = _draw(bool(_token(shared, "")), public=bool(shared.limits))

    def view(name: str, chosen: str | None, kind: str, repo_id: str) -> list[Any]:
        shown = _view(shared.open(name), chosen, kind, repo_id, Path(w.download.GRADIO_CACHE))
        if shared.limits:
            place = w.outputs.index
            shown[place(w.form)] = gr.Column(visible=False)
            shown[place(w.proven)] = f"<p>{escape(NOT_FROM_HERE)}</p>"
        return shown

    def start(values: Values) -> Job:
        return export_job(shared.open(values[shared.picker]), values[w.run], values[w.kind], values[w.examples])

    def start_test(values: Values) -> Job:
        _refuse_visitors(shared)
        return trial_job(shared.open(values[shared.picker]), values[w.run], values[w.kind])

    def start_asking(values: Values) -> Job:
        _refuse_visitors(shared)
        if not (url := str(values[w.url] or "").strip()):
            raise UsageError("Write the address of the Space, or its name on Hugging Face: user/name.")
        return trial_job(shared.open(values[shared.picker]), values[w.run], values[w.kind], url)

    @translate
    def push_now(
        name: str,
        chosen: str,
        kind: str,
        repo_id: str,
        hidden: bool,
        secret: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - Gradio looks for it there
    ) -> tuple[str, str]:
        _refuse_visitors(shared)
        workspace = shared.open(name)
        folder = _made(workspace, load_run(workspace, chosen or None), kind)
        config = DeployConfig(str(folder), repo_id.strip(), hidden, WAIT_SECONDS)
        return send(workspace, config, _token(shared, secret), lambda step: _tell(progress, step), hub), ""

    chosen: set[Component] = {shared.picker, w.run, w.kind}
    shared.job.launch(w.make.click, start, {*chosen, w.examples})
    shared.job.launch(w.test.click, start_test, chosen)
    shared.job.launch(w.ask.click, start_asking, {*chosen, w.url})
    inputs = [w.run, w.kind, w.repo]
    gr.on(
        [w.run.input, w.kind.input, w.repo.blur],
        translate(view),
        [shared.picker, *inputs],
        w.outputs,
        api_visibility="private",
        show_progress="hidden",
    )
    w.push.click(
        push_now,
        [shared.picker, w.run, w.kind, w.repo, w.private, w.token],
        [w.sent, w.token],
        api_visibility="private",
        show_progress_on=w.sent,
    )
    shared.watch(tab, view, w.outputs, inputs)


def _refuse_visitors(shared: Shared) -> None:
    if shared.limits:
        raise UsageError(NOT_FROM_HERE)


def _draw(has_token: bool, public: bool) -> _Widgets:
    notice = gr.HTML(elem_id="deploy-notice")
    with gr.Column() as body:
        with gr.Row():
            run = draw_run_list("deploy-run")
            examples = gr.Slider(
                0,
                8,
                4,
                step=1,
                label="Example pictures",
                elem_id="deploy-examples",
                min_width=260,
                info="for visitors to try; they become public with the app",
            )
        choices = [(title, name) for title, name, _ in KINDS]
        kind = gr.Radio(choices, value=DEFAULT_KIND, label="Kind of app", elem_id="deploy-kind")
        words = gr.HTML(about(DEFAULT_KIND), elem_id="deploy-about")
        make = gr.Button("Make the Space folder", variant="primary", elem_id="deploy-export")
        listing = gr.HTML(elem_id="deploy-files")
        with gr.Column(visible=False) as made:
            heading("Test this Space")
            proven = gr.HTML(elem_id="deploy-proof")
            with gr.Row():
                test = gr.Button(
                    "Test this Space", variant="primary", elem_id="deploy-test", min_width=190, visible=not public
                )
                download = gr.DownloadButton("Download as zip", elem_id="deploy-download", min_width=190)
        with gr.Column(visible=False) as form:
            heading("Send it to Hugging Face")
            gr.HTML(TOKEN_NEEDED)
            repo, token, private, push, sent, commands, url, ask = _draw_form(has_token)
    return _Widgets(
        notice,
        body,
        run,
        kind,
        words,
        examples,
        make,
        listing,
        made,
        proven,
        test,
        download,
        form,
        repo,
        token,
        private,
        push,
        sent,
        commands,
        url,
        ask,
    )


def _draw_form(has_token: bool) -> tuple[Any, ...]:
    with gr.Row():
        repo = gr.Textbox(
            label="Name of the Space", placeholder="your-name/bears", elem_id="deploy-repo", min_width=260
        )
        token = gr.Textbox(
            label="Token",
            type="password",
            elem_id="deploy-token",
            min_width=260,
            placeholder="used once, never kept" + ("; empty: HF_TOKEN" if has_token else ""),
        )
    private = gr.Checkbox(label="Private: only you can open it", elem_id="deploy-private")
    push = gr.Button("Send to Hugging Face", variant="primary", elem_id="deploy-push")
    sent = gr.HTML(elem_id="deploy-result")
    with gr.Accordion("Other ways: git, Docker, your own machine", open=False):
        commands = gr.HTML(elem_id="deploy-commands")
    with gr.Accordion("Is my Space still fine?", open=False), gr.Row():
        url = gr.Textbox(
            label="Where it is", placeholder="your-name/bears, or an address", elem_id="deploy-url", min_width=260
        )
        ask = gr.Button("Ask it", elem_id="deploy-ask")
    return repo, token, private, push, sent, commands, url, ask


def _tell(progress: gr.Progress, step: Progress) -> None:
    progress((step.done, step.total), desc=step.note)


def _token(shared: Shared, typed: str) -> str | None:
    """The token for this one call; the machine's own is only for people of this machine."""
    return typed.strip() or (os.environ.get("HF_TOKEN") if shared.local else None)


def _view(workspace: Workspace, chosen: str | None, kind: str, repo_id: str, cache: Path) -> list[Any]:
    runs = refreshed(workspace, chosen)
    if runs is None:
        notice = empty("Nothing to deploy yet", "Train a model first; then it can go online from here.")
        return [notice, gr.Column(visible=False), gr.skip(), about(kind), "", *_hidden()]
    dropdown, now = runs
    folder = space_folder(workspace, load_run(workspace, now), kind)
    head = ["", gr.Column(visible=True), dropdown, about(kind)]
    try:
        space = made(folder)
    except PipelineError as error:
        return [*head, f'<p class="w-warn">{escape(error)}</p>', *_hidden()]
    if space is None:
        return [*head, "", *_hidden()]
    found = last_trial(workspace, space)
    file = gr.DownloadButton(value=str(zipped(space, cache)))
    shown = [gr.Column(visible=True), proof(found), file, gr.Column(visible=found is not None)]
    return [*head, contents(workspace, space), *shown, by_hand(folder, kind, repo_id or "")]


def _hidden() -> list[Any]:
    return [gr.Column(visible=False), "", gr.skip(), gr.Column(visible=False), ""]
