"""A model over many files and folders: a row each, in order, with bounded memory; what is no picture is a row too.

The rows are a CSV file, written one by one, safe in a spreadsheet, and read page by page.
"""

from __future__ import annotations

import csv
import os
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from pipeline.bounded import forget_all_but
from pipeline.collect.noise import noise_of
from pipeline.errors import RunError, SourceError
from pipeline.images.formats import PICTURE_SUFFIXES
from pipeline.images.in_workers import Batch, Wanted, seen
from pipeline.jobs.job import finished
from pipeline.jobs.stages import StageName
from pipeline.predict import ONNX, WEIGHTS, AnyClassifier, BadModel, Classifier, OnnxClassifier, Prediction, describe
from pipeline.safe_text import defused, restored
from pipeline.settings import about, check, setting
from pipeline.stage import Progress, Stage
from pipeline.workspace.runs import load_run
from pipeline.workspace.workspace import Workspace, writing

AT_ONCE = 16
# The small pictures of so many answered lists are kept.
LISTS_KEPT = 8
TABLE, SMALL = "answers.csv", "answers"
# The columns before those of the classes, and behind them.
FIRST, LAST = ("file", "label", "probability"), ("unfamiliar", "distance", "remark")
CLASS = "p:"
STRANGE = "unlike the pictures it learnt from"
Row: TypeAlias = Mapping[str, Any]
# Takes one more row: path, label, probability, probabilities, unfamiliar, distance, reason.
Sink: TypeAlias = Callable[[Row], object]


@dataclass(frozen=True)
class PredictConfig:
    """Which files and folders a run of the workspace is asked about, and how.

    >>> w.PredictConfig(files=("photos", "a-picture.jpg"), tta=True).run
    ''
    """

    files: tuple[str, ...] = field(metadata=about("picture files, or folders of them", flag=None))
    run: str = setting("", "the run, by its id", flag=None, means={"": "the newest"})
    tta: bool = setting(False, "average over several views (the answer says which)", label="Test-time augmentation")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Answered:
    """How many pictures were ``asked`` about, how many could not be used, and how many are unfamiliar; how often each
    ``labels`` was the answer; ``file``: the table, where one was written.
    """

    asked: int
    failed: int
    unfamiliar: int
    labels: dict[str, int] = field(default_factory=dict)
    file: str = ""


def predict_many(workspace: Workspace, config: PredictConfig) -> Stage[Answered]:
    """Ask a run of the workspace; the table and small pictures of all files become a list of the workspace.

    >>> from pathlib import Path
    >>> answered = w.run(w.predict_many(ws, w.PredictConfig(files=("photos",))))
    >>> answered.asked, answered.failed, answered.labels
    (4, 0, {'apple': 2, 'pear': 2})
    >>> Path(answered.file).name
    'answers.csv'
    """
    run = load_run(workspace, config.run or None)
    yield Progress(0, 0, "Loading the model")
    classifier = loaded(run.folder)
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:12]}"
    files, small = found(config.files), workspace.thumbnails / SMALL / name
    forget_small(workspace, LISTS_KEPT - 1)
    table = workspace.answers / name / TABLE
    return (yield from ask(classifier, files, config.tta, table=table, small=small))


def predict_paths(model: str | Path, paths: Sequence[str], tta: bool, out: str | None) -> Stage[dict[str, Any]]:
    """Ask a model folder, without a workspace: {predictions: [...]}, or with ``out`` the table and its counts."""
    classifier, rows = exported(Path(model)), list[Row]()
    files = [(str(file) if _is_folder(path) else path, file) for path in paths for _, file in found([path])]
    done = yield from ask(classifier, files, tta, table=Path(out) if out else None, sink=None if out else rows.append)
    return asdict(done) if out else {"predictions": rows}


def exported(folder: Path) -> AnyClassifier:
    """The model in a folder, or its model.onnx where it holds no weights (a static Space)."""
    if not (folder / ONNX).is_file() or (folder / WEIGHTS).is_file():
        return loaded(folder)
    with asking():
        return OnnxClassifier.load(folder)


def loaded(folder: Path) -> Classifier:
    """The model in a folder. Raises RunError where it cannot be used."""
    with asking():
        return Classifier.load(folder)


@contextmanager
def asking() -> Iterator[None]:
    """Raises RunError where a model turns out to be none that can be asked."""
    try:
        yield
    except (BadModel, OSError) as error:
        raise RunError(f"This model cannot be used: {error}") from error


def found(sources: Iterable[str]) -> list[tuple[str, Path]]:
    """(name, file) of files as they are, and of the pictures in folders, named by their path below it, in order.

    Links, hidden files and what systems leave behind are left out. Raises SourceError for a folder without pictures.
    """
    every: list[tuple[str, Path]] = []
    for text in sources:
        source = Path(text)
        if not _is_folder(text):
            every.append((source.name, source))
            continue
        inside = sorted(_inside(source))
        if not inside:
            raise SourceError(f"There are no pictures in the folder {source}.")
        every += [(file.relative_to(source).as_posix(), file) for file in inside]
    return every


def _is_folder(path: str) -> bool:
    try:
        return bool(path) and Path(path).is_dir()
    except (OSError, ValueError):  # a name too long, or with a NUL in it: a row will say so
        return False


