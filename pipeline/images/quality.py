"""Scores of one picture: how dark, bright, sharp, detailed and coloured it is.

They come from the same decode as everything else, at the size of a thumbnail: what is blurred or dark there is so for a
network too. The kinds are cleanvision's; its code is under the AGPL, so the measures here are our own, from the
textbooks: percentiles of luminance, variance of the Laplacian, entropy of the grey values, spread of the channels.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from PIL import Image


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

    def rounded(self) -> dict[str, float]:
        """The scores as they are kept."""
        return {name: round(value, 6) for name, value in asdict(self).items()}


def quality(small: Image.Image) -> Quality:
    """The scores of a canonical RGB image at the size of a thumbnail (about 256 pixels)."""
    red, green, blue = (np.asarray(band) for band in small.split())
    grey = np.asarray(small.convert("L"))
    light = np.bincount(grey.ravel(), minlength=256)
    shares = light[light > 0] / light.sum()
    most, least = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    spread = np.bincount((most - least).ravel(), minlength=256)
    return Quality(
        dark_end=_percentile(light, 99),
        bright_end=_percentile(light, 5),
        sharpness=_sharpness(grey.astype(np.float32) / 255),
        detail=float(-(shares * np.log2(shares)).sum()),
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
