"""The learning-rate range test: the rate goes up step by step; the best one lies where the loss falls."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, pairwise

import numpy as np

from pipeline.errors import TrainingError
from pipeline.jobs.turns import one_at_a_time
from pipeline.stage import Progress, Stage
from pipeline.train.config import LrFindConfig
from pipeline.train.data import batches
from pipeline.train.engine import Engine
from pipeline.train.fine_tune import new_optimizer, set_rates, train_mode
from pipeline.train.task import Task
from pipeline.train.train import check_first, prepare, training_lock
from pipeline.workspace.workspace import Workspace

SMOOTHING = 0.9
DIVERGED = 4.0
LEFT_OUT_FIRST = 10  # one tenth of the curve: the average has not settled yet
LEFT_OUT_LAST = 5  # and the last points: the loss has left the valley
FEWEST_FALLING = 3
NOWHERE = (
    "The loss fell at no rate, so none can be suggested. Start lower (--low 1e-8), take more steps, or train with the "
    "default rate."
)


@dataclass(frozen=True)
class LrFound:
    """Rates for ``base_lr``: ``suggestion`` in the middle of the valley, and ``steepest`` where the loss falls fastest;
    and the (rate, smoothed loss) of each step.
    """

    suggestion: float
    curve: tuple[tuple[float, float], ...]
    steepest: float


def find_lr(workspace: Workspace, config: LrFindConfig | None = None) -> Stage[LrFound]:
    """Train a throw-away model at rising rates and suggest the rate in the middle of the valley of its loss.

    The range test of Smith (2017, "Cyclical learning rates"). It begins with a fresh head: after a fitted one the loss
    has nowhere to fall. Raises TrainingError where no rate makes it fall. Nothing is written.

    >>> found = w.run(w.find_lr(ws, w.LrFindConfig(image_size=64, batch_size=8, steps=30)))
    >>> 1e-6 < found.suggestion < 1
    True
    >>> config = w.TrainConfig(layers="all", base_lr=found.suggestion)
    """
    config = config or LrFindConfig()
    yield from check_first(workspace, config)
    finding = _find_lr(workspace, config)
    return (yield from one_at_a_time(training_lock(), finding, workspace.owner))


def _find_lr(workspace: Workspace, config: LrFindConfig) -> Stage[LrFound]:
    task, engine = yield from prepare(workspace, config)
    engine.begin(new_optimizer(engine.model, config), config.seed)
    curve: list[tuple[float, float]] = []
    for rate, loss in _rising(task, engine, np.geomspace(config.low, config.high, config.steps).tolist()):
        curve.append((rate, loss))
        note = f"Rate {rate:.1e}: loss {loss:.3f}"
        yield Progress(len(curve), config.steps, note, {"phase": "lr", "lr": rate, "loss": loss})
    return LrFound(valley(curve), tuple(curve), steepest(curve))


def _rising(task: Task, engine: Engine, rates: Sequence[float]) -> Iterator[tuple[float, float]]:
    """(rate, smoothed loss) step by step, until the loss is DIVERGED times its lowest."""
    train_mode(engine.model)
    train, average, lowest = task.dataset.positions("train"), 0.0, float("inf")
    endless = chain.from_iterable(batches(engine.shuffle.permutation(train), engine.batch_size) for _ in count())
    for number, (rate, positions) in enumerate(zip(rates, endless, strict=False), 1):
        set_rates(engine.optimizer, rate)
        try:
            loss = engine.step(task.batch(positions, task.load(positions, engine.ranks), engine.ranks, engine.views))
        except TrainingError:  # not a number any more: it has diverged
            return
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        smooth = average / (1 - SMOOTHING**number)
        lowest = min(lowest, smooth)
        yield rate, smooth
        if smooth > DIVERGED * lowest:
            return


def valley(curve: Sequence[tuple[float, float]]) -> float:
    """The rate in the middle of the longest falling part of a (rate, loss) curve, noise skipped over.

    As in fastai's "valley": the part ends where the longest strictly decreasing subsequence ends, and is as long as it.
    The first tenth and the last LEFT_OUT_LAST points do not count. Raises TrainingError where nothing falls.
    """
    rated = _rated(curve)
    lengths = _decreasing_lengths([loss for _, loss in rated])
    longest = max(lengths, default=0)
    if longest < FEWEST_FALLING:
        raise TrainingError(NOWHERE)
    return rated[lengths.index(longest) - longest // 2][0]


def steepest(curve: Sequence[tuple[float, float]]) -> float:
    """The rate from which a (rate, loss) curve falls fastest, per factor of the rate; as fastai's "steep".

    The points that count are those of :func:`valley`. Raises TrainingError where nothing falls.
    """
    rated = _rated(curve)
    slopes = [((then[1] - now[1]) / math.log(then[0] / now[0]), now[0]) for now, then in pairwise(rated)]
    slope, rate = min(slopes, default=(0.0, 0.0))
    if slope >= 0:
        raise TrainingError(NOWHERE)
    return rate


def _rated(curve: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    return curve[len(curve) // LEFT_OUT_FIRST : max(len(curve) - LEFT_OUT_LAST, 0)]


def _decreasing_lengths(values: Sequence[float]) -> list[int]:
    """How long the longest strictly decreasing subsequence is that ends at each position."""
    lengths: list[int] = []
    for value in values:
        before = [length for length, earlier in zip(lengths, values, strict=False) if earlier > value]
        lengths.append(1 + max(before, default=0))
    return lengths
