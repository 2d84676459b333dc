"""One training at work: the model, its data, and a step of the optimiser on a batch."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from timm.optim import create_optimizer_v2

from pipeline.augment import PRESETS, augment
from pipeline.data import Dataset
from pipeline.errors import TrainingError
from pipeline.predict import forward, normalise
from pipeline.stage import Progress
from pipeline.train_config import TrainConfig


@dataclass
class Training:
    """What the steps of one training hand to each other. ``targets`` [N]: the class numbers of the dataset's rows."""

    config: TrainConfig
    dataset: Dataset
    model: Any
    device: str
    targets: torch.Tensor
    started: float = field(default_factory=time.monotonic)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    best: tuple[float, dict[str, torch.Tensor]] = (float("inf"), {})
    out_of_fold: list[pd.DataFrame] = field(default_factory=list)


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
    """One optimiser step on a batch; returns its loss. Raises TrainingError when the loss is not a number."""
    dataset, config, device = training.dataset, training.config, training.device
    preset = PRESETS[config.augmentation]
    order = np.sort(positions)  # reads the memory-mapped file forwards
    targets = training.targets[order].to(device)
    if preset is None:
        inputs = normalise(torch.from_numpy(dataset.exact[order]).to(device), dataset.preprocessing)
    else:
        batch = torch.from_numpy(dataset.squished[order]).to(device)
        inputs = augment(batch, torch.from_numpy(dataset.aspect[order]), preset, dataset.preprocessing, views)
    with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
        logits = forward(training.model, inputs)[1]
        loss = torch.nn.functional.cross_entropy(logits, targets, label_smoothing=config.label_smoothing)
    if not torch.isfinite(loss):
        raise TrainingError(f"The loss is no longer a number. Train again with a lower rate than {config.base_lr:g}.")
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(training.model.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def progress(done: int, total: int, note: str, phase: str, began: float, **numbers: float) -> Progress:
    """``done`` of ``total`` images in ``phase``, with pace and time left; ``began`` on the monotonic clock."""
    pace = done / max(time.monotonic() - began, 1e-9)
    numbers |= {"images_per_second": round(pace, 1), "eta": round(max(0, total - done) / max(pace, 1e-9), 1)}
    return Progress(done, total, note, {"phase": phase, **numbers})
