"""What can be wrong with a picture that decodes: dark, bright, blurred, nearly empty, grey, of an odd shape or size."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

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
