"""What a run gets wrong: confusion matrix, most confused pairs, top losses, most unsure (pure pandas)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from cleaner.calibration import calibration
from cleaner.review.scores import per_class
from cleaner.review.slices import slices
from pipeline.errors import UsageError
from pipeline.labels import Flags, Floats, as_flags, known, likelihood
from pipeline.predict import NONE, Outputs
from pipeline.train.evaluate import error_rate_interval
from pipeline.workspace.records import IN_USE
from pipeline.workspace.runs import Run
from pipeline.workspace.store import SPLITS
from pipeline.workspace.workspace import Workspace

FACTS = ["file", "group", "width", "height", "source_name"]
SMALLEST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class Reviewed:
    """What ``review`` found in one split of a run; the fields are the keys of the command's JSON.

    ``confusion[i][j]`` counts images of class i taken for class j. ``error_rate`` lies between ``low`` and ``high``
    with 95 % confidence, judged on ``n`` images; all three are None where n is 0. ``changed`` images carry another
    label than at training, ``gone`` have been removed or set aside since. ``most_unsure`` is like ``top_losses``, with
    the ``margin`` that it is sorted by; ``calibration`` and ``slices`` are those of the modules of that name.
    """

    run: str
    split: str
    classes: list[str]
    confusion: list[list[int]]
    most_confused: list[tuple[str, str, int]]
    top_losses: list[dict[str, Any]]
    most_unsure: list[dict[str, Any]]
    per_class: list[dict[str, Any]]
    calibration: dict[str, Any]
    slices: list[dict[str, Any]]
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
    counts = confusion(part, run.answers)
    return Reviewed(
        run=run.id,
        split=split,
        classes=list(run.answers),
        confusion=counts.to_numpy().tolist(),
        most_confused=pairs_in(counts),
        top_losses=top_losses(part, count).to_dict("records"),  # type: ignore[arg-type]
        most_unsure=most_unsure(part, run.outputs, count).to_dict("records"),  # type: ignore[arg-type]
        per_class=per_class(part, run.answers).to_dict("records"),  # type: ignore[arg-type]
        calibration=asdict(calibration(part, run.outputs)),
        slices=[asdict(one) for one in slices(part, workspace.store.sources())],
        n=len(part),
        error_rate=rate,
        low=low,
        high=high,
        changed=int((part["label"] != part["trained_label"]).sum()),
        gone=int((everything["split"] == split).sum()) - len(part),
    )


def judged(
    workspace: Workspace, run: Run, predictions: pd.DataFrame | None = None, images: pd.DataFrame | None = None
) -> pd.DataFrame:
    """The run's predictions of the images still in use, judged by the labels of today.

    The columns of ``run.predictions()`` with ``label`` and ``loss`` as of now, ``trained_label`` as it was then, and
    the store's FACTS. Images removed, set aside or left without a label since are not in it. ``predictions`` and
    ``images``: those of the run and the store, where they were read already.
    """
    then = run.predictions() if predictions is None else predictions
    now = workspace.store.images() if images is None else images
    now = now.loc[now["status"].isin(IN_USE) & now["label"].notna(), ["id", "label", *FACTS]]
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
    missed, invented, right, placed = _mistakes(predictions, answers)
    # float32 for BLAS; whole numbers below 2^24 are exact in it.
    counts = (missed[placed].T.astype(np.float32) @ invented[placed].astype(np.float32)).astype(int)
    counts += np.diag(right[placed].sum(axis=0))
    return pd.DataFrame(counts, index=pd.Index(answers, name="actual"), columns=pd.Index(answers, name="predicted"))


@dataclass(frozen=True)
class Margins:
    """What stands beside and below the confusion matrix, each a list of one number a class.

    Of ``of_class`` images of a class ``missed`` were answered wrongly; of the ``taken`` that were called it,
    ``invented`` wrongly; images that are not in the matrix, as the run does not know their label, are in these.
    """

    of_class: list[int]
    missed: list[int]
    taken: list[int]
    invented: list[int]


def margins(predictions: pd.DataFrame, answers: Sequence[str]) -> Margins:
    """The margins of :func:`confusion`. Each image counts once a class, however many cells it is in."""
    missed, invented, right, _ = _mistakes(predictions, answers)
    found, lost, said = right.sum(axis=0), missed.sum(axis=0), invented.sum(axis=0)
    return Margins((found + lost).tolist(), lost.tolist(), (found + said).tolist(), said.tolist())


def _mistakes(predictions: pd.DataFrame, answers: Sequence[str]) -> tuple[Flags, Flags, Flags, Flags]:
    """(missed, invented, right), each [N, C], with NONE for what is missed without another in its place and the other
    way round; and (placed [N]): whose labels are all among ``answers``.
    """
    labels, said = predictions["label"].astype(str).tolist(), predictions["predicted"].astype(str).tolist()
    actual, predicted = as_flags(labels, answers), as_flags(said, answers)
    known_label = known(labels, answers)
    missed, invented = actual & ~predicted, predicted & ~actual
    if NONE in answers:
        none = answers.index(NONE)
        any_missed = missed.any(axis=1) | ~known_label
        nothing_else = any_missed & ~invented.any(axis=1)
        too_much = invented.any(axis=1) & ~any_missed
        invented[nothing_else, none] = True
        missed[too_much, none] = True
    return missed, invented, actual & predicted, known_label & known(said, answers)


def most_confused(predictions: pd.DataFrame, classes: Sequence[str], minimum: int = 1) -> list[tuple[str, str, int]]:
    """(actual, predicted, count) of the pairs mixed up at least ``minimum`` times, most often first."""
    return pairs_in(confusion(predictions, classes), minimum)


def pairs_in(matrix: pd.DataFrame, minimum: int = 1) -> list[tuple[str, str, int]]:
    """:func:`most_confused` of a matrix that :func:`confusion` has made."""
    classes, counts = matrix.columns.tolist(), matrix.to_numpy(copy=True)
    np.fill_diagonal(counts, 0)
    rows, columns = np.nonzero(counts >= max(minimum, 1))
    pairs = [(classes[i], classes[j], int(counts[i, j])) for i, j in zip(rows.tolist(), columns.tolist(), strict=True)]
    return sorted(pairs, key=lambda pair: -pair[2])


def top_losses(predictions: pd.DataFrame, count: int) -> pd.DataFrame:
    """The ``count`` images with the highest loss, worst first: id, file, actual, predicted, loss, probability.

    ``probability`` (0 to 1) is that of the predicted class.
    """
    return as_pictures(predictions).sort_values("loss", ascending=False, kind="stable", ignore_index=True).head(count)


def most_unsure(predictions: pd.DataFrame, outputs: Outputs, count: int) -> pd.DataFrame:
    """The ``count`` images that the run was least sure about, by :func:`sureness`: the columns of ``top_losses`` and
    ``margin``.
    """
    unsure = as_pictures(predictions).assign(margin=sureness(predictions, outputs))
    return unsure.sort_values("margin", kind="stable", ignore_index=True).head(count)


def sureness(predictions: pd.DataFrame, outputs: Outputs) -> Floats:
    """[N], 0 to 1: how little would change the answer. Softmax: the likeliest class's probability less that of the next
    one (margin sampling: Scheffer, Decomain and Wrobel 2001); sigmoid: how far the nearest class is from its threshold.
    """
    table = predictions[[name for name in predictions.columns if name.startswith("p:")]].to_numpy(dtype=float)
    if outputs.kind == "sigmoid":
        nearest: Floats = np.abs(table - np.array(outputs.thresholds or 0.5)).min(axis=1)
        return nearest
    if table.shape[1] < 2:
        return table[:, 0]
    two = np.partition(table, -2, axis=1)[:, -2:]
    margin: Floats = two[:, 1] - two[:, 0]
    return margin


def as_pictures(predictions: pd.DataFrame) -> pd.DataFrame:
    """id, file, actual, predicted, loss, probability of judged predictions, in their order."""
    columns = ["id", "file", "label", "predicted", "loss", "probability"]
    return predictions[columns].rename(columns={"label": "actual"}).reset_index(drop=True)
