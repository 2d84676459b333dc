"""Fine-tuning: the head on cached features of the frozen body, then all layers; after each epoch the best is kept."""

from __future__ import annotations

import copy
import time
from typing import Any

import numpy as np
import torch

from pipeline.augment import PRESETS
from pipeline.data import batches
from pipeline.evaluate import loss_and_error, outputs, predictions_table
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
        probabilities = logits.softmax(dim=1).numpy()
        training.out_of_fold.append(predictions_table(dataset, train[positions], probabilities, out_of_fold=True))


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


def fit_all_layers(training: Training) -> Stage[None]:
    """One-cycle AdamW over all layers (Smith 2018), lower layers at lower rates (ULMFiT's discriminative rates)."""
    config, dataset = training.config, training.dataset
    train, valid = dataset.positions("train"), dataset.positions("valid")
    steps = len(list(batches(train, config.batch_size)))
    if config.epochs == 0:
        return
    optimizer, schedule = scheduled_optimizer(training.model, config, steps)
    shuffle = np.random.default_rng(config.seed)
    views = torch.Generator().manual_seed(config.seed)
    run_began, done = time.monotonic(), 0
    for epoch in range(1, config.epochs + 1):
        began, losses = time.monotonic(), []
        train_mode(training.model)
        for positions in batches(shuffle.permutation(train), config.batch_size):
            losses.append(step(training, positions, optimizer, views))
            schedule.step()
            done += 1
            numbers = {"loss": losses[-1], "lr": schedule.get_last_lr()[-1], "step": done}
            seen, all_of_them = done * config.batch_size, steps * config.epochs * config.batch_size
            yield progress(seen, all_of_them, f"Epoch {epoch} of {config.epochs}", "all", run_began, **numbers)
        logits = torch.cat([logits for _, logits in outputs(training.model, dataset, valid, training.device)])
        yield _end_epoch(training, epoch, "all", float(np.mean(losses)), logits, time.monotonic() - began)
