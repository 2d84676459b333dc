"""Fine-tuning: the head on cached features of the frozen body, then all layers; after each epoch the best is kept."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pipeline.augment import PRESETS
from pipeline.checkpoints import Checkpoints
from pipeline.data import batches
from pipeline.evaluate import loss_and_error, outputs
from pipeline.head import fit_head, out_of_fold
from pipeline.stage import Progress, Stage
from pipeline.training import Training, progress, scheduled_optimizer, step, train_mode


def fit_the_head(training: Training) -> Stage[None]:
    """Fit the head on features of the train split, as they are and mirrored; then the same out of fold."""
    began = time.monotonic()
    dataset = training.dataset
    train, valid = dataset.positions("train"), dataset.positions("valid")
    plain = yield from _features(training, train, "Reading features")
    views = [plain]
    if (preset := PRESETS[training.config.augmentation]) and preset.flip:
        views.append((yield from _features(training, train, "Reading mirrored features", mirrored=True)))
    targets = training.targets[train]
    head = fit_head(torch.cat(views), targets.repeat(len(views)), len(dataset.classes))
    classifier = training.model.get_classifier()
    with torch.no_grad():
        classifier.weight.copy_(head.weight)
        classifier.bias.copy_(head.bias)
    train_loss, _ = loss_and_error(head(plain), targets)
    held_out = yield from _features(training, valid, "Reading features")
    yield _end_epoch(training, 0, "head", train_loss, head(held_out), time.monotonic() - began)
    groups = [str(group) for group in dataset.rows["group"].iloc[train]]
    for positions, logits in out_of_fold(plain, targets, groups, len(dataset.classes)):
        training.out_of_fold.append((train[positions], logits.softmax(dim=1).numpy()))


def _features(
    training: Training, positions: np.ndarray[Any, Any], note: str, mirrored: bool = False
) -> Stage[torch.Tensor]:
    began, parts, done = time.monotonic(), [], 0
    for features, _ in outputs(training.model, training.dataset, positions, training.device, mirrored):
        parts.append(features)
        done += len(features)
        yield progress(done, len(positions), note, "features", began)
    return torch.cat(parts)


def _end_epoch(
    training: Training, epoch: int, phase: str, train_loss: float, logits: torch.Tensor, seconds: float
) -> Progress:
    """Put the epoch on record, keep the weights where they are the best so far, and say so."""
    valid_loss, wrong = loss_and_error(logits, training.targets[training.dataset.positions("valid")])
    row = {"epoch": epoch, "phase": phase, "train_loss": train_loss, "valid_loss": valid_loss, "error_rate": wrong}
    training.epochs.append({**row, "seconds": round(seconds, 2)})
    if valid_loss < training.best[0]:
        training.best = (valid_loss, copy.deepcopy(training.model.state_dict()))
    words = f"Epoch {epoch}: {100 * wrong:.1f} % of the valid split wrong"
    return Progress(epoch, training.config.epochs, words, {"phase": phase, "epoch": training.epochs[-1]})


# --- all layers ------------------------------------------------------------------------------------------------


@dataclass
class Loop:
    """What an epoch changes besides the model: the optimiser, its schedule, and what draws batches and views."""

    optimizer: Any
    schedule: Any
    shuffle: np.random.Generator
    views: torch.Generator

    @classmethod
    def fresh(cls, training: Training, steps: int) -> Loop:
        """The loop before the first of the epochs of ``steps`` steps."""
        optimizer, schedule = scheduled_optimizer(training.model, training.config, steps)
        seed = training.config.seed
        return cls(optimizer, schedule, np.random.default_rng(seed), torch.Generator().manual_seed(seed))

    def state(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "shuffle": json.dumps(self.shuffle.bit_generator.state),
            "views": self.views.get_state(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """As it was when ``state`` was taken."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.shuffle.bit_generator.state = json.loads(state["shuffle"])
        self.views.set_state(state["views"])
        torch.set_rng_state(state["random"])
        if len(state["random_cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["random_cuda"])


def fit_all_layers(training: Training, checkpoints: Checkpoints) -> Stage[None]:
    """One-cycle AdamW over all layers (Smith 2018), lower layers at lower rates (ULMFiT's discriminative rates).

    Each epoch ends with a checkpoint; where there is one already, it goes on from there.
    """
    config, dataset = training.config, training.dataset
    train, valid = dataset.positions("train"), dataset.positions("valid")
    if config.epochs == 0:
        return
    loop = Loop.fresh(training, len(list(batches(train, config.batch_size))))
    first = yield from _taken_up(training, loop, checkpoints)
    pace = (time.monotonic(), first - 1)
    for epoch in range(first, config.epochs + 1):
        began = time.monotonic()
        train_loss = yield from _epoch(training, loop, epoch, pace)
        logits = torch.cat([logits for _, logits in outputs(training.model, dataset, valid, training.device)])
        ended = _end_epoch(training, epoch, "all", train_loss, logits, time.monotonic() - began)
        checkpoints.save({"epoch": epoch, **state_of(training), "loop": loop.state()})
        yield ended


def _taken_up(training: Training, loop: Loop, checkpoints: Checkpoints) -> Stage[int]:
    """The first epoch that is still to do."""
    state = checkpoints.load()
    if state is None or state.get("loop") is None:
        return 1
    loop.restore(state["loop"])
    done = int(state["epoch"])
    yield Progress(done, training.config.epochs, f"Going on after epoch {done}, as that was written down")
    return done + 1


def _epoch(training: Training, loop: Loop, epoch: int, pace: tuple[float, int]) -> Stage[float]:
    """One pass over the train split; returns the mean loss. ``pace``: a time, and the epochs that were done by then."""
    config, train = training.config, training.dataset.positions("train")
    losses: list[float] = []
    train_mode(training.model)
    for positions in batches(loop.shuffle.permutation(train), config.batch_size):
        told = len(training.notes)
        losses.append(step(training, positions, loop.optimizer, loop.views))
        loop.schedule.step()
        rate = loop.schedule.get_last_lr()[-1]
        numbers = {"loss": losses[-1], "lr": rate, "step": loop.schedule.last_epoch}
        note = " ".join(training.notes[told:]) or f"Epoch {epoch} of {config.epochs}"
        seen = (epoch - 1) * len(train) + min(len(losses) * config.batch_size, len(train))
        yield progress(seen, config.epochs * len(train), note, "all", pace[0], pace[1] * len(train), **numbers)
    return float(np.mean(losses))


# --- broken off and taken up again ---------------------------------------------------------------------------------


def state_of(training: Training) -> dict[str, Any]:
    """What a checkpoint holds of a training, besides the loop."""
    best_loss, best = training.best
    return {
        "model": training.model.state_dict(),
        "best": {"loss": best_loss, "model": best},
        "epochs": training.epochs,
        "seconds": training.seconds,
        "notes": training.notes,
        "out_of_fold": [
            {"positions": torch.from_numpy(positions), "probabilities": torch.from_numpy(probabilities)}
            for positions, probabilities in training.out_of_fold
        ],
    }


def restore(training: Training, state: Mapping[str, Any]) -> None:
    """The training as it was when ``state`` was taken."""
    training.model.load_state_dict(state["model"])
    training.best = (float(state["best"]["loss"]), dict(state["best"]["model"]))
    training.epochs, training.notes = list(state["epochs"]), list(state["notes"])
    training.spent = float(state["seconds"])
    training.out_of_fold = [(fold["positions"].numpy(), fold["probabilities"].numpy()) for fold in state["out_of_fold"]]
