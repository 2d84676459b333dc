"""Which images a number stands for: a cell of the matrix, a margin, a class, a bin of the curve, a slice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cleaner.review.review import as_pictures, most_unsure, top_losses
from cleaner.review.scores import in_bin
from cleaner.review.slices import in_slice
from pipeline.labels import Flags, named
from pipeline.predict import NONE, Outputs

WORST, UNSURE = "worst", "unsure"
Names = frozenset[str]
# kind -> (what the label names, what the run named, the two names of the choice) -> whether the image is meant
Rule = Callable[[Names, Names, str, str], bool]
RULES: Mapping[str, Rule] = {
    "cell": lambda labels, said, actual, predicted: _in_cell(labels, said, actual, predicted),
    "missed": lambda labels, said, actual, _: labels != said and actual in (labels - said or {NONE}),
    "invented": lambda labels, said, _, predicted: labels != said and predicted in (said - labels or {NONE}),
    "wrong": lambda labels, said, _, __: labels != said,
    "labelled": lambda labels, said, name, _: name in labels,
    "called": lambda labels, said, name, _: name in said,
    "concerned": lambda labels, said, name, _: name in labels | said,
}


@dataclass(frozen=True)
class Chosen:
    """Some images of a split. ``kind``, and what ``first`` and ``second`` say for it:

    worst, unsure (all images, in that order); cell (actual, predicted); missed (of the class ``first``, answered
    wrongly); invented (taken for ``second``); wrong (all of these); labelled, called, concerned (of the class
    ``first``, called it, either); bin (its number); slice (its kind, its name).
    """

    kind: str = WORST
    first: str = ""
    second: str = ""


def images_of(seen: pd.DataFrame, chosen: Chosen, outputs: Outputs, sources: pd.DataFrame) -> pd.DataFrame:
    """The images of judged predictions that are meant: the columns of ``top_losses``, the highest loss first; for
    UNSURE those of ``most_unsure``. None for a kind that is not known. ``sources``: those of the store.
    """
    if chosen.kind == UNSURE:
        return most_unsure(seen, outputs, len(seen))
    if chosen.kind == WORST:
        return top_losses(seen, len(seen))
    found = as_pictures(seen)[_inside(seen, chosen, outputs, sources)]
    return top_losses(found.rename(columns={"actual": "label"}), len(found))


def _inside(seen: pd.DataFrame, chosen: Chosen, outputs: Outputs, sources: pd.DataFrame) -> Flags:
    if chosen.kind == "bin" and chosen.first.isdecimal():
        return in_bin(seen, outputs, int(chosen.first))
    if chosen.kind == "slice":
        return in_slice(seen, sources, chosen.first, chosen.second)
    rule = RULES.get(chosen.kind)
    if rule is None:
        return np.zeros(len(seen), dtype=bool)
    pairs = zip(seen["label"].astype(str), seen["predicted"].astype(str), strict=True)
    meant = (rule(named(label), named(said), chosen.first, chosen.second) for label, said in pairs)
    return np.fromiter(meant, dtype=bool, count=len(seen))


def _in_cell(labels: Names, said: Names, actual: str, predicted: str) -> bool:
    """Whether an image counts in that cell of ``confusion``."""
    if actual == predicted:
        return actual in labels & said
    missed, invented = labels - said, said - labels
    return labels != said and actual in (missed or {NONE}) and predicted in (invented or {NONE})
