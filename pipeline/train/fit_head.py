"""TODO."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from pipeline.model.head import fit_head
from pipeline.model.losses import loss_and_error
from pipeline.model.out_of_fold import out_of_fold
from pipeline.stage import Progress, Stage
from pipeline.train.data import batches
from pipeline.train.evaluate import Filled
from pipeline.train.state import Training, _end_epoch, answers, progress
from pipeline.train.step import random_views


def fit_the_head(training: Training) -> Stage[None]:
    """Fit the head on features of the train split: as they are, then with them mirrored, then with random views; of
    these heads the best is kept. Then out of fold, for the train and the valid split.
    """
    began = time.monotonic()
    dataset, config = training.dataset, training.config
    train, valid = dataset.positions("train"), dataset.positions("valid")
    views = [(yield from _features_of_view(training, train, 0))]
    held_out = yield from _features(training, valid, "Reading features")
    if config.freeze_epochs:
        yield _better_head(training, views, held_out, began)
    for number in range(1, config.freeze_epochs):
        views.append((yield from _features_of_view(training, train, number)))
        yield _better_head(training, views, held_out, began)
    both, features = np.concatenate([train, valid]), torch.cat([views[0], held_out])
    del views, held_out
    groups = [str(group) for group in dataset.rows["group"].iloc[both]]
    for positions, likely in out_of_fold(features, training.targets[both], groups, len(dataset.classes)):
        training.out_of_fold.append((both[positions], likely))


def _better_head(training: Training, views: list[torch.Tensor], held_out: torch.Tensor, began: float) -> Progress:
    """Fit a head to the ``views``, and keep it where it has a lower loss on the valid split than the one before."""
    config, classes = training.config, len(training.dataset.classes)
    targets = training.targets[training.dataset.positions("train")]
    weights = training.picture_weights(targets) if config.balance != "none" else None
    head = fit_head(views, targets, classes, weights=weights)
    logits, outputs = head(held_out), training.dataset.outputs
    valid_loss, wrong = loss_and_error(logits, training.targets[training.dataset.positions("valid")], outputs)
    if valid_loss >= training.best[0]:
        words = f"Not better with {len(views)} views of each picture: {100 * wrong:.1f} % of the valid split wrong"
        return Progress(0, 0, words, {"phase": "head"})
    classifier = training.model.get_classifier()
    with torch.no_grad():
        classifier.weight.copy_(head.weight)
        classifier.bias.copy_(head.bias)
    train_loss, _ = loss_and_error(head(views[0]), targets, outputs)
    training.epochs.clear()
    return _end_epoch(training, 0, "head", train_loss, logits, time.monotonic() - began, views=len(views))


def _features_of_view(training: Training, positions: np.ndarray[Any, Any], number: int) -> Stage[torch.Tensor]:
    """Features of the pictures in one view: 0 as they are, 1 mirrored where that may be, then random ones."""
    augmentation = training.config.random_views
    if number == 0 or augmentation is None:
        return (yield from _features(training, positions, "Reading features"))
    if number == 1 and augmentation.flip:
        return (yield from _features(training, positions, "Reading mirrored features", mirrored=True))
    return (yield from _random_features(training, positions, number))


def _features(
    training: Training, positions: np.ndarray[Any, Any], note: str, mirrored: bool = False
) -> Stage[torch.Tensor]:
    features, _ = yield from answers(training, positions, note, "features", mirrored)
    return features


def _random_features(training: Training, positions: np.ndarray[Any, Any], number: int) -> Stage[torch.Tensor]:
    began, found = time.monotonic(), Filled(len(positions))
    chance = torch.Generator().manual_seed(training.config.seed + number)
    training.model.eval()
    body = training.body(len(positions))
    for some in batches(positions, training.config.batch_size):
        part = training.ranks.part(len(some))
        with torch.inference_mode():
            features = body(random_views(training, some, chance, part=part))
        found.add(training.ranks.gathered(features.float().cpu(), len(some)))
        yield progress(found.done, len(positions), "Reading features of random views", "features", began)
    return found.rows
