"""What a fine-tuning will do: how many epochs, with which layers, at which sizes and rates; and whether it paid."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.labels import answered
from pipeline.train.config import TrainConfig
from pipeline.train.data import Dataset
from pipeline.train.engine import Engine, features_and_logits
from pipeline.train.history import TrainingHistory
from pipeline.train.task import Task

# A picture with all layers learning takes so many times what it takes once through the frozen network.
LEARNING = 3.5
# Where the head gets fewer wrong than this, on the train (out of fold) and the valid split, there is little to win.
FEW_WRONG = 0.005
# An epoch with all layers whose validation loss is so many times that of the head alone is not followed by another.
MUCH_WORSE = 1.25

# The one-cycle of fastai's fine_tune: up from a fifth during the first 30 %, then down to next to nothing.
RISING, START, END = 0.3, 1 / 5, 1 / 5e4
MOMENTUM, LOW_MOMENTUM, STEADY = 0.95, 0.85, 0.9


@dataclass(frozen=True)
class Epoch:
    """One pass over the train split: views of ``size`` (height, width) in pixels; the top ``share`` of layers learn."""

    size: tuple[int, int]
    share: float = 1.0


def plan(task: Task, engine: Engine, history: TrainingHistory) -> list[Epoch]:
    """The epochs after the head was fitted. With ``layers`` auto: as many as ``minutes`` allow, none where there is
    little to win; what was decided, and why, becomes the history's ``decision``.
    """
    config, dataset = task.config, task.dataset
    count = 0 if config.layers == "head" else config.epochs
    sizes = _sizes(config.sizes, dataset.preprocessing.size, count)
    if config.layers == "auto" and count and history.epochs:
        wrong = max(history.epochs[0]["error_rate"], _wrong_out_of_fold(dataset, history))
        if wrong < FEW_WRONG:
            history.decision = f"The head alone gets {100 * wrong:.1f} % wrong: the layers below stay as they are."
            return []
        seconds = LEARNING * _pace(engine, dataset) * len(dataset.positions("train"))
        count = _affordable(sizes, dataset.preprocessing.size, seconds, config.minutes, history)
        sizes = _sizes(config.sizes, dataset.preprocessing.size, count)
    shares = [(number + 1) / count if config.layers == "gradual" else 1.0 for number in range(count)]
    return [Epoch(size, share) for size, share in zip(sizes, shares, strict=True)]


def _sizes(heights: Sequence[int], size: tuple[int, int], count: int) -> list[tuple[int, int]]:
    """(height, width) of the views in each of ``count`` epochs, in the shape of the network's input ``size``."""
    height, width = size
    heights = heights or (height,)
    chosen = [heights[number * len(heights) // count] for number in range(count)]
    return [(side, max(1, round(side * width / height))) for side in chosen]


def _affordable(
    sizes: Sequence[tuple[int, int]], full: tuple[int, int], seconds: float, minutes: float, history: TrainingHistory
) -> int:
    """How many epochs with views of ``sizes`` the ``minutes`` allow, where one of ``full`` size takes ``seconds``."""
    left, count = 60 * minutes, 0
    for size in sizes:
        left -= seconds * size[0] * size[1] / (full[0] * full[1])
        count += left >= 0
    if count < len(sizes):
        history.decision = (
            f"An epoch with all layers takes about {_words((60 * minutes - left) / len(sizes))} here, and "
            f"{_words(60 * minutes)} are allowed (--minutes): {count} of {len(sizes)} epochs with all layers."
        )
    return count


def _pace(engine: Engine, dataset: Dataset) -> float:
    """Seconds that one picture takes through the network in torch, once."""
    some = dataset.positions("train")[: engine.batch_size]
    for _ in range(2):  # the first time is slower
        began = time.monotonic()
        for _ in features_and_logits(engine.model, dataset, some, engine.device):
            continue
    return engine.ranks.said((time.monotonic() - began) / len(some))


def _words(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"


def _wrong_out_of_fold(dataset: Dataset, history: TrainingHistory) -> float:
    """The share of the train and the valid split that heads which did not see the pictures get wrong."""
    labels = dataset.rows["label"].to_numpy()
    wrong = [
        answered(probabilities, dataset.classes, dataset.outputs)["predicted"].to_numpy() != labels[positions]
        for positions, probabilities in history.out_of_fold
    ]
    return float(np.concatenate(wrong).mean()) if wrong else 0.0


def stops(history: TrainingHistory, patience: int, auto: bool) -> str:
    """Why no further epoch is to follow; empty where one is. ``auto``: whether it gives up where it became much worse
    than the head alone.
    """
    losses = [float(epoch["valid_loss"]) for epoch in history.epochs]
    first, last = history.epochs[:1], history.epochs[-1:]
    if patience and losses and len(losses) - 1 - losses.index(min(losses)) >= patience:
        return f"Stopped early: the validation loss has not been lower for {patience} epochs."
    tried = auto and len(losses) > 1 and first[0]["phase"] == "head"
    if tried and losses[-1] > MUCH_WORSE * losses[0] and last[0]["error_rate"] > first[0]["error_rate"]:
        return "Stopped early: with all layers it became much worse than the head alone."
    return ""


def decided(history: TrainingHistory) -> str:
    """What to tell at the end: whether the layers below the head were worth fine-tuning."""
    tried = [epoch for epoch in history.epochs if epoch["phase"] != "head"]
    head = next((epoch for epoch in history.epochs if epoch["phase"] == "head"), None)
    if head is None or not tried:
        return history.decision
    best = min(tried, key=lambda epoch: float(epoch["valid_loss"]))
    losses = f"{head['valid_loss']:.3f} to {best['valid_loss']:.3f}"
    wrong = f"{100 * head['error_rate']:.1f} % to {100 * best['error_rate']:.1f} % of the valid split wrong"
    if best["valid_loss"] < head["valid_loss"]:
        words = f"Fine-tuning paid: the validation loss went from {losses} ({wrong}), epoch {best['epoch']} is kept."
    else:
        words = f"Fine-tuning did not pay: the validation loss went from {losses} ({wrong}), the head alone is kept."
    return f"{history.decision} {words}".strip()


@dataclass(frozen=True)
class Schedule:
    """How the learning rate and the momentum go over ``steps`` steps, ``epoch_steps`` of them an epoch.

    ``kind``: one-cycle (Smith 2018, with cosines), cosine after ``warmup``, a share of the steps; or restarts (SGDR,
    Loshchilov & Hutter 2017), whose first cycle has ``cycle_epochs``, each next one ``cycle_factor`` times as many.
    """

    kind: str
    warmup: float
    cycle_epochs: int
    cycle_factor: float
    steps: int
    epoch_steps: int

    @classmethod
    def of(cls, config: TrainConfig, steps: int, epoch_steps: int) -> Schedule:
        """What is configured, for so many steps."""
        return cls(config.schedule, config.warmup, config.cycle_epochs, config.cycle_factor, steps, epoch_steps)

    def factor(self, step: int) -> float:
        """The rate at ``step`` (from 0) as a share of the highest one, above 0 and at most 1."""
        if self.kind == "restarts":
            begin, end = next(cycle for cycle in self.cycles() if cycle[1] > min(step, self.steps - 1))
            return _cosine(1.0, END, (step - begin) / (end - begin))
        top = (RISING if self.kind == "one-cycle" else self.warmup) * self.steps
        if step >= top:
            return _cosine(1.0, END, (step - top) / (self.steps - top))
        return _cosine(START, 1.0, step / top) if self.kind == "one-cycle" else (step + 1) / (top + 1)

    def momentum(self, step: int) -> float:
        """Momentum (Adam's first beta) at ``step``: low where the rate of one-cycle is high; else steady."""
        if self.kind != "one-cycle":
            return STEADY
        top = RISING * self.steps
        if step < top:
            return _cosine(MOMENTUM, LOW_MOMENTUM, step / top)
        return _cosine(LOW_MOMENTUM, MOMENTUM, (step - top) / (self.steps - top))

    def cycles(self) -> Iterator[tuple[int, int]]:
        """(first step, step after the last) of each cosine cycle of restarts; what is left at the end is added to the
        last whole cycle, so that the training ends at the lowest rate.
        """
        begin, length = 0, float(self.cycle_epochs * self.epoch_steps)
        while begin < self.steps:
            end = begin + max(1, round(length))
            length *= self.cycle_factor
            if end + max(1, round(length)) > self.steps:
                end = self.steps
            yield begin, end
            begin = end


def _cosine(start: float, end: float, share: float) -> float:
    """From ``start`` to ``end``, a half cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * min(max(share, 0.0), 1.0))) / 2
