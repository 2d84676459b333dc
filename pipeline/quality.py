"""What can be wrong with a picture that decodes: dark, bright, blurred, empty of detail, grey, of an odd shape or size.

The scores come from the same decode as everything else, at the size of a thumbnail: what is blurred or dark there is so
for a network too. The kinds are cleanvision's; its code is under the AGPL, so the measures here are our own, from the
textbooks: percentiles of luminance, variance of the Laplacian, entropy of the grey values, spread of the channels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from PIL import Image

KINDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "dark": ("Dark", "hardly any light in it"),
        "bright": ("Overexposed", "hardly anything but light in it"),
        "blurred": ("Blurred", "out of focus, or shaken"),
        "little_detail": ("Nearly empty", "about one colour all over"),
        "odd_shape": ("Of an odd shape", "more than three times as long as high, or the other way"),
        "odd_size": ("Of an odd size", "much smaller or larger than the others"),
        "grey": ("Without colour", "where nearly all others have it"),
    }
)
DARK, BRIGHT = 0.25, 0.93
SHARP_ENOUGH = 6e-4
DETAIL_BITS = 3.0
COLOURED = 0.04
LONGEST = 3.0
SIZE_TIMES = 6.0
# Grey pictures are pointed out where they are a smaller share of all than this.
GREY_AMONG = 0.2


@dataclass(frozen=True)
class Quality:
    """Scores of one picture. ``dark_end`` and ``bright_end``: the 99th and the 5th percentile of luminance, 0 to 1;
    ``sharpness``: variance of the Laplacian of luminance; ``detail``: entropy of its 256 values in bits, 0 to 8;
    ``colour``: 99th percentile of the spread of the three channels, 0 to 1.
    """

    dark_end: float
    bright_end: float
    sharpness: float
    detail: float
    colour: float

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps({name: round(value, 6) for name, value in asdict(self).items()})


def quality(small: Image.Image) -> Quality:
    """The scores of a canonical RGB image at the size of a thumbnail (about 256 pixels)."""
    pixels = np.asarray(small)
    grey = np.asarray(small.convert("L"))
    light = np.bincount(grey.ravel(), minlength=256)
    spread = np.bincount((pixels.max(axis=2) - pixels.min(axis=2)).ravel(), minlength=256)
    return Quality(
        dark_end=_percentile(light, 99),
        bright_end=_percentile(light, 5),
        sharpness=_sharpness(grey.astype(np.float32) / 255),
        detail=_entropy(light),
        colour=_percentile(spread, 99),
    )


Counts: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.int64]]"


def _percentile(counts: Counts, percent: float) -> float:
    """Of 8-bit values given as a histogram; from 0 to 1."""
    return float(np.searchsorted(np.cumsum(counts), counts.sum() * percent / 100)) / 255


def _sharpness(grey: np.ndarray[Any, Any]) -> float:
    if min(grey.shape) < 3:
        return 1.0  # too small to say
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float(np.var(around - 4 * grey[1:-1, 1:-1]))


def _entropy(counts: Counts) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def problems(images: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """The ids of the pictures with each kind of problem (keys of KINDS), the worst first.

    ``images`` has the columns id, width, height and quality (JSON, None where it was not measured).
    """
    known = images[images["quality"].notna()]
    if known.empty:
        return dict.fromkeys(KINDS, ())
    scores = pd.DataFrame([json.loads(text) for text in known["quality"]], index=known["id"].to_list())
    width, height = (known[name].to_numpy(dtype=float) for name in ("width", "height"))
    side = np.sqrt(width * height)
    scores["shape"] = np.maximum(width / height, height / width)
    scores["size"] = np.maximum(side / np.median(side), np.median(side) / side)
    dark, bright = scores["dark_end"] < DARK, scores["bright_end"] > BRIGHT
    flat = (scores["detail"] < DETAIL_BITS) & ~dark & ~bright
    seen = ~dark & ~bright & ~flat  # what a picture without light or detail lacks besides is no news
    blurred, grey = seen & (scores["sharpness"] < SHARP_ENOUGH), seen & (scores["colour"] < COLOURED)
    return {
        "dark": _worst(scores["dark_end"][dark]),
        "bright": _worst(-scores["bright_end"][bright]),
        "blurred": _worst(scores["sharpness"][blurred]),
        "little_detail": _worst(scores["detail"][flat]),
        "odd_shape": _worst(-scores["shape"][scores["shape"] > LONGEST]),
        "odd_size": _worst(-scores["size"][scores["size"] > SIZE_TIMES]),
        "grey": _worst(scores["colour"][grey]) if grey.mean() < GREY_AMONG else (),
    }


def _worst(scores: pd.Series[float]) -> tuple[str, ...]:
    return tuple(str(image) for image in scores.sort_values(kind="stable").index)
