"""What a run gets wrong: confusion matrix, most confused pairs, top losses (pure pandas)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.errors import UsageError
from pipeline.evaluate import error_rate_interval
from pipeline.labels import Flags, as_flags, known, likelihood, named
from pipeline.predict import NONE, Outputs
from pipeline.runs import Run
from pipeline.store import SPLITS
from pipeline.workspace import Workspace

IN_USE = ("ok", "new")
SMALLEST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class Reviewed:
    """What ``review`` found in one split of a run; the fields are the keys of the command's JSON.

    ``confusion[i][j]`` counts images of class i taken for class j. ``error_rate`` lies between ``low`` and ``high``
    with 95 % confidence, judged on ``n`` images; all three are None where n is 0. ``changed`` images carry another
    label than at training, ``gone`` have been removed or set aside since.
    """

    run: str
    split: str
    classes: list[str]
    confusion: list[list[int]]
    most_confused: list[tuple[str, str, int]]
    top_losses: list[dict[str, Any]]
    per_class: list[dict[str, Any]]
    n: int
    error_rate: float | None
    low: float | None
    high: float | None
    changed: int
    gone: int


def review(workspace: Workspace, run: Run, split: str = "valid", count: int = 50) -> Reviewed:
    """Judge one split of ``run`` by the labels of today; ``top_losses`` holds the ``count`` worst.

    The train split is out-of-fold; the test split is looked at only because its name was given. Raises UsageError
    for an unknown split, RunError where the run's predictions cannot be read.
    """
    if split not in SPLITS:
        raise UsageError(f"There is no split {split!r}. Choose one of {', '.join(SPLITS)}.")
    everything = run.predictions()
    seen = judged(workspace, run, everything)
    part = seen[seen["split"] == split]
    rate, low, high = error_rate(part)
    return Reviewed(
        run=run.id,
        split=split,
        classes=list(run.answers),
        confusion=confusion(part, run.answers).to_numpy().tolist(),
        most_confused=most_confused(part, run.answers),
        top_losses=top_losses(part, count).to_dict("records"),  # type: ignore[arg-type]
        per_class=per_class(part, run.answers).to_dict("records"),  # type: ignore[arg-type]
        n=len(part),
        error_rate=rate,
        low=low,
        high=high,
        changed=int((part["label"] != part["trained_label"]).sum()),
        gone=int((everything["split"] == split).sum()) - len(part),
    )


def judged(workspace: Workspace, run: Run, predictions: pd.DataFrame | None = None) -> pd.DataFrame:
    """The run's predictions of the images still in use, judged by the labels of today.

    The columns of ``run.predictions()`` with ``label`` and ``loss`` as of now, ``trained_label`` as it was then, and
    the store's ``file`` and ``group``. Images removed, set aside or left without a label since are not in it.
    """
    then = run.predictions() if predictions is None else predictions
    now = workspace.store.images()
    now = now.loc[now["status"].isin(IN_USE) & now["label"].notna(), ["id", "file", "group", "label"]]
    seen = then.rename(columns={"label": "trained_label"}).merge(now, on="id", how="inner", sort=False)
    changed = (seen["label"] != seen["trained_label"]).to_numpy(dtype=bool)
    losses = seen["loss"].to_numpy(dtype=float).copy()
    losses[changed] = -np.log(
        np.maximum(probability_of(seen[changed], seen.loc[changed, "label"], run.outputs), SMALLEST_PROBABILITY)
    )
    return seen.assign(loss=losses)


def probability_of(
    predictions: pd.DataFrame, labels: pd.Series, outputs: Outputs
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """How likely ``labels`` are by the run's probabilities, row by row, shape [N]; 0 where they name a class that the
    run does not know. ``outputs``: those of the run.
    """
    columns = [name for name in predictions.columns if name.startswith("p:")]
    table = predictions[columns].to_numpy(dtype=float)
    return likelihood(labels.astype(str), table, [name[2:] for name in columns], outputs)


def of_others(predictions: pd.DataFrame, labels: pd.Series) -> np.ndarray[Any, np.dtype[np.float64]]:
    """How likely the likeliest class besides ``labels`` is by the run's probabilities, row by row, shape [N]."""
    columns = [name for name in predictions.columns if name.startswith("p:")]
    table = predictions[columns].to_numpy(dtype=float).copy()
    names = np.array([name[2:] for name in columns])
    table[labels.to_numpy(dtype=str)[:, None] == names[None, :]] = 0.0
    likeliest: np.ndarray[Any, np.dtype[np.float64]] = table.max(axis=1, initial=0.0)
    return likeliest


