"""What to train and how: every setting with what it means, what it may be, and what it is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from pipeline.errors import UsageError
from pipeline.model import backbones
from pipeline.settings import check, setting

SMALLEST, LARGEST = 32, 1024
# The boxes that the settings stand in; those of none are what is asked first.
FIRST = ""
PICTURES, LEARNS, HOW, NETWORK = "The pictures", "What learns", "How it learns", "The network"
GROUPS = (FIRST, PICTURES, LEARNS, HOW, NETWORK)
FEWEST_STEPS = 20


@dataclass(frozen=True)
class Augmentation:
    """How far random views may go.

    ``min_scale``: smallest share of the area a crop keeps (0 to 1]; ``degrees``: turn to either side; ``flip``,
    ``flip_vertical``, ``quarter_turns``: whether these may happen; ``light``: largest change of brightness and contrast
    (0 to 1); ``stretch``: largest change of the aspect ratio (at least 1).
    """

    min_scale: float = 0.5
    degrees: float = 10.0
    flip: bool = True
    flip_vertical: bool = False
    quarter_turns: bool = False
    light: float = 0.2
    stretch: float = 4 / 3


# What --augmentation stands for.
PRESETS: Mapping[str, Augmentation | None] = {
    "photo": Augmentation(),
    "top-down": Augmentation(flip_vertical=True, quarter_turns=True, degrees=15.0),
    "text": Augmentation(min_scale=0.8, degrees=5.0, flip=False, stretch=1.1),
    "none": None,
}
# What --flip stands for: whether pictures are mirrored, turned upside down, and turned by quarters.
FLIPS: Mapping[str, tuple[bool, bool, bool]] = {
    "none": (False, False, False),
    "sideways": (True, False, False),
    "every-way": (True, True, True),
}


@dataclass(frozen=True)
class TrainConfig:
    """What to train and how; saved with the run. Raises UsageError where a setting makes no sense.

    :func:`pipeline.settings.settings_of` gives what each of them means. Their names and values are also how a half-done
    training is found again; one at its default is left out of that, unless version 0.1 had it.

    >>> config = w.TrainConfig(backbone="balanced", layers="all", epochs=5, base_lr=1e-4)
    >>> config.schedule, config.batch_size
    ('one-cycle', 32)
    """

    backbone: str = setting(
        backbones.DEFAULT,
        "fast, balanced, accurate, or any timm name that 'backbones' and Models list",
        label="Backbone",
    )
    weights: str = setting(
        "",
        "a safetensors file of the same architecture to start from, like a run's",
        label="Initial weights",
        group=NETWORK,
        means={"": "the pretrained ones"},
        metavar="FILE",
    )
    drop_rate: float = setting(
        0.0,
        "share of the features left out at random before the head",
        label="Dropout",
        group=NETWORK,
        low=0,
        below=1,
        means={0: "none"},
    )
    drop_path_rate: float = setting(
        0.0,
        "share of whole layers left out at random",
        label="Stochastic depth (drop path)",
        group=NETWORK,
        low=0,
        below=1,
        means={0: "none"},
    )
    head: str = setting(
        "auto",
        "how many classes a picture may show",
        label="Head",
        group=LEARNS,
        choices={
            "auto": "as the labels need",
            "softmax": "exactly one class",
            "sigmoid": "several, or none",
        },
    )
    layers: str = setting(
        "auto",
        "which layers learn",
        label="Unfreezing",
        group=LEARNS,
        choices={
            "auto": "as many as help",
            "head": "the head alone",
            "gradual": "more each epoch",
            "all": "all of them",
        },
    )
    epochs: int = setting(
        3, "passes over the pictures with more than the head", label="Epochs", low=0, means={0: "the head alone"}
    )
    freeze_epochs: int = setting(
        2,
        "views of each picture that the head is fitted to first, the body frozen",
        label="Freeze epochs",
        group=LEARNS,
        low=0,
        high=20,
        means={0: "the head starts untrained"},
    )
    minutes: float = setting(
        10.0, "minutes that all layers may take, for layers auto", label="Time budget", group=LEARNS, above=0
    )
    image_size: int = setting(
        0,
        "height in pixels",
        label="Image size",
        group=PICTURES,
        low=SMALLEST,
        high=LARGEST,
        means={0: "the backbone's own"},
    )
    image_width: int = setting(
        0, "width in pixels", label="Image width", group=PICTURES, low=SMALLEST, high=LARGEST, means={0: "the same"}
    )
    resize: str = setting(
        "crop",
        "how pictures get that shape",
        label="Resize method",
        group=PICTURES,
        choices={"crop": "only the middle", "pad": "all, with borders", "squish": "squeezed to fit"},
    )
    padding: str = setting(
        "zeros",
        "what pad puts where there is no picture",
        label="Padding mode",
        group=PICTURES,
        choices={"zeros": "black", "border": "the edge drawn out", "reflection": "a mirror image"},
    )
    presize: int = setting(
        0,
        "pixels a side of the larger pictures that random views are cut from",
        label="Presizing",
        group=PICTURES,
        low=SMALLEST,
        high=2 * LARGEST,
        means={0: "8/7 of the image size"},
        metavar="PIXELS",
    )
    sizes: tuple[int, ...] = setting(
        (),
        "heights in pixels that the epochs go through, smaller ones first",
        label="Progressive resizing",
        group=PICTURES,
        low=SMALLEST,
        high=LARGEST,
        means={(): "the image size alone"},
        metavar="PIXELS",
    )
    augmentation: str = setting(
        "photo",
        "random views of each picture, so that fewer are enough, for pictures like",
        label="Augmentation",
        group=PICTURES,
        choices={
            "photo": "photographs",
            "top-down": "seen from above",
            "text": "text and digits",
            "none": "no random views",
        },
    )
    min_scale: float = setting(
        0.0,
        "smallest share of the area that a random crop keeps",
        label="Min scale (RandomResizedCrop)",
        group=PICTURES,
        low=0,
        high=1,
        means={0: "the preset's"},
    )
    max_rotate: float = setting(
        -1.0,
        "degrees of random turns to either side",
        label="Max rotate",
        group=PICTURES,
        low=-1,
        high=180,
        means={-1: "the preset's"},
        rule="--max-rotate is at most 180 degrees (-1: the preset's).",
        metavar="DEGREES",
    )
    max_lighting: float = setting(
        -1.0,
        "share by which brightness and contrast change at random",
        label="Max lighting",
        group=PICTURES,
        low=-1,
        high=1,
        means={-1: "the preset's"},
        rule="--max-lighting is at most 1 (-1: the preset's).",
        metavar="SHARE",
    )
    flip: str = setting(
        "auto",
        "what may be mirrored, and turned by quarters",
        label="Flip",
        group=PICTURES,
        choices={
            "auto": "as in the preset",
            "none": "nothing",
            "sideways": "left and right",
            "every-way": "all of these",
        },
    )
    batch_size: int = setting(32, "pictures a step", label="Batch size", group=HOW, low=2, high=4096)
    optimizer: str = setting(
        "adamw",
        "what turns gradients into steps",
        label="Optimizer",
        group=HOW,
        choices={"adamw": "AdamW", "sgd": "SGD with momentum"},
    )
    base_lr: float = setting(
        3e-5, "the highest one, that of the head", label="Learning rate", group=HOW, above=0, high=1
    )
    layer_decay: float = setting(
        0.75,
        "rate of each group of layers, as a part of that of the group above",
        label="Discriminative learning rates (layer decay)",
        group=HOW,
        above=0,
        high=1,
        means={1: "all alike"},
    )
    weight_decay: float = setting(
        0.05, "how much weights are drawn to zero", label="Weight decay", group=HOW, low=0, high=1
    )
    clip: float = setting(
        1.0,
        "the longest gradient; longer ones are cut",
        label="Gradient clipping",
        group=HOW,
        low=0,
        means={0: "never"},
    )
    schedule: str = setting(
        "one-cycle",
        "how the rate goes, up and down",
        label="LR schedule",
        group=HOW,
        choices={"one-cycle": "up, then down", "cosine": "down", "restarts": "again and again"},
    )
    warmup: float = setting(
        0.1,
        "share of the steps in which the rate rises, for cosine",
        label="Warm-up",
        group=HOW,
        low=0,
        below=1,
        rule="--warmup is a share of the steps, below 1.",
    )
    cycle_epochs: int = setting(1, "epochs of the first cycle, for restarts", label="Cycle length", group=HOW, low=1)
    cycle_factor: float = setting(
        2.0,
        "how many times as long each next cycle is, for restarts",
        label="Cycle factor",
        group=HOW,
        low=1,
        means={1: "all of one length"},
    )
    snapshots: str = setting(
        "none",
        "what the networks at the ends of the cycles are for, for restarts",
        label="Snapshot ensembling",
        group=HOW,
        choices={
            "none": "only the best counts",
            "average": "their weights are averaged",
            "ensemble": "all are asked",
        },
    )
    label_smoothing: float = setting(
        0.0, "doubt about every label", label="Label smoothing", group=HOW, low=0, below=1, means={0: "none"}
    )
    mixup: float = setting(
        0.0,
        "alpha of blending two pictures; 0.2 is usual",
        label="MixUp",
        group=PICTURES,
        low=0,
        means={0: "off"},
        metavar="ALPHA",
    )
    cutmix: float = setting(
        0.0,
        "alpha of pasting a part of one picture into another; 1 is usual",
        label="CutMix",
        group=PICTURES,
        low=0,
        means={0: "off"},
        metavar="ALPHA",
    )
    ema: float = setting(
        0.0,
        "decay of a moving average of the weights, like 0.99",
        label="EMA",
        group=HOW,
        low=0,
        below=1,
        means={0: "off"},
        metavar="DECAY",
    )
    patience: int = setting(
        0,
        "epochs without a lower validation loss after which it stops",
        label="Early stopping",
        group=LEARNS,
        low=0,
        means={0: "never"},
    )
    balance: str = setting(
        "none",
        "what is done for classes of few pictures",
        label="Class balance",
        group=LEARNS,
        choices={"none": "nothing", "weights": "they count more", "sampling": "shown more often"},
    )
    seed: int = setting(0, "the same seed gives the same run", label="Seed", group=HOW, low=0)
    device: str = setting(
        "auto",
        "where to compute",
        label="Device",
        group=HOW,
        choices={"auto": "the fastest there is", "cpu": "", "cuda": "", "mps": ""},
    )
    note: str = setting("", "what you are trying; kept with the run", label="Note")

    def __post_init__(self) -> None:
        if isinstance(self.sizes, list):  # it was JSON
            object.__setattr__(self, "sizes", tuple(self.sizes))
        check(self)
        if self.freeze_epochs == 0 and (self.epochs == 0 or self.layers == "head"):
            raise UsageError("Nothing would learn: --freeze-epochs 0 needs --epochs 1 or more, and more than the head.")
        if self.snapshots != "none" and self.schedule != "restarts":
            raise UsageError("--snapshots needs --schedule restarts.")

    @property
    def random_views(self) -> Augmentation | None:
        """How far random views may go: the preset, and what is to be otherwise than in it. None: there are none."""
        found = PRESETS[self.augmentation]
        if found is None:
            return None
        sideways, upside_down, quarters = FLIPS.get(self.flip, (found.flip, found.flip_vertical, found.quarter_turns))
        return replace(
            found,
            min_scale=self.min_scale or found.min_scale,
            degrees=found.degrees if self.max_rotate < 0 else self.max_rotate,
            light=found.light if self.max_lighting < 0 else self.max_lighting,
            flip=sideways,
            flip_vertical=upside_down,
            quarter_turns=quarters,
        )


@dataclass(frozen=True)
class LrFindConfig(TrainConfig):
    """What is going to be trained, and the range test: rates from ``low`` to ``high`` in equal ratios, a batch each.
    They are those of the head, as ``base_lr`` is.

    >>> config = w.LrFindConfig(backbone="balanced", high=0.1)  # every setting of TrainConfig, and the test's
    >>> config.steps, config.low
    (60, 1e-06)
    """

    steps: int = setting(60, "how many rates are tried", low=FEWEST_STEPS)
    low: float = setting(1e-6, "the lowest rate", above=0)
    high: float = setting(1.0, "the highest rate", above=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low < self.high:
            raise UsageError("--low is above 0 and below --high.")


@dataclass(frozen=True)
class Recalled:
    """The settings of a run as this version has them, by field name; ``left_out``: those it does not know or take."""

    values: dict[str, Any]
    left_out: tuple[str, ...]


def recalled(said: Mapping[str, Any]) -> Recalled:
    """The settings a run was trained with, from what it ``said``; it may be of another version.

    What it does not say is at its default.
    """
    values = asdict(TrainConfig())
    waiting = {name: value for name, value in said.items() if name in values and _alike(value, values[name])}
    for _ in range(2):  # one may be allowed only beside another that comes later
        for name in list(waiting):
            if _allowed({**values, name: waiting[name]}):
                values[name] = waiting.pop(name)
    left_out = [name for name, value in said.items() if name not in values or values[name] != value]
    return Recalled(asdict(TrainConfig(**values)), tuple(left_out))


def _alike(value: Any, default: Any) -> bool:
    """Whether ``value`` is of the kind of a field's default."""
    kinds: dict[type, tuple[type, ...]] = {float: (int, float), tuple: (list, tuple)}
    return type(value) in kinds.get(type(default), (type(default),))


def _allowed(values: Mapping[str, Any]) -> bool:
    try:
        TrainConfig(**values)
        return True
    except (UsageError, TypeError, ValueError):
        return False