def _inside(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not noise_of(name)]
        for name in names:
            file = Path(place, name)
            if file.suffix.lower() in PICTURE_SUFFIXES and not noise_of(name) and not file.is_symlink():
                yield file


def ask(
    classifier: AnyClassifier,
    files: Sequence[tuple[str, Path | str]],
    tta: bool = False,
    table: Path | None = None,
    small: Path | None = None,
    sink: Sink | None = None,
) -> Stage[Answered]:
    """Ask about ``files`` (name, path); rows go to ``table`` (a CSV file), small pictures of them into the folder
    ``small`` (by their number), and to ``sink``, each where given.
    """
    counts: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    writer = writing_answers(table, classifier.classes) if table else nullcontext(None)
    with writer as write:
        for done, row in enumerate(rows(classifier, files, tta, small), 1):
            for take in (write, sink):
                if take is not None:
                    take(row)
            counts["failed"] += row["label"] is None
            counts["unfamiliar"] += bool(row["unfamiliar"])
            if row["label"] is not None:
                labels[row["label"]] += 1
            yield Progress(done, len(files), "Asking the model")
    return Answered(len(files), counts["failed"], counts["unfamiliar"], dict(labels.most_common()), str(table or ""))


def rows(
    classifier: AnyClassifier, files: Sequence[tuple[str, Path | str]], tta: bool = False, small: Path | None = None
) -> Iterator[dict[str, Any]]:
    """One {path, label, probability, probabilities, unfamiliar, distance, views, reason} per file, in order; for what
    cannot be used only the path and a reason, the rest is None. Files are opened in worker processes.
    """
    if isinstance(classifier, OnnxClassifier):
        for name, file in files:
            with asking():
                answered = list(describe(classifier, [str(file)], tta))
            yield from ({**row, "path": name} for row in answered)
        return
    wanted = (
        Wanted(number, str(file), small=small / f"{number}.jpg" if small else None)
        for number, (_, file) in enumerate(files)
    )
    ready: dict[int, dict[str, Any]] = {}
    waiting: list[tuple[int, Batch]] = []
    following = 0
    for one, found_ in seen(wanted, classifier.preprocessing, workers=min(len(files), os.cpu_count() or 1)):
        if found_.pixels is None:
            nothing = dict.fromkeys(part.name for part in fields(Prediction))
            ready[one.number] = {"path": files[one.number][0], **nothing, "reason": found_.reason}
        else:
            waiting.append((one.number, found_.pixels))
        if len(waiting) == AT_ONCE or (waiting and len(ready) + len(waiting) + following == len(files)):
            with asking():
                said = classifier.answers(np.stack([pixels for _, pixels in waiting]), tta)
            for (number, _), answer in zip(waiting, said, strict=True):
                ready[number] = {"path": files[number][0], **asdict(answer), "reason": ""}
            waiting.clear()
        while following in ready:
            yield ready.pop(following)
            following += 1


@dataclass(frozen=True)
class AnsweredList:
    """A list of answers that is kept in a workspace: its ``table``, the folder of its ``small`` pictures (by number; in
    time they go), and its ``counts``, as :class:`Answered`.
    """

    table: Path
    small: Path
    counts: Mapping[str, Any]


def last_list(workspace: Workspace) -> AnsweredList | None:
    """The list of the newest job that asked about many pictures, where its table is still there."""
    for job in finished(workspace, StageName.PREDICT):
        if job.result:
            name = Path(job.result["file"]).parent.name  # always of this workspace, whatever the job's file says
            table = workspace.answers / name / TABLE
            if table.is_file():
                return AnsweredList(table, workspace.thumbnails / SMALL / name, job.result)
    return None


def forget_small(workspace: Workspace, kept: int) -> None:
    """Remove the small pictures of all but the newest lists; the tables stay."""
    forget_all_but((workspace.thumbnails / SMALL).glob("*"), kept)


@contextmanager
def writing_answers(target: Path, classes: Sequence[str]) -> Iterator[Sink]:
    """The file ``target``, whole or not at all: file, label, probability, ``p:<class>`` of each class, unfamiliar (yes,
    or nothing), distance (1 is the limit), remark. Every cell is quoted and defused; UTF-8 with a mark, for Excel.
    """
    with writing(target) as part, part.open("w", encoding="utf-8-sig", newline="", errors="replace") as file:
        table = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        table.writerow([defused(name) for name in (*FIRST, *(CLASS + name for name in classes), *LAST)])
        yield lambda row: table.writerow([defused(cell) for cell in _cells(row, classes)])


def _cells(row: Row, classes: Sequence[str]) -> list[str]:
    if row["label"] is None:
        return [row["path"], *[""] * (2 + len(classes) + 2), row["reason"]]
    shares = [f"{share:.6f}" for share in (row["probability"], *(row["probabilities"][name] for name in classes))]
    distance = "" if row["distance"] is None else f"{row['distance']:.4f}"
    strange = ("yes", distance, STRANGE) if row["unfamiliar"] else ("", distance, "")
    return [row["path"], row["label"], *shares, *strange]


def page_of(file: Path, page: int, size: int) -> list[dict[str, str]]:
    """The rows of one page (from 0), each as {column: cell}, as they were before they were defused."""
    with file.open(encoding="utf-8-sig", newline="") as opened:
        table = csv.DictReader(opened)
        rows = islice(table, page * size, (page + 1) * size)
        return [{restored(key): restored(cell) for key, cell in row.items()} for row in rows]
