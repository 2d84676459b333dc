"""How far features lie from those that were learnt from: Mahalanobis' distance, and its threshold."""

from __future__ import annotations

import pytest
import torch

from pipeline.model.familiar import DIRECTIONS, FALSE_ALARMS, learn, limit, moments, shrinkage, threshold


def features(rows: int, size: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    scales = 3.0 / torch.arange(1, size + 1)  # as those of a network's features fall
    return torch.randn(rows, size, generator=generator) * scales + 5.0


def test_the_distance_is_that_of_the_shrunk_covariance() -> None:
    known, asked = features(90, 12), features(20, 12, seed=1)
    mean, covariance = moments(known, torch.arange(90).numpy())
    torch.testing.assert_close(covariance, torch.cov(known.double().T, correction=0))
    precision = torch.linalg.inv(covariance + shrinkage(covariance) * torch.eye(12))
    away = asked.double() - mean
    expected = torch.einsum("nf,fg,ng->n", away, precision, away).sqrt()
    torch.testing.assert_close(learn(known).distances(asked).double(), expected, rtol=1e-4, atol=1e-4)


def test_fewer_pictures_than_features_leave_the_other_directions_at_the_floor() -> None:
    known = features(6, 40)
    familiar = learn(known)
    assert familiar.directions.shape == (40, 6) and familiar.distances(known).isfinite().all()
    outside = torch.linalg.svd(known - known.mean(dim=0), full_matrices=True)[2][-1]
    far = familiar.distances(known.mean(dim=0, keepdim=True) + outside)
    torch.testing.assert_close(far, (1 / familiar.floor).sqrt()[None], rtol=1e-3, atol=1e-3)


def test_of_many_features_the_main_directions_are_enough() -> None:
    known, asked = features(900, DIRECTIONS * 2), features(100, DIRECTIONS * 2, seed=1) + 1.0
    mean, covariance = moments(known, torch.arange(900).numpy())
    precision = torch.linalg.inv(covariance + shrinkage(covariance) * torch.eye(len(covariance)))
    away = asked.double() - mean
    exact = torch.einsum("nf,fg,ng->n", away, precision, away).sqrt()
    kept = learn(known).distances(asked).double()
    assert torch.corrcoef(torch.stack([exact, kept]))[0, 1] > 0.99


def test_the_threshold_lets_as_many_false_alarms_through_as_it_says() -> None:
    familiar, held_out = learn(features(500, 20)), features(400, 20, seed=2)
    at = threshold(familiar, held_out)
    assert abs(float((familiar.distances(held_out) > at).float().mean()) - FALSE_ALARMS) <= 0.005
    assert (familiar.distances(held_out + 20) > at).all()


def test_the_limit_is_set_without_the_test_split_and_measured_on_it() -> None:
    familiar, valid, test = learn(features(500, 20)), features(400, 20, seed=2), features(300, 20, seed=3)
    told = limit(familiar, valid, test)
    assert told == {**limit(familiar, valid, test + 20), "test": told["test"]}
    called = int((familiar.distances(test) > threshold(familiar, valid)).sum())
    assert told["test"] == {"rate": pytest.approx(called / 300), "images": 300} and 0 < called < 50
    assert limit(familiar, valid, test[:0])["test"] == {"rate": 0.0, "images": 0}


def test_pictures_that_are_all_alike_are_no_reason_to_fail() -> None:
    same = torch.ones(10, 8)
    familiar = learn(same)
    assert familiar.distances(same).isfinite().all() and threshold(familiar, same) > 0
    assert bool((familiar.distances(same + 1) > threshold(familiar, same)).all())
