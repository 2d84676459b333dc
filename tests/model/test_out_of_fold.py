"""Answers out of fold, by duplicate group, in spite of wrong labels; neighbours; what is strange."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch

import pipeline.model.out_of_fold as module
from pipeline.model import familiar
from pipeline.model.head import Head
from pipeline.model.losses import shares_of
from pipeline.model.out_of_fold import (
    FOLDS,
    VOTE,
    Neighbours,
    _answers_of_folds,
    doubted,
    fold_of,
    out_of_fold,
    strangeness,
)
from tests.model.test_head import clouds


def test_every_row_is_answered_once_by_a_head_that_saw_none_of_its_group() -> None:
    features, targets = clouds()
    groups = [f"group {row // 3}" for row in range(len(targets))]
    seen: list[int] = []
    folds = list(out_of_fold(features, targets, groups, 3))
    assert len(folds) == FOLDS
    for positions, likely in folds:
        assert likely.shape == (len(positions), 3) and likely.sum(axis=1) == pytest.approx(1)
        inside = {groups[position] for position in positions}
        assert not inside & {groups[row] for row in range(len(groups)) if row not in positions}
        seen += [int(position) for position in positions]
    assert sorted(seen) == list(range(len(targets)))


def test_out_of_fold_answers_find_a_planted_error_that_the_fit_itself_may_hide() -> None:
    features, targets = clouds(rows=300)
    planted = targets.clone()
    planted[10] = (targets[10] + 1) % 3
    groups = [str(row) for row in range(len(targets))]
    own = np.ones(len(targets))
    for positions, likely in out_of_fold(features, planted, groups, 3):
        own[positions] = likely[np.arange(len(positions)), planted[positions]]
    assert int(own.argmin()) == 10


def noisy(rows: int = 600, share: float = 0.2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Overlapping clouds, their classes with a share of wrong ones, and which are wrong."""
    features, targets = clouds(rows, classes=4, width=16, seed=5)
    generator = torch.Generator().manual_seed(6)
    features = features + torch.randn(features.shape, generator=generator) * features.std(dim=0)
    wrong = torch.rand(rows, generator=generator) < share
    shift = torch.randint(1, 4, (rows,), generator=generator)
    return features, torch.where(wrong, (targets + shift) % 4, targets), wrong


def test_about_as_many_labels_are_doubted_as_are_wrong() -> None:
    for share in (0.0, 0.1, 0.2):
        features, targets, wrong = noisy(share=share)
        groups = [str(row) for row in range(len(targets))]
        folds = np.array([int(group) % 5 for group in groups])
        answers = list(_answers_of_folds(features, targets, folds, np.ones(len(targets), dtype=bool), 4, {}))
        positions = np.concatenate([positions for positions, _ in answers])
        found = doubted(torch.cat([logits for _, logits in answers]), targets[positions])
        assert abs(found.mean() - share) < 0.09
        if share:
            assert (found & wrong[positions].numpy()).sum() / wrong.sum() > 0.6
            assert wrong[positions].numpy()[found].mean() > 0.6


def test_no_class_loses_more_than_half_of_its_pictures() -> None:
    logits = torch.tensor([[5.0, -5.0]] * 20)
    targets = torch.tensor([0] * 14 + [1] * 6)
    found = doubted(logits, targets)
    assert found[14:].sum() == 3 and found[:14].sum() <= 1
    flags = torch.tensor([[1.0, 1.0]] * 10 + [[1.0, 0.0]] * 10)
    assert doubted(torch.tensor([[5.0, -5.0]] * 20), flags)[:10].sum() <= 5


def average_precision(own: np.ndarray[Any, Any], wrong: torch.Tensor) -> float:
    """Of the ranking by how unlikely the labels are."""
    hits = wrong.numpy()[own.argsort()]
    return float((hits.cumsum() / np.arange(1, len(hits) + 1))[hits].mean())


def of_labels(answers: Iterable[tuple[Any, Any]], targets: torch.Tensor) -> np.ndarray[Any, Any]:
    """How likely each label is by the answers."""
    own = np.zeros(len(targets))
    for positions, likely in answers:
        own[positions] = np.asarray(likely)[np.arange(len(positions)), targets[positions]]
    return own


