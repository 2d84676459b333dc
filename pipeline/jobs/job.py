"""A stage in its own process: start, watch, cancel, resume, re-attach; its events are a file in the workspace.

    python -m pipeline.jobs.job JOB_FOLDER        (what ``start`` runs)

A job's folder holds ``job.json`` (what to do), ``process.json`` (who does it), ``events.jsonl`` (what happened so far,
one JSON object a line), ``output.txt`` (what the process printed) and, once asked for, the file ``cancel``.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import psutil
from filelock import FileLock

from pipeline.errors import Cancelled, JobError, LimitReached, PipelineError
from pipeline.jobs.worker import ENDINGS, Recorder, end_after_grace
from pipeline.stage import Stage, run
from pipeline.workspace.database import now
from pipeline.workspace.limits import Limits, check_config
from pipeline.workspace.workspace import Workspace, workspaces_in, writing

GRACE_SECONDS = 20.0
START_SECONDS = 60.0
PACKAGES = ("pipeline", "cleaner", "tests")
StageFunction = Callable[[Workspace, Any], Stage[Any]]


@dataclass(frozen=True)
class Job:
    """One stage running (or ended) in a process of its own.

    ``status``: queued, running, done, failed, cancelled, or interrupted (its process is gone without a last word).
    ``note`` is the last progress note, or the message of a failure; ``result`` is there once it is done.
    """

    id: str
    folder: Path
    stage: str
    config: dict[str, Any]
    started: str
    status: str
    done: int
    total: int
    note: str
    cancelling: bool
    result: Any = None

    @property
    def active(self) -> bool:
        """Whether it still works or waits."""
        return self.status in ("queued", "running")

    def events(self, after: int = 0) -> list[dict[str, Any]]:
        """Its events from number ``after`` on, oldest first; a half-written last line is left for the next call."""
        return _events(self.folder)[after:]


def start(workspace: Workspace, stage: StageFunction, config: Any, grace_seconds: float = GRACE_SECONDS) -> Job:
    """Run ``stage(workspace, config)`` in a process of its own, which outlives this one. ``config``: a dataclass.

    Once it is asked to stop it has ``grace_seconds`` to reach its next step. Raises LimitReached where the workspace
    has limits and this is more.
    """
    target = f"{stage.__module__}:{stage.__qualname__}"
    _resolve(target)
    return _start(workspace, target, asdict(config), grace_seconds)


def _start(workspace: Workspace, target: str, config: Mapping[str, Any], grace_seconds: float = GRACE_SECONDS) -> Job:
    limits = Limits.of(workspace)
    if limits is None:
        return _launch(workspace, target, config, grace_seconds)
    check_config(workspace, config)
    limits.check_disk(workspace)
    with FileLock(workspace.limits.with_suffix(".lock")):
        active = [job for other in workspaces_in(workspace.root.parent) for job in list_jobs(other) if job.active]
        if len(active) >= limits.jobs:
            raise LimitReached(
                f"This public demo does {limits.jobs} things at a time for each visitor, and yours are still at work. "
                "Wait until one of them is done, or cancel it."
            )
        return _launch(workspace, target, config, grace_seconds)


def _launch(workspace: Workspace, target: str, config: Mapping[str, Any], grace_seconds: float) -> Job:
    job_id = f"{time.strftime('%Y%m%d-%H%M%S')}-{target.split(':')[1]}-{uuid.uuid4().hex[:6]}"
    folder = workspace.jobs / job_id
    with writing(folder) as part:
        part.mkdir()
        what = {"target": target, "config": config, "workspace": str(workspace.root), "grace_seconds": grace_seconds}
        _write(part / "job.json", {**what, "at": now()})
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.jobs.job", str(folder)],
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _write(folder / "process.json", _identity(process.pid))  # it can be found, and ended, from now on
    threading.Thread(target=process.wait, daemon=True).start()  # reaps it, so that it never shows as a zombie
    return get_job(workspace, job_id)


def _identity(pid: int) -> dict[str, Any]:
    return {"pid": pid, "created": psutil.Process(pid).create_time()}


def list_jobs(workspace: Workspace) -> list[Job]:
    """Every job of the workspace, newest first."""
    folders = [file.parent for file in workspace.jobs.glob("*/job.json")]
    whole = [folder for folder in folders if folder.suffix != ".part"]
    return sorted((_load(folder) for folder in whole), key=lambda job: job.started, reverse=True)


def get_job(workspace: Workspace, job_id: str) -> Job:
    """The job with this id. Raises JobError where there is none."""
    folder = workspace.jobs / Path(job_id).name
    if not (folder / "job.json").is_file():
        raise JobError(f"There is no job {job_id} in this workspace.")
    return _load(folder)


def cancel(workspace: Workspace, job_id: str) -> Job:
    """Ask a job to stop at its next step; its process is ended when it has not done so after GRACE_SECONDS."""
    job = get_job(workspace, job_id)
    if not job.active:
        raise JobError(f"This job is not running any more (it is {job.status}).")
    (job.folder / "cancel").touch()
    return _load(job.folder)


def resume(workspace: Workspace, job_id: str) -> Job:
    """Start an ended job's work again as a new job; stages skip what was finished before."""
    job = get_job(workspace, job_id)
    if job.active:
        raise JobError("This job is still running.")
    return _start(workspace, _read(job.folder / "job.json")["target"], job.config)


