"""What a fine-tuning will do: how many epochs, with how many of the layers, at which sizes; and whether it paid."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import numpy as np

from pipeline.labels import answered
from pipeline.train.config import TrainConfig
from pipeline.train.evaluate import outputs
from pipeline.train.state import Epoch, Training

# A picture with all layers learning takes so many times what it takes once through the frozen network.
LEARNING = 3.5
# Where the head gets fewer wrong than this, on the train (out of fold) and the valid split, there is little to win.
FEW_WRONG = 0.005
# An epoch with all layers whose validation loss is so many times that of the head alone is not followed by another.
MUCH_WORSE = 1.25

# The one-cycle of fastai's fine_tune: up from a fifth during the first 30 %, then down to next to nothing.
RISING, START, END = 0.3, 1 / 5, 1 / 5e4
MOMENTUM, LOW_MOMENTUM, STEADY = 0.95, 0.85, 0.9


def plan(training: Training) -> list[Epoch]:
    """The epochs after the head was fitted. With ``layers`` auto: as many as ``minutes`` allow, none where there is
    little to win; what was decided, and why, becomes the training's ``decision``.
    """
    config = training.config
    count = 0 if config.layers == "head" else config.epochs
    if config.layers == "auto" and count and training.epochs:
        count = _worth_it(training)
    shares = [(number + 1) / count if config.layers == "gradual" else 1.0 for number in range(count)]
    return [Epoch(size, share) for size, share in zip(_sizes(training, count), shares, strict=True)]


def _sizes(training: Training, count: int) -> list[tuple[int, int]]:
    height, width = training.dataset.preprocessing.size
    heights = training.config.sizes or (height,)
    chosen = [heights[number * len(heights) // count] for number in range(count)]
    return [(side, max(1, round(side * width / height))) for side in chosen]


def _worth_it(training: Training) -> int:
    """How many epochs to do."""
    wrong = max(training.epochs[0]["error_rate"], _wrong_out_of_fold(training))
    if wrong < FEW_WRONG:
        training.decision = f"The head alone gets {100 * wrong:.1f} % wrong: the layers below stay as they are."
        return 0
    config, (height, width) = training.config, training.dataset.preprocessing.size
    left, count = 60 * config.minutes, 0
    pictures, pace = len(training.dataset.positions("train")), _pace(training)
    for size in _sizes(training, config.epochs):
        left -= LEARNING * pace * pictures * size[0] * size[1] / (height * width)
        count += left >= 0
    if count < config.epochs:
        seconds = (60 * config.minutes - left) / config.epochs
        training.decision = (
            f"An epoch with all layers takes about {_words(seconds)} here, and {_words(60 * config.minutes)} are "
            f"allowed (--minutes): {count} of {config.epochs} epochs with all layers."
        )
    return count


def _pace(training: Training) -> float:
    """Seconds that one picture takes through the network in torch, once."""
    some = training.dataset.positions("train")[: training.config.batch_size]
    for _ in range(2):  # the first time is slower
        began = time.monotonic()
        for _ in outputs(training.model, training.dataset, some, training.device):
            continue
    return training.ranks.said((time.monotonic() - began) / len(some))


def _words(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"


def _wrong_out_of_fold(training: Training) -> float:
    """The share of the train and the valid split that heads which did not see the pictures get wrong."""
    dataset, labels = training.dataset, training.dataset.rows["label"].to_numpy()
    wrong = [
        answered(probabilities, dataset.classes, dataset.outputs)["predicted"].to_numpy() != labels[positions]
        for positions, probabilities in training.out_of_fold
    ]
    return float(np.concatenate(wrong).mean()) if wrong else 0.0


def stops(training: Training) -> str:
    """Why no further epoch is to follow; empty where one is."""
    losses = [float(epoch["valid_loss"]) for epoch in training.epochs]
    patience, first, last = training.config.patience, training.epochs[:1], training.epochs[-1:]
    if patience and losses and len(losses) - 1 - losses.index(min(losses)) >= patience:
        return f"Stopped early: the validation loss has not been lower for {patience} epochs."
    tried = len(losses) > 1 and first[0]["phase"] == "head" and training.config.layers == "auto"
    if tried and losses[-1] > MUCH_WORSE * losses[0] and last[0]["error_rate"] > first[0]["error_rate"]:
        return "Stopped early: with all layers it became much worse than the head alone."
    return ""


def decided(training: Training) -> str:
    """What to tell at the end: whether the layers below the head were worth fine-tuning."""
    tried = [epoch for epoch in training.epochs if epoch["phase"] != "head"]
    head = next((epoch for epoch in training.epochs if epoch["phase"] == "head"), None)
    if head is None or not tried:
        return training.decision
    best = min(tried, key=lambda epoch: float(epoch["valid_loss"]))
    losses = f"{head['valid_loss']:.3f} to {best['valid_loss']:.3f}"
    wrong = f"{100 * head['error_rate']:.1f} % to {100 * best['error_rate']:.1f} % of the valid split wrong"
    if best["valid_loss"] < head["valid_loss"]:
        words = f"Fine-tuning paid: the validation loss went from {losses} ({wrong}), epoch {best['epoch']} is kept."
    else:
        words = f"Fine-tuning did not pay: the validation loss went from {losses} ({wrong}), the head alone is kept."
    return f"{training.decision} {words}".strip()


# --- How the learning rate goes over a training: one-cycle, cosine with warm-up, cosine with restarts ----------------


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