def error_rate(predictions: pd.DataFrame) -> tuple[float | None, float | None, float | None]:
    """The share of wrong answers and its 95 % interval; three times None where there is no prediction."""
    if predictions.empty:
        return None, None, None
    errors = int((predictions["label"] != predictions["predicted"]).sum())
    low, high = error_rate_interval(errors, len(predictions))
    return errors / len(predictions), low, high


def confusion(predictions: pd.DataFrame, answers: Sequence[str]) -> pd.DataFrame:
    """How many images of each class (row) were taken for each class (column), shape [C, C]; ``answers``: all that the
    run may answer.

    An image with several labels counts on the diagonal for each that was found; for each that was missed, in the
    columns of what was named wrongly instead, or of NONE; what was named without anything missed, in the row of NONE.
    Images whose label of today is none of ``answers`` cannot be placed and are left out.
    """
    actual, predicted = _flags(predictions, answers)
    missed, invented = actual & ~predicted, predicted & ~actual
    if NONE in answers:
        none = answers.index(NONE)
        nothing_else = missed.any(axis=1) & ~invented.any(axis=1)
        too_much = invented.any(axis=1) & ~missed.any(axis=1)
        invented[nothing_else, none] = True
        missed[too_much, none] = True
    counts = missed.T.astype(int) @ invented.astype(int) + np.diag((actual & predicted).sum(axis=0))
    return pd.DataFrame(counts, index=pd.Index(answers, name="actual"), columns=pd.Index(answers, name="predicted"))


def _flags(predictions: pd.DataFrame, answers: Sequence[str]) -> tuple[Flags, Flags]:
    """(actual, predicted), each [N, C], of the images whose labels and answers are among ``answers``."""
    both = predictions["label"].astype(str).tolist(), predictions["predicted"].astype(str).tolist()
    placed = known(both[0], answers) & known(both[1], answers)
    actual, predicted = (as_flags(labels, answers)[placed] for labels in both)
    return actual, predicted


def most_confused(predictions: pd.DataFrame, classes: Sequence[str], minimum: int = 1) -> list[tuple[str, str, int]]:
    """(actual, predicted, count) of the pairs mixed up at least ``minimum`` times, most often first."""
    counts = confusion(predictions, classes).to_numpy(copy=True)
    np.fill_diagonal(counts, 0)
    rows, columns = np.nonzero(counts >= max(minimum, 1))
    pairs = [(classes[i], classes[j], int(counts[i, j])) for i, j in zip(rows.tolist(), columns.tolist(), strict=True)]
    return sorted(pairs, key=lambda pair: -pair[2])


def top_losses(predictions: pd.DataFrame, count: int) -> pd.DataFrame:
    """The ``count`` images with the highest loss, worst first: id, file, actual, predicted, loss, probability.

    ``probability`` (0 to 1) is that of the predicted class.
    """
    worst = predictions.sort_values("loss", ascending=False, kind="stable").head(count)
    return _as_pictures(worst)


def images_in_cell(predictions: pd.DataFrame, actual: str, predicted: str) -> pd.DataFrame:
    """The images of class ``actual`` taken for ``predicted``, highest loss first; the columns of ``top_losses``."""
    pairs = zip(predictions["label"].astype(str), predictions["predicted"].astype(str), strict=True)
    inside = np.array([_in_cell(named(a), named(p), actual, predicted) for a, p in pairs], dtype=bool)
    return top_losses(predictions[inside], int(inside.sum()))


def _in_cell(labels: frozenset[str], said: frozenset[str], actual: str, predicted: str) -> bool:
    """Whether an image counts in that cell of :func:`confusion`."""
    if actual == predicted:
        return actual in labels & said
    missed, invented = labels - said, said - labels
    return labels != said and actual in (missed or {NONE}) and predicted in (invented or {NONE})


def per_class(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """One row a class: class, n (images of it), precision and recall (0 to 1, None where nothing was counted)."""
    actual, predicted = _flags(predictions, classes)
    right, of_class, called = (flags.sum(axis=0) for flags in (actual & predicted, actual, predicted))
    rows = zip(classes, right.tolist(), of_class.tolist(), called.tolist(), strict=True)
    table = [(name, n, _share(hit, said), _share(hit, n)) for name, hit, n, said in rows]
    return pd.DataFrame(table, columns=["class", "n", "precision", "recall"], dtype=object)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _as_pictures(predictions: pd.DataFrame) -> pd.DataFrame:
    columns = ["id", "file", "label", "predicted", "loss", "probability"]
    return predictions[columns].rename(columns={"label": "actual"}).reset_index(drop=True)
