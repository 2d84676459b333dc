"""What a model answers -> the predictions table, and error rates with 95 % intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipeline.labels import Floats, answered, likelihood
from pipeline.predict import Outputs

if TYPE_CHECKING:
    from pipeline.train.data import Dataset

Z95 = 1.959963984540054
SMALLEST = 1e-12


def predictions_table(
    dataset: Dataset, positions: np.ndarray[Any, Any], probabilities: Floats, outputs: Outputs, out_of_fold: bool
) -> pd.DataFrame:
    """One row per picture: id, split, label, predicted, probability, loss, out_of_fold, and ``p:<class>`` for each."""
    rows = dataset.rows.iloc[positions]
    answers = answered(probabilities, dataset.classes, outputs)
    likely = likelihood(rows["label"], probabilities, dataset.classes, outputs)
    table = pd.DataFrame(
        {
            "id": rows["id"].to_numpy(),
            "split": rows["split"].to_numpy(),
            "label": rows["label"].to_numpy(),
            "predicted": answers["predicted"],
            "probability": answers["probability"],
            "loss": -np.log(np.maximum(likely, SMALLEST)),
            "out_of_fold": out_of_fold,
        }
    )
    columns = pd.DataFrame(probabilities, columns=[f"p:{name}" for name in dataset.classes])
    return pd.concat([table, columns], axis=1)


def error_rate_interval(errors: int, n: int, z: float = Z95) -> tuple[float, float]:
    """The 95 % interval of an error rate (Wilson 1927), from 0 to 1; (0, 1) where nothing was counted. ``z``: the
    normal quantile of another confidence.
    """
    if n == 0:
        return 0.0, 1.0
    rate, square = errors / n, z**2
    middle = (rate + square / (2 * n)) / (1 + square / n)
    reach = z * math.sqrt(rate * (1 - rate) / n + square / (4 * n * n)) / (1 + square / n)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def errors_on(predictions: pd.DataFrame, split: str) -> dict[str, Any]:
    """{error_rate, low, high, n} of one split of a predictions table; error_rate is None where n is 0."""
    rows = predictions[predictions["split"] == split]
    errors = int((rows["label"] != rows["predicted"]).sum())
    low, high = error_rate_interval(errors, len(rows))
    return {"error_rate": errors / len(rows) if len(rows) else None, "low": low, "high": high, "n": len(rows)}


def baseline_error_rate(dataset: Dataset, split: str) -> float | None:
    """The error rate, on ``split``, of always answering the most frequent class of the train split."""
    labels = dataset.rows[["split", "label"]]
    answer = labels[labels["split"] == "train"]["label"].mode().iloc[0]
    asked = labels[labels["split"] == split]["label"]
    return float((asked != answer).mean()) if len(asked) else None
