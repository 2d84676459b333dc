"""The limits of a public demo: how they are set, and that every process keeps them."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pipeline.collect.download import DownloadConfig, download
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.errors import Cancelled, LimitReached, UsageError
from pipeline.jobs import job as jobs
from pipeline.jobs.job import Job
from pipeline.jobs.worker import Recorder
from pipeline.model.backbones import bundled
from pipeline.stage import Progress, run
from pipeline.train.config import TrainConfig
from pipeline.workspace.limits import Limits, disk_use
from pipeline.workspace.workspace import Workspace
from tests.support.stages import CountConfig, count

SMALL = Limits(images=10, jobs=1)


def limited(home: Path, limits: Limits) -> Workspace:
    limits.write(home)
    return Workspace.create(home / "starter")


def ended(workspace: Workspace, job: Job) -> Job:
    return jobs.wait_for(workspace, job.id, 60)


def test_a_workspace_of_ones_own_has_no_limits(workspace: Workspace) -> None:
    assert Limits.of(workspace) is None


def test_the_limits_beside_a_workspace_hold_for_it_and_its_siblings(tmp_path: Path) -> None:
    assert Limits.of(limited(tmp_path, SMALL)) == SMALL
    assert Limits.of(Workspace.create(tmp_path / "another")) == SMALL


def test_the_environment_sets_them() -> None:
    assert Limits.from_environment({}) == Limits()
    assert Limits.from_environment({"WINNOW_DEMO_IMAGES": "7", "WINNOW_DEMO_EPOCHS": ""}) == Limits(images=7)
    for value in ("many", "-1", "0", "1.5"):
        with pytest.raises(UsageError, match="WINNOW_DEMO_IMAGES is"):
            Limits.from_environment({"WINNOW_DEMO_IMAGES": value})


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 6},
        {"image_size": 512},
        {"image_width": 512},
        {"presize": 600},
        {"batch_size": 65},
        {"sizes": (64, 512)},
        {"backbone": "resnet18"},
        {"backbone": "../x"},
    ],
)
def test_a_training_that_asks_for_too_much_is_refused(change: dict[str, object]) -> None:
    limits, here = Limits(), bundled()
    limits.check(asdict(TrainConfig()), here)
    limits.check({**asdict(TrainConfig()), "epochs": 5, "image_size": 288, "backbone": "fast"}, here)
    with pytest.raises(LimitReached, match="public demo"):
        limits.check({**asdict(TrainConfig()), **change}, here)


def test_more_pictures_than_there_is_room_for_are_not_imported(tmp_path: Path, photographs: Path) -> None:
    workspace = limited(tmp_path / "home", SMALL)
    with pytest.raises(LimitReached, match="at most 10 in a workspace, and there is room for 10 more"):
        run(import_images(workspace, ImportConfig(str(photographs))))
    assert workspace.store.images().empty and not any(workspace.images.rglob("*.*"))
    run(import_images(workspace, ImportConfig(str(photographs / "apple"), label="apple")))
    with pytest.raises(LimitReached, match="room for 2 more"):
        run(import_images(workspace, ImportConfig(str(photographs / "pear"), label="pear")))
    assert len(workspace.store.images()) == 8


def test_only_as_many_links_are_asked_for_as_there_is_room(tmp_path: Path) -> None:
    workspace = limited(tmp_path / "home", replace(SMALL, images=2))
    links = tmp_path / "links.csv"
    links.write_text("url,label\n" + "".join(f"https://there.example/{number}.jpg,a\n" for number in range(5)))
    asked: list[str] = []

    async def fetch(url: str) -> bytes:
        asked.append(url)
        return b""

    done = run(download(workspace, DownloadConfig(urls=str(links)), fetch))
    assert len(asked) == 2
    assert done.problems == ("3 were not asked for: no more pictures may be kept here.",)


def test_one_job_at_a_time_over_all_ones_workspaces(tmp_path: Path) -> None:
    one = limited(tmp_path / "home", SMALL)
    two = Workspace.create(tmp_path / "home" / "another")
    job = jobs.start(one, count, CountConfig(to=2_000, seconds=0.05))
    for workspace in (one, two):
        with pytest.raises(LimitReached, match="yours are still at work"):
            jobs.start(workspace, count, CountConfig(to=1))
    jobs.end_all(one)
    assert ended(one, job).status == "interrupted"
    assert ended(two, jobs.start(two, count, CountConfig(to=1))).status == "done"


def test_a_job_that_works_for_too_long_is_stopped_and_says_so(tmp_path: Path) -> None:
    limits = Limits(job_minutes=1)
    limits.check_time(59)
    with pytest.raises(LimitReached, match="gives a job 1 min"):
        limits.check_time(61)
    recorder = Recorder(limited(tmp_path, limits).jobs, Workspace(tmp_path / "starter"))
    recorder(Progress(0, 1))
    recorder.since, recorder.looked = recorder.since - 61, recorder.looked - 61
    recorder(Progress(0, 0, "", {"queued": True, "place": 2}))  # waiting does not count
    recorder.since, recorder.looked = recorder.since - 61, recorder.looked - 61
    with pytest.raises(Cancelled):
        recorder(Progress(1, 1))
    assert "gives a job 1 min" in recorder.over
    recorder.file.close()


def test_a_full_disk_of_ones_own_stops_jobs_and_starts_none(tmp_path: Path) -> None:
    workspace = limited(tmp_path / "home", replace(SMALL, megabytes=1))
    job = jobs.start(workspace, count, CountConfig(to=2_000, seconds=0.05))
    (tmp_path / "home" / "uploads").mkdir()
    (tmp_path / "home" / "uploads" / "large").write_bytes(b"x" * (2 << 20))
    done = ended(workspace, job)
    assert done.status == "failed" and "at most 1 MB for each visitor" in done.note
    with pytest.raises(LimitReached, match="at most 1 MB"):
        jobs.start(workspace, count, CountConfig(to=1))


def test_a_file_with_two_names_takes_the_disk_once(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"x" * 8192)
    os.link(tmp_path / "one", tmp_path / "two")
    assert 8192 <= disk_use(tmp_path) < 2 * 8192
    assert disk_use(tmp_path / "nowhere") == 0
