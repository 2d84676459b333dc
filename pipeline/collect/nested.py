"""Labels within values: a cell that is a list or an object, as Label Studio, Hugging Face and pandas write it."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

DEEPEST = 8
MOST_CHARACTERS = 100_000
# Where labels are in an object, the most telling first: those of Label Studio, VIA, LabelMe, COCO, Hugging Face.
KEYS = (
    *("choices", "labels", "rectanglelabels", "polygonlabels", "brushlabels", "ellipselabels", "keypointlabels"),
    *(
        "label",
        "class",
        "class_name",
        "category",
        "categories",
        "classes",
        "name",
        "taxonomy",
        "value",
        "classification",
    ),
)


def labels_in(value: Any, deep: int = 0) -> Iterator[str]:
    """The labels that a value of JSON names: a text, a number, a list of them, or an object that holds some."""
    if isinstance(value, str):
        if value.strip():
            yield value
    elif isinstance(value, bool):
        yield str(value)
    elif isinstance(value, int | float):
        if math.isfinite(value):
            yield str(int(value)) if float(value).is_integer() else str(value)
    elif deep < DEEPEST and isinstance(value, list):
        for one in value:
            yield from labels_in(one, deep + 1)
    elif deep < DEEPEST and isinstance(value, Mapping):
        for key in KEYS:
            if key in value:
                yield from labels_in(value[key], deep + 1)
                return


def labels_of_cell(text: str) -> tuple[str, ...] | None:
    """The labels of a cell that is a list or an object (JSON, or as Python prints it), each once; None where it is
    neither.
    """
    if text[:1] not in ("[", "{", "(") or len(text) > MOST_CHARACTERS:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        try:
            value = ast.literal_eval(text)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return None
    if isinstance(value, tuple | set):
        value = list(value)
    return tuple(dict.fromkeys(labels_in(value))) if isinstance(value, list | dict) else None
