"""The confusion matrix as a picture, for a page that nobody can click: drawn with Pillow, at most MOST classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont
MOST = 25
CELL, MARGIN, LABEL = 46, 14, 170
LAST_LATIN = 0x24F
PAPER, INK, FAINT = (255, 255, 255), (28, 25, 23), (120, 113, 108)
RIGHT, WRONG = (15, 118, 110), (185, 28, 28)


def counted(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """How many images of each class (row) were taken for each (column), by the rows of a predictions table whose
    label and answer are one of ``classes`` each.
    """
    both = predictions[predictions["label"].isin(classes) & predictions["predicted"].isin(classes)]
    counts = pd.crosstab(both["label"], both["predicted"])
    return counts.reindex(index=list(classes), columns=list(classes), fill_value=0)


def worst(counts: pd.DataFrame, most: int = MOST) -> pd.DataFrame:
    """The part of a matrix [C, C] with the ``most`` classes that are in most mistakes, in their order; all if fewer."""
    if len(counts) <= most:
        return counts
    values = counts.to_numpy()
    mistakes = values.sum(axis=0) + values.sum(axis=1) - 2 * np.diag(values)
    kept = np.sort(np.argsort(-mistakes, kind="stable")[:most])
    return counts.iloc[kept, kept]


def draw(counts: pd.DataFrame) -> Image.Image:
    """An RGB picture of a matrix [C, C]: rows are what images show, columns what they were taken for."""
    size, side = len(counts), CELL * len(counts)
    small, normal = ImageFont.load_default(13), ImageFont.load_default(15)
    left, top = MARGIN + LABEL, MARGIN + LABEL
    picture = Image.new("RGB", (left + side + MARGIN, top + side + MARGIN), PAPER)
    pen = ImageDraw.Draw(picture)
    pen.text((MARGIN, MARGIN), "down: what it shows\nacross: what was said", fill=FAINT, font=small)
    values = counts.to_numpy(dtype=int)
    shares = values / np.maximum(values.sum(axis=1, keepdims=True), 1)
    for row, name in enumerate(counts.index):
        y = top + row * CELL
        shown = _short(str(name), row + 1)
        pen.text((left - 8, y + CELL / 2), shown, fill=INK, font=normal, anchor="rm")
        _upright(picture, shown, left + row * CELL, top, normal)
        for column in range(size):
            _cell(pen, (left + column * CELL, y), int(values[row, column]), shares[row, column], row == column, small)
    return picture


def _cell(pen: ImageDraw.ImageDraw, at: tuple[int, int], count: int, share: float, right: bool, font: Font) -> None:
    strength = 0.0 if count == 0 else 0.12 + 0.88 * share
    colour = tuple(round(255 + (end - 255) * strength) for end in (RIGHT if right else WRONG))
    pen.rectangle((*at, at[0] + CELL - 2, at[1] + CELL - 2), fill=colour, outline=(231, 229, 228))
    if count:
        middle = (at[0] + CELL / 2 - 1, at[1] + CELL / 2 - 1)
        pen.text(middle, f"{count}", fill=PAPER if strength > 0.55 else INK, font=font, anchor="mm")


def _upright(picture: Image.Image, name: str, x: int, bottom: int, font: Font) -> None:
    strip = Image.new("RGB", (LABEL, CELL), PAPER)
    ImageDraw.Draw(strip).text((8, CELL / 2), name, fill=INK, font=font, anchor="lm")
    picture.paste(strip.transpose(Image.Transpose.ROTATE_90), (x, bottom - LABEL))


def _short(name: str, number: int, longest: int = 20) -> str:
    """``name`` as the font can draw it: it has Latin letters; a name with others is its number."""
    if any(ord(letter) > LAST_LATIN or not letter.isprintable() for letter in name):
        return f"class {number}"
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
