"""The range test suggests the middle of the valley, stops when the loss has left it, and leaves nothing behind."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.errors import TrainingError, UsageError
from pipeline.stage import Progress, run
from pipeline.train.config import LrFindConfig, TrainConfig
from pipeline.train.lr_finder import DIVERGED, LrFound, find_lr, steepest, valley
from pipeline.workspace.workspace import Workspace

RATES = np.geomspace(1e-6, 1.0, 61).tolist()
SETTINGS = LrFindConfig(image_size=64, batch_size=14, device="cpu", steps=24, low=1e-5)


def bathtub(rate: float) -> float:
    """Level to 1e-4, falling to 1e-2, then up and away."""
    place = math.log10(rate)
    return 1.5 - 0.5 * min(max(place + 4, 0), 2) + max(place + 2, 0) ** 2


def test_the_suggestion_is_the_middle_of_the_falling_part() -> None:
    assert valley([(rate, bathtub(rate)) for rate in RATES]) == pytest.approx(1e-3, rel=0.3)


def test_noise_does_not_move_it_far() -> None:
    noise = np.random.default_rng(0).normal(0, 0.02, len(RATES))
    curve = [(rate, bathtub(rate) + jitter) for rate, jitter in zip(RATES, noise.tolist(), strict=True)]
    assert 1e-4 < valley(curve) < 1e-2


def test_a_short_bump_does_not_end_the_valley() -> None:
    curve = [(rate, bathtub(rate) + (0.4 if 30 <= place < 33 else 0)) for place, rate in enumerate(RATES)]
    assert valley(curve) == pytest.approx(1e-3, rel=0.3)


@pytest.mark.parametrize("losses", [[], [1.0], [1.0] * 40, list(range(40))])
def test_where_the_loss_never_falls_nothing_is_suggested(losses: list[float]) -> None:
    with pytest.raises(TrainingError, match="fell at no rate"):
        valley([(10.0**-place, loss) for place, loss in enumerate(losses)])


def test_the_steepest_place_is_where_the_loss_falls_fastest() -> None:
    def cliff(rate: float) -> float:
        return bathtub(rate) - (0.2 if rate > 2e-3 else 0)

    curve = [(rate, cliff(rate)) for rate in RATES]
    assert steepest(curve) == max(rate for rate in RATES if rate <= 2e-3)
    assert steepest(curve) > 1.5 * valley(curve)


def test_the_steepest_place_may_lie_neither_at_the_begin_nor_at_the_end() -> None:
    begin = [(rate, loss if place else 9.0) for place, (rate, loss) in enumerate((r, bathtub(r)) for r in RATES)]
    assert steepest(begin) > RATES[5]
    assert steepest([*begin[:-2], (RATES[-2], -50.0), (RATES[-1], -99.0)]) < RATES[-6]


@pytest.mark.parametrize("losses", [[], [1.0], [1.0] * 40, list(range(40))])
def test_where_the_loss_never_falls_no_place_is_the_steepest(losses: list[float]) -> None:
    with pytest.raises(TrainingError, match="fell at no rate"):
        steepest([(10.0 ** (place - 40), loss) for place, loss in enumerate(losses)])


def test_every_setting_of_training_is_one_of_the_test() -> None:
    config = LrFindConfig(sizes=[64], epochs=7, optimizer="sgd")  # type: ignore[arg-type]  # a list, as JSON has it
    assert isinstance(config, TrainConfig) and (config.sizes, config.epochs, config.optimizer) == ((64,), 7, "sgd")


def find(workspace: Workspace) -> tuple[LrFound, list[Progress]]:
    shown: list[Progress] = []
    found = run(find_lr(workspace, SETTINGS), shown.append)
    return found, [progress for progress in shown if progress.metrics.get("phase") == "lr"]


@pytest.mark.slow
def test_a_real_model_is_tested_and_nothing_is_left_behind(trained: Workspace) -> None:
    runs, images = sorted(trained.runs.iterdir()), trained.store.images()
    found, shown = find(trained)
    rates, losses = zip(*found.curve, strict=True)
    ratios = np.divide(rates[1:], rates[:-1])
    assert rates[0] == pytest.approx(1e-5) and ratios == pytest.approx(ratios[0])
    assert SETTINGS.low < found.suggestion < 0.1
    assert found.steepest in rates and SETTINGS.low < found.steepest < 0.1
    assert min(losses) < losses[0], "the loss fell"
    assert len(rates) < SETTINGS.steps and losses[-1] > DIVERGED * min(losses), "it stopped when the loss was lost"
    assert [(p.metrics["lr"], p.metrics["loss"]) for p in shown] == list(found.curve)
    assert sorted(trained.runs.iterdir()) == runs and trained.store.images().equals(images)


def test_what_makes_no_sense_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="--steps"):
        LrFindConfig(steps=5)
    with pytest.raises(UsageError, match="--low"):
        LrFindConfig(low=0.1, high=0.01)
    with pytest.raises(UsageError, match="--batch-size"):
        LrFindConfig(batch_size=1)
