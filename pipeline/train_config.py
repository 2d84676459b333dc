"""TrainConfig: what to train and how; saved with the run."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline import backbones
from pipeline.augment import PRESETS
from pipeline.errors import UsageError


@dataclass(frozen=True)
class TrainConfig:
    """What to train and how; saved with the run.

    ``epochs`` counts the passes with all layers, after the head was fitted on the frozen body (0 = head alone).
    ``image_size`` in pixels (0 = the backbone's own). ``resize``: squish, crop or pad. ``base_lr``: the highest rate
    of the head; each layer group below gets ``layer_decay`` times the one above. ``augmentation``: photo, top-down,
    text or none. ``device``: auto, cpu, cuda or mps.
    """

    backbone: str = backbones.DEFAULT
    epochs: int = 3
    image_size: int = 0
    resize: str = "crop"
    batch_size: int = 32
    base_lr: float = 3e-5
    layer_decay: float = 0.75
    weight_decay: float = 0.05
    label_smoothing: float = 0.0
    augmentation: str = "photo"
    seed: int = 0
    device: str = "auto"
    note: str = ""

    def __post_init__(self) -> None:
        checks = (
            (self.epochs >= 0, "--epochs is 0 or more."),
            (
                self.image_size == 0 or 32 <= self.image_size <= 1024,
                "--image-size is from 32 to 1024 (0: the backbone's).",
            ),
            (self.resize in ("squish", "crop", "pad"), "--resize is squish, crop or pad."),
            (2 <= self.batch_size <= 4096, "--batch-size is from 2 to 4096."),
            (0 < self.base_lr <= 1, "--base-lr is above 0 and at most 1."),
            (self.augmentation in PRESETS, f"--augmentation is one of {', '.join(PRESETS)}."),
            (self.device in ("auto", "cpu", "cuda", "mps"), "--device is auto, cpu, cuda or mps."),
        )
        for holds, rule in checks:
            if not holds:
                raise UsageError(rule)
