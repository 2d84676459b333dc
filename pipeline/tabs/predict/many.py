"""Many pictures at once in the Predict tab: files or a folder become a job, a table with pages, and a CSV file."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from pipeline.ask.many import SMALL, TABLE, PredictConfig, page_of, predict_many
from pipeline.errors import UsageError
from pipeline.jobs import job as jobs
from pipeline.jobs.job import Job
from pipeline.jobs.stages import StageName
from pipeline.labels import in_words
from pipeline.tabs.page.component import component, nonce
from pipeline.tabs.page.job_panel import QUIET
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.show import count, heading, percent
from pipeline.tabs.page.uploads import KeptFolder, keep_folder, keep_uploads
from pipeline.workspace.runs import load_run
from pipeline.workspace.workspace import Workspace

PAGE = 50
NOTHING: dict[str, Any] = {"rows": None}
DOWNLOAD = """() => setTimeout(
    () => document.querySelector('#predict-download a, a#predict-download, #predict-download')?.click(), 300)"""


def start(workspace: Workspace, run_id: str | None, sources: list[str], tta: bool) -> Job:
    """Start asking a run about files and folders. Raises UsageError for none, and while another list is at work."""
    if not sources:
        raise UsageError("Choose pictures or a folder first.")
    if jobs.running(workspace, StageName.PREDICT):
        raise UsageError("A list of pictures is being asked about already; see above.")
    run = load_run(workspace, run_id or None)
    return jobs.start(workspace, predict_many, PredictConfig(tuple(sources), run.id, tta))


def last_list(workspace: Workspace) -> Job | None:
    """The newest job that asked about many pictures, where its table is still there."""
    done = (
        job
        for job in jobs.list_jobs(workspace)
        if job.stage == StageName.PREDICT and job.status == "done" and job.result
    )
    return next((job for job in done if _table(workspace, job).is_file()), None)


def _table(workspace: Workspace, job: Job) -> Path:
    """Its table: always one of this workspace, whatever the job's file says."""
    return workspace.answers / Path(job.result["file"]).parent.name / TABLE


