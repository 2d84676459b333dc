"""Labels as numbers: one class each (softmax), or yes or no for every class (sigmoid); and how likely a label is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from pipeline.predict import NONE, SEVERAL, Outputs

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Flags: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]


def named(label: str) -> frozenset[str]:
    """The classes that a label names; NONE, where it names none, is one of them."""
    return frozenset(label.split(SEVERAL))


def in_words(label: str) -> str:
    """A label as one says it: several with commas."""
    return label.replace(SEVERAL, ", ")


def classes_of(labels: Iterable[str], outputs: Outputs) -> tuple[str, ...]:
    """All classes that ``labels`` name, sorted. With sigmoid outputs NONE is none of them."""
    every = {name for label in set(labels) for name in named(label)}
    return tuple(sorted(every - {NONE} if outputs.kind == "sigmoid" else every))


def answers_of(classes: Sequence[str], outputs: Outputs) -> tuple[str, ...]:
    """All that a model may answer: its classes, and NONE where it may say that."""
    return (*classes, NONE) if outputs.kind == "sigmoid" else tuple(classes)


def as_flags(labels: Iterable[str], classes: Sequence[str]) -> Flags:
    """[N, C]: whether each label names each class. What names no class of ``classes`` is a row of False."""
    number = {name: index for index, name in enumerate(classes)}
    rows, unique = pd.factorize(np.array(list(labels), dtype=object))
    flags = np.zeros((len(unique), len(classes)), dtype=bool)
    for row, label in enumerate(unique):
        flags[row, [number[name] for name in named(label) if name in number]] = True
    return flags[rows]


def known(labels: Iterable[str], classes: Collection[str]) -> Flags:
    """[N]: whether each label names nothing but ``classes`` (NONE has to be one of them to be known)."""
    there = frozenset(classes)
    rows, unique = pd.factorize(np.array(list(labels), dtype=object))
    return np.array([named(label) <= there for label in unique], dtype=bool)[rows]


def likelihood(labels: Iterable[str], probabilities: Floats, classes: Sequence[str], outputs: Outputs) -> Floats:
    """[N]: how likely each label is by ``probabilities`` [N, C]: that of its class (softmax), or that each class is
    there or not as it says (sigmoid, as if they were independent). 0 for a label that names another class.
    """
    labels = list(labels)
    flags = as_flags(labels, classes)
    if outputs.kind == "sigmoid":
        likely = np.where(flags, probabilities, 1.0 - probabilities).prod(axis=1)
    else:
        likely = np.where(flags, probabilities, 0.0).sum(axis=1)
        likely = np.where(flags.sum(axis=1) == 1, likely, 0.0)
    return np.where(known(labels, answers_of(classes, outputs)), likely, 0.0)


def answered(probabilities: Floats, classes: Sequence[str], outputs: Outputs) -> pd.DataFrame:
    """predicted (a label) and probability of each row of ``probabilities`` [N, C]."""
    rows = zip(probabilities.tolist(), outputs.chosen(probabilities).tolist(), strict=True)
    answers = [outputs.answer(row, chosen, classes) for row, chosen in rows]
    return pd.DataFrame(answers, columns=["predicted", "probability"])
