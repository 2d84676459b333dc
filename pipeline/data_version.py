"""Which data a run was trained on: a version of the images, labels and splits, and the decisions made until then."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from pipeline.predict import SEVERAL
from pipeline.workspace.records import Decision
from pipeline.workspace.workspace import Workspace


def learnt_from(workspace: Workspace, rows: pd.DataFrame, seconds: float) -> dict[str, Any]:
    """{data_version, decisions} of a run on ``rows`` (:func:`data_version`) that were read ``seconds`` ago."""
    read = datetime.now(UTC) - timedelta(seconds=seconds)
    return {"data_version": data_version(rows), "decisions": standing(workspace.store.decisions(), read)}


def data_version(rows: pd.DataFrame) -> str:
    """64 hex digits that change when an image comes or goes, or gets another label or split; not with the order.

    ``rows``: id, label (several joined by ``|``, in any order), split of every image that is trained or judged on.
    """
    lines = (
        "\t".join((str(image), SEVERAL.join(sorted(str(label).split(SEVERAL))), str(split)))
        for image, label, split in zip(rows["id"], rows["label"], rows["split"], strict=True)
    )
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def standing(journal: Iterable[Decision], until: datetime) -> int:
    """How many decisions of the journal were made until then and are not undone."""
    return sum(not decision.undone and datetime.fromisoformat(decision.at) <= until for decision in journal)
