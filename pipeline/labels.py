"""Labels as numbers: one class each (softmax), or yes or no for every class (sigmoid); and how likely a label is.

Labels as words: what somebody typed or a table holds becomes a name that is fit to keep, one or several a cell.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
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


def clean_labels(text: str, separator: str | None, name: Callable[[str], str] = clean_label) -> str:
    """The labels of one cell, sorted (as the store gives them), each once, joined by ``|``; one where ``separator``
    is None. ``name`` makes a class name of each.

    A separator of white space stands for any. Raises SourceError where none is left.
    """
    if separator is None:
        return name(text)
    parts = text.split(separator if separator.strip() else None)
    labels = {name(part.strip()) for part in parts if part.strip()}
    return SEVERAL.join(sorted(labels)) or clean_label("")


@dataclass(frozen=True)
class Several:
    """How the cells of a column name several labels: with ``separator`` between them (None: each cell is one label). A
    cell without it holds one label, unless each of its words is in ``words``, the labels of one word that the column
    has. ``doubt``: why it is read so where it could be otherwise, in words.
    """

    separator: str | None
    words: frozenset[str] = frozenset()
    doubt: str = ""

    @classmethod
    def of(cls, cells: Sequence[str]) -> Several:
        """What separates the labels of ``cells``: ``;`` or ``|`` where any cell has it.

        Commas and white space are within names, too ("tench, Tinca tinca", "AMERICAN ROBIN"): they separate only where
        the parts come again in other combinations. That is so where, in half of the different cells with several
        parts, every part is in another cell as well; and, with white space, such a part also stands alone, or before
        another in one cell and behind one in another, or there are cells of different length. So "dog person", "dog",
        "person cat" are several labels; "black bear", "brown bear", "black cat" are one each.
        """
        kinds = list(dict.fromkeys(cells))
        for sign in SEPARATORS[:-1]:
            if any(sign in cell for cell in kinds):
                return cls(sign, _words_alone(kinds, sign))
        sign = next((sign for sign in (",", " ") if any(len(_parts(cell, sign)) > 1 for cell in kinds)), "")
        if not sign:
            return cls(None)
        example = next(cell for cell in kinds if len(_parts(cell, sign)) > 1)[:80]
        called = "blanks" if sign == " " else "commas"
        if not _recombine(kinds, sign):
            return cls(
                None,
                doubt=f"a label may have {called} in it: '{example}' is one. If it is several, say "
                f"--label-separator '{sign}'.",
            )
        several = ", ".join(_parts(example, sign))
        return cls(
            sign,
            _words_alone(kinds, sign) if sign == "," else frozenset(),
            f"{called} are between labels, for their words come in many combinations: '{example}' is several "
            f"({several}). If it is one, say --label-separator with a sign that no cell has.",
        )

    def labels(self, text: str, name: Callable[[str], str] = clean_label) -> str:
        """The labels of one cell, as :func:`clean_labels` joins them."""
        if self.separator is None:
            return name(text)
        is_list = self.separator not in text and bool(self.words) and self.words.issuperset(text.split())
        return clean_labels(text, " " if is_list else self.separator, name)


def _parts(cell: str, sign: str) -> list[str]:
    return [part.strip() for part in cell.split(None if sign == " " else sign) if part.strip()]


def _words_alone(cells: Iterable[str], sign: str) -> frozenset[str]:
    """The labels of one word."""
    return frozenset(label for cell in cells for label in _parts(cell, sign) if len(label.split()) == 1)


def _recombine(cells: Sequence[str], sign: str) -> bool:
    """Whether the parts of cells come again in other combinations (see :meth:`Several.of`)."""
    parts = [_parts(cell, sign) for cell in cells]
    several = [found for found in parts if len(found) > 1]
    cells_with = Counter(part for found in parts for part in set(found))
    free = [found for found in several if all(cells_with[part] > 1 for part in found)]
    if not free or len(free) * 2 < len(several):
        return False
    alone = {found[0] for found in parts if len(found) == 1}
    used = {part for found in free for part in found}
    both_ways = {found[0] for found in several} & {found[-1] for found in several}
    return sign == "," or bool(used & (alone | both_ways)) or len({len(found) for found in several}) > 1
