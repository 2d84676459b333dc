"""A stage in its own process: start, watch, cancel, resume, re-attach; its events are a file in the workspace.

A job's folder holds ``job.json`` (what to do), ``process.json`` (who does it), ``events.jsonl`` (what happened so far,
one JSON object a line), ``output.txt`` (what the process printed) and, once asked for, the file ``cancel``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock

from pipeline.endings import wait_quietly
from pipeline.errors import JobError, LimitReached
from pipeline.jobs.stages import StageFunction, find, name_of, written_name
from pipeline.machine import own_group
from pipeline.model import backbones
from pipeline.workspace.database import now
from pipeline.workspace.ids import TO_SECOND, by_beginning
from pipeline.workspace.limits import Limits, check_config
from pipeline.workspace.workspace import Workspace, clear_killed, workspaces_in, writing

GRACE_SECONDS = 20.0
START_SECONDS = 60.0

ENDINGS = {"done": "done", "failed": "failed", "cancelled": "cancelled"}


@dataclass(frozen=True)
class Job:
    """One stage running (or ended) in a process of its own.

    ``status``: queued, running, done, failed, cancelled, or interrupted (its process is gone without a last word).
    ``note`` is the last progress note, or the message of a failure; ``result`` is there once it is done.

    >>> job = w.list_jobs(ws)[0]
    >>> job.stage, job.status, job.config["valid"]
    ('verify', 'interrupted', 0.2)
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

    Once it is asked to stop it has ``grace_seconds`` to reach its next step. Raises JobError where ``stage`` is none of
    :data:`pipeline.jobs.stages.STAGES`, LimitReached where the workspace has limits and this is more.

    >>> import time
    >>> job = w.start(ws, w.verify, w.VerifyConfig())
    >>> while job.active:
    ...     time.sleep(0.1)
    ...     job = w.list_jobs(ws)[0]
    >>> job.status, job.result["ok"]
    ('done', 60)
    """
    return _start(workspace, name_of(stage), asdict(config), grace_seconds)


def _start(workspace: Workspace, stage: str, config: Mapping[str, Any], grace_seconds: float = GRACE_SECONDS) -> Job:
    limits = Limits.of(workspace)
    if limits is None:
        return _launch(workspace, stage, config, grace_seconds)
    check_config(workspace, config, backbones.bundled())
    limits.check_disk(workspace)
    with FileLock(workspace.limits.with_suffix(".lock")):
        active = [job for other in workspaces_in(workspace.root.parent) for job in list_jobs(other) if job.active]
        if len(active) >= limits.jobs:
            raise LimitReached(
                f"This public demo does {limits.jobs} things at a time for each visitor, and yours are still at work. "
                "Wait until one of them is done, or cancel it."
            )
        return _launch(workspace, stage, config, grace_seconds)


def _launch(workspace: Workspace, stage: str, config: Mapping[str, Any], grace_seconds: float) -> Job:
    job_id = f"{time.strftime('%Y%m%d-%H%M%S')}-{stage}-{uuid.uuid4().hex[:6]}"
    folder = workspace.jobs / job_id
    clear_killed(workspace.jobs)
    with writing(folder) as part:
        part.mkdir()
        what = {"stage": stage, "config": config, "workspace": str(workspace.root), "grace_seconds": grace_seconds}
        write_json(part / "job.json", {**what, "at": now()})
    environment = dict(os.environ)
    wait_quietly(environment)
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.jobs.worker", str(folder)],
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            **own_group(),
        )
    write_json(folder / "process.json", identity(process.pid))  # it can be found, and ended, from now on
    threading.Thread(target=process.wait, daemon=True).start()  # reaps it, so that it never shows as a zombie
    return get_job(workspace, job_id)


def identity(pid: int) -> dict[str, Any]:
    """What tells a process from a later one of the same number."""
    return {"pid": pid, "created": psutil.Process(pid).create_time()}


def running(workspace: Workspace, *stages: str) -> Job | None:
    """The newest job of one of these stages that works or waits in a workspace, if any."""
    return next((job for job in list_jobs(workspace) if job.active and job.stage in stages), None)


def finished(workspace: Workspace, stage: str) -> Iterator[Job]:
    """The jobs of a stage that ended well, newest first."""
    return (job for job in list_jobs(workspace) if job.stage == stage and job.status == "done")


def list_jobs(workspace: Workspace) -> list[Job]:
    """Every job of the workspace, newest first.

    >>> [(job.stage, job.status) for job in w.list_jobs(ws)]
    [('verify', 'interrupted')]
    """
    jobs = (_load(workspace.jobs / name) for name in _folders(workspace))
    return sorted(jobs, key=lambda job: job.started, reverse=True)


def _folders(workspace: Workspace) -> list[str]:
    """The names of the folders in which a job is."""
    return [file.parent.name for file in workspace.jobs.glob("*/job.json") if file.parent.suffix != ".part"]


def get_job(workspace: Workspace, job_id: str) -> Job:
    """The job with this id, or the only one whose id begins so. Raises JobError where there is none, or several."""
    return _load(workspace.jobs / by_beginning(Path(job_id).name, _folders(workspace), "job", JobError, TO_SECOND))


def cancel(workspace: Workspace, job_id: str) -> Job:
    """Ask a job to stop at its next step; its process is ended when it has not done so after GRACE_SECONDS.

    >>> job = w.start(ws, w.train, w.TrainConfig(epochs=20))
    >>> w.cancel(ws, job.id).cancelling
    True
    """
    job = get_job(workspace, job_id)
    if not job.active:
        raise JobError(f"This job is not running any more (it is {job.status}).")
    (job.folder / "cancel").touch()
    return _load(job.folder)


def resume(workspace: Workspace, job_id: str) -> Job:
    """Start an ended job's work again as a new job; stages skip what was finished before.

    >>> stopped = w.list_jobs(ws)[0]
    >>> job = w.resume(ws, stopped.id)
    >>> job.stage, job.config == stopped.config, job.active
    ('verify', True, True)
    """
    job = get_job(workspace, job_id)
    if job.active:
        raise JobError("This job is still running.")
    find(job.stage, job.config)  # said now, where it cannot be
    return _start(workspace, job.stage, job.config)


def end_all(workspace: Workspace) -> None:
    """End every job of the workspace at once, with all its processes; nothing is asked and nothing kept."""
    for job in list_jobs(workspace):
        if _alive(job.folder) and (job.folder / "process.json").exists():
            _kill(int(read_json(job.folder / "process.json")["pid"]))


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
    description = read_json(folder / "job.json")
    events = _events(folder)
    last = events[-1] if events else {}
    steps: dict[str, Any] = next((event for event in reversed(events) if event["kind"] == "progress"), {})
    return Job(
        id=folder.name,
        folder=folder,
        stage=written_name(description),
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
    who = read_json(process_file)
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


def read_json(file: Path) -> dict[str, Any]:
    """One of the files of a job's folder."""
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write one of the files of a job's folder, whole or not at all."""
    with writing(file) as part:
        part.write_text(json.dumps(content, ensure_ascii=False, default=str), encoding="utf-8")
