"""The ledger in the Clean tab: a row a run, on a narrow screen a card; and as a file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, TypeAlias

from cleaner.compare.ledger import Ledger, Row, write_ledger
from cleaner.compare.paired import MOST_IMAGES
from pipeline.tabs.page.show import ago, count, error_rate
from pipeline.workspace.workspace import Workspace, writing

View: TypeAlias = dict[str, Any]
UNSAID = "–"
DIGITS = 8


def ledger_view(found: Ledger) -> View:
    """What the component shows: a row a run, oldest first, each of (title, words) cells; and notes."""
    return {
        "rows": [{"id": row.run, "name": row.name, "cells": _cells(row)} for row in found.runs],
        "notes": found.notes,
    }


def _cells(row: Row) -> list[tuple[str, str]]:
    images = [f"{number:,}" for number in (row.train, row.valid, row.test) if number is not None]
    then = {"n": row.error_rate is not None, "error_rate": row.error_rate, "low": row.low, "high": row.high}
    now = {"n": row.n_today, "error_rate": row.error_rate_today, "low": row.low_today, "high": row.high_today}
    return [
        ("when", ago(row.created) or UNSAID),
        ("data version", (row.data_version or UNSAID)[:DIGITS]),
        ("train, valid, test", ", ".join(images) or UNSAID),
        ("decisions", UNSAID if row.decisions is None else f"{row.decisions:,}"),
        ("test error then", error_rate(then)),
        ("by the labels of today", error_rate(now) + _changed(row)),
        ("against the run before", _verdict(row)),
        ("test split audited", _audited(row)),
    ]


def _changed(row: Row) -> str:
    return f", {count(row.labels_changed, 'label')} changed" if row.labels_changed else ""


def _verdict(row: Row) -> str:
    if row.verdict is None or row.difference is None:
        return UNSAID if row.against is None else "no image in common"
    if row.verdict != "cannot be told apart":
        return f"{row.verdict} ({100 * row.difference:+.1f} points)"
    if row.needed is None:
        return f"{row.verdict} (no difference seen)"
    return (
        f"{row.verdict} ({'more than' if row.needed >= MOST_IMAGES else 'about'} {row.needed:,} more images would tell)"
    )


def _audited(row: Row) -> str:
    times = [when for when, there in (("before", row.audited_before), ("since", row.audited_since)) if there]
    return " and ".join(times) or "no"


def ledger_file(workspace: Workspace, found: Ledger, cache: Path) -> Path | None:
    """The ledger as a CSV file below ``cache``; None where there is no run."""
    if not found.runs:
        return None
    file = cache / hashlib.sha256(str(workspace.root).encode()).hexdigest()[:16] / "ledger.csv"
    with writing(file, durable=False) as part:
        write_ledger(found, part)
    return file
