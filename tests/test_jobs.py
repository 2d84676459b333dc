"""Jobs: a stage in a process of its own that outlives who started it, is told apart when dead, and can be resumed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline.errors import JobError
from pipeline.jobs import GRACE_SECONDS, Job, cancel, get_job, list_jobs, resume, start, wait_for
from pipeline.workspace import Workspace
from tests.stages_for_tests import (
    CountConfig,
    chatter,
    count,
    count_alone,
    count_where_left_off,
    die,
    hang,
    refuse,
    stumble,
    tidy,
)  # fmt: skip

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 60.0


def ended(workspace: Workspace, job: Job) -> Job:
    return wait_for(workspace, job.id, SECONDS)


def begun(workspace: Workspace, job: Job, note: str) -> Job:
    deadline = time.monotonic() + SECONDS
    while (now := get_job(workspace, job.id)).note != note:
        assert time.monotonic() < deadline and now.active, now
        time.sleep(0.05)
    return now


def test_a_job_tells_every_step_and_returns_its_result(workspace: Workspace) -> None:
    job = ended(workspace, start(workspace, count, CountConfig(words=("ä", "b"))))
    assert (job.status, job.stage, job.done, job.total, job.note) == ("done", "count", 3, 3, "Zähle 3")
    assert job.result == {"total": 3, "words": ["ä", "b"], "where": str(workspace.root)}
    assert [event["kind"] for event in job.events()] == ["progress"] * 3 + ["done"]
    assert [event["metrics"]["number"] for event in job.events()[:3]] == [1, 2, 3]
    assert job.events(after=3) == job.events()[3:]


def test_a_failed_step_keeps_its_message_for_the_person(workspace: Workspace) -> None:
    job = ended(workspace, start(workspace, refuse, CountConfig()))
    assert (job.status, job.note) == ("failed", "There is only 1 picture. Add more.")


def test_a_mistake_of_ours_is_a_failure_that_says_where_to_look(workspace: Workspace) -> None:
    job = ended(workspace, start(workspace, stumble, CountConfig()))
    assert job.status == "failed" and "ZeroDivisionError: by nought" in job.note
    assert "Traceback" in (job.folder / "output.txt").read_text(encoding="utf-8")


def test_cancel_stops_at_the_next_step_and_leaves_things_whole(workspace: Workspace) -> None:
    job = begun(workspace, start(workspace, tidy, CountConfig()), "Working")
    assert cancel(workspace, job.id).cancelling
    job = ended(workspace, job)
    assert job.status == "cancelled" and not (workspace.root / "half-done").exists()
    with pytest.raises(JobError, match="not running any more"):
        cancel(workspace, job.id)


@pytest.mark.slow
def test_a_stage_that_does_not_listen_is_ended_after_the_grace_period(workspace: Workspace) -> None:
    job = begun(workspace, start(workspace, hang, CountConfig()), "Hanging")
    cancel(workspace, job.id)
    job = wait_for(workspace, job.id, GRACE_SECONDS + 20)
    assert job.status == "cancelled" and "did not stop by itself" in job.note


def test_a_killed_job_is_interrupted_and_resumes_where_it_left_off(workspace: Workspace) -> None:
    job = ended(workspace, start(workspace, count_where_left_off, CountConfig(to=4, words=("die",))))
    assert job.status == "interrupted"
    again = ended(workspace, resume(workspace, job.id))
    assert again.status == "done" and again.config == job.config and again.id != job.id
    assert [event["done"] for event in again.events() if event["kind"] == "progress"] == [3, 4]


def test_a_job_outlives_the_process_that_started_it(workspace: Workspace) -> None:
    script = (
        "import sys; from pipeline.jobs import start; from pipeline.workspace import Workspace;"
        "from tests.stages_for_tests import CountConfig, count;"
        "print(start(Workspace.open(sys.argv[1]), count, CountConfig(to=20, seconds=0.1)).id)"
    )
    starter = subprocess.run(
        [sys.executable, "-c", script, str(workspace.root)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    job = get_job(workspace, starter.stdout.strip())
    assert job.active
    assert ended(workspace, job).status == "done"


def test_a_number_that_the_system_gave_to_another_process_is_not_the_job(workspace: Workspace) -> None:
    job = ended(workspace, start(workspace, die, CountConfig()))
    me = psutil.Process(os.getpid())
    (job.folder / "process.json").write_text(f'{{"pid": {me.pid}, "created": {me.create_time() - 5}}}')
    assert get_job(workspace, job.id).status == "interrupted"


def test_jobs_are_listed_newest_first_and_only_in_their_workspace(workspace: Workspace, tmp_path: Path) -> None:
    first, second = (start(workspace, count, CountConfig()) for _ in range(2))
    other = Workspace.create(tmp_path / "other")
    assert [job.id for job in list_jobs(workspace)] == [second.id, first.id]
    assert list_jobs(other) == []
    for name in ("nothing", "../../etc", ""):
        with pytest.raises(JobError, match="no job"):
            get_job(other, name)
    ended(workspace, first), ended(workspace, second)


def test_a_half_written_event_is_left_for_the_next_look(workspace: Workspace) -> None:
    job = ended(workspace, start(workspace, count, CountConfig()))
    whole = (job.folder / "events.jsonl").read_bytes()
    (job.folder / "events.jsonl").write_bytes(whole[:-20])
    assert [event["kind"] for event in get_job(workspace, job.id).events()] == ["progress"] * 3


def test_events_can_be_read_while_they_are_written(workspace: Workspace) -> None:
    job = start(workspace, chatter, CountConfig(to=60))
    while get_job(workspace, job.id).active:
        job.events()  # raises where a line is torn
    assert len(job.events()) == 61


def test_one_training_at_a_time_and_the_others_say_that_they_wait(workspace: Workspace, tmp_path: Path) -> None:
    config = CountConfig(to=30, seconds=0.1, lock=str(tmp_path / "lock"))
    first = begun(workspace, start(workspace, count_alone, config), "Zähle 1")
    second = start(workspace, count_alone, config)
    deadline = time.monotonic() + SECONDS
    while get_job(workspace, second.id).status != "queued":
        assert time.monotonic() < deadline and get_job(workspace, first.id).active
        time.sleep(0.05)
    assert "another training" in get_job(workspace, second.id).note
    assert [ended(workspace, job).status for job in (first, second)] == ["done", "done"]


def test_only_stages_of_ours_are_run(workspace: Workspace) -> None:
    with pytest.raises(JobError, match="not a stage"):
        start(workspace, os.system, CountConfig())  # type: ignore[arg-type]


def test_a_running_job_cannot_be_resumed_a_second_time(workspace: Workspace) -> None:
    job = begun(workspace, start(workspace, tidy, CountConfig()), "Working")
    with pytest.raises(JobError, match="still running"):
        resume(workspace, job.id)
    cancel(workspace, job.id)
    assert ended(workspace, job).status == "cancelled"
