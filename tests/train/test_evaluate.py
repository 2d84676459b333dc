"""Error rates with their intervals, and the predictions table."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.predict import Outputs, Preprocessing
from pipeline.train.data import Dataset
from pipeline.train.engine import Filled, features_and_logits
from pipeline.train.evaluate import baseline_error_rate, error_rate_interval, errors_on, predictions_table


@pytest.mark.parametrize(
    ("errors", "n", "low", "high"),
    # Newcombe 1998, table I, method 3 (Wilson without continuity correction)
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_wilsons(errors: int, n: int, low: float, high: float) -> None:
    assert error_rate_interval(errors, n) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_nothing_counted_is_nothing_known() -> None:
    assert error_rate_interval(0, 0) == (0.0, 1.0)
    table = pd.DataFrame({"split": ["valid"], "label": ["a"], "predicted": ["b"]})
    assert errors_on(table, "test") == {"error_rate": None, "low": 0.0, "high": 1.0, "n": 0}
    assert errors_on(table, "valid")["error_rate"] == 1.0


@given(st.integers(0, 500), st.integers(1, 500))
def test_the_interval_holds_the_rate_and_stays_between_0_and_1(errors: int, n: int) -> None:
    errors = min(errors, n)
    low, high = error_rate_interval(errors, n)
    assert 0.0 <= low <= errors / n + 1e-12 and errors / n - 1e-12 <= high <= 1.0 and low < high
    assert error_rate_interval(n - errors, n) == (pytest.approx(1 - high), pytest.approx(1 - low))


def dataset(labels: list[str], splits: list[str]) -> Dataset:
    classes = tuple(sorted(set(labels)))
    rows = pd.DataFrame({"id": [f"i{n}" for n in range(len(labels))], "label": labels, "split": splits})
    rows = rows.assign(group=rows["id"])
    pictures = np.arange(len(labels) * 12, dtype=np.uint8).reshape(-1, 2, 2, 3)
    return Dataset(rows, classes, Preprocessing(size=(2, 2)), pictures, pictures, np.ones(len(labels), np.float32))


def test_the_table_has_one_row_a_picture_and_a_column_a_class() -> None:
    data = dataset(["a", "b", "b"], ["train", "valid", "test"])
    probabilities = np.array([[0.25, 0.75], [1.0, 0.0]], dtype=np.float32)
    table = predictions_table(data, np.array([2, 1]), probabilities, Outputs(), out_of_fold=False)
    assert list(table["id"]) == ["i2", "i1"] and list(table["split"]) == ["test", "valid"]
    assert list(table["predicted"]) == ["b", "a"] and list(table["probability"]) == [0.75, 1.0]
    assert list(table["p:a"]) == [0.25, 1.0] and not table["out_of_fold"].any()
    assert table["loss"][0] == pytest.approx(-math.log(0.75)) and table["loss"][1] == pytest.approx(-math.log(1e-12))


def test_the_baseline_answers_what_is_most_frequent_in_train() -> None:
    data = dataset(["a", "a", "b", "b", "b", "a"], ["train", "train", "train", "valid", "valid", "valid"])
    assert baseline_error_rate(data, "valid") == pytest.approx(2 / 3)
    assert baseline_error_rate(data, "test") is None


def test_outputs_do_not_depend_on_the_size_of_the_batches() -> None:
    data = dataset(["a"] * 7, ["train"] * 7)
    torch.manual_seed(0)
    model = timm.create_model("resnet10t", pretrained=False, num_classes=3)
    whole = list(features_and_logits(model, data, np.arange(7), "cpu", size=7))
    pieces = list(features_and_logits(model, data, np.arange(7), "cpu", size=3))
    assert torch.allclose(whole[0][1], torch.cat([logits for _, logits in pieces]), atol=1e-4)
    assert whole[0][0].shape == (7, 512) and not model.training


def test_batches_fill_one_tensor_in_their_order_and_kind() -> None:
    filled = Filled(5)
    for batch in torch.arange(10, dtype=torch.float64).reshape(5, 2).split(2):
        filled.add(batch)
    assert filled.rows.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]] and filled.rows.dtype == torch.float64
    assert filled.done == 5
