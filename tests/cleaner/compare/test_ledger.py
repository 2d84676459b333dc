"""The ledger: a row a run, oldest first, with what older runs lack left open; as a table, as JSON, as a file."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from cleaner.clean.audit import log_audit
from cleaner.clean.decisions import relabel, remove
from cleaner.compare.ledger import Ledger, ledger, write_ledger
from cleaner.tabs.compare.tab import ledger_file, ledger_view
from pipeline.workspace.runs import MANIFEST, PREDICTIONS, describe
from pipeline.workspace.workspace import Workspace
from tests.cleaner.fabricate import Shot, run_with, workspace_with

ANT, BEE = (0.9, 0.1, 0.0), (0.1, 0.9, 0.0)


def shots(answers: list[tuple[float, ...]]) -> list[Shot]:
    return [Shot(f"s{n}", "ant", "test", answer) for n, answer in enumerate(answers)]


@pytest.fixture
def made(tmp_path: Path):
    before, after = shots([BEE] * 8 + [ANT] * 12), shots([ANT] * 19 + [BEE])
    workspace, ids = workspace_with(tmp_path / "w", before, pictures=False)
    return workspace, ids, run_with(workspace, ids, before, name="one"), run_with(workspace, ids, after, name="two")


def test_a_row_a_run_oldest_first_with_the_verdict_against_the_run_before(made):
    workspace, *_ = made
    first, second = ledger(workspace).runs
    assert (first.run, second.run, first.against, second.against) == ("one", "two", None, "one")
    assert first.verdict is None and second.verdict == "better" and second.difference == pytest.approx(-7 / 20)
    assert first.error_rate == first.error_rate_today == pytest.approx(0.4) and first.n_today == 20
    assert not (first.audited_before or first.audited_since)


def test_what_an_older_run_did_not_write_down_is_open(made):
    workspace, _, one, _ = made
    row = ledger(workspace).runs[0]
    assert (row.data_version, row.decisions, row.train) == (None, None, None)
    record = {**one.record, "data_version": "ab" * 32, "decisions": 3, "counts": {"train": 4, "valid": 0, "test": 20}}
    (one.folder / MANIFEST).write_text(json.dumps(record))
    row = ledger(workspace).runs[0]
    assert (row.data_version, row.decisions, row.train, row.test) == ("ab" * 32, 3, 4, 20)


def test_changed_labels_and_removed_images_show_beside_the_error_of_then(made):
    workspace, ids, *_ = made
    relabel(workspace, ids["s0"], "bee")
    remove(workspace, ids["s1"])
    found = ledger(workspace)
    first = found.runs[0]
    assert first.error_rate == pytest.approx(0.4) and first.error_rate_today == pytest.approx(6 / 19)
    assert (first.n_today, first.labels_changed) == (19, 1)
    assert any("changed by hand" in note for note in found.notes)


def test_an_audit_shows_which_runs_it_came_before_and_after(made):
    workspace, ids, *_ = made
    log_audit(workspace, "two")
    run_with(workspace, ids, shots([ANT] * 20), name="three")
    found = ledger(workspace)
    assert [(row.audited_before, row.audited_since) for row in found.runs] == [(False, True)] * 2 + [(True, False)]
    assert any("audited on" in note for note in found.notes)


def test_a_run_whose_predictions_are_lost_keeps_the_rest_of_its_row(made):
    workspace, _, one, _ = made
    (one.folder / PREDICTIONS).unlink()
    first, second = ledger(workspace).runs
    assert first.error_rate == pytest.approx(0.4) and first.error_rate_today is None and second.verdict is None


def test_runs_without_a_test_split_or_a_common_image(tmp_path: Path):
    train, valid = [Shot("t", "ant", "train", ANT)], [Shot("v", "ant", "valid", ANT)]
    workspace, ids = workspace_with(tmp_path / "w", [*train, *valid], pictures=False)
    for name, part in (("a", train), ("b", valid), ("c", valid)):
        run_with(workspace, ids, part, name=name)
    a, b, c = ledger(workspace).runs
    assert (a.error_rate, a.error_rate_today, a.n_today) == (None, None, 0)
    assert (b.against, b.verdict) == ("a", None) and c.verdict == "cannot be told apart"
    cells = [dict(row["cells"]) for row in ledger_view(ledger(workspace))["rows"]]
    assert cells[1]["against the run before"] == "no image in common" and cells[0]["test error then"] == "–"


def test_an_empty_workspace_has_an_empty_ledger_and_no_file(workspace: Workspace, tmp_path: Path):
    found = ledger(workspace)
    assert found == Ledger([], []) and ledger_view(found) == {"rows": [], "notes": []}
    assert ledger_file(workspace, found, tmp_path) is None
    assert write_ledger(found, tmp_path / "empty.csv").read_text().startswith('"run","name"')


def test_the_file_has_the_columns_of_the_rows_and_no_formula(made, tmp_path: Path):
    workspace, *_ = made
    describe(workspace, "two", "=HYPERLINK(1)", "")
    file = ledger_file(workspace, ledger(workspace), tmp_path / "cache")
    assert file and file.name == "ledger.csv" and tmp_path / "cache" in file.parents
    with file.open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    assert list(rows[0]) == list(asdict(ledger(workspace).runs[0]))
    assert rows[1]["name"] == "'=HYPERLINK(1)" and rows[0]["verdict"] == "" and rows[1]["verdict"] == "better"


def test_the_table_says_it_in_words_and_travels_as_json(made):
    workspace, ids, *_ = made
    describe(workspace, "two", "<img src=x onerror=1>", "")
    relabel(workspace, ids["s0"], "bee")
    log_audit(workspace, "two")
    view = json.loads(json.dumps(ledger_view(ledger(workspace))))
    assert [row["name"] for row in view["rows"]] == ["one", "<img src=x onerror=1>"] and len(view["notes"]) == 2
    first, second = (dict(row["cells"]) for row in view["rows"])
    assert first["data version"] == first["decisions"] == first["train, valid, test"] == "–"
    assert first["test error then"].startswith("40.0% (") and first["by the labels of today"].endswith(
        "1 label changed"
    )
    assert second["against the run before"].startswith("cannot be told apart (about ")
    assert first["test split audited"] == second["test split audited"] == "since"


@pytest.mark.parametrize(
    ("verdict", "needed", "words"),
    [
        ("worse", 0, "worse (+2.0 points)"),
        ("cannot be told apart", None, "cannot be told apart (no difference seen)"),
        ("cannot be told apart", 1_000_000, "cannot be told apart (more than 1,000,000 more images would tell)"),
    ],
)
def test_the_verdict_promises_no_more_than_there_is(made, verdict: str, needed: int | None, words: str):
    workspace, *_ = made
    row = replace(ledger(workspace).runs[1], verdict=verdict, needed=needed, difference=0.02)
    assert dict(ledger_view(Ledger([row], []))["rows"][0]["cells"])["against the run before"] == words


def test_the_error_on_new_scenes_stands_in_its_row_where_the_run_says_it(made):
    workspace, _, one, _ = made
    said = {"error_rate": 0.09, "low": 0.06, "high": 0.13, "scenes": 23, "by": "time"}
    (one.folder / MANIFEST).write_text(json.dumps({**one.record, "new_scenes": said}))
    first, second = ledger(workspace).runs
    assert (first.new_scenes, first.new_scenes_low, first.new_scenes_high) == (0.09, 0.06, 0.13)
    assert first.in_a_new_place == "6 to 13 %" and second.new_scenes is None and second.in_a_new_place == ""
    rows = ledger_view(ledger(workspace))["rows"]
    assert [dict(row["cells"])["in a new place"] for row in rows] == ["6 to 13 %", "–"]
