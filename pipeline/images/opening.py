"""How the pictures of a workspace are opened: one scale for all values of more than 8 bits, and how large they may be.

A camera's or a scanner's grey values mean the same in all pictures of a set, so all of them get one scale. It is
decided from what Verify saw of each picture, kept with the workspace, and goes with every model that learnt from it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from pipeline.images.containers import png_parts
from pipeline.predict import Opening, is_deep
from pipeline.workspace.workspace import Workspace

Range: TypeAlias = "tuple[float, float]"
SCALES, MEGAPIXELS_FACT = "grey_scales", "max_megapixels"
# Of each picture the darkest and the brightest thousandth do not count: dead and hot pixels are no light.
OUTERMOST = 0.001
# A usual scale is taken where the pictures fill this share of it: then they keep 64 of 256 greys.
FILLED = 0.25
LARGEST_REAL = 1e38  # nearly the largest number there is means "nothing" in maps of heights
TOP_TAG, NOTHING_TAG = 281, 42113
DEEP_FORMATS = ("PNG", "TIFF", "HEIF")


@dataclass(frozen=True)
class Values:
    """The values of a grey picture of more than 8 bits: from ``low`` to ``high``, but for the outermost thousandth at
    either end. ``whole``: they are whole numbers. ``top``: the largest one there may be, as its file says (0: it does
    not).
    """

    whole: bool
    low: float
    high: float
    top: float = 0.0


def seen_values(image: Image.Image, data: bytes) -> Values | None:
    """The values of an opened picture, whose file is ``data``; None for one of 8 bits, or where none is a number."""
    if not is_deep(image.mode):
        return None
    values = np.asarray(image)
    whole = image.mode != "F"
    if not whole:
        values = values[np.abs(values) < LARGEST_REAL]
    nothing = _number(getattr(image, "tag_v2", {}).get(NOTHING_TAG))
    if nothing is not None:
        values = values[values != nothing]
    if not values.size:
        return None
    low = np.quantile(values, OUTERMOST, method="lower")
    high = np.quantile(values, 1 - OUTERMOST, method="higher")
    top = _top(image, data) if whole else 0.0
    return Values(whole, float(low), float(high), top if 255 <= top < 2**32 else 0.0)


def _number(text: Any) -> float | None:
    try:
        return float(str(text).strip("\0 "))
    except ValueError:
        return None


def _top(image: Image.Image, data: bytes) -> float:
    """The largest value there may be: TIFF's MaxSampleValue or its bits, PNG's significant bits; 0 where unsaid."""
    if image.format == "PNG":
        for name, end in png_parts(data):
            if name == b"sBIT":
                return float(2 ** data[end - 5] - 1)
        return 0.0
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(258, (16,))
    named = tags.get(TOP_TAG, 0)
    named = _number(named[0] if isinstance(named, tuple) and named else named)
    return named or float(2 ** bits[0] - 1 if bits[0] < 16 else 0)


def scale(seen: Sequence[Values], before: Range | None = None) -> Range | None:
    """The (lowest, highest) value, black and white, for pictures that are all of whole or all of real numbers; None for
    no pictures. ``before``: the scale until now, which stays where it still fits.

    It is the first of these that holds all values, and that they fill to a quarter: what their files say; from 0 to the
    next power of two less one, or for values below 0 from such a power below them; for real numbers to 1, 255 or 65535.
    Where they fill none, it begins and ends at multiples of a power of two that is about a tenth of what they span.
    """
    if not seen:
        return None
    low, high = min(one.low for one in seen), max(one.high for one in seen)
    for usual in (*([before] if before else []), *_usual(seen, low, high)):
        if usual[0] <= low and high <= usual[1] and high - low >= FILLED * (usual[1] - usual[0]):
            return usual
    if low == high:
        return min(0.0, low), max(1.0, high)
    step = 2.0 ** math.floor(math.log2((high - low) / 8))
    if seen[0].whole:
        step = max(1.0, step)
    return math.floor(low / step) * step, math.ceil(high / step) * step


def _usual(seen: Sequence[Values], low: float, high: float) -> Iterable[Range]:
    if not seen[0].whole:
        yield from (((0.0, end) if low >= 0 else (-end, end)) for end in (1.0, 255.0, 65535.0))
        return
    if top := max(one.top for one in seen):
        yield 0.0, top
    bottom = -float(2 ** math.ceil(math.log2(-low))) if low < 0 else 0.0
    yield bottom, float(2 ** max(8, math.floor(math.log2(max(1.0, high))) + 1) - 1)


def scale_for(values: Values, opening: Opening) -> Range | None:
    """The scale of a picture with these values; None where it is not decided."""
    return opening.whole if values.whole else opening.real


# --- those of a workspace ---------------------------------------------------------------------------------------------


def opening_of(workspace: Workspace) -> Opening:
    """How the pictures of a workspace are opened, as it was decided last."""
    scales = workspace.store.fact(SCALES, {})
    limit = {"megapixels": megapixels} if (megapixels := workspace.store.fact(MEGAPIXELS_FACT)) else {}
    return Opening.from_json({**scales, **limit})


def decide(workspace: Workspace) -> Opening:
    """Decide it anew from what was seen of all pictures in use; scales stay where they still fit."""
    before = opening_of(workspace)
    seen = [values for _, _, values, _ in _deep(workspace)]
    whole = scale([values for values in seen if values.whole], before.whole)
    real = scale([values for values in seen if not values.whole], before.real)
    after = replace(before, whole=whole, real=real)
    if after != before:
        workspace.store.set_fact(SCALES, {"whole": whole, "real": real})
    return after


def scored(scores: Mapping[str, Any], kind: str | None, values: Values | None, opening: Opening) -> str:
    """One line of JSON: the ``scores`` of a picture and, of the formats that may have more than 8 bits, its ``values``
    and the ``scale`` that it was opened with (each None where there is none).
    """
    if kind not in DEEP_FORMATS:
        return json.dumps(scores)
    used = None if values is None else scale_for(values, opening)
    return json.dumps({**scores, "values": values and asdict(values), "scale": used})


def outdated(workspace: Workspace, opening: Opening) -> list[tuple[str, str]]:
    """(id, file) of the pictures in use of more than 8 bits that were last opened with another scale."""
    return [(image, file) for image, file, values, used in _deep(workspace) if used != scale_for(values, opening)]


def about_scales(workspace: Workspace) -> str:
    """A sentence about the scale of pictures of more than 8 bits, where there are any."""
    opening, sentences = opening_of(workspace), []
    seen = [values for _, _, values, _ in _deep(workspace)]
    for found, used in (
        ([values for values in seen if values.whole], opening.whole),
        ([values for values in seen if not values.whole], opening.real),
    ):
        if found and used:
            low, high = min(one.low for one in found), max(one.high for one in found)
            which = "1 picture has" if len(found) == 1 else f"{len(found):,} pictures have"
            sentences.append(
                f"{which} more than 8 bits: values from {used[0]:,.6g} to {used[1]:,.6g} become black to white, alike "
                f"in all of them and for every model that learns from them (theirs lie from {low:,.6g} to {high:,.6g})."
            )
    return " ".join(sentences)


def _deep(workspace: Workspace) -> list[tuple[str, str, Values, Range | None]]:
    """(id, file, values, the scale it was opened with) of the pictures in use of more than 8 bits."""
    return [
        (image, file, Values(**scores["values"]), tuple(scores["scale"]) if scores["scale"] else None)
        for image, file, scores in workspace.store.deep()
    ]
