from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.jobs.job import Job
from pipeline.tabs.page.job_view import (
    History,
    body,
    curve,
    epoch_table,
    error_curve,
    headline,
    result_in_words,
    thinned,
)


def job(**changes: Any) -> Job:
    facts: dict[str, Any] = {
        "id": "1",
        "folder": Path("jobs/1"),
        "stage": "train",
        "config": {},
        "started": "2026-01-01T00:00:00+00:00",
        "status": "running",
        "done": 0,
        "total": 0,
        "note": "",
        "cancelling": False,
    }
    return Job(**{**facts, **changes})


def events(*steps: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "kind": "progress",
            "at": f"2026-01-01T00:00:{second:02}+00:00",
            "done": second,
            "total": 60,
            "metrics": metrics,
        }
        for second, metrics in enumerate(steps)
    ]


EPOCH = {"epoch": 1, "phase": "all", "train_loss": 0.5, "valid_loss": 0.4, "error_rate": 0.1, "seconds": 65}


def test_a_history_adds_up_only_what_is_new() -> None:
    history = History()
    every = events({"loss": 2.0}, {"loss": 1.0}, {"epoch": EPOCH}, {"loss": 0.5})
    history.add(every[:2])
    history.add(every[history.seen :])
    assert history.losses == [2.0, 1.0, 0.5]
    assert history.valid == [(1, 0.4)]
    assert (history.seen, len(history.epochs), history.seconds) == (4, 1, 3.0)


def test_a_running_job_says_how_far_it_is_and_how_long_it_takes() -> None:
    history = History()
    history.add(events(*[{}] * 11))
    assert headline(job(stage="verify", done=10, total=40), history) == "Checking pictures · 25% · about 30 s left"


def test_the_stages_own_estimate_is_preferred() -> None:
    history = History()
    history.add(events({"eta": 200.0}))
    assert headline(job(done=1, total=2), history) == "Training · 50% · about 3 min 20 s left"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "Training · starting…"),
        ({"status": "queued"}, "Training · waiting for its turn"),
        ({"cancelling": True, "done": 1, "total": 2}, "Training · stopping…"),
        ({"status": "cancelled"}, "Training: stopped, as you asked. What was finished is kept."),
        ({"status": "failed", "note": "The disk is full."}, "Training: it failed."),
        ({"stage": "count_sheep"}, "Count sheep · starting…"),
    ],
)
def test_every_state_of_a_job_has_words(changes: dict[str, Any], words: str) -> None:
    assert headline(job(**changes), History()) == words


def test_a_job_that_waits_says_at_which_place() -> None:
    history = History()
    history.add(events({"queued": True, "place": 4}, {"queued": True, "place": 3}))
    assert headline(job(status="queued"), history) == "Training · waiting: you are number 3"


def test_an_interrupted_job_says_that_it_can_go_on() -> None:
    assert "Resume" in headline(job(status="interrupted"), History())


def test_what_an_import_did_not_take_is_listed_by_reason() -> None:
    failed = [{"path": f"{number}.txt", "reason": "No picture."} for number in range(60)]
    failed += [{"path": f"<b>{number}", "reason": f"Reason {number}."} for number in range(20)]
    html = body(job(stage="import_images", status="done", result={"added": 0, "failed": failed}), History())
    assert "<b>60</b> <span>No picture.</span>" in html and "<code>49.txt</code>" in html
    assert "and 10 others" in html and "and 9 others for other reasons" in html
    assert "&lt;b&gt;0" in html and "<b>0" not in html


def test_what_a_job_reports_is_escaped() -> None:
    html = body(job(note="<img src=x onerror=alert(1)>", status="failed"), History())
    assert "<img" not in html and "&lt;img" in html


def test_the_bar_tells_its_share_to_screen_readers_only_where_it_is_known() -> None:
    assert 'aria-valuenow="25"' in body(job(done=1, total=4), History())
    assert "aria-valuenow" not in body(job(), History())


def test_a_curve_needs_two_points() -> None:
    assert curve([], []) == curve([1.0], []) == ""


def test_the_curve_draws_both_losses_inside_its_frame() -> None:
    svg = curve([2.0, 1.0, 0.5], [(1, 0.9), (2, 0.7)])
    assert svg.count("<polyline") == 2 and svg.count("<circle") == 2
    assert 'class="w-train" points="44.0,' in svg


def test_the_error_rate_of_each_epoch_is_drawn_in_percent() -> None:
    svg = error_curve([(0, 0.2), (5, 0.1), (10, float("nan"))], 10)
    assert svg.count("<circle") == 2 and ">20<" in svg and "20.0% at first, 10.0% now" in svg
    assert error_curve([(0, 0.2)], 10) == "" and "nan" not in svg.lower()
    assert "nan" not in error_curve([(0, 0.0), (3, 0.0)], 3).lower()


def test_a_loss_that_is_no_number_breaks_nothing() -> None:
    assert "nan" not in curve([2.0, float("nan"), 0.5], [(2, float("nan"))]).lower()


def test_long_curves_are_thinned_to_means() -> None:
    points = thinned([float(number % 2) for number in range(10_000)])
    assert len(points) <= 240
    assert {loss for _, loss in points} == {0.5}


def test_the_epoch_table_looks_like_fast_ais() -> None:
    html = epoch_table([EPOCH])
    heads = ["epoch", "train_loss", "valid_loss", "error_rate", "time"]
    assert [html.index(f">{head}<") for head in heads] == sorted(html.index(f">{head}<") for head in heads)
    assert all(cell in html for cell in ("0.5000", "0.4000", "0.1000", "01:05"))


@pytest.mark.parametrize(
    ("stage", "result", "words"),
    [
        (
            "import_images",
            {"added": 2, "duplicates": 1, "failed": [{"path": "a.txt", "reason": "It is not a picture."}]},
            "2 pictures added, 1 were there already, 1 not taken (first: a.txt: It is not a picture).",
        ),
        (
            "search",
            {
                "candidates": [{"label": "bear"}, {"label": "bear"}],
                "problems": [
                    {"label": "bear", "kind": "nothing_found", "provider": "openverse", "reason": "None."},
                    {"label": "bear", "kind": "blocked", "provider": "duckduckgo", "reason": "It refuses."},
                    {"label": "wolf", "kind": "blocked", "provider": "duckduckgo", "reason": "It refuses."},
                ],
            },
            "2 pictures found. Look at them in Collect, then download. bear: It refuses.",
        ),
        ("download", {"downloaded": 1, "failed": 3}, "1 picture downloaded, 3 failed"),
        (
            "verify",
            {"checked": 3, "ok": 2, "set_aside": [{}], "duplicate_groups": []},
            "3 pictures checked: 2 fine, 1 set aside, 0 duplicate groups.",
        ),
        (
            "train",
            {"record": {"test": {"error_rate": 0.1, "low": 0.05, "high": 0.2, "n": 80, "baseline_error_rate": 0.7}}},
            "It is wrong on 10.0% (5.0 to 20.0%) of the 80 test pictures. "
            "Always answering the largest class would be wrong 70.0% of the time.",
        ),
        ("train", {"record": {"test": {"n": 0}}}, "The new run is in the list."),
        ("export", {"files": ["a", "b"], "parity": {"images": 8}}, "2 files written; checked on 8 pictures."),
        ("unheard_of", {}, ""),
    ],
)
def test_results_are_told_in_a_sentence(stage: str, result: dict[str, Any], words: str) -> None:
    assert result_in_words(stage, result).startswith(words)
