"""Answers that need no training, and the sentence about a training that went on too long."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from pipeline.train.baselines import baselines, by_heart
from pipeline.workspace.runs import baselines_in_words


def test_the_baselines_are_those_counted_by_hand() -> None:
    features = torch.tensor([[3.0, 0.0], [2.0, 0.1], [0.0, 2.0], [0.1, 3.0], [0.0, 2.5], [3.0, 0.2], [0.0, 3.0]])
    rows = pd.DataFrame({"split": ["train"] * 5 + ["test"] * 2, "label": ["a", "a", "b", "b", "b", "a", "a"]})
    said = baselines(features, rows)
    assert said == {"majority": 1.0, "average_picture": 0.5, "nearest": 0.5}
    assert baselines_in_words(said).count("50.0 %") == 2
    assert (
        baselines(features[:5], rows[:5]) == dict.fromkeys(said)
        and baselines_in_words(None) == baselines_in_words({}) == ""
    )


def rows(*losses: tuple[float | None, float]) -> list[dict[str, object]]:
    return [
        {"epoch": number, "phase": "head" if number == 0 else "all", "train_loss": train, "valid_loss": valid}
        for number, (train, valid) in enumerate(losses)
    ]


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ([(None, 0.1), (0.9, 0.8), (0.5, 0.6), (0.2, 0.9)], "after epoch 2 while"),
        ([(None, 0.9), (0.9, 0.8), (0.5, 0.6), (0.2, 0.605)], ""),
        ([(None, 0.9), (0.9, 0.8), (0.5, 0.6)], ""),
        ([(None, 0.9), (0.5, 0.6), (0.9, 0.9)], ""),
        ([(None, 0.9), (0.5, 0.6), (0.1, float("nan"))], ""),
        ([(None, 0.9)], ""),
        ([], ""),
    ],
)
def test_learning_by_heart_is_said_and_nothing_else(losses: list[tuple[float | None, float]], said: str) -> None:
    sentence = by_heart(rows(*losses))
    assert (said in sentence and "augmentation" in sentence) if said else sentence == ""
