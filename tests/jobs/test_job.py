"""A job runs in a process of its own: it can be watched, cancelled, lost and found again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pipeline.errors import JobError
from pipeline.jobs import job as jobs
from pipeline.jobs.job import Job, cancel, get_job, list_jobs, resume, start, wait_for
from pipeline.verify.verify import VerifyConfig, verify
from pipeline.workspace.workspace import Workspace
from tests.support import stages
from tests.support.paths import ROOT
from tests.support.stages import CountConfig

LONG = 60.0
needs_signals = pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")


def until(condition: Callable[[], object], seconds: float = LONG) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def ended(workspace: Workspace, job: Job, seconds: float = LONG) -> Job:
    found = wait_for(workspace, job.id, seconds)
    assert not found.active, found
    return found


def process_of(job: Job) -> psutil.Process:
    until((job.folder / "process.json").exists)
    return psutil.Process(json.loads((job.folder / "process.json").read_text())["pid"])


def kinds(job: Job) -> list[str]:
    return [event["kind"] for event in job.events()]


@pytest.fixture(autouse=True)
def no_job_is_left(tmp_path: Path) -> Iterator[None]:
    yield
    processes = psutil.process_iter(["cmdline"])
    left = [process for process in processes if str(tmp_path) in " ".join(process.info["cmdline"] or ())]
    alive = psutil.wait_procs(left, timeout=20)[1]  # a job says its last word a moment before it is gone
    for process in alive:
        process.kill()
    assert alive == []


# --- from start to end


def test_a_job_goes_from_its_start_to_its_result(workspace: Workspace) -> None:
    job = start(workspace, stages.count, CountConfig(to=3, words=("ä", "b")))
    assert job.active and job.stage == "count" and job.folder.parent == workspace.jobs
    assert job.config == {"to": 3, "seconds": 0.0, "words": ["ä", "b"], "lock": ""}
    job = ended(workspace, job)
    assert (job.status, job.done, job.total, job.note) == ("done", 3, 3, "Zähle 3")
    assert job.result == {"total": 3, "words": ["ä", "b"], "where": str(workspace.root)}
    assert kinds(job) == ["progress"] * 3 + ["done"]
    assert job.events()[0] | {"at": ""} == {
        **{"kind": "progress", "at": "", "done": 1, "total": 3, "note": "Zähle 1", "metrics": {"number": 1}}
    }
    assert job.events(after=3)[0]["result"] == job.result
    assert job.events(after=99) == []
    assert get_job(workspace, job.id) == job and list_jobs(workspace) == [job]


def test_a_real_stage_runs_as_a_job(workspace: Workspace) -> None:
    job = ended(workspace, start(workspace, verify, VerifyConfig()))
    assert job.status == "done" and job.result["checked"] == 0


def test_an_error_in_words_is_the_jobs_note(workspace: Workspace) -> None:
    job = ended(workspace, start(workspace, stages.refuse, CountConfig()))
    assert (job.status, job.note) == ("failed", "There is only 1 picture. Add more.")
    assert kinds(job) == ["progress", "failed"]


def test_an_unexpected_error_says_where_to_look(workspace: Workspace) -> None:
    job = ended(workspace, start(workspace, stages.stumble, CountConfig()))
    assert job.status == "failed"
    assert "ZeroDivisionError: by nought" in job.note and "output.txt" in job.note
    until(lambda: "Traceback" in (job.folder / "output.txt").read_text())


def test_a_workspace_with_an_odd_name_has_jobs_too(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "Bären & 'Pilze' 熊")
    assert ended(workspace, start(workspace, stages.count, CountConfig(to=1))).result["where"] == str(workspace.root)


# --- cancelling


def test_a_cancelled_job_stops_at_its_next_step_and_tidies_up(workspace: Workspace) -> None:
    job = start(workspace, stages.tidy, CountConfig())
    until(lambda: get_job(workspace, job.id).done > 2)
    began = time.monotonic()
    assert cancel(workspace, job.id).cancelling
    job = ended(workspace, job)
    assert job.status == "cancelled" and time.monotonic() - began < 10
    assert kinds(job)[-1] == "cancelled" and kinds(job).count("cancelled") == 1
    assert not (workspace.root / "half-done").exists()
    with pytest.raises(JobError, match=r"not running any more \(it is cancelled\)"):
        cancel(workspace, job.id)


@needs_signals
def test_a_polite_signal_is_a_cancel(workspace: Workspace) -> None:
    job = start(workspace, stages.tidy, CountConfig())
    until(lambda: get_job(workspace, job.id).done > 2)
    process_of(job).terminate()
    assert ended(workspace, job).status == "cancelled"
    assert not (workspace.root / "half-done").exists()


def test_a_job_that_does_not_stop_is_ended_after_its_grace(workspace: Workspace) -> None:
    job = start(workspace, stages.hang, CountConfig(), grace_seconds=0.5)
    until(lambda: get_job(workspace, job.id).note == "Hanging")
    process = process_of(job)
    cancel(workspace, job.id)
    job = ended(workspace, job, 15)
    assert job.status == "cancelled" and "within 0.5 seconds" in job.note
    until(lambda: not process.is_running())


def test_a_job_may_be_cancelled_before_it_has_begun(workspace: Workspace) -> None:
    job = start(workspace, stages.count, CountConfig(to=1000, seconds=0.1))
    cancel(workspace, job.id)
    job = ended(workspace, job)
    assert job.status == "cancelled" and job.done <= 1


# --- sudden ends


@pytest.mark.slow
@needs_signals
def test_a_killed_job_is_interrupted_and_can_be_resumed(workspace: Workspace) -> None:
    job = ended(workspace, start(workspace, stages.count_where_left_off, CountConfig(to=4, words=("die",))))
    assert (job.status, job.done, job.total, job.result) == ("interrupted", 2, 4, None)
    with pytest.raises(JobError, match="it is interrupted"):
        cancel(workspace, job.id)
    again = resume(workspace, job.id)
    assert again.id != job.id and again.config == job.config
    again = ended(workspace, again)
    assert again.status == "done" and [event.get("done") for event in again.events()] == [3, 4, None]
    assert get_job(workspace, job.id).status == "interrupted"
    assert [found.id for found in list_jobs(workspace)] == [again.id, job.id]


def test_a_running_job_cannot_be_resumed(workspace: Workspace) -> None:
    job = start(workspace, stages.count, CountConfig(to=1000, seconds=0.1))
    with pytest.raises(JobError, match="still running"):
        resume(workspace, job.id)
    cancel(workspace, job.id)
    ended(workspace, job)


def test_a_job_outlives_the_process_that_started_it_and_is_found_again(workspace: Workspace) -> None:
    script = (
        "import sys; from pipeline.jobs.job import start; from pipeline.workspace.workspace import Workspace\n"
        "from tests.support.stages import CountConfig, count\n"
        "print(start(Workspace.open(sys.argv[1]), count, CountConfig(to=30, seconds=0.05)).id)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(workspace.root)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    job = get_job(Workspace.open(workspace.root), done.stdout.strip())
    assert job.status == "running"
    seen = len(job.events())
    job = ended(workspace, job)
    assert job.status == "done" and len(job.events()) == 31 > seen


@needs_signals
def test_a_process_number_that_was_given_to_another_is_not_taken_for_the_job(workspace: Workspace) -> None:
    job = ended(workspace, start(workspace, stages.die, CountConfig()))
    mine = {"pid": os.getpid(), "created": 1.0}
    (job.folder / "process.json").write_text(json.dumps(mine))
    assert get_job(workspace, job.id).status == "interrupted"


def test_a_clock_that_was_set_does_not_make_a_running_job_look_dead(workspace: Workspace) -> None:
    job = start(workspace, stages.count, CountConfig(to=1000, seconds=0.05))
    process = process_of(job)
    shifted = {"pid": process.pid, "created": process.create_time() - 3600}
    (job.folder / "process.json").write_text(json.dumps(shifted))
    assert get_job(workspace, job.id).status == "running"
    cancel(workspace, job.id)
    ended(workspace, job)


# --- what is on disk


def made_up(workspace: Workspace, name: str, events: bytes) -> Path:
    """A job that nobody runs, with ``events`` as its file."""
    folder = workspace.jobs / name
    folder.mkdir()
    what = {"target": "tests.support.stages:count", "config": {"to": 1}, "workspace": str(workspace.root)}
    (folder / "job.json").write_text(json.dumps({**what, "grace_seconds": 1, "at": "2026-01-01T00:00:00+00:00"}))
    (folder / "process.json").write_text(json.dumps({"pid": 2**22 - 1, "created": 0.0}))
    (folder / "events.jsonl").write_bytes(events)
    return folder


STEP = (
    json.dumps({"kind": "progress", "at": "", "done": 1, "total": 2, "note": "Zähle", "metrics": {}}).encode() + b"\n"
)
STEP_IN_UTF8 = STEP.replace(b"\\u00e4", "ä".encode())


@pytest.mark.parametrize(
    "damage",
    [
        b'{"kind": "progr',
        STEP_IN_UTF8[: STEP_IN_UTF8.index("ä".encode()) + 1],
        b"\0\0\0\0\0\0\n",
        b"null\n",
        b"[1, 2]\n",
        b"{}\n",
        b"\xff\xfe\n",
        b'{"kind": "progress", "done": \n',
    ],
)
def test_a_damaged_or_half_written_line_costs_only_itself(workspace: Workspace, damage: bytes) -> None:
    made_up(workspace, "a", STEP_IN_UTF8 + damage)
    job = get_job(workspace, "a")
    assert (job.status, job.done, job.note) == ("interrupted", 1, "Zähle")
    assert kinds(job) == ["progress"]
    if damage.endswith(b"\n"):
        made_up(workspace, "b", damage + STEP_IN_UTF8)
        assert kinds(get_job(workspace, "b")) == ["progress"]


def test_a_reader_never_stumbles_over_a_line_being_written(workspace: Workspace) -> None:
    job = start(workspace, stages.chatter, CountConfig(to=200))
    reads = 0
    while get_job(workspace, job.id).active:
        reads += 1
    job = get_job(workspace, job.id)
    assert job.status == "done" and len(job.events()) == 201 and reads > 3


def test_a_job_whose_folder_was_left_half_made_is_not_listed(workspace: Workspace) -> None:
    made_up(workspace, "20260101-000000-count-abcdef.12345678.part", b"")
    assert list_jobs(workspace) == []


def test_a_job_that_never_began_is_interrupted_after_a_while(workspace: Workspace) -> None:
    folder = made_up(workspace, "a", b"")
    (folder / "process.json").unlink()
    assert get_job(workspace, "a").status == "running"
    long_ago = time.time() - jobs.START_SECONDS - 1
    os.utime(folder, (long_ago, long_ago))
    assert get_job(workspace, "a").status == "interrupted"


@pytest.mark.parametrize("name", ["nothing", "", "..", "../../etc", "a/b"])
def test_an_unknown_job_is_refused_in_words(workspace: Workspace, name: str) -> None:
    with pytest.raises(JobError, match="no job"):
        get_job(workspace, name)


def test_only_stages_of_our_own_packages_are_run(workspace: Workspace) -> None:
    def elsewhere(workspace: Workspace, config: CountConfig) -> object: ...

    elsewhere.__module__, elsewhere.__qualname__ = "os", "system"
    with pytest.raises(JobError, match="not a stage of Winnow"):
        start(workspace, elsewhere, CountConfig())  # type: ignore[arg-type]
    assert list_jobs(workspace) == []


# --- several at once


def test_jobs_are_listed_newest_first(workspace: Workspace) -> None:
    first, second = (start(workspace, stages.count, CountConfig()) for _ in range(2))
    assert [job.id for job in list_jobs(workspace)] == [second.id, first.id]
    ended(workspace, first)
    ended(workspace, second)


def test_jobs_of_two_workspaces_do_not_mix(tmp_path: Path) -> None:
    one, two = Workspace.create(tmp_path / "one"), Workspace.create(tmp_path / "two")
    first = start(one, stages.count, CountConfig(to=2))
    second = start(two, stages.count, CountConfig(to=3))
    assert ended(one, first).result["where"] == str(one.root)
    assert ended(two, second).result["where"] == str(two.root)
    assert len(list_jobs(one)) == len(list_jobs(two)) == 1
    with pytest.raises(JobError):
        get_job(one, second.id)


@pytest.mark.slow
def test_a_job_that_wants_to_be_alone_waits_visibly_for_the_other(workspace: Workspace, tmp_path: Path) -> None:
    alone = CountConfig(to=2000, seconds=0.02, lock=str(tmp_path / "lock"))
    first = start(workspace, stages.count_alone, alone)
    until(lambda: get_job(workspace, first.id).done > 0)
    second = start(workspace, stages.count_alone, CountConfig(to=1, lock=alone.lock))
    until(lambda: get_job(workspace, second.id).status == "queued")
    assert "Waiting" in get_job(workspace, second.id).note
    third = start(workspace, stages.count_alone, CountConfig(to=1, lock=alone.lock))
    until(lambda: get_job(workspace, third.id).status == "queued")
    cancel(workspace, third.id)
    assert ended(workspace, third).status == "cancelled"
    process_of(first).kill() if os.name == "nt" else process_of(first).send_signal(signal.SIGKILL)
    assert ended(workspace, second).status == "done"
    assert get_job(workspace, first.id).status == "interrupted"
