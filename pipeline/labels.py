"""Labels as numbers: one class each (softmax), or yes or no for every class (sigmoid); and how likely a label is.

Labels as words: what somebody typed or a table holds becomes a name that is fit to keep, one or several a cell.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from pipeline.class_names import without_invisible
from pipeline.errors import SourceError
from pipeline.predict import NONE, SEVERAL, Outputs

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Flags: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]

MAX_LABEL_CHARACTERS = 255
SEPARATORS = (";", "|", ",")
# What cannot be seen in a name, or means something else in the store, and the sign that stands for it.
VISIBLE: Mapping[int, str] = MappingProxyType(
    {
        **{code: chr(0x2400 + code) for code in range(0x20)},
        **{code: f"\\x{code:02x}" for code in range(0x80, 0xA0)},
        0x7F: "\u2421",
        ord(SEVERAL): "｜",
    }
)


def named(label: str) -> frozenset[str]:
    """The classes that a label names; NONE, where it names none, is one of them."""
    return frozenset(label.split(SEVERAL))


def in_words(label: str) -> str:
    """A label as one says it: several with commas."""
    return label.replace(SEVERAL, ", ")


def of_today(label: str, renamed: Mapping[str, str]) -> str:
    """The label (several joined by ``|``) in the names of today; ``renamed``: old name -> new one."""
    return SEVERAL.join(sorted({renamed.get(name, name) for name in named(label)})) if renamed else label


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


def clean_label(text: str) -> str:
    """A class name fit to keep: NFC, trimmed, one line, without what shows nothing (see ``class_names``). Raises
    SourceError where nothing usable is left.

    Control characters become visible signs of themselves, and ``|``, which joins labels in the store, its wide form.
    """
    label = without_invisible(text).translate(VISIBLE)
    if not label:
        raise SourceError("A class needs a name.")
    if len(label) > MAX_LABEL_CHARACTERS:
        raise SourceError(f"The class name '{label[:20]}…' is longer than {MAX_LABEL_CHARACTERS} characters.")
    if any(unicodedata.category(character) == "Cs" for character in label):
        raise SourceError(f"The class name {label[:40]!r} has half a character (a lone surrogate) in it.")
    return label


def clean_labels(text: str, separator: str | None) -> str:
    """The labels of one cell, sorted (as the store gives them), each once, joined by ``|``; one where ``separator``
    is None.

    A separator of white space stands for any. Raises SourceError where none is left.
    """
    if separator is None:
        return clean_label(text)
    parts = text.split(separator if separator.strip() else None)
    labels = {clean_label(part) for part in parts if part.strip()}
    return SEVERAL.join(sorted(labels)) or clean_label("")


@dataclass(frozen=True)
class Several:
    """How the cells of a column name several labels: with ``separator`` between them. A cell without it holds one
    label, unless each of its words is in ``words``, the labels of one word that the column has.
    """

    separator: str
    words: frozenset[str] = frozenset()

    @classmethod
    def of(cls, cells: Sequence[str]) -> Several:
        """The first of SEPARATORS that any cell has; white space where none has one."""
        sign = next((sign for sign in SEPARATORS if any(sign in cell for cell in cells)), " ")
        labels = {label.strip() for cell in cells for label in cell.split(sign)} if sign != " " else ()
        return cls(sign, frozenset(label for label in labels if len(label.split()) == 1))

    def labels(self, text: str) -> str:
        """The labels of one cell, as :func:`clean_labels` joins them."""
        is_list = self.separator not in text and self.words.issuperset(text.split())
        return clean_labels(text, " " if is_list else self.separator)
