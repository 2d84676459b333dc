"""What is to be learnt, from which pictures and how; and the batches that it is learnt from."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from timm.data import Mixup

from pipeline.model.losses import shares_of
from pipeline.train.augment import EVERYTHING
from pipeline.train.config import TrainConfig
from pipeline.train.data import Dataset
from pipeline.train.distributed import Ranks
from pipeline.verify.scenes import Scenes

# What tells one training from another in version 0.1, in this order. A setting that came later counts only where it is
# not at its default, so that what was begun without it is still found.
FIRST_SETTINGS = (
    "backbone",
    "weights",
    "drop_rate",
    "drop_path_rate",
    "head",
    "layers",
    "epochs",
    "freeze_epochs",
    "minutes",
    "image_size",
    "image_width",
    "resize",
    "padding",
    "presize",
    "sizes",
    "augmentation",
    "min_scale",
    "max_rotate",
    "max_lighting",
    "flip",
    "batch_size",
    "optimizer",
    "base_lr",
    "layer_decay",
    "weight_decay",
    "clip",
    "schedule",
    "warmup",
    "cycle_epochs",
    "cycle_factor",
    "snapshots",
    "label_smoothing",
    "mixup",
    "cutmix",
    "ema",
    "patience",
    "balance",
    "seed",
    "device",
)


class Batch(NamedTuple):
    """A process's part of a batch: ``inputs`` [N, 3, H, W]; ``targets``, class numbers [N], or shares [N, C] where
    pictures are mixed or have several classes; ``shares`` [N]: how much each picture's loss counts, 1 in all over the
    whole batch.
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    shares: torch.Tensor


@dataclass(frozen=True)
class Task:
    """What is to be learnt, from which pictures and how. ``targets``: what the dataset's rows show, class numbers [N]
    or, with sigmoid outputs, 0 and 1 [N, C]; they are learnt on ``device``. ``scenes``: what was taken together, as far
    as it is known.
    """

    config: TrainConfig
    dataset: Dataset
    targets: torch.Tensor
    device: str
    scenes: Scenes | None = None

    def known_scenes(self, positions: np.ndarray[Any, Any]) -> tuple[list[str | None], str]:
        """(the scene of each picture at ``positions``, None where it is not known; by what they are known)."""
        if self.scenes is None:
            return [None] * len(positions), ""
        names = self.scenes.names.reindex(self.dataset.rows["id"].iloc[positions])
        return [None if pd.isna(name) else str(name) for name in names], self.scenes.by

    @property
    def identity(self) -> list[Any]:
        """What tells it from other tasks, as JSON has it: settings, classes, pictures, and the scales of their values
        where there are any. A note makes no other task.
        """
        config, usual = self.config, type(self.config)()
        settings = {name: getattr(config, name) for name in FIRST_SETTINGS}
        for name in sorted({setting.name for setting in fields(config)} - {*FIRST_SETTINGS, "note"}):
            if getattr(config, name) != getattr(usual, name):
                settings[name] = getattr(config, name)
        pictures = self.dataset.rows[["id", "split", "label"]].to_numpy().tolist()
        opening = self.dataset.preprocessing.opening
        scales = [list(scale) if scale else None for scale in (opening.whole, opening.real)]
        return [settings, list(self.dataset.classes), pictures, *([scales] if any(scales) else [])]

    @cached_property
    def class_weights(self) -> torch.Tensor:
        """[C]: what a picture of each class counts for. With ``balance`` the classes of the train split count alike."""
        counts = shares_of(self.targets[self.dataset.positions("train")], len(self.dataset.classes)).sum(dim=0)
        if self.config.balance == "none":
            return torch.ones_like(counts)
        return counts.sum() / (len(counts) * counts.clamp_min(1))

    def picture_weights(self, targets: torch.Tensor) -> torch.Tensor:
        """[N]: what each picture counts for, the mean over its classes; 1 where it has none."""
        shares = shares_of(targets, len(self.dataset.classes))
        named = shares.sum(dim=1)
        weighted = shares @ self.class_weights.to(shares.device) / named.clamp_min(1e-9)
        return torch.where(named > 0, weighted, torch.ones_like(weighted))

    def load(self, positions: np.ndarray[Any, Any], ranks: Ranks) -> torch.Tensor:
        """uint8 [N, S, S, 3]: on the device, the pixels that :meth:`batch` needs in this process."""
        part = EVERYTHING if self._mixes(len(positions)) else ranks.part(len(positions))
        order = np.sort(positions)[part]  # sorted: the mapped file is read forwards
        return self.dataset.load(order, self.config.random_views, self.device)

    def batch(
        self,
        positions: np.ndarray[Any, Any],
        loaded: torch.Tensor,
        ranks: Ranks,
        chance: torch.Generator,
        size: tuple[int, int] | None = None,
    ) -> Batch:
        """What a step learns from: views of the pictures at ``positions``, of which :meth:`load` gave ``loaded``.

        ``size``: (height, width) of the views in pixels (None: that of the network's input). Where pictures are mixed,
        timm does it (Zhang et al. 2018, Yun et al. 2019), which draws from NumPy's global generator; an odd last one is
        left out.
        """
        config, dataset, order = self.config, self.dataset, np.sort(positions)
        targets, part = self.targets[order].to(self.device), ranks.part(len(order))
        if not self._mixes(len(order)):
            inputs = dataset.random_views(loaded, order, config.random_views, chance, size, part)
        else:
            even = len(order) - len(order) % 2
            views = dataset.random_views(loaded, order, config.random_views, chance, size)
            mixup = Mixup(config.mixup, config.cutmix, label_smoothing=0.0, num_classes=even)
            mixed, of_each = mixup(views[:even], torch.arange(even, device=views.device))  # shares of each picture
            targets, part = of_each @ shares_of(targets[:even], len(dataset.classes)), ranks.part(even)
            inputs = mixed[part]
        counts = torch.ones(len(targets), device=self.device)
        if config.balance == "weights":  # drawn more often, rare classes count enough already
            counts = self.picture_weights(targets)
        shares = counts / counts.sum() / ranks.copies(len(targets))
        return Batch(inputs, targets[part], shares[part])

    def _mixes(self, count: int) -> bool:
        """Whether so many pictures of a batch are mixed with one another."""
        return count > 1 and bool(self.config.mixup or self.config.cutmix)
