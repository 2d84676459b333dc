"""Data sets as Hugging Face's `datasets` writes them, of pictures that are known, and what is right about each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.importing import picture

CLASSES = ("tench, Tinca tinca", "nan", "a|b", "3")
KEPT = ("tench, Tinca tinca", "nan", "a｜b", "3")

datasets.disable_progress_bars()


@dataclass(frozen=True)
class Known:
    """One picture of a set: its bytes, the name in its row, its class by number (-1: none)."""

    data: bytes
    name: str
    label: int


def known(count: int, start: int = 0) -> list[Known]:
    """Pictures of all classes in turn."""
    return [Known(picture(n), f"photo {n}.png", n % len(CLASSES)) for n in range(start, start + count)]


def dataset(pictures: Iterable[Known], **more: Sequence[Any]) -> datasets.Dataset:
    """A data set with the columns ``image`` and ``label``, as `datasets` makes it; ``more``: column -> (feature, its
    cells).
    """
    told = list(pictures)
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=list(CLASSES))}
    cells: dict[str, Any] = {
        "image": [{"bytes": one.data, "path": one.name} for one in told],
        "label": [one.label for one in told],
    }
    for name, (feature, values) in more.items():
        features[name], cells[name] = feature, list(values)
    return datasets.Dataset.from_dict(cells, features=datasets.Features(features))


def bare(target: Path, rows: Sequence[dict[str, Any]], schema: pa.Schema | None = None, **how: Any) -> Path:
    """Rows as Parquet that says nothing of features."""
    target.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), target, **how)
    return target
