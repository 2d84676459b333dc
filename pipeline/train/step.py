"""TODO."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from timm.data import Mixup
from timm.models import group_parameters
from timm.optim import create_optimizer_v2

from pipeline.errors import TrainingError
from pipeline.model.losses import losses_of, shares_of
from pipeline.predict import normalise
from pipeline.train.augment import EVERYTHING, augment, shrunk
from pipeline.train.config import TrainConfig
from pipeline.train.state import Training

# How often the pieces of a batch are halved when memory runs out.
HALVINGS = 5


def train_mode(model: Any) -> None:
    """Training mode, but for batch norm: its statistics stay those of the pretrained body, which the head was fitted
    to. (With batch statistics the head of the starter set goes from 1 % to 64 % wrong before the first step.)
    """
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()


def new_optimizer(model: Any, config: TrainConfig) -> Any:
    """The optimiser over all parameters; the rate of each parameter group is to be ``lr`` times its ``lr_scale``."""
    return create_optimizer_v2(
        model,
        config.optimizer,
        lr=config.base_lr,
        weight_decay=config.weight_decay,
        layer_decay=config.layer_decay,
        fused=True,
    )


def set_rates(optimizer: Any, rate: float, momentum: float | None = None) -> None:
    """``rate`` for the head, its share for each layer group below; and the momentum (Adam's first beta)."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("lr_scale", 1.0)
        if momentum is not None and "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        elif momentum is not None and "momentum" in group:
            group["momentum"] = momentum


def open_layers(model: Any, share: float) -> None:
    """Let only the top ``share`` (0 to 1] of the layers learn, by timm's layer groups; the head is one of them."""
    layers = group_parameters(model, model.group_matcher(coarse=False), reverse=True)
    highest = max(layers.values())
    lowest = min(highest, round((1 - share) * (highest + 1)))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(layers.get(name, highest) >= lowest)


def step(
    training: Training,
    positions: np.ndarray[Any, Any],
    optimizer: Any,
    views: torch.Generator,
    size: tuple[int, int] | None = None,
    pixels: torch.Tensor | None = None,
) -> float:
    """One optimiser step on a batch; returns its loss. Raises TrainingError when the loss is not a number.

    ``size``: (height, width) of the views in pixels (None: that of the network's input); ``pixels``: what
    :meth:`Training.load` gave for these positions (None: they are loaded now). Where memory runs out, the
    batch goes through in smaller pieces whose gradients add up to the same step; after HALVINGS of that, or with one
    picture a piece, it is a TrainingError.
    """
    pixels = training.load(positions) if pixels is None else pixels
    batch = _batch(training, np.sort(positions), views, size, pixels)
    while True:
        try:
            loss = _accumulate(training, *batch, optimizer)
            break
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            optimizer.zero_grad(set_to_none=True)
            _halve(training, len(batch[0]), error)
    training.scaler.unscale_(optimizer)
    if training.config.clip:
        torch.nn.utils.clip_grad_norm_(training.model.parameters(), training.config.clip)
    training.scaler.step(optimizer)
    training.scaler.update()
    return loss


def _batch(
    training: Training,
    order: np.ndarray[Any, Any],
    views: torch.Generator,
    size: tuple[int, int] | None,
    pixels: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """This process's part of a batch: views [N, 3, H, W]; targets, class numbers [N], or shares [N, C] where pictures
    are mixed or have several classes; and how much each picture's loss counts [N], 1 in all over the whole batch.
    """
    targets = training.targets[order].to(training.device)
    part = training.ranks.part(len(order))
    if not training.mixes(len(order)):
        inputs = random_views(training, order, views, size, part, pixels)
    else:
        inputs, targets = _mixed(training, random_views(training, order, views, size, pixels=pixels), targets)
        part = training.ranks.part(len(targets))
        inputs = inputs[part]
    counts = torch.ones(len(targets), device=training.device)
    if training.config.balance == "weights":  # drawn more often, rare classes count enough already
        counts = training.picture_weights(targets)
    shares = counts / counts.sum() / training.ranks.copies(len(targets))
    return inputs, targets[part], shares[part]


def _mixed(training: Training, inputs: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Each picture of a batch mixed with another one by timm (Zhang et al. 2018, Yun et al. 2019), which draws from
    NumPy's global generator; an odd last one is left out. Targets become shares [N, C].
    """
    config, even = training.config, len(inputs) - len(inputs) % 2
    mixup = Mixup(config.mixup, config.cutmix, label_smoothing=0.0, num_classes=even)
    mixed, shares = mixup(inputs[:even], torch.arange(even, device=inputs.device))  # of each picture of the batch
    return mixed, shares @ shares_of(targets[:even], len(training.dataset.classes))


def random_views(
    training: Training,
    order: np.ndarray[Any, Any],
    views: torch.Generator,
    size: tuple[int, int] | None = None,
    part: slice = EVERYTHING,
    pixels: torch.Tensor | None = None,
) -> torch.Tensor:
    """[N, 3, H, W]: what the network sees in training of the pictures at ``order``, or of that ``part`` of them, whose
    ``pixels`` may be loaded already.
    """
    dataset = training.dataset
    pixels = training.pixels(order[part]) if pixels is None else pixels
    preprocessing = replace(dataset.preprocessing, size=size or dataset.preprocessing.size)
    augmentation = training.config.random_views
    if augmentation is None:
        exact = normalise(pixels, preprocessing)
        return exact if size in (None, dataset.preprocessing.size) else shrunk(exact, preprocessing.size)
    return augment(pixels, torch.from_numpy(dataset.aspect[order]), augmentation, preprocessing, views, part)


def _accumulate(
    training: Training, inputs: torch.Tensor, targets: torch.Tensor, shares: torch.Tensor, optimizer: Any
) -> float:
    """The gradients of the loss over the whole batch, piece by piece; returns that loss."""
    config, device, ranks = training.config, training.device, training.ranks
    network = training.network or ranks.network(training.model)
    optimizer.zero_grad(set_to_none=True)
    total = 0.0
    size = training.piece or len(targets)
    for start in range(0, len(targets), size):
        some = slice(start, start + size)
        with torch.autocast(device, dtype=training.precision, enabled=device == "cuda"):
            losses = losses_of(network(inputs[some]), targets[some], training.dataset.outputs, config.label_smoothing)
        loss = (losses * shares[some]).sum()
        averaged = loss * ranks.world  # as the gradients are divided by the number of processes
        training.scaler.scale(averaged).backward()
        total += float(loss.detach())
    total = ranks.summed(total)
    if not math.isfinite(total):
        raise TrainingError(f"The loss is no longer a number. Train again with a lower rate than {config.base_lr:g}.")
    return total


def out_of_memory(error: BaseException) -> bool:
    """Whether the device's or the host's memory ran out."""
    words = str(error)
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "DefaultCPUAllocator" in words


def _halve(training: Training, batch: int, error: BaseException) -> None:
    """Smaller pieces from now on. Raises TrainingError where they cannot be smaller, or did not help before."""
    piece = training.piece or batch
    if piece == 1 or training.ranks.world > 1 or training.halvings == HALVINGS:
        raise TrainingError(
            f"Memory ran out with {piece} pictures at once ({str(error)[:120]}). Choose a smaller image size or "
            "backbone, or close what else uses the memory."
        ) from error
    training.piece, training.halvings = piece // 2, training.halvings + 1
    training.notes.append(
        f"Memory ran out with {piece} pictures at once: from now on {training.piece} at once, and their gradients "
        f"added up to batches of {training.config.batch_size} as before."
    )
    if training.device == "cuda":
        torch.cuda.empty_cache()
