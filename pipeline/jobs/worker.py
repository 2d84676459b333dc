"""A job's own process: it runs the stage, writes down what happens, and stops when asked to or at a limit.

python -m pipeline.jobs.worker JOB_FOLDER        (what ``start`` runs)
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import asdict, is_dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from pipeline.errors import Cancelled, LimitReached, PipelineError, UsageError
from pipeline.jobs.job import ENDINGS, identity, read_json, write_json
from pipeline.jobs.stages import find, written_name
from pipeline.logs import VARIABLE, logger, written_down
from pipeline.machine import speak_any_text
from pipeline.stage import Progress, run
from pipeline.workspace.database import now
from pipeline.workspace.limits import Limits
from pipeline.workspace.workspace import Workspace

LOOK_SECONDS = 1.0
LOG = logger("jobs")


class Recorder:
    """Appends events to the job's file and raises Cancelled once that is asked for, or a limit is reached."""

    def __init__(self, folder: Path, workspace: Workspace) -> None:
        self.folder = folder
        self.workspace = workspace
        self.limits = Limits.of(workspace)
        self.since = self.looked = time.monotonic()
        self.over = ""
        self.file = (folder / "events.jsonl").open("a", encoding="utf-8")
        self.lock = threading.Lock()
        self.last: Progress | None = None
        self.told = False
        self.ended = False

    def __call__(self, progress: Progress) -> None:
        """Write a step down. Raises Cancelled where it has to stop."""
        if progress != self.last:  # who waits says the same twice a second
            self.write("progress", **asdict(progress))
        self.last = progress
        if progress.metrics.get("queued"):
            self.since = time.monotonic()
        if self.has_to_stop():
            raise Cancelled("Stopped when asked to.")

    def has_to_stop(self) -> bool:
        """Whether it was asked to, or a limit is reached."""
        if self.limits and not self.over and time.monotonic() - self.looked > LOOK_SECONDS:
            self.looked = time.monotonic()
            try:
                self.limits.check_time(time.monotonic() - self.since)
                self.limits.check_disk(self.workspace)
            except LimitReached as limit:
                self.over = str(limit)
        return bool(self.told or self.over or (self.folder / "cancel").exists())

    def write(self, kind: str, **content: Any) -> None:
        """Append an event; nothing after the last word."""
        line = json.dumps({"kind": kind, "at": now(), **content}, ensure_ascii=False, default=_plain)
        with self.lock:
            if not self.ended:  # the first last word counts
                self.ended = kind in ENDINGS
                self.file.write(line + "\n")
                self.file.flush()

    def tell(self, _signal: int, _frame: FrameType | None) -> None:
        """A signal asks it to stop."""
        self.told = True


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)


def end_after_grace(recorder: Recorder, seconds: float) -> None:
    """End this process where it has not stopped by itself ``seconds`` after it had to."""
    while not recorder.has_to_stop():
        time.sleep(0.3)
    time.sleep(seconds)
    ended = f"Ended: it did not stop by itself within {seconds:g} seconds."
    recorder.write("failed" if recorder.over else "cancelled", message=recorder.over or ended)
    os._exit(130)


def work(folder: Path) -> int:
    """Do the job described in ``folder``; returns the exit code (0 done, 1 failed, 130 cancelled)."""
    description = read_json(folder / "job.json")
    write_json(folder / "process.json", identity(os.getpid()))
    workspace = Workspace(Path(description["workspace"]))
    recorder = Recorder(folder, workspace)
    signal.signal(signal.SIGTERM, recorder.tell)
    threading.Thread(target=end_after_grace, args=(recorder, description["grace_seconds"]), daemon=True).start()
    try:
        stage, config = find(written_name(description), description["config"])
        result = run(stage(Workspace.open(workspace.root), config), recorder)
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
        LOG.exception("unexpected")
        raise


if __name__ == "__main__":
    speak_any_text()
    with ExitStack() as while_working:
        if VARIABLE in os.environ:
            with suppress(UsageError):  # a job goes on without a log
                while_working.enter_context(written_down(os.environ, "jobs"))
        sys.exit(work(Path(sys.argv[1])))