def end_all(workspace: Workspace) -> None:
    """End every job of the workspace at once, with all its processes; nothing is asked and nothing kept."""
    for job in list_jobs(workspace):
        if _alive(job.folder) and (job.folder / "process.json").exists():
            _kill(int(_read(job.folder / "process.json")["pid"]))


def _kill(pid: int) -> None:
    try:
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            one.kill()
    except psutil.NoSuchProcess:  # it has ended meanwhile
        return


def wait_for(workspace: Workspace, job_id: str, seconds: float) -> Job:
    """The job once it has ended, or as it is after ``seconds``."""
    deadline = time.monotonic() + seconds
    while (job := get_job(workspace, job_id)).active and time.monotonic() < deadline:
        time.sleep(0.1)
    return job


# --- reading what is on disk ---------------------------------------------------------------------------------------


def _load(folder: Path) -> Job:
    description = _read(folder / "job.json")
    events = _events(folder)
    last = events[-1] if events else {}
    steps: dict[str, Any] = next((event for event in reversed(events) if event["kind"] == "progress"), {})
    return Job(
        id=folder.name,
        folder=folder,
        stage=description["target"].split(":")[1],
        config=description["config"],
        started=description["at"],
        status=_status(folder, description["at"], last),
        done=int(steps.get("done", 0)),
        total=int(steps.get("total", 0)),
        note=str(last.get("message") or steps.get("note", "")),
        cancelling=(folder / "cancel").exists(),
        result=last.get("result"),
    )


def _status(folder: Path, started: str, last: Mapping[str, Any]) -> str:
    if last.get("kind") in ENDINGS:
        return ENDINGS[last["kind"]]
    if not _alive(folder):
        events = _events(folder)  # it may have ended between the two looks
        kind = events[-1]["kind"] if events else None
        return ENDINGS.get(kind or "", "interrupted")
    return "queued" if last.get("metrics", {}).get("queued") else "running"


def _alive(folder: Path) -> bool:
    process_file = folder / "process.json"
    if not process_file.exists():
        return time.time() - folder.stat().st_mtime < START_SECONDS
    who = _read(process_file)
    try:
        process = psutil.Process(who["pid"])
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        # The same number may be another process by now; the time it began shifts when the clock is set.
        return bool(process.create_time() == who["created"]) or str(folder) in process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _events(folder: Path) -> list[dict[str, Any]]:
    file = folder / "events.jsonl"
    if not file.exists():
        return []
    return [event for line in file.read_bytes().split(b"\n")[:-1] if (event := _event(line))]


def _event(line: bytes) -> dict[str, Any] | None:
    """The event in a line; None for a line that a power cut left damaged."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "kind" in event else None


def _read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def _write(file: Path, content: Mapping[str, Any]) -> None:
    with writing(file) as part:
        part.write_text(json.dumps(content, ensure_ascii=False, default=str), encoding="utf-8")


# --- the process -----------------------------------------------------------------------------------------------------


def work(folder: Path) -> int:
    """Do the job described in ``folder``; returns the exit code (0 done, 1 failed, 130 cancelled)."""
    description = _read(folder / "job.json")
    _write(folder / "process.json", _identity(os.getpid()))
    workspace = Workspace(Path(description["workspace"]))
    recorder = Recorder(folder, workspace)
    signal.signal(signal.SIGTERM, recorder.tell)
    threading.Thread(target=end_after_grace, args=(recorder, description["grace_seconds"]), daemon=True).start()
    try:
        function, config_type = _resolve(description["target"])
        config = config_type(**_tuples(description["config"]))
        result = run(function(Workspace.open(workspace.root), config), recorder)
        recorder.write("done", result=result)
        return 0
    except Cancelled as stopped:
        recorder.write("failed" if recorder.over else "cancelled", message=recorder.over or str(stopped))
        return 130
    except PipelineError as failure:
        recorder.write("failed", message=str(failure))
        return 1
    except Exception as failure:
        recorder.write(
            "failed", message=f"An unexpected error ({type(failure).__name__}: {failure}). See {folder}/output.txt"
        )
        raise


def _resolve(target: str) -> tuple[StageFunction, Callable[..., Any]]:
    """The stage function ``module:name`` and the type of its second argument."""
    module, name = target.split(":")
    if module.split(".")[0] not in PACKAGES:
        raise JobError(f"{target} is not a stage of Winnow.")
    function = getattr(importlib.import_module(module), name)
    annotated = get_type_hints(function)["config"]
    kinds: list[Any] = [kind for kind in getattr(annotated, "__args__", (annotated,)) if is_dataclass(kind)]
    return function, kinds[0]


def _tuples(config: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no tuples; configurations have no lists."""
    return {key: _tuple(value) for key, value in config.items()}


def _tuple(value: Any) -> Any:
    return tuple(_tuple(item) for item in value) if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(work(Path(sys.argv[1])))
