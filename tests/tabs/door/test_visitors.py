"""Who comes and goes in a public demo: what is kept for them, for how long, and what is cleared away."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock
from gradio.context import LocalContext

from pipeline.errors import LimitReached, WorkspaceError
from pipeline.jobs import job as jobs
from pipeline.tabs.door.demo import LOCK, PREFIX, clear_leftovers, public_demo, terms
from pipeline.tabs.door.visitors import SCOPE, Visitors
from pipeline.tabs.page.picker import Workspaces
from pipeline.workspace.limits import Limits
from pipeline.workspace.workspace import Workspace
from tests.support.stages import CountConfig, count


class Clock:
    """Minutes that pass when they are told to."""

    def __init__(self) -> None:
        self.minutes = 100.0

    def __call__(self) -> float:
        return 60 * self.minutes


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def visitors(tmp_path: Path, clock: Clock) -> Visitors:
    template = Workspace.create(tmp_path / "demo" / "template" / "starter")
    limits = Limits(workspaces=2, visitors=3, idle_minutes=60, away_minutes=10)
    return Visitors(tmp_path / "demo", limits, template, clock)


@contextmanager
def asking(who: str | None, session: str = "s") -> Iterator[None]:
    """What runs inside is asked for by that visitor."""
    request = SimpleNamespace(request=SimpleNamespace(scope={SCOPE: who}), session_hash=session)
    token = LocalContext.request.set(request)  # type: ignore[arg-type]
    try:
        yield
    finally:
        LocalContext.request.reset(token)


def newcomer(visitors: Visitors) -> str:
    who = visitors.who(visitors.new_key())
    assert who is not None
    return who


def test_keys_differ_and_those_of_another_server_mean_nothing(visitors: Visitors, tmp_path: Path) -> None:
    keys = {visitors.new_key() for _ in range(50)}
    assert len({visitors.who(key) for key in keys}) == 50
    other = Visitors(tmp_path / "other", Limits(), Workspace.create(tmp_path / "t" / "starter"))
    assert {other.who(key) for key in keys} == {None} and other.cookie != visitors.cookie
    who = newcomer(visitors)
    assert all(who not in key for key in keys)
    for junk in (None, "", ".", "a.b", who, f"{who}.", "ä.ö", "." + who):
        assert visitors.who(junk) is None


def test_nobody_who_is_unknown_has_anything(visitors: Visitors) -> None:
    with pytest.raises(WorkspaceError, match="cookie"):
        visitors.first()
    with asking(None), pytest.raises(WorkspaceError, match="cookie"):
        visitors.first()
    assert list((visitors.root / "visitors").iterdir()) == []


def test_everybody_moves_in_at_the_first_thing_they_do(visitors: Visitors) -> None:
    ann, bob = newcomer(visitors), newcomer(visitors)
    mine = Workspaces(visitors)
    with asking(ann):
        assert mine.names() == ["starter"]
        mine.create("bears")
        with pytest.raises(LimitReached, match="2 workspaces"):
            mine.create("third")
    with asking(bob, "t"):
        assert mine.names() == ["starter"]
        with pytest.raises(WorkspaceError, match="no workspace called"):
            mine.open("bears")
        uploads = visitors.uploads()
    assert uploads.parent == visitors.home(bob)
    assert Limits.of(Workspace(visitors.home(ann) / "bears")) == visitors.limits


def test_a_page_is_whose_asked_first_with_it(visitors: Visitors) -> None:
    ann, bob = newcomer(visitors), newcomer(visitors)
    with asking(ann, "page"):
        visitors.first()
    with asking(bob, "page"), pytest.raises(WorkspaceError, match="another visitor"):
        visitors.first()
    assert visitors.owns(ann, "page") and not visitors.owns(bob, "page") and not visitors.owns(None, "page")


def test_who_left_or_does_nothing_is_cleared_away_and_nobody_else(visitors: Visitors, clock: Clock) -> None:
    ann, bob, cem = (newcomer(visitors) for _ in range(3))
    for who, session in ((ann, "a1"), (ann, "a2"), (bob, "b"), (cem, "c")):
        with asking(who, session):
            visitors.first()
    with asking(ann, "a1"):
        visitors.page_closed()  # the other page is still open
    with asking(bob, "b"):
        visitors.page_closed()
    clock.minutes += 9
    assert visitors.sweep() == []
    with asking(bob, "b2"):  # it was a reload
        visitors.first()
    clock.minutes += 40
    with asking(cem, "c"):
        visitors.first()
    clock.minutes += 12
    assert visitors.sweep() == [ann]
    with asking(cem, "c"):
        visitors.page_closed()
    clock.minutes += 11
    assert sorted(visitors.sweep()) == sorted([bob, cem])
    assert list((visitors.root / "visitors").iterdir()) == []
    with asking(ann, "a3"):
        assert Workspaces(visitors).names() == ["starter"]


def test_full_is_full_until_somebody_leaves(visitors: Visitors) -> None:
    crowd = [newcomer(visitors) for _ in range(4)]
    for who in crowd[:3]:
        with asking(who, who):
            visitors.first()
    with asking(crowd[3], "x"), pytest.raises(LimitReached, match="Try again"):
        visitors.first()
    with asking(crowd[0], crowd[0]):
        visitors.start_over()
    with asking(crowd[3], "x"):
        assert visitors.first().is_dir()


def test_jobs_of_who_is_cleared_away_end(visitors: Visitors) -> None:
    ann = newcomer(visitors)
    with asking(ann):
        workspace = Workspaces(visitors).open("starter")
        job = jobs.start(workspace, count, CountConfig(to=5_000, seconds=0.05))
        pid = _pid_of(workspace, job)
        visitors.start_over()
    assert not visitors.home(ann).exists()
    assert not _is_alive(pid)


def _pid_of(workspace: Workspace, job: jobs.Job) -> int:
    import json
    import time

    file = workspace.jobs / job.id / "process.json"
    deadline = time.monotonic() + 60
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return int(json.loads(file.read_text())["pid"])


def _is_alive(pid: int) -> bool:
    import psutil

    try:
        psutil.Process(pid).wait(20)
    except psutil.NoSuchProcess:
        return False
    return psutil.pid_exists(pid)


def test_what_a_killed_server_left_behind_is_cleared_and_what_is_served_is_not(tmp_path: Path) -> None:
    for name in ("dead", "served"):
        Workspace.create(tmp_path / f"{PREFIX}{name}" / "visitors" / "v" / "starter")
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path / f"{PREFIX}served", target_is_directory=True)
    (tmp_path / "other").mkdir()
    hold = (
        "import sys, time; from filelock import FileLock\n"
        "lock = FileLock(sys.argv[1]); lock.acquire(); print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path / f"{PREFIX}served" / LOCK)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        assert clear_leftovers(tmp_path) == 1
        assert sorted(path.name for path in tmp_path.iterdir()) == ["other", f"{PREFIX}link", f"{PREFIX}served"]
        assert (tmp_path / f"{PREFIX}served" / "visitors" / "v").is_dir()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.usefixtures("kept")
def test_a_demo_takes_the_hosts_token_away_and_leaves_nothing_behind(kept: Path) -> None:
    environment = {"HF_TOKEN": "hf_secret", "WINNOW_DEMO_IMAGES": "700"}
    with public_demo(environment, sweep_seconds=0.01) as visitors:
        assert "HF_TOKEN" not in environment
        assert Path(environment["GRADIO_TEMP_DIR"]).parent == visitors.root
        assert visitors.limits is not None and visitors.limits.images == 700
        assert visitors.root.stat().st_mode & 0o077 == 0 or os.name == "nt"
        with asking(newcomer(visitors)):
            assert len(Workspaces(visitors).open(None).store.images()) > 100
        with pytest.raises(TimeoutError), FileLock(visitors.root / LOCK, timeout=0, is_singleton=False):
            pass
    assert list(kept.iterdir()) == []


def test_what_a_visitor_should_know_names_every_limit() -> None:
    words = terms(Limits(images=1234, epochs=7, job_minutes=8, away_minutes=9))
    for part in ("1,234 pictures", "7 epochs", "8 minutes", "9 minutes after you close"):
        assert part in words
