"""TrainConfig: what to train and how; saved with the run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.errors import UsageError
from pipeline.model import backbones
from pipeline.train.augment import FLIPS, PRESETS, Augmentation, preset

HEADS = ("auto", "softmax", "sigmoid")
LAYERS = ("auto", "head", "gradual", "all")
SCHEDULES = ("one-cycle", "cosine", "restarts")
SNAPSHOTS = ("none", "average", "ensemble")
OPTIMIZERS = ("adamw", "sgd")
BALANCES = ("none", "weights", "sampling")
RESIZES = ("squish", "crop", "pad")
PADDINGS = ("zeros", "border", "reflection")
DEVICES = ("auto", "cpu", "cuda", "mps")
SMALLEST, LARGEST = 32, 1024


@dataclass(frozen=True)
class TrainConfig:
    """What to train and how; saved with the run.

    The network. ``backbone``: a timm name, or fast, balanced, accurate. ``weights``: a safetensors file to start from
    ("": the pretrained ones). ``drop_rate``, ``drop_path_rate``: dropout before the head, and of whole layers.
    ``head``: softmax, exactly one class a picture; sigmoid, each class by itself: several, or none of these; auto:
    sigmoid where pictures have several labels.

    What learns. ``freeze_epochs``: how many views of each picture the head is fitted to while the body is frozen (0:
    the head starts untrained). ``layers``: ``head`` alone; ``all`` of them for ``epochs`` passes; ``gradual``: more of
    them each epoch, from the top; ``auto``: all, where there is something to win and ``minutes`` are enough.

    How. ``optimizer`` with ``base_lr``, the highest rate of the head; each layer group below gets ``layer_decay``
    times the one above. ``schedule``: one-cycle, cosine (with ``warmup``, a share of all steps) or restarts (cosine
    cycles of ``cycle_epochs``, each ``cycle_factor`` times the one before; ``snapshots``: the weights at the ends of
    the cycles are averaged, or all of these networks are asked and their answers averaged: an ensemble). ``clip``: the
    longest gradient (0: any). ``mixup``, ``cutmix``: alpha of their distribution (0: off). ``ema``: decay of the
    average of the weights (0: off). ``patience``: epochs without a lower validation loss after which it stops (0:
    never). ``balance``: rare classes get more weight, or are drawn more often.

    The pictures. ``image_size``: height in pixels (0: the backbone's own), ``image_width`` (0: the same). ``resize``:
    squish, crop or pad with ``padding``. ``sizes``: heights in pixels that the epochs go through, smaller ones first.
    ``presize``: side of the pictures that random views are cut from (0: 8/7 of the image size). ``augmentation``:
    photo, top-down, text or none, and what is to be otherwise than in that preset: ``min_scale``, the smallest share of
    the area a crop keeps (0: the preset's); ``max_rotate`` in degrees and ``max_lighting``, a share, to either side
    (below 0: the preset's); ``flip``: none, sideways, every-way (auto: the preset's).

    >>> config = w.TrainConfig(backbone="balanced", layers="all", epochs=5, base_lr=1e-4)
    >>> config.schedule, config.batch_size
    ('one-cycle', 32)
    """

    backbone: str = backbones.DEFAULT
    weights: str = ""
    drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    head: str = "auto"
    layers: str = "auto"
    epochs: int = 3
    freeze_epochs: int = 2
    minutes: float = 10.0
    image_size: int = 0
    image_width: int = 0
    resize: str = "crop"
    padding: str = "zeros"
    presize: int = 0
    sizes: tuple[int, ...] = ()
    augmentation: str = "photo"
    min_scale: float = 0.0
    max_rotate: float = -1.0
    max_lighting: float = -1.0
    flip: str = "auto"
    batch_size: int = 32
    optimizer: str = "adamw"
    base_lr: float = 3e-5
    layer_decay: float = 0.75
    weight_decay: float = 0.05
    clip: float = 1.0
    schedule: str = "one-cycle"
    warmup: float = 0.1
    cycle_epochs: int = 1
    cycle_factor: float = 2.0
    snapshots: str = "none"
    label_smoothing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    ema: float = 0.0
    patience: int = 0
    balance: str = "none"
    seed: int = 0
    device: str = "auto"
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", tuple(int(size) for size in self.sizes))  # a list, where it was JSON
        for holds, rule in (*self._choices(), *self._ranges(), *self._together()):
            if not holds:
                raise UsageError(rule)

    @property
    def random_views(self) -> Augmentation | None:
        """How far random views may go; None: there are none."""
        return preset(self.augmentation, self.min_scale, self.max_rotate, self.max_lighting, self.flip)

    def _choices(self) -> Iterator[tuple[bool, str]]:
        choices = {
            "head": HEADS,
            "layers": LAYERS,
            "schedule": SCHEDULES,
            "snapshots": SNAPSHOTS,
            "optimizer": OPTIMIZERS,
            "balance": BALANCES,
            "resize": RESIZES,
            "padding": PADDINGS,
            "augmentation": tuple(PRESETS),
            "flip": ("auto", *FLIPS),
            "device": DEVICES,
        }
        for name, options in choices.items():
            yield getattr(self, name) in options, f"--{name} is {', '.join(options[:-1])} or {options[-1]}."

    def _ranges(self) -> Iterator[tuple[bool, str]]:
        for name, value in (("--image-size", self.image_size), ("--image-width", self.image_width)):
            yield _is_side(value), f"{name} is from {SMALLEST} to {LARGEST} (0: the backbone's)."
        yield all(size and _is_side(size) for size in self.sizes), f"--sizes are from {SMALLEST} to {LARGEST}."
        yield self.presize == 0 or SMALLEST <= self.presize <= 2 * LARGEST, f"--presize is at most {2 * LARGEST}."
        yield self.epochs >= 0, "--epochs is 0 or more."
        yield 0 <= self.freeze_epochs <= 20, "--freeze-epochs is from 0 to 20."
        yield self.minutes > 0, "--minutes is above 0."
        yield 2 <= self.batch_size <= 4096, "--batch-size is from 2 to 4096."
        yield 0 < self.base_lr <= 1, "--base-lr is above 0 and at most 1."
        yield 0 < self.layer_decay <= 1, "--layer-decay is above 0 and at most 1."
        yield 0 <= self.weight_decay <= 1, "--weight-decay is from 0 to 1."
        yield self.clip >= 0, "--clip is 0 or more."
        yield 0 <= self.warmup < 1, "--warmup is a share of the steps, below 1."
        yield self.cycle_epochs >= 1 and self.cycle_factor >= 1, "--cycle-epochs and --cycle-factor are 1 or more."
        yield 0 <= self.label_smoothing < 1, "--label-smoothing is from 0 to 1."
        yield self.mixup >= 0 and self.cutmix >= 0, "--mixup and --cutmix are 0 or more."
        for name in ("ema", "drop_rate", "drop_path_rate"):
            yield 0 <= getattr(self, name) < 1, f"--{name.replace('_', '-')} is from 0 to 1."
        yield 0 <= self.min_scale <= 1, "--min-scale is from 0 to 1."
        yield -1 <= self.max_rotate <= 180, "--max-rotate is at most 180 degrees (-1: the preset's)."
        yield -1 <= self.max_lighting <= 1, "--max-lighting is at most 1 (-1: the preset's)."
        yield self.patience >= 0, "--patience is 0 or more."

    def _together(self) -> Iterator[tuple[bool, str]]:
        nothing = self.freeze_epochs == 0 and (self.epochs == 0 or self.layers == "head")
        yield not nothing, "Nothing would learn: --freeze-epochs 0 needs --epochs 1 or more, and more than the head."
        yield self.snapshots == "none" or self.schedule == "restarts", "--snapshots needs --schedule restarts."


def _is_side(pixels: int) -> bool:
    return pixels == 0 or SMALLEST <= pixels <= LARGEST
