"""Deploy: a run -> a folder that is a complete prediction app; tested, then downloaded or sent to Hugging Face."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component
from huggingface_hub import HfApi

from pipeline.deploy.export import ExportConfig, export, last_parity
from pipeline.deploy.hub import DeployConfig, deploy
from pipeline.deploy.space import DEFAULT_KIND, SpaceFolder, read_space, space_folder
from pipeline.deploy.trial import TrialConfig, last_trial, trial
from pipeline.errors import DeployError, PipelineError, UsageError
from pipeline.jobs import job as jobs
from pipeline.jobs.job import Job
from pipeline.jobs.stages import StageName
from pipeline.stage import Progress
from pipeline.stage import run as drive
from pipeline.tabs.page.choose_run import draw_run_list, refreshed_run_list, run_or_newest
from pipeline.tabs.page.downloads import place_of, zipped
from pipeline.tabs.page.job_panel import PRIVATE
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.show import count, empty, escape, facts, guide, heading, table
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
# (what the list shows, the kind, what it means for the person)
KINDS_OF_SPACE = (
    (
        "Gradio app",
        "gradio",
        "A Gradio app that answers on a CPU through ONNX Runtime; programs can ask it too. Hugging Face asks for a "
        "subscription (PRO, Team or Enterprise) before it makes a <b>new</b> one, and refuses with “402” without; "
        "updating one that you have needs none.",
    ),
    (
        "Web page, in the visitor's browser",
        "static",
        "One web page: the model runs in the visitor's own browser, so the picture never leaves their device. "
        "Free, always awake, on a phone too; there is no address that programs could ask.",
    ),
    (
        "Gradio app with a borrowed GPU",
        "zerogpu",
        "A Gradio app on ZeroGPU, through torch, for backbones that are slow on a CPU. A free account may have two, "
        "once it is verified and 30 days old; each visitor has some minutes of GPU a day.",
    ),
)


def about(kind: str) -> str:
    """What a kind of Space means for the person, as HTML."""
    words = next((words for _, name, words in KINDS_OF_SPACE if name == kind), "")
    return f"<p>{words}</p>"


def contents(workspace: Workspace, space: SpaceFolder | None) -> str:
    """What is in a Space folder and how it was checked, as HTML; empty where there is none."""
    if space is None:
        return ""
    sizes = space.sizes
    numbers = [("files", f"{len(sizes):,}"), ("to send", f"{sum(sizes.values()) / 1e6:.1f} MB")]
    rows = [
        (name, f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{max(size / 1e3, 0.1):.1f} kB")
        for name, size in sizes.items()
    ]
    checked = ""
    if parity := last_parity(workspace, space.folder):
        sentence = (
            "Checked: a fresh process without Winnow gives the same probabilities on "
            f"{count(parity['images'], 'picture')} (largest difference {parity['max_difference']:.1g})."
        )
        checked = f'<p class="w-good">{escape(sentence)}</p>'
    files = table(("file", "size"), rows, numbers=(1,))
    return f"{facts(numbers)}{checked}<details><summary>Its files</summary>{files}</details>"


def proof(found: Mapping[str, Any] | None) -> str:
    """How a test ended, as HTML."""
    if found is None:
        return (
            "<p>Before it goes online, test it: its requirements are installed into a fresh environment, it is started "
            "there, asked about golden pictures, and stopped. That takes some minutes, once.</p>"
        )
    agreed = found["agreed"]
    words = [
        f"Tested: it answers as the model here does on {count(agreed['images'], 'golden picture')} "
        f"(largest difference {agreed['max_difference']:.1g})"
    ]
    if found.get("first_answer_seconds") is not None:
        words.append(f"first answer {found['first_answer_seconds']:.1f} s after its start")
    if found.get("memory_mib") is not None:
        words.append(f"{found['memory_mib']:,.0f} MiB of memory")
    return f'<p class="w-good">{escape("; ".join(words))}.</p>'


def space_zip(space: SpaceFolder, cache: Path) -> Path:
    """The Space folder as a zip file below ``cache``, made again where the folder is newer."""
    folder = space.folder
    files = {f"{folder.name}/{file}": folder / file for file in sorted(space.sizes)}
    changed = max(file.stat().st_mtime for file in folder.rglob("*"))
    return zipped(files, place_of(folder, cache) / f"{folder.name}.zip", changed)


def by_hand(folder: Path, kind: str, repo_id: str) -> str:
    """The other ways to put a Space folder online, as commands in HTML."""
    name = repo_id.strip() or "your-name/bears"
    last = name.rpartition("/")[2]
    git = [
        f"git clone https://huggingface.co/spaces/{name}",
        f"cp -r {folder.name}/. {last}/",
        f"cd {last}",
        'git lfs install && git lfs track "*.onnx" "*.safetensors" "*.wasm" "*.jpg" "*.png"',
        "git add . && git commit -m 'Deploy with Winnow' && git push",
    ]
    parts = [("With git, after you made an empty Space and unpacked the zip", git)]
    if kind == "static":
        parts.append(("On any web server, or here", [f"python -m http.server --directory {folder.name} 8000"]))
    else:
        run = f"docker build -t {last} {folder.name} && docker run --rm -p 7860:7860 {last}"
        own = f"cd {folder.name} && pip install -r requirements.txt && python app.py"
        parts += [("With Docker, anywhere", [run]), ("On any machine with Python", [own])]
    return "".join(
        f"<p>{escape(title)}:</p><pre><code>{escape(chr(10).join(lines))}</code></pre>" for title, lines in parts
    )


def export_job(workspace: Workspace, run_id: str | None, kind: str, examples: int) -> Job:
    """Start making the Space folder of a run (None: the newest), with so many example pictures."""
    run = load_run(workspace, run_id or None)
    if jobs.running(workspace, StageName.EXPORT):
        raise UsageError("A folder is being made already; see above.")
    out = str(space_folder(workspace, run, kind))
    return jobs.start(workspace, export, ExportConfig(run.id, out, space=True, kind=kind, examples=int(examples or 0)))


def trial_job(workspace: Workspace, run_id: str | None, kind: str, url: str = "") -> Job:
    """Start testing the Space folder of a run: here, or (``url``: an address, or user/name) where it is online."""
    folder = _made(workspace, load_run(workspace, run_id or None), kind)
    if jobs.running(workspace, StageName.TRY_SPACE):
        raise UsageError("A Space is being tested already; see above.")
    return jobs.start(workspace, trial, TrialConfig(str(folder), url.strip()))


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


class _Widgets:
    """Everything on the tab, drawn in the order of reading."""

    def __init__(self, has_token: bool, public: bool) -> None:
        self.notice = gr.HTML(elem_id="deploy-notice")
        with gr.Column() as self.body:
            with gr.Row():
                self.run = draw_run_list("deploy-run", "Model", min_width=280)
                self.examples = gr.Slider(
                    0,
                    8,
                    4,
                    step=1,
                    label="Example pictures",
                    elem_id="deploy-examples",
                    min_width=260,
                    info="for visitors to try; they become public with the app",
                )
            choices = [(title, name) for title, name, _ in KINDS_OF_SPACE]
            self.kind = gr.Radio(choices, value=DEFAULT_KIND, label="Kind of app", elem_id="deploy-kind")
            self.words = gr.HTML(about(DEFAULT_KIND), elem_id="deploy-about")
            self.make = gr.Button("Make the Space folder", variant="primary", elem_id="deploy-export")
            self.listing = gr.HTML(elem_id="deploy-files")
            with gr.Column(visible=False) as self.made:
                heading("Test this Space")
                self.proven = gr.HTML(elem_id="deploy-proof")
                with gr.Row():
                    self.test = gr.Button(
                        "Test this Space", variant="primary", elem_id="deploy-test", min_width=190, visible=not public
                    )
                    self.download = gr.DownloadButton("Download as zip", elem_id="deploy-download", min_width=190)
            with gr.Column(visible=False) as self.form:
                self._draw_form(has_token)

    def _draw_form(self, has_token: bool) -> None:
        heading("Send it to Hugging Face")
        gr.HTML(TOKEN_NEEDED)
        with gr.Row():
            self.repo = gr.Textbox(
                label="Name of the Space", placeholder="your-name/bears", elem_id="deploy-repo", min_width=260
            )
            self.token = gr.Textbox(
                label="Token",
                type="password",
                elem_id="deploy-token",
                min_width=260,
                placeholder="used once, never kept" + ("; empty: HF_TOKEN" if has_token else ""),
            )
        self.private = gr.Checkbox(label="Private: only you can open it", elem_id="deploy-private")
        self.push = gr.Button("Send to Hugging Face", variant="primary", elem_id="deploy-push")
        self.sent = gr.HTML(elem_id="deploy-result")
        with gr.Accordion("Other ways: git, Docker, your own machine", open=False):
            self.commands = gr.HTML(elem_id="deploy-commands")
        with gr.Accordion("Is my Space still fine?", open=False), gr.Row():
            self.url = gr.Textbox(
                label="Where it is", placeholder="your-name/bears, or an address", elem_id="deploy-url", min_width=260
            )
            self.ask = gr.Button("Ask it", elem_id="deploy-ask")

    @property
    def outputs(self) -> list[Any]:
        """What :func:`_view` fills."""
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
    w = _Widgets(bool(token_for(shared, "")), public=bool(shared.limits))

    def view(name: str, chosen: str | None, kind: str, repo_id: str) -> list[Any]:
        shown = _view(shared.open(name), chosen, kind, repo_id, shared.workspaces.outgoing())
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

        def show(step: Progress) -> None:
            progress((step.done, step.total), desc=step.note)

        return send(workspace, config, token_for(shared, secret), show, hub), ""

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
        **PRIVATE,
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


def token_for(shared: Shared, typed: str) -> str | None:
    """The token for this one call; the machine's own is only for people of this machine."""
    return typed.strip() or (os.environ.get("HF_TOKEN") if shared.local else None)


def _view(workspace: Workspace, chosen: str | None, kind: str, repo_id: str, cache: Path) -> list[Any]:
    run = run_or_newest(workspace, chosen)
    if run is None:
        notice = empty("Nothing to deploy yet", "Train a model first; then it can go online from here.")
        return [notice, gr.Column(visible=False), gr.skip(), about(kind), "", *_hidden()]
    folder = space_folder(workspace, run, kind)
    head = ["", gr.Column(visible=True), refreshed_run_list(workspace, run.id), about(kind)]
    try:
        space = read_space(folder) if folder.is_dir() else None
    except PipelineError as error:
        return [*head, f'<p class="w-warn">{escape(error)}</p>', *_hidden()]
    if space is None:
        return [*head, "", *_hidden()]
    found = last_trial(workspace, space)
    file = gr.DownloadButton(value=str(space_zip(space, cache)))
    shown = [gr.Column(visible=True), proof(found), file, gr.Column(visible=found is not None)]
    return [*head, contents(workspace, space), *shown, by_hand(folder, kind, repo_id or "")]


def _hidden() -> list[Any]:
    return [gr.Column(visible=False), "", gr.skip(), gr.Column(visible=False), ""]