def list_view(workspace: Workspace, page: int = 0) -> dict[str, Any]:
    """A page of the newest list as the component draws it: words, rows, page, pages; nothing without a list."""
    job = last_list(workspace)
    if job is None:
        return NOTHING
    asked = int(job.result["asked"])
    pages = max(1, -(-asked // PAGE))
    page = min(max(page, 0), pages - 1)
    table = _table(workspace, job)
    small = workspace.thumbnails / SMALL / table.parent.name
    rows = [_row(row, small / f"{page * PAGE + number}.jpg") for number, row in enumerate(page_of(table, page, PAGE))]
    return {"words": in_sum(job.result), "rows": rows, "page": page, "pages": pages, "nonce": nonce()}


def in_sum(result: dict[str, Any]) -> str:
    """What a list came to, in a sentence."""
    said = [f"{number:,} {in_words(label)}" for label, number in list(result["labels"].items())[:6]]
    more = len(result["labels"]) - len(said)
    words = f"{count(result['asked'], 'picture')}: {', '.join(said) or 'none could be used'}"
    words += f" and {more} more classes." if more > 0 else "."
    if result["unfamiliar"]:
        words += f" {result['unfamiliar']:,} of them unlike what the model learnt from."
    return words + (f" {result['failed']:,} could not be used." if result["failed"] else "")


def _row(row: dict[str, str], small: Path) -> dict[str, Any]:
    failed = not row["label"]
    return {
        "name": row["file"],
        "label": "" if failed else in_words(row["label"]),
        "probability": "" if failed else percent(float(row["probability"])),
        "remark": row["remark"] + (f" ({float(row['distance']):.1f} times the limit)" if row["unfamiliar"] else ""),
        "strange": bool(row["unfamiliar"]),
        "failed": failed,
        "thumbnail": str(small) if small.exists() else None,
    }


def csv_copy(workspace: Workspace, cache: Path) -> Path:
    """The newest table below ``cache``, for downloading. Raises UsageError where there is none."""
    job = last_list(workspace)
    if job is None:
        raise UsageError("There is no table any more. Ask about the pictures once more.")
    target = cache / uuid.uuid4().hex / f"{workspace.name}-answers.csv"
    target.parent.mkdir(parents=True)
    shutil.copyfile(_table(workspace, job), target)
    return target


# --- the section ---------------------------------------------------------------------------------------------------


def build_many(tab: gr.Tab, shared: Shared, run: gr.Dropdown, tta: gr.Checkbox) -> None:
    """Draw the section, then wire it."""
    heading("Many at once")
    with gr.Row(elem_classes="w-cards"), gr.Column(elem_classes="w-card", min_width=300):
        files = gr.File(
            file_count="multiple",
            file_types=["image"],
            show_label=False,
            height=130,
            elem_id="predict-files",
            elem_classes="w-upload",
        )
        folder = component(Path(__file__).parents[1] / "page" / "folder", "predict-folder")
        path = gr.Textbox(
            label="Or a folder on this machine",
            placeholder="/home/me/pictures",
            elem_id="predict-path",
            visible=shared.local,
        )
        with gr.Row(elem_classes="w-buttons"):
            go = gr.Button("Ask about them", elem_id="predict-start", size="lg")
            save = gr.Button("Table as CSV", visible=False, elem_id="predict-csv", size="lg")
            file = gr.DownloadButton("Download", visible=False, elem_id="predict-download", size="sm")
    table = component(Path(__file__).with_name("answers"), "predict-table")
    sent = gr.State(None)
    _wire_many(
        tab,
        shared,
        {
            "run": run,
            "tta": tta,
            "files": files,
            "folder": folder,
            "path": path,
            "go": go,
            "save": save,
            "file": file,
            "table": table,
            "sent": sent,
        },
    )


def _wire_many(tab: gr.Tab, shared: Shared, part: dict[str, Any]) -> None:
    cache = Path(part["file"].GRADIO_CACHE)

    @translate
    def keep(event: gr.EventData) -> tuple[KeptFolder, str]:
        arrived = keep_folder(event._data.get("files"), Path(get_upload_folder()))
        return arrived, f"{count(arrived.files, 'file')} here."

    def begin(values: Values) -> Job:
        chosen = [Path(file) for file in values[part["files"]] or ()]
        sources = [str(file) for file in sorted(keep_uploads(chosen).iterdir())] if chosen else []
        sources += [values[part["sent"]].path] if values[part["sent"]] else []
        own = str(values[part["path"]] or "").strip() if shared.local else ""
        sources += [own] if own else []
        return start(shared.open(values[shared.picker]), values[part["run"]], sources, bool(values[part["tta"]]))

    @translate
    def turn(name: str, event: gr.EventData) -> dict[str, Any]:
        page = event._data.get("page")
        return list_view(shared.open(name), page if isinstance(page, int) else 0)

    def fill(name: str) -> tuple[dict[str, Any], Any]:
        view = list_view(shared.open(name))
        return view, gr.Button(visible=view["rows"] is not None)

    @translate
    def csv(name: str) -> Any:
        made = csv_copy(shared.open(name), cache)
        return gr.DownloadButton(f"Download {made.name}", value=str(made), visible=True)

    kept = [part["sent"], part["folder"]]
    part["folder"].sent(keep, None, kept, **QUIET)
    part["folder"].forget(lambda: (None, ""), None, kept, **QUIET)
    inputs = {shared.picker, *(part[name] for name in ("run", "tta", "files", "sent", "path"))}
    started = shared.job.launch(part["go"].click, begin, inputs)
    started.success(lambda: (None, "", None), None, [*kept, part["files"]], **QUIET)
    part["table"].turn(turn, shared.picker, part["table"], **QUIET)
    shared.watch(tab, fill, [part["table"], part["save"]])
    made = part["save"].click(csv, shared.picker, part["file"], api_visibility="private", show_progress="minimal")
    made.success(None, None, None, js=DOWNLOAD)
