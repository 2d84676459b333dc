from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from pipeline.jobs import job as jobs
from pipeline.jobs.job import Job, running
from pipeline.tabs.page.job_panel import JobPanel
from pipeline.tabs.page.picker import Workspaces
from pipeline.tabs.page.whose import OnePerson
from pipeline.workspace.workspace import Workspace
from tests.support.stages import CountConfig, count, die, refuse

SLOW = CountConfig(to=400, seconds=0.05)


@pytest.fixture
def panel(workspace: Workspace) -> JobPanel:
    return drawn(workspace)


def drawn(workspace: Workspace) -> JobPanel:
    with gr.Blocks(analytics_enabled=False):
        return JobPanel(Workspaces(OnePerson(workspace.root)), gr.Dropdown([workspace.name]))


@pytest.fixture
def slow(workspace: Workspace) -> Iterator[Job]:
    job = jobs.start(workspace, count, SLOW)
    yield job
    if jobs.get_job(workspace, job.id).active:
        jobs.cancel(workspace, job.id)
        jobs.wait_for(workspace, job.id, 30)


def by_name(panel: JobPanel, updates: list[Any]) -> dict[str, Any]:
    """The updates of one look, by what they are for; an untouched part is ``{"__type__": "update"}``."""
    names = ("box", "view", "stop", "again", "choose", "timer", "shown", "ended")
    parts = (panel.box, panel.view, panel.stop, panel.again, panel.choose, panel.timer, panel.shown, panel.ended)
    places = {id(part): name for name, part in zip(names, parts, strict=True)}
    return {places[id(part)]: update for part, update in zip([*panel.outputs, panel.ended], updates, strict=False)}


def unchanged(update: Any) -> bool:
    return isinstance(update, dict) and set(update) == {"__type__"}


def wait_until_it_counts(workspace: Workspace, job: Job) -> None:
    deadline = time.monotonic() + 60
    while not jobs.get_job(workspace, job.id).done and time.monotonic() < deadline:
        time.sleep(0.1)


def test_a_workspace_without_jobs_shows_no_panel(panel: JobPanel, workspace: Workspace) -> None:
    look = by_name(panel, panel.show(workspace.name))
    assert look["box"].visible is False and look["timer"].active is False


def test_a_running_job_is_found_by_a_page_that_did_not_start_it(
    panel: JobPanel, workspace: Workspace, slow: Job
) -> None:
    wait_until_it_counts(workspace, slow)
    look = by_name(panel, panel.show(workspace.name))
    assert look["box"].visible and look["box"].open and look["box"].label.startswith("Count")
    assert look["timer"].active and look["stop"].visible and not look["again"].visible
    assert "Zähle" in look["view"]
    restarted = drawn(workspace)
    assert by_name(restarted, restarted.show(workspace.name))["shown"].id == slow.id


def test_a_look_at_which_nothing_is_new_changes_nothing(panel: JobPanel, workspace: Workspace) -> None:
    job = jobs.start(workspace, count, CountConfig(to=2))
    jobs.wait_for(workspace, job.id, 60)
    shown = by_name(panel, panel.show(workspace.name))["shown"]
    assert all(unchanged(update) for update in panel._tick(workspace.name, shown))


def test_the_end_of_a_job_is_told_once(panel: JobPanel, workspace: Workspace) -> None:
    job = jobs.start(workspace, count, CountConfig(to=3))
    running_view = by_name(panel, panel.show(workspace.name))
    jobs.wait_for(workspace, job.id, 60)
    end = by_name(panel, panel._tick(workspace.name, running_view["shown"]))
    assert isinstance(end["ended"], str) and end["timer"].active is False and end["stop"].visible is False
    assert unchanged(by_name(panel, panel._tick(workspace.name, end["shown"]))["ended"])


def test_an_answer_that_comes_late_is_put_right_a_moment_after_a_start(panel: JobPanel, workspace: Workspace) -> None:
    page = SimpleNamespace(query_params={"workspace": workspace.name})
    assert all(unchanged(update) for update in panel._page_opened(page))  # type: ignore[arg-type]
    job = jobs.start(workspace, count, CountConfig(to=3))
    shown = by_name(panel, panel.show(workspace.name, job.id))["shown"]
    jobs.wait_for(workspace, job.id, 60)
    look = by_name(panel, panel._settle(workspace.name, shown))
    assert look["box"].visible and look["shown"].id == job.id
    assert isinstance(look["ended"], str), "the end is told though no tick saw it"
    assert unchanged(by_name(panel, panel._settle(workspace.name, look["shown"]))["ended"])
    assert all(unchanged(update) for update in panel._settle("another", shown))


def test_cancel_says_that_it_is_stopping_and_then_that_it_stopped(panel: JobPanel, workspace: Workspace) -> None:
    unhurried = jobs.start(workspace, count, CountConfig(to=20, seconds=3.0))  # it hears of it after seconds only
    wait_until_it_counts(workspace, unhurried)
    look = by_name(panel, panel._cancel(workspace.name, by_name(panel, panel.show(workspace.name))["shown"]))
    assert look["stop"].value == "Stopping…" and look["stop"].interactive is False
    assert "stopping…" in look["box"].label
    jobs.wait_for(workspace, unhurried.id, 30)
    end = by_name(panel, panel.show(workspace.name))
    assert "stopped, as you asked" in end["view"] and end["again"].visible


def test_a_failed_job_shows_its_message_unfolded(panel: JobPanel, workspace: Workspace) -> None:
    jobs.wait_for(workspace, jobs.start(workspace, refuse, CountConfig()).id, 60)
    look = by_name(panel, panel.show(workspace.name))
    assert look["box"].open and "There is only 1 picture. Add more." in look["view"]


def test_an_interrupted_job_can_be_resumed(panel: JobPanel, workspace: Workspace) -> None:
    died = jobs.start(workspace, die, CountConfig())
    jobs.wait_for(workspace, died.id, 60)
    look = by_name(panel, panel.show(workspace.name))
    assert "interrupted" in look["view"] and look["again"].visible
    resumed = by_name(panel, panel._resume(workspace.name, look["shown"]))
    assert resumed["shown"].id != died.id
    jobs.wait_for(workspace, resumed["shown"].id, 60)


def test_a_job_started_elsewhere_is_noticed_and_a_quiet_look_hides_nothing(
    panel: JobPanel, workspace: Workspace
) -> None:
    assert all(unchanged(update) for update in panel._notice(workspace.name, None))
    job = jobs.start(workspace, count, CountConfig(to=40, seconds=0.05))
    assert by_name(panel, panel._notice(workspace.name, None))["shown"].id == job.id
    jobs.wait_for(workspace, job.id, 60)


def test_a_vanished_workspace_stops_the_timer_instead_of_complaining_every_second(
    panel: JobPanel, workspace: Workspace, slow: Job, tmp_path: Path
) -> None:
    shown = by_name(panel, panel.show(workspace.name))["shown"]
    look = by_name(panel, panel._tick("gone", shown))
    assert look["timer"].active is False and look["box"].visible is False


def test_jobs_of_a_stage_are_known_while_they_run(workspace: Workspace, slow: Job) -> None:
    found = running(workspace, "count")
    assert found is not None and found.id == slow.id
    assert running(workspace, "train") is None
