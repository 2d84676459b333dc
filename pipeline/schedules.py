"""How the learning rate goes over a training: one-cycle, cosine with warm-up, cosine with restarts; pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pipeline.train.config import TrainConfig

# The one-cycle of fastai's fine_tune: up from a fifth during the first 30 %, then down to next to nothing.
RISING, START, END = 0.3, 1 / 5, 1 / 5e4
MOMENTUM, LOW_MOMENTUM, STEADY = 0.95, 0.85, 0.9


def factor(config: TrainConfig, step: int, steps: int, epoch_steps: int) -> float:
    """The rate at ``step`` (from 0) of ``steps`` as a share of the highest one, above 0 and at most 1.

    ``epoch_steps``: steps of an epoch. One-cycle: Smith 2018, with cosines. Restarts: SGDR, Loshchilov & Hutter 2017.
    """
    if config.schedule == "one-cycle":
        top = RISING * steps
        return _cosine(START, 1.0, step / top) if step < top else _cosine(1.0, END, (step - top) / (steps - top))
    if config.schedule == "cosine":
        top = config.warmup * steps
        return (step + 1) / (top + 1) if step < top else _cosine(1.0, END, (step - top) / (steps - top))
    begin, end = next(cycle for cycle in cycles(config, steps, epoch_steps) if cycle[1] > min(step, steps - 1))
    return _cosine(1.0, END, (step - begin) / (end - begin))


def momentum(config: TrainConfig, step: int, steps: int) -> float:
    """Momentum (Adam's first beta) at ``step``: low where the rate of one-cycle is high; else steady."""
    if config.schedule != "one-cycle":
        return STEADY
    top = RISING * steps
    if step < top:
        return _cosine(MOMENTUM, LOW_MOMENTUM, step / top)
    return _cosine(LOW_MOMENTUM, MOMENTUM, (step - top) / (steps - top))


def cycles(config: TrainConfig, steps: int, epoch_steps: int) -> Iterator[tuple[int, int]]:
    """(first step, step after the last) of each cosine cycle of ``restarts``; what is left at the end is added to the
    last whole cycle, so that the training ends at the lowest rate.
    """
    begin, length = 0, float(config.cycle_epochs * epoch_steps)
    while begin < steps:
        end = begin + max(1, round(length))
        length *= config.cycle_factor
        if end + max(1, round(length)) > steps:
            end = steps
        yield begin, end
        begin = end


def _cosine(start: float, end: float, share: float) -> float:
    """From ``start`` to ``end``, a half cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * min(max(share, 0.0), 1.0))) / 2
