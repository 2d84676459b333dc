"""The log of audits is kept, and says what a reader of test errors has to know."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cleaner.clean.audit import FACT, Audit, audits, in_words, log_audit
from cleaner.clean.decisions import undo
from cleaner.compare.compare import compare
from pipeline.workspace.workspace import Workspace
from tests.cleaner.fabricate import Shot, run_with, workspace_with

HOSTILE = "run '; DROP TABLE facts; -- <img onerror=1> ü"


def test_audits_are_kept_in_order_with_their_time_and_run(workspace: Workspace):
    assert audits(workspace) == [] and in_words([]) == ""
    first, second = log_audit(workspace, "run-a"), log_audit(workspace, HOSTILE)
    assert audits(Workspace.open(workspace.root)) == [first, second]
    assert first.at < second.at and second.run == HOSTILE


def test_audits_logged_at_once_are_all_kept(workspace: Workspace):
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: log_audit(workspace, f"run-{number}"), range(40)))
    assert {audit.run for audit in audits(workspace)} == {f"run-{number}" for number in range(40)}


def test_an_audit_is_not_undone_with_the_decisions(tmp_path: Path):
    shots = [Shot("one", "ant", "test", (0.9, 0.1, 0.0))]
    workspace, _ = workspace_with(tmp_path / "w", shots, pictures=False)
    log_audit(workspace, "run-a")
    undo(workspace)
    assert len(audits(workspace)) == 1


def test_the_words_say_when_how_often_and_with_which_runs():
    once = [Audit("2026-03-05T10:00:00+00:00", "a")]
    assert "on 2026-03-05, with the answers of run a beside" in in_words(once)
    words = in_words([*once, Audit("2026-03-09T10:00:00+00:00", "b"), Audit("2026-03-09T11:00:00+00:00", "b")])
    assert "3 times from 2026-03-05 to 2026-03-09" in words and "the runs a and b" in words


def test_every_comparison_after_an_audit_shows_it(tmp_path: Path):
    shots = [Shot(f"s{n}", "ant", "test", (0.9, 0.1, 0.0)) for n in range(4)]
    workspace, ids = workspace_with(tmp_path / "w", shots, pictures=False)
    runs = [run_with(workspace, ids, shots, name=name) for name in ("a", "b")]
    assert "audited" not in compare(workspace, *runs).words
    log_audit(workspace, "a")
    found = compare(workspace, *runs)
    assert "The test split was audited on" in found.words and any("audited" in note for note in found.notes)
    assert "audited" not in found.summary


def test_a_list_can_be_begun_and_gone_on_with_as_a_fact(workspace: Workspace):
    workspace.store.set_fact(FACT, [])
    workspace.store.add_to_fact(FACT, {"at": "x", "run": 'a "quoted" \\ name'})
    assert json.loads(json.dumps(workspace.store.fact(FACT))) == [{"at": "x", "run": 'a "quoted" \\ name'}]
