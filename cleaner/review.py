"""What a run gets wrong: confusion matrix, most confused pairs, top losses (pure pandas)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.errors import UsageError
from pipeline.evaluate import error_rate_interval
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
        classes=list(run.classes),
        confusion=confusion(part, run.classes).to_numpy().tolist(),
        most_confused=most_confused(part, run.classes),
        top_losses=top_losses(part, count).to_dict("records"),  # type: ignore[arg-type]
        per_class=per_class(part, run.classes).to_dict("records"),  # type: ignore[arg-type]
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
        np.maximum(probability_of(seen[changed], seen.loc[changed, "label"]), SMALLEST_PROBABILITY)
    )
    return seen.assign(loss=losses)


def probability_of(predictions: pd.DataFrame, labels: pd.Series) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The probability the run gives to ``labels``, row by row, shape [N]; 0 for a class the run does not know."""
    columns = [name for name in predictions.columns if name.startswith("p:")]
    table = predictions[columns].to_numpy(dtype=float)
    where = pd.Index([name[2:] for name in columns]).get_indexer(pd.Index(labels))
    known = where >= 0
    result = np.zeros(len(predictions))
    result[known] = table[np.flatnonzero(known), where[known]]
    return result


def error_rate(predictions: pd.DataFrame) -> tuple[float | None, float | None, float | None]:
    """The share of wrong answers and its 95 % interval; three times None where there is no prediction."""
    if predictions.empty:
        return None, None, None
    errors = int((predictions["label"] != predictions["predicted"]).sum())
    low, high = error_rate_interval(errors, len(predictions))
    return errors / len(predictions), low, high


def confusion(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """How many images of each class (row) were taken for each class (column), shape [C, C].

    Images whose label of today is none of ``classes`` cannot be placed and are left out.
    """
    names = pd.Index(classes)
    actual, predicted = (
        names.get_indexer(pd.Index(predictions["label"])),
        names.get_indexer(pd.Index(predictions["predicted"])),
    )
    counts = np.zeros((len(names), len(names)), dtype=int)
    placed = (actual >= 0) & (predicted >= 0)
    np.add.at(counts, (actual[placed], predicted[placed]), 1)
    return pd.DataFrame(counts, index=names.rename("actual"), columns=names.rename("predicted"))


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
    inside = (predictions["label"] == actual) & (predictions["predicted"] == predicted)
    return top_losses(predictions[inside], int(inside.sum()))


def per_class(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """One row a class: class, n (images of it), precision and recall (0 to 1, None where nothing was counted)."""
    counts = confusion(predictions, classes).to_numpy()
    right, of_class, called = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    rows = zip(classes, right.tolist(), of_class.tolist(), called.tolist(), strict=True)
    table = [(name, n, _share(hit, said), _share(hit, n)) for name, hit, n, said in rows]
    return pd.DataFrame(table, columns=["class", "n", "precision", "recall"], dtype=object)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _as_pictures(predictions: pd.DataFrame) -> pd.DataFrame:
    columns = ["id", "file", "label", "predicted", "loss", "probability"]
    return predictions[columns].rename(columns={"label": "actual"}).reset_index(drop=True)