def test_wrong_labels_do_not_vouch_for_one_another() -> None:
    """The second pass ranks planted errors higher than one pass does."""
    features, targets, wrong = noisy()
    groups = [str(row) for row in range(len(targets))]
    folds, heads = np.array([fold_of(group) for group in groups]), dict[int, Head]()
    once = list(_answers_of_folds(features, targets, folds, np.ones(len(targets), dtype=bool), 4, heads))
    learnt = np.ones(len(targets), dtype=bool)
    rows = np.concatenate([positions for positions, _ in once])
    learnt[rows[doubted(torch.cat([logits for _, logits in once]), targets[rows])]] = False
    twice = _answers_of_folds(features, targets, folds, learnt, 4, heads)
    first, second = (
        average_precision(of_labels([(at, logits.softmax(1)) for at, logits in answers], targets), wrong)
        for answers in (once, twice)
    )
    assert second > first + 0.002


def test_neighbours_vote_with_their_labels_and_never_those_of_the_same_group() -> None:
    east, north, shared = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), torch.tensor([5.0, 5.0])
    features = torch.stack([east, east * 1.1, east * 1.2, north, north * 1.1, north * 1.2]) + shared
    targets = torch.tensor([0, 1, 0, 1, 1, 1])
    likely = torch.full((6, 2), 0.5)
    alone = Neighbours(features, shares_of(targets, 2), list("abcdef")).added_to(likely, features, np.arange(6))
    assert alone.sum(dim=1).tolist() == pytest.approx([1.0] * 6)
    assert alone[1].tolist() == pytest.approx([0.5 + 0.5 * VOTE, 0.5 - 0.5 * VOTE])  # both neighbours are of class 0
    assert alone[4, 1] > 0.5 + 0.49 * VOTE
    grouped = Neighbours(features, shares_of(targets, 2), list("aabdef")).added_to(likely, features, np.arange(6))
    assert grouped[1].tolist() == alone[1].tolist()
    assert grouped[0].tolist() == pytest.approx([0.5 + 0.5 * VOTE, 0.5 - 0.5 * VOTE])  # without its copy, class 1
    together = Neighbours(features, shares_of(targets, 2), ["all"] * 6).added_to(likely, features, np.arange(6))
    assert together.tolist() == likely.tolist()


def test_neighbours_that_are_looked_for_in_pieces_and_among_some_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    features, targets, _ = noisy(rows=200)
    groups, likely = [str(row) for row in range(200)], torch.full((200, 4), 0.25)
    whole = Neighbours(features, shares_of(targets, 4), groups).added_to(likely, features, np.arange(200))
    monkeypatch.setattr(familiar, "ROWS_AT_ONCE", 7)
    pieces = Neighbours(features, shares_of(targets, 4), groups).added_to(likely, features, np.arange(200))
    assert torch.allclose(whole, pieces)
    monkeypatch.setattr(module, "AMONG", 150)
    some = Neighbours(features, shares_of(targets, 4), groups)
    assert len(some.asked) == 150
    assert (some.added_to(likely, features, np.arange(200)).argmax(1) == whole.argmax(1)).float().mean() > 0.9


def test_a_picture_unlike_all_others_is_strange_and_the_others_are_not() -> None:
    chance = torch.Generator().manual_seed(0)
    features = torch.randn(300, 20, generator=chance)
    features[7] = torch.randn(20, generator=chance) * 5 + 10
    found = strangeness(features, [str(row) for row in range(300)])
    assert found.argmax() == 7 and found[7] > 6
    assert np.median(found) == pytest.approx(0.0, abs=1e-9) and np.delete(found, 7).max() < 4.5


@pytest.mark.parametrize(
    ("features", "groups"),
    [
        (torch.ones(1, 3), ["a"]),
        (torch.ones(40, 3), [str(row) for row in range(40)]),
        (torch.arange(12.0).reshape(4, 3), ["all"] * 4),
    ],
)
def test_where_nothing_can_be_said_nothing_is_strange(features: torch.Tensor, groups: list[str]) -> None:
    assert strangeness(features, groups).tolist() == [0.0] * len(groups)


def test_what_cannot_be_left_out_is_not_answered() -> None:
    features, targets = clouds(rows=6, classes=2)
    assert list(out_of_fold(features, targets, ["all of them"] * 6, 2)) == []
