"""The head on frozen features is at the optimum of its cost."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pipeline.errors import TrainingError
from pipeline.model.head import LEAST_STD, STRENGTH, Head, fit_head


def clouds(rows: int = 90, classes: int = 3, width: int = 8, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Features [rows, width] around one centre a class, on different scales, and their classes."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(rows) % classes
    centres = torch.randn(classes, width, generator=generator) * 3
    features = centres[targets] + torch.randn(rows, width, generator=generator)
    return features * torch.logspace(-1, 1, width) + 5, targets


def scales(features: torch.Tensor) -> torch.Tensor:
    """By what each feature is divided: its standard deviation, and a part of the mean one."""
    std = features.double().std(dim=0, unbiased=False)
    return torch.hypot(std, LEAST_STD * std.mean())


def cost(head: Head, features: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """What fit_head minimises, written anew: mean loss, and the squared weights of the scaled features."""
    std = scales(features)
    loss = torch.nn.functional.cross_entropy(head(features.double()), targets)
    return loss + (head.weight * std).square().sum() / (2 * STRENGTH * len(features))


def test_the_head_is_at_the_minimum_of_its_cost() -> None:
    features, targets = clouds()
    fitted = fit_head([features], targets, 3)
    weight = fitted.weight.double().requires_grad_()
    bias = fitted.bias.double().requires_grad_()
    cost(Head(weight, bias), features, targets).backward()
    scale = scales(features)
    assert weight.grad is not None and bias.grad is not None
    assert float((weight.grad / scale).abs().max()) < 1e-3 and float(bias.grad.abs().max()) < 1e-3


def test_separated_classes_are_learned_and_the_answer_does_not_depend_on_a_seed() -> None:
    features, targets = clouds()
    first, second = fit_head([features], targets, 3), fit_head([features], targets, 3)
    assert torch.equal(first.weight, second.weight)
    assert float((first(features).argmax(dim=1) == targets).float().mean()) > 0.95


def test_views_chosen_rows_and_weights_are_as_if_they_were_written_out() -> None:
    features, targets = clouds()
    mirrored = features + torch.randn(features.shape, generator=torch.Generator().manual_seed(1))
    rows = np.arange(0, 90, 2)
    counted = torch.linspace(0.5, 2, 90)
    found = fit_head([features, mirrored], targets, 3, weights=counted, rows=rows)
    both = torch.cat([features[rows], mirrored[rows]])
    expected = fit_head([both], targets[rows].repeat(2), 3, weights=counted[rows].repeat(2))
    torch.testing.assert_close(found.weight, expected.weight, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.bias, expected.bias, atol=1e-4, rtol=1e-4)


def test_more_features_than_are_kept_at_once_give_the_same_head(monkeypatch: pytest.MonkeyPatch) -> None:
    features, targets = clouds()
    expected = fit_head([features, features * 1.1], targets, 3)
    monkeypatch.setattr("pipeline.model.head.KEPT_BYTES", 8 * 8 * 7)  # seven rows
    found = fit_head([features, features * 1.1], targets, 3)
    torch.testing.assert_close(found.weight, expected.weight, atol=1e-5, rtol=1e-4)


def test_each_class_by_itself_is_several_logistic_regressions() -> None:
    features, targets = clouds()
    flags = torch.stack([targets == 0, targets != 2], dim=1).float()
    together = fit_head([features], flags, 2)
    for column in range(2):
        alone = fit_head([features], flags[:, column : column + 1], 1)
        torch.testing.assert_close(together.weight[column], alone.weight[0], atol=1e-4, rtol=1e-3)


def test_a_feature_that_never_varies_does_no_harm() -> None:
    features, targets = clouds()
    features[:, 0] = 7.0
    assert bool(torch.isfinite(fit_head([features], targets, 3)(features)).all())


def test_features_that_are_no_numbers_are_explained() -> None:
    features, targets = clouds()
    features[3, 3] = float("nan")
    with pytest.raises(TrainingError, match="Choose another backbone"):
        fit_head([features], targets, 3)


def test_where_the_fit_begins_does_not_change_where_it_ends() -> None:
    features, targets = clouds()
    fitted, near = fit_head([features], targets, 3), fit_head([features[:60]], targets[:60], 3)
    again = fit_head([features], targets, 3, start=near)
    assert torch.allclose(again.weight, fitted.weight, atol=1e-4) and torch.allclose(again.bias, fitted.bias, atol=1e-4)
    assert not torch.allclose(near.weight, fitted.weight, atol=1e-3)


@pytest.mark.parametrize("strength", [0.01, 0.1, 1.0])
def test_a_case_of_two_points_is_solved_as_by_hand(strength: float) -> None:
    """For -1 and +1 of two classes the weights are -u and +u with u = sigmoid(-2 u) / (2 cost); found by bisection.

    The one feature has the standard deviation 1 and is divided by a little more, so its weights cost as much more.
    """
    price = (1 + LEAST_STD**2) / (2 * strength * 2)
    low, high = 0.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        too_low = middle < 1 / (1 + math.exp(2 * middle)) / (2 * price)
        low, high = (middle, high) if too_low else (low, middle)
    fitted = fit_head([torch.tensor([[-1.0], [1.0]])], torch.tensor([0, 1]), 2, strength)
    assert fitted.weight.flatten().tolist() == pytest.approx([-low, low], abs=1e-4)
    assert fitted.bias.tolist() == pytest.approx([0.0, 0.0], abs=1e-4)


def test_a_class_without_a_picture_is_never_the_answer() -> None:
    features, targets = clouds()
    fitted = fit_head([features], targets, 4)
    assert 3 not in fitted(features).argmax(dim=1).tolist()
