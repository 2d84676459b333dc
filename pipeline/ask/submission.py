"""A submission as a competition wants it: exactly the rows and columns of its sample, filled with a model's answers."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.ask.many import Row, ask, exported, found
from pipeline.class_names import spelling
from pipeline.collect.finder import Finder
from pipeline.errors import SourceError, UsageError
from pipeline.labels import named
from pipeline.predict import NONE
from pipeline.stage import Stage
from pipeline.workspace.workspace import writing

LARGEST = 256 << 20
SHOWN = 5


@dataclass(frozen=True)
class Submitted:
    """How many ``rows`` were written to ``file``, as many as the sample has; ``missing``: the ids of those for which
    there is no picture that can be used: they keep what the sample says.
    """

    rows: int
    missing: tuple[str, ...]
    file: str


@dataclass(frozen=True)
class Sample:
    """A sample submission: its ``columns`` (the first holds ids), its ``rows`` of cells, and how it is written."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    delimiter: str
    line_end: str

    @classmethod
    def read(cls, file: Path) -> Sample:
        """Raises SourceError where it is no table with ids and something to be filled in."""
        try:
            if file.stat().st_size > LARGEST:
                raise SourceError(f"{file.name} is larger than {LARGEST >> 20} MiB: that is no sample of a submission.")
            text = file.read_bytes().decode("utf-8-sig")
            delimiter = max(",;\t", key=text.partition("\n")[0].count)
            every = [tuple(row) for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise SourceError(f"The sample {file} cannot be read: {error}.") from error
        if len(every) < 2 or len(every[0]) < 2:
            raise SourceError(f"The sample {file.name} needs a column of ids, a column to fill in, and a row.")
        columns, *rows = every
        if odd := next((number for number, row in enumerate(rows, 2) if len(row) != len(columns)), None):
            raise SourceError(f"Row {odd} of {file.name} has not {len(columns)} cells, as its first row has.")
        return cls(columns, tuple(rows), delimiter, "\r\n" if "\r\n" in text else "\n")

    def text(self, rows: Sequence[Sequence[str]]) -> str:
        """The table with other rows, written as the sample is."""
        target = io.StringIO(newline="")
        csv.writer(target, delimiter=self.delimiter, lineterminator=self.line_end).writerows([self.columns, *rows])
        return target.getvalue()


def submit(
    model: str | Path, folder: str | Path, sample: str | Path, out: str | Path, positive: str = "", tta: bool = False
) -> Stage[Submitted]:
    """Ask the model in the folder ``model`` about the pictures in ``folder`` that the ids of ``sample`` name (with or
    without ending), and write ``out``: the columns and rows of the sample, in their order.

    Two columns: the second is the label, or the probability of the class ``positive``, or of the one that it is called
    like. More: a probability each, of the class that they are called like. Raises SourceError and UsageError where the
    sample asks for something that the model does not know.

    >>> submitted = w.run(w.submit("fruit-model", "photos", "sample.csv", "submission.csv"))
    >>> submitted.rows, submitted.missing
    (2, ())
    """
    wanted, classifier = Sample.read(Path(sample)), exported(Path(model))
    fill = _filling(wanted, classifier.classes, positive)
    inside = dict(found([str(folder)]))
    finder = Finder([PurePosixPath(name) for name in inside])
    seen = [finder.find(row[0].strip()).path for row in wanted.rows]
    files = [(str(place), inside[str(place)]) for place in dict.fromkeys(seen) if place is not None]
    answers: dict[str, Row] = {}
    if not files:
        raise SourceError(
            f"None of the {len(wanted.rows):,} ids of {Path(sample).name}, like '{wanted.rows[0][0]}', is a picture in "
            f"{folder}. Give the folder of the pictures that are to be predicted."
        )
    yield from ask(classifier, files, tta, sink=lambda row: answers.__setitem__(str(row["path"]), row))
    rows, missing = [], []
    for row, place in zip(wanted.rows, seen, strict=True):
        answer = answers.get(str(place)) if place is not None else None
        if answer is None or answer["label"] is None:
            missing.append(row[0])
            rows.append(row)
        else:
            rows.append((row[0], *fill(answer)))
    with writing(Path(out)) as part:
        part.write_text(wanted.text(rows), encoding="utf-8", newline="")
    return Submitted(len(rows), tuple(missing), str(out))


def _filling(sample: Sample, classes: Sequence[str], positive: str) -> Callable[[Row], list[str]]:
    """What makes the cells behind the id of an answer."""
    like = {spelling(name): name for name in classes}
    columns = [like.get(spelling(column)) for column in sample.columns[1:]]
    if positive:
        if len(columns) != 1 or spelling(positive) not in like:
            raise UsageError(
                f"--positive is a class of this model ({', '.join(classes[:SHOWN])}), for a sample with one column "
                f"beside the ids; this one has {len(columns)}."
            )
        columns = [like[spelling(positive)]]
    if len(columns) == 1 and columns[0] is None:
        _check_labels(sample, classes)
        return lambda answer: [_label(answer)]
    if unknown := [column for column, name in zip(sample.columns[1:], columns, strict=True) if name is None]:
        raise UsageError(
            f"The sample has columns that are no classes of this model: {', '.join(unknown[:SHOWN])}. It knows "
            f"{', '.join(classes[:SHOWN])}{' ...' if len(classes) > SHOWN else ''}."
        )
    return lambda answer: [f"{answer['probabilities'][name]:.6f}" for name in columns]


def _check_labels(sample: Sample, classes: Sequence[str]) -> None:
    """Raises UsageError where the sample has numbers in the place of labels, and the model knows no numbers."""
    said = {row[1].strip() for row in sample.rows} - {""}
    numbers = {value for value in said if _is_number(value)}
    if numbers and numbers == said and not any(_is_number(name) for name in classes):
        raise UsageError(
            f"The column '{sample.columns[1]}' of the sample holds numbers ({', '.join(sorted(numbers)[:SHOWN])}), and "
            f"the classes of this model are names ({', '.join(classes[:SHOWN])}). --positive says of which class the "
            "probability is wanted; or train with the competition's own numbers as labels."
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _label(answer: Row) -> str:
    """The label; several with a blank between, as competitions write them; none is an empty cell."""
    return " ".join(sorted(named(str(answer["label"])))) if answer["label"] != NONE else ""
