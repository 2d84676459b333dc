"""One training at work: the model, its data, and a step of the optimiser on a batch."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from timm.optim import create_optimizer_v2

from pipeline.augment import PRESETS, augment
from pipeline.data import Dataset
from pipeline.errors import TrainingError
from pipeline.predict import forward, normalise
from pipeline.stage import Progress
from pipeline.train_config import TrainConfig

# How often the pieces of a batch are halved when memory runs out.
HALVINGS = 5


@dataclass
class Training:
    """What the steps of one training hand to each other. ``targets`` [N]: the class numbers of the dataset's rows.

    ``best``: the lowest validation loss and the weights that had it. ``out_of_fold``: (positions, probabilities) of
    the train split. ``spent``: seconds before it was broken off. ``piece``: so many pictures of a batch at once, 0 for
    all; it is halved when memory runs out. ``notes``: what happened on the way, for the person and the run.
    """

    config: TrainConfig
    dataset: Dataset
    model: Any
    device: str
    targets: torch.Tensor
    started: float = field(default_factory=time.monotonic)
    spent: float = 0.0
    epochs: list[dict[str, Any]] = field(default_factory=list)
    best: tuple[float, dict[str, torch.Tensor]] = (float("inf"), {})
    out_of_fold: list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]] = field(default_factory=list)
    piece: int = 0
    halvings: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return self.spent + time.monotonic() - self.started


def train_mode(model: Any) -> None:
    """Training mode, but for batch norm: its statistics stay those of the pretrained body, which the head was fitted
    to. (With batch statistics the head of the starter set goes from 1 % to 64 % wrong before the first step.)
    """
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()


def new_optimizer(model: Any, config: TrainConfig) -> Any:
    """AdamW; the rate of each parameter group is to be ``lr`` times its ``lr_scale``."""
    return create_optimizer_v2(
        model, "adamw", lr=config.base_lr, weight_decay=config.weight_decay, layer_decay=config.layer_decay
    )


def scheduled_optimizer(model: Any, config: TrainConfig, steps: int) -> tuple[Any, Any]:
    """(optimiser, its one-cycle schedule over all epochs of ``steps`` steps each)."""
    optimizer = new_optimizer(model, config)
    rates = [config.base_lr * group.get("lr_scale", 1.0) for group in optimizer.param_groups]
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rates, total_steps=steps * config.epochs + 1, pct_start=0.3, div_factor=5, final_div_factor=1e4
    )
    return optimizer, schedule


def step(training: Training, positions: np.ndarray[Any, Any], optimizer: Any, views: torch.Generator) -> float:
    """One optimiser step on a batch; returns its loss. Raises TrainingError when the loss is not a number.

    Where memory runs out, the batch goes through in smaller pieces whose gradients add up to the same step; after
    HALVINGS of that, or with one picture a piece, it is a TrainingError.
    """
    inputs, targets = _inputs(training, np.sort(positions), views)  # sorted: the mapped file is read forwards
    while True:
        try:
            loss = _accumulate(training, inputs, targets, optimizer)
            break
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            optimizer.zero_grad(set_to_none=True)
            _halve(training, len(targets), error)
    torch.nn.utils.clip_grad_norm_(training.model.parameters(), 1.0)
    optimizer.step()
    return loss


def _inputs(
    training: Training, order: np.ndarray[Any, Any], views: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    dataset, device = training.dataset, training.device
    targets = training.targets[order].to(device)
    preset = PRESETS[training.config.augmentation]
    if preset is None:
        return normalise(torch.from_numpy(dataset.exact[order]).to(device), dataset.preprocessing), targets
    batch = torch.from_numpy(dataset.squished[order]).to(device)
    return augment(batch, torch.from_numpy(dataset.aspect[order]), preset, dataset.preprocessing, views), targets


def _accumulate(training: Training, inputs: torch.Tensor, targets: torch.Tensor, optimizer: Any) -> float:
    """The gradients of the mean loss over the batch, piece by piece; returns that loss."""
    config, device = training.config, training.device
    optimizer.zero_grad(set_to_none=True)
    total = 0.0
    size = training.piece or len(targets)
    for start in range(0, len(targets), size):
        some = slice(start, start + size)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
            logits = forward(training.model, inputs[some])[1]
            loss = torch.nn.functional.cross_entropy(logits, targets[some], label_smoothing=config.label_smoothing)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"The loss is no longer a number. Train again with a lower rate than {config.base_lr:g}."
            )
        share = loss * (len(logits) / len(targets))
        share.backward()  # type: ignore[no-untyped-call]
        total += float(share.detach())
    return total


def out_of_memory(error: BaseException) -> bool:
    """Whether the device's or the host's memory ran out."""
    words = str(error)
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "DefaultCPUAllocator" in words


def _halve(training: Training, batch: int, error: BaseException) -> None:
    """Smaller pieces from now on. Raises TrainingError where they cannot be smaller, or did not help before."""
    piece = training.piece or batch
    if piece == 1 or training.halvings == HALVINGS:
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


def progress(done: int, total: int, note: str, phase: str, began: float, before: int = 0, **numbers: float) -> Progress:
    """``done`` of ``total`` images in ``phase``, with pace and time left; ``began`` on the monotonic clock, when
    ``before`` of them were done.
    """
    pace = (done - before) / max(time.monotonic() - began, 1e-9)
    numbers |= {"images_per_second": round(pace, 1), "eta": round(max(0, total - done) / max(pace, 1e-9), 1)}
    return Progress(done, total, note, {"phase": phase, **numbers})
