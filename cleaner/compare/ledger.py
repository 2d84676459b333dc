"""The ledger of runs: on which data each was trained, after how many decisions, and its test error then and today."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cleaner.clean.audit import Audit, audits, in_words
from cleaner.compare.compare import comparison, paired
from cleaner.review.review import share_wrong
from cleaner.review.today import Today, today
from pipeline.errors import NotEnoughData, RunError
from pipeline.safe_text import write_cells
from pipeline.train.new_scenes import probably, stated
from pipeline.workspace.runs import Run, list_runs
from pipeline.workspace.store import SPLITS
from pipeline.workspace.workspace import Workspace


@dataclass(frozen=True)
class Row:
    """One run. What an older version did not write down, or cannot be measured, is None.

    ``data_version`` changes with every image, label and split it was trained or judged on; ``train``, ``valid`` and
    ``test`` count these images; ``decisions`` stood when it was trained. ``error_rate`` on the test split, with its 95
    % interval from ``low`` to ``high``, as it was then; the same with ``_today`` on the ``n_today`` images still in
    use, by the labels of today, of which ``labels_changed`` were changed by hand since; ``new_scenes``: on scenes it
    did not learn from, with its interval. ``verdict``, ``difference`` and ``needed``: those of
    :func:`cleaner.compare.compare.compare` against the run before it, ``against``. The test split was audited before
    the run was made, or since.
    """

    run: str
    name: str
    created: str
    data_version: str | None = None
    train: int | None = None
    valid: int | None = None
    test: int | None = None
    decisions: int | None = None
    error_rate: float | None = None
    low: float | None = None
    high: float | None = None
    error_rate_today: float | None = None
    low_today: float | None = None
    high_today: float | None = None
    n_today: int | None = None
    labels_changed: int | None = None
    new_scenes: float | None = None
    new_scenes_low: float | None = None
    new_scenes_high: float | None = None
    against: str | None = None
    verdict: str | None = None
    difference: float | None = None
    needed: int | None = None
    audited_before: bool = False
    audited_since: bool = False

    @property
    def in_a_new_place(self) -> str:
        """Where the error on new scenes lies, in words; empty where nothing is said of it."""
        rates = {"error_rate": self.new_scenes, "low": self.new_scenes_low, "high": self.new_scenes_high}
        return probably({"new_scenes": {**rates, "scenes": 0, "by": ""}})


@dataclass(frozen=True)
class Ledger:
    """``runs``, oldest first; ``notes``: what to know of the test split before one believes its errors."""

    runs: list[Row]
    notes: list[str]


def ledger(workspace: Workspace) -> Ledger:
    """Every run of the workspace.

    >>> [(row.name, row.train, row.verdict) for row in w.ledger(ws).runs]
    [('before cleaning', 42, None), ('after cleaning', 42, 'cannot be told apart')]
    """
    log = audits(workspace)
    runs = list_runs(workspace)[::-1]
    images = workspace.store.images()
    looks = [_today(workspace, run, images) for run in runs]
    rows = [
        _row(workspace, run, looks[number], looks[number - 1] if number else None, log)
        for number, run in enumerate(runs)
    ]
    notes = [in_words(log), _changed(rows)]
    return Ledger(rows, [note for note in notes if note])


def write_ledger(found: Ledger, file: Path) -> Path:
    """The ledger as a CSV file, its columns the fields of :class:`Row`; no cell is run by a spreadsheet."""
    write_cells(
        pd.DataFrame([asdict(row) for row in found.runs], columns=list(Row.__annotations__), dtype=object), file
    )
    return file


def _today(workspace: Workspace, run: Run, images: pd.DataFrame) -> Today | None:
    try:
        return today(workspace, run, images)
    except RunError:  # its predictions are lost; the rest of its row is not
        return None


def _row(workspace: Workspace, run: Run, now: Today | None, before: Today | None, log: Sequence[Audit]) -> Row:
    return Row(
        run=run.id,
        name=run.name,
        created=run.created,
        data_version=run.record.get("data_version"),
        decisions=run.record.get("decisions"),
        **{split: (run.record.get("counts") or {}).get(split) for split in SPLITS},
        **_then(run),
        **_elsewhere(run),
        **_judged(now),
        **_against(workspace, before, now),
        audited_before=any(audit.at <= run.created for audit in log),
        audited_since=any(audit.at > run.created for audit in log),
    )


def _then(run: Run) -> dict[str, Any]:
    measured = run.record.get("test") or {}
    if not measured.get("n"):
        return {}
    return {key: measured[key] for key in ("error_rate", "low", "high")}


def _judged(now: Today | None) -> dict[str, Any]:
    if now is None:
        return {}
    test = now.on("test")
    rate, low, high = share_wrong(test)
    changed = {"n_today": len(test), "labels_changed": int(test["changed"].sum())}
    return {"error_rate_today": rate, "low_today": low, "high_today": high, **changed}


def _elsewhere(run: Run) -> dict[str, Any]:
    said = stated(run.record) or {}
    names = {"new_scenes": "error_rate", "new_scenes_low": "low", "new_scenes_high": "high"}
    return {field: said.get(name) for field, name in names.items()}


def _against(workspace: Workspace, before: Today | None, now: Today | None) -> dict[str, Any]:
    if before is None or now is None:
        return {}
    try:
        found = comparison(paired(workspace, before, now))
    except NotEnoughData:
        return {"against": before.run.id}
    said = {"verdict": found.verdict, "difference": found.difference, "needed": found.needed}
    return {"against": before.run.id, **said}


def _changed(rows: Sequence[Row]) -> str:
    if not any(row.labels_changed for row in rows):
        return ""
    return (
        "The labels of some test images were changed by hand since some of these runs. The error today, and the "
        "verdict against the run before, are by the labels of today."
    )
