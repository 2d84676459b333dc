"""Golden pictures of a model folder: what its own app has to answer, wherever it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.errors import ExportError
from pipeline.predict import ORIENTATION_TAG, load

QUARTER_TURN = 6
SEED = 2026


@dataclass(frozen=True)
class Golden:
    """A picture file, and the probability of each class that the model in the folder gives on this machine."""

    path: Path
    expected: Mapping[str, float]


@dataclass(frozen=True)
class Agreement:
    """How answers agree with the golden ones: over ``images`` pictures, the largest difference of a probability, on
    which picture it is, and whether the likeliest class is everywhere the same (where two are not as good as equal).
    """

    images: int
    max_difference: float
    worst: str
    same_top: bool


def golden_pictures(folder: Path, scratch: Path) -> list[Golden]:
    """The example pictures of a model folder and three made ones (an upright one, one that EXIF turns, one with
    transparency), which are written into ``scratch``. Raises ExportError where the model cannot be asked.
    """
    pictures = [*sorted((folder / "examples").glob("*.jpg")), *_made(scratch)]
    try:
        answers = load(folder).predict(pictures)
    except (ValueError, OSError) as error:
        raise ExportError(f"The model in {folder} cannot be asked: {error}") from error
    return [Golden(path, answer.probabilities) for path, answer in zip(pictures, answers, strict=True)]


def _made(scratch: Path) -> list[Path]:
    random = np.random.default_rng(SEED)
    turned = Image.Exif()
    turned[ORIENTATION_TAG] = QUARTER_TURN
    files = []
    for name, size, mode, options in (
        ("wide.jpg", (400, 250), "RGB", {"quality": 90}),
        ("turned.jpg", (300, 200), "RGB", {"quality": 90, "exif": turned}),
        ("transparent.png", (210, 280), "RGBA", {}),
    ):
        coarse = random.integers(0, 256, (6, 8, 4), dtype=np.uint8)
        picture = Image.fromarray(coarse, "RGBA").resize(size, Image.Resampling.BICUBIC).convert(mode)
        picture.save(scratch / name, **options)
        files.append(scratch / name)
    return files


def agreement(golden: Sequence[Golden], answers: Sequence[Mapping[str, float]], tolerance: float) -> Agreement:
    """Compare ``answers`` (those of the classes that were given) with the golden ones, picture by picture."""
    worst, largest, same = "", 0.0, True
    for one, answer in zip(golden, answers, strict=True):
        differences = [abs(one.expected.get(name, np.inf) - p) for name, p in answer.items()]
        difference = float(np.max(differences or [np.inf]))
        if not difference <= largest:
            worst, largest = one.path.name, difference
        first, second = sorted(one.expected.values(), reverse=True)[:2] if len(one.expected) > 1 else (1.0, 0.0)
        if first - second > 2 * tolerance and answer:
            same &= max(answer, key=answer.__getitem__) == max(one.expected, key=one.expected.__getitem__)
    return Agreement(len(golden), largest, worst, same)
