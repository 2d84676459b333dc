"""Fine-tuning: the head on cached features of the frozen body, then more layers; after each epoch the best is kept."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from timm.utils import ModelEmaV3

from pipeline.predict import ensemble
from pipeline.stage import Progress, Stage, run
from pipeline.train.checkpoints import Checkpoints, state_of
from pipeline.train.data import ahead, batches
from pipeline.train.plan import cycles, decided, factor, momentum, plan, stops
from pipeline.train.state import Epoch, Training, _end_epoch, answers, progress
from pipeline.train.step import new_optimizer, open_layers, set_rates, step, train_mode

# --- more layers -----------------------------------------------------------------------------------------------


@dataclass
class Loop:
    """What an epoch changes besides the model: the optimiser, the number of steps done, what draws batches and views,
    the average of the weights (None: there is none), and the weights at the ends of the cycles, where they are wanted.
    """

    optimizer: Any
    steps: int
    shuffle: np.random.Generator
    views: torch.Generator
    average: Any = None
    done: int = 0
    snapshots: list[dict[str, torch.Tensor]] = field(default_factory=list)

    @classmethod
    def fresh(cls, training: Training) -> Loop:
        """The loop before the first epoch."""
        config, model = training.config, training.model
        epoch_steps = len(list(batches(training.dataset.positions("train"), config.batch_size)))
        average = ModelEmaV3(model, decay=config.ema, use_warmup=True) if config.ema else None
        shuffle, views = np.random.default_rng(config.seed), torch.Generator().manual_seed(config.seed)
        np.random.seed(config.seed % 2**32)
        return cls(new_optimizer(model, config), epoch_steps * len(training.plan), shuffle, views, average)

    def state(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""
        kind, keys, place, *gauss = np.random.get_state(legacy=True)
        return {
            "optimizer": self.optimizer.state_dict(),
            "done": self.done,
            "shuffle": json.dumps(self.shuffle.bit_generator.state),
            "views": self.views.get_state(),
            "average": self.average.state_dict() if self.average else None,
            "snapshots": self.snapshots,
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all(),
            "random_numpy": json.dumps([kind, np.asarray(keys).tolist(), place, *gauss]),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """As it was when ``state`` was taken."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.done, self.snapshots = int(state["done"]), list(state["snapshots"])
        self.shuffle.bit_generator.state = json.loads(state["shuffle"])
        self.views.set_state(state["views"])
        if self.average:
            self.average.load_state_dict(state["average"])
        torch.set_rng_state(state["random"])
        np.random.set_state(tuple(json.loads(state["random_numpy"])))
        if len(state["random_cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["random_cuda"])


def fine_tune(training: Training, checkpoints: Checkpoints, state: Mapping[str, Any] | None) -> Stage[None]:
    """The epochs of the plan: lower layers at lower rates (ULMFiT's discriminative rates), the best one kept.

    Each epoch ends with a checkpoint; where ``state`` is one, it goes on from there.
    """
    taken_up = state if state and state.get("loop") is not None else None
    training.plan = [Epoch(tuple(e["size"]), e["share"]) for e in taken_up["plan"]] if taken_up else plan(training)
    if training.plan:
        yield from _epochs(training, checkpoints, taken_up)
    training.decision = decided(training)
    yield Progress(len(training.plan), len(training.plan), training.decision, {"phase": "decided"})


def _epochs(training: Training, checkpoints: Checkpoints, taken_up: Mapping[str, Any] | None) -> Stage[None]:
    loop, first = Loop.fresh(training), 1
    if taken_up:
        loop.restore(taken_up["loop"])
        first = int(taken_up["epoch"]) + 1
        words = f"Going on after epoch {first - 1}, as that was written down"
        yield Progress(first - 1, len(training.plan), words)
    pace = (time.monotonic(), first - 1)
    for epoch in range(first, len(training.plan) + 1):
        if stopped := stops(training):
            training.notes.append(stopped)
            break
        began = time.monotonic()
        train_loss = yield from _epoch(training, loop, epoch, pace)
        size = {"size": list(training.plan[epoch - 1].size)}
        with _averaged(training, loop):
            logits = _logits(training)
            ended = _end_epoch(training, epoch, "all", train_loss, logits, time.monotonic() - began, **size)
        if training.ranks.first:
            shown = [asdict(planned) for planned in training.plan]
            checkpoints.save({"epoch": epoch, **state_of(training), "loop": loop.state(), "plan": shown})
        yield ended
    if len(loop.snapshots) > 1:
        yield _all_snapshots(training, loop)


def _epoch(training: Training, loop: Loop, epoch: int, pace: tuple[float, int]) -> Stage[float]:
    """One pass over the train split; returns the mean loss. ``pace``: a time, and the epochs that were done by then."""
    config, train, planned = training.config, training.dataset.positions("train"), training.plan[epoch - 1]
    losses: list[float] = []
    epochs = len(training.plan)
    each = loop.steps // epochs
    train_mode(training.model)
    open_layers(training.model, planned.share)
    training.network = training.ranks.network(training.model)
    ends = {end for _, end in cycles(config, loop.steps, each)} if config.snapshots != "none" else ()
    drawn = batches(_drawn(training, loop), config.batch_size)
    for positions, pixels in ahead(drawn, training.load):
        told = len(training.notes)
        rate = config.base_lr * factor(config, loop.done, loop.steps, each)
        set_rates(loop.optimizer, rate, momentum(config, loop.done, loop.steps))
        losses.append(step(training, positions, loop.optimizer, loop.views, planned.size, pixels))
        loop.done += 1
        if loop.average:
            loop.average.update(training.model, loop.done)
        if loop.done in ends:
            loop.snapshots.append(copy.deepcopy(training.model.state_dict()))
        note = " ".join(training.notes[told:]) or f"Epoch {epoch} of {epochs}"
        seen = (epoch - 1) * len(train) + min(len(losses) * config.batch_size, len(train))
        numbers = {"loss": losses[-1], "lr": rate, "step": loop.done}
        yield progress(seen, epochs * len(train), note, "all", pace[0], pace[1] * len(train), **numbers)
    return float(np.mean(losses))


def _drawn(training: Training, loop: Loop) -> np.ndarray[Any, Any]:
    """The train split in the order of an epoch; with ``balance`` sampling every class is as likely as the others."""
    train = training.dataset.positions("train")
    if training.config.balance != "sampling":
        return loop.shuffle.permutation(train)
    weights = training.picture_weights(training.targets[train]).double().numpy()
    drawn: np.ndarray[Any, Any] = loop.shuffle.choice(train, len(train), p=weights / weights.sum())
    return drawn


def _logits(training: Training) -> torch.Tensor:
    """[N, C]: of the valid split. How far that is is not told: it is part of an epoch, which is."""
    _, logits = run(answers(training, training.dataset.positions("valid"), "Validating", "validate"))
    return logits


@contextmanager
def _averaged(training: Training, loop: Loop) -> Iterator[None]:
    """The average of the weights stands in for the model, where there is one."""
    model = training.model
    training.model = loop.average.module if loop.average else model
    try:
        yield
    finally:
        training.model = model


def _all_snapshots(training: Training, loop: Loop) -> Progress:
    """The mean of the weights at the ends of the cycles (Izmailov et al. 2018), or an ensemble of these networks (Huang
    et al. 2017); kept where it is better than each epoch was.
    """
    began, before, phase = time.monotonic(), training.model, training.config.snapshots
    if phase == "ensemble":
        members = [copy.deepcopy(before) for _ in loop.snapshots]
        for member, state in zip(members, loop.snapshots, strict=True):
            member.load_state_dict(state)
        training.model = ensemble(members, training.dataset.outputs)
    else:
        training.model.load_state_dict(_mean(loop.snapshots))
    train_loss, best = float(training.epochs[-1]["train_loss"]), training.best[0]
    number, logits = len(training.plan) + 1, _logits(training)
    ended = _end_epoch(training, number, phase, train_loss, logits, time.monotonic() - began)
    if training.best[0] == best:
        training.model = before
    return ended


def _mean(states: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Of each weight; of what is no weight (a counter), the last."""
    return {
        name: torch.stack([state[name] for state in states]).mean(dim=0) if last.is_floating_point() else last
        for name, last in states[-1].items()
    }


# --- broken off and taken up again ---------------------------------------------------------------------------------
