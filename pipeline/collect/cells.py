"""What the cells of a table's rows say: labels, one or several, splits and scenes; decided over all rows of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pipeline.collect.columns import NO_SPLIT, Meaning, as_flag
from pipeline.collect.entries import Labelling, split_of
from pipeline.collect.nested import labels_of_cell
from pipeline.collect.reading import number
from pipeline.errors import SourceError
from pipeline.labels import Several, clean_labels
from pipeline.predict import NONE, SEVERAL

Cells: TypeAlias = Mapping[str, str]
# What pandas and Excel write for nothing; a class may well be called NULL, and then it is seen in the reading.
MISSING = frozenset({"", "nan", "<NA>", "#N/A"})
PLAIN_SPLITS = frozenset({"train", "training", "valid", "val", "validation", "test"})
WHOLE = re.compile(r"-?\d+\.0+")
NUMBERS = re.compile(r"\d+( \d+)*")


@dataclass(frozen=True)
class Row:
    """What a row says: the file's path or URL (empty where it has none), its label (or None), its split (or None) and
    what it was taken together with (or None).
    """

    line: int
    path: str
    url: str
    label: str | None
    split: str | None
    scene: str | None = None


class Said:
    """What rows say, decided over all of them: ``cells`` are those of every row, by role (see :class:`Meaning`).

    Raises SourceError where splits are asked for and no row names one.
    """

    def __init__(self, table: str, meaning: Meaning, cells: Sequence[Cells], how: Labelling) -> None:
        self.table, self.meaning, self.how = table, meaning, how
        self.label = how.name(how.label) if how.label is not None else None
        self.unlabelled = 0
        self._classes = tuple(map(how.name, meaning.classes))
        self._one_hot = _OneHot([row["one_hot"] for row in cells if "one_hot" in row])
        texts = list(dict.fromkeys(text for row in cells if _is_words(text := _text(row))))
        self._whole = bool(texts) and all(WHOLE.fullmatch(text) for text in texts)
        self._several = self._signs(texts)
        self._splits = Counter(row.get("split", "") for row in cells)
        self._odd_flags = Counter(word for row in cells if _flag(word := row.get("is_valid", "")) is None)
        self._read_as = {word: split_of(word) for word in self._splits}
        self._known: dict[str, str | None] = {}  # cell -> label
        self._check_splits()

    def _signs(self, texts: Sequence[str]) -> Several:
        """How cells name several labels. In a column for one label, only with ``|``, or numbers with blanks."""
        if self.how.separator is not None:
            return Several(self.how.separator)
        if "labels" in self.meaning.roles:
            return Several.of(texts)
        if any(SEVERAL in text for text in texts):
            return Several(SEVERAL)
        return Several.of(texts) if texts and all(map(NUMBERS.fullmatch, texts)) else Several(None)

    def _check_splits(self) -> None:
        asked = self.how.split_column is not None or self.how.split_from == "column"
        odd = self._unknown_splits()
        if asked and odd and "split" in self.meaning.roles and not any(map(split_of, self._splits)):
            column = self.meaning.names[self.meaning.roles["split"]]
            raise SourceError(
                f"{self.table}: nobody can tell which of {_few(odd)} in the column '{column}' is train, valid or test. "
                "Write these words instead."
            )

    def _unknown_splits(self) -> list[str]:
        return [word for word in self._splits if word.lower() not in NO_SPLIT and split_of(word) is None]

    def row(self, line: int, cells: Cells) -> Row:
        """What one row says. Raises SourceError where its label can be none."""
        label = self.label or self._label(cells)
        self.unlabelled += label is None and not cells.get("url")
        scene = cells.get("scene") or None
        return Row(line, cells.get("path", ""), cells.get("url", ""), label, self._split(cells), scene)

    def _label(self, cells: Cells) -> str | None:
        if "one_hot" in cells:
            return self._one_hot.label(cells["one_hot"], self._classes)
        text = _text(cells)
        if text not in self._known:
            self._known[text] = self._label_of(text)
        return self._known[text]

    def _label_of(self, text: str) -> str | None:
        if text in MISSING:
            return None
        if (listed := labels_of_cell(text)) is not None:
            return SEVERAL.join(sorted({self.how.name(label) for label in listed})) or None
        if self._whole:
            return clean_labels(text.partition(".")[0], None)
        return self._several.labels(text, self.how.name)

    def _split(self, cells: Cells) -> str | None:
        if (word := cells.get("split", "")) and word.lower() not in NO_SPLIT:
            return self._read_as[word]
        flag = _flag(cells.get("is_valid", ""))
        return None if flag is None or not cells.get("is_valid") else self.meaning.flag[0 if flag else 1]

    def notes(self) -> Iterator[str]:
        """What one should know of the rows, when all were asked for."""
        if self.label is None:
            yield from (f"{self.table}: {note}" for note in self._about_labels())
        read = {word: split for word in self._splits if (split := split_of(word)) and word.lower() not in PLAIN_SPLITS}
        if read:
            told = ", ".join(f"'{word}' as {split}" for word, split in list(read.items())[:8])
            yield f"{self.table}: as splits, {told}."
        odd = {word: self._splits[word] for word in self._unknown_splits()} | dict(self._odd_flags)
        if odd:
            yield (
                f"{self.table}: {number(sum(odd.values()), 'row has', 'rows have')} {_few(list(odd))} for a split, "
                "which is none: these pictures are in no split yet. The words are train, valid and test."
            )

    def _about_labels(self) -> Iterator[str]:
        if self._classes:
            yield from self._one_hot.notes(self.meaning.classes)
        elif self._several.doubt:
            yield self._several.doubt
        if self.unlabelled:
            yield f"{number(self.unlabelled, 'row has', 'rows have')} no label; their pictures come without one."


class _OneHot:
    """Columns of yes and no, a character a class: ``1``, ``0``, and ``-`` for -1."""

    def __init__(self, rows: Sequence[str]) -> None:
        kinds = Counter(rows)
        self.minus_is_no = any("-" in kind for kind in kinds) and not any("0" in kind for kind in kinds)
        self.several = any(kind.count("1") > 1 for kind in kinds)
        self.unknown = 0 if self.minus_is_no else sum(n for kind, n in kinds.items() if "-" in kind)
        self.nothing = sum(n for kind, n in kinds.items() if "1" not in kind)

    def label(self, flags: str, classes: Sequence[str]) -> str | None:
        labels = {label for flag, label in zip(flags, classes, strict=True) if flag == "1"}
        if labels:
            return SEVERAL.join(sorted(labels))
        known = self.minus_is_no or "-" not in flags
        return NONE if self.several and known else None

    def notes(self, classes: Sequence[str]) -> Iterator[str]:
        each = "one each" if not self.several else "several each"
        yield f"the columns {_few(classes)} are the classes, with yes or no in every row; {each}."
        if self.unknown:
            yield (
                f"{number(self.unknown, 'row has', 'rows have')} -1, which is neither yes nor no: that was not "
                "counted as a yes."
            )
        if self.nothing and self.several:
            yield f"{number(self.nothing, 'row names', 'rows name')} no class; where all are no, it is '{NONE}'."


def _text(cells: Cells) -> str:
    return cells.get("label") or cells.get("labels", "")


def _is_words(text: str) -> bool:
    """Whether a cell has something to say, and is no list or object."""
    return text not in MISSING and labels_of_cell(text) is None


def _flag(cell: str) -> bool | None:
    try:
        return as_flag(cell)
    except ValueError:
        return None


def _few(words: Sequence[str]) -> str:
    """Some words, in quotes."""
    shown = ", ".join(f"'{word[:40]}'" for word in words[:6])
    return f"{shown} and {len(words) - 6} more" if len(words) > 6 else shown


def several_labels(labels: Sequence[str]) -> str:
    """Labels of several rows as one, each once."""
    return clean_labels(SEVERAL.join(labels), SEVERAL)
