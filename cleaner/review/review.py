"""What a run gets wrong: confusion matrix, most confused pairs, top losses, most unsure (pure pandas)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from cleaner.review.confusion import confusion, pairs_in
from cleaner.review.scores import calibration, per_class
from cleaner.review.slices import slices
from pipeline.errors import UsageError
from pipeline.labels import Floats, likelihood
from pipeline.predict import Outputs
from pipeline.settings import check_count
from pipeline.train.evaluate import error_rate_interval
from pipeline.train.new_scenes import stated
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
    the ``margin`` that it is sorted by; ``calibration`` and ``slices`` are those of the modules of that name;
    ``new_scenes`` is what the run says of scenes it did not learn from, None for one of an earlier version.
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
    new_scenes: dict[str, Any] | None


def review(workspace: Workspace, run: Run, split: str = "valid", count: int = 50) -> Reviewed:
    """Judge one split of ``run`` by the labels of today; ``top_losses`` holds the ``count`` worst.

    The train split is out-of-fold; the test split is looked at only because its name was given. Raises UsageError
    for an unknown split or an odd count, RunError where the run's predictions cannot be read.

    >>> reviewed = w.review(ws, w.load_run(ws), "valid")
    >>> reviewed.classes, reviewed.n, sum(map(sum, reviewed.confusion))
    (['apple', 'melon', 'pear'], 9, 9)
    >>> worst = reviewed.top_losses[0]
    >>> worst["actual"] in reviewed.classes, worst["loss"] >= 0
    (True, True)
    """
    if split not in SPLITS:
        raise UsageError(f"There is no split {split!r}. Choose one of {', '.join(SPLITS)}.")
    check_count(count, "The number of pictures to list")
    everything = run.predictions()
    seen = judged(workspace, run, everything)
    part = seen[seen["split"] == split]
    rate, low, high = share_wrong(part)
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
        new_scenes=stated(run.record),
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


def share_wrong(predictions: pd.DataFrame) -> tuple[float | None, float | None, float | None]:
    """The share of wrong answers and its 95 % interval; three times None where there is no prediction."""
    if predictions.empty:
        return None, None, None
    errors = int((predictions["label"] != predictions["predicted"]).sum())
    low, high = error_rate_interval(errors, len(predictions))
    return errors / len(predictions), low, high


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
