"""A data version changes with what was learnt from, and with nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd

from pipeline.train.write_run import data_version, standing
from pipeline.workspace.records import Decision, State

ROWS = pd.DataFrame(
    [("a", "pear", "train"), ("b", "apple|melon", "valid"), ("c", "pear", "test")], columns=["id", "label", "split"]
)


def changed(row: int, **values: str) -> pd.DataFrame:
    rows = ROWS.copy()
    for column, value in values.items():
        rows.loc[row, column] = value
    return rows


def test_a_relabel_a_removal_and_another_split_change_it():
    versions = [
        data_version(rows)
        for rows in (ROWS, changed(0, label="apple"), changed(2, split="train"), ROWS.iloc[1:], changed(0, id="d"))
    ]
    assert len(set(versions)) == 5 and all(len(version) == 64 for version in versions)
    assert data_version(changed(0, label="apple").assign(label=ROWS["label"])) == versions[0]


def test_the_order_of_rows_and_of_several_labels_and_other_columns_do_not():
    assert data_version(ROWS[::-1].reset_index(drop=True)) == data_version(ROWS)
    assert data_version(changed(1, label="melon|apple")) == data_version(ROWS)
    assert data_version(ROWS.assign(file="x", width=3)) == data_version(ROWS)


def test_only_decisions_that_stand_and_were_made_until_then_count():
    then = datetime(2026, 3, 5, tzinfo=UTC)
    state = State(("ant",), "ok")
    journal = [
        Decision(number, "image", "keep", state, state, (then + timedelta(hours=hours)).isoformat(), undone)
        for number, (hours, undone) in enumerate([(-2, False), (-1, True), (0, False), (1, False)])
    ]
    assert standing(journal, then) == 2 and standing([], then) == 0
