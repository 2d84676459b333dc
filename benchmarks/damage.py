"""How much silent damage is found: damaged copies of good pictures in many encodings; prints a table in Markdown.

    python -m benchmarks.damage [FOLDER] [--pictures N]

The pictures are those below FOLDER (else of the starter set), at most 1,024 pixels wide and high. A cell says how many
copies were found, set aside or suspect, of how many; in the first row, of good ones, each one found is a false alarm.
Of the copies that were not found, the last rows say how many decode to the very pixels of the good picture, and in how
many more than one pixel in a hundred is off by more than 16 of 255.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import warnings
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks._damage import ANY, JPEG, PNG, encoded
from pipeline.collect.starter_set import write_starter
from pipeline.images.decode import examine

SIDE = 1024
ENCODINGS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "JPEG 75": ("JPEG", {"quality": 75}),
    "JPEG 85, restarts": ("JPEG", {"quality": 85, "restart_marker_rows": 1}),
    "JPEG 95, 4:4:4": ("JPEG", {"quality": 95, "subsampling": 0, "optimize": True}),
    "progressive 75": ("JPEG", {"quality": 75, "progressive": True}),
    "progressive 90": ("JPEG", {"quality": 90, "progressive": True}),
    "PNG": ("PNG", {}),
    "WebP 80": ("WEBP", {"quality": 80}),
    "AVIF 75": ("AVIF", {"quality": 75, "speed": 10}),
}
GOOD, SAME, SEEN = "(good)", "missed: same pixels", "missed: to be seen"
Found = Counter[tuple[str, str, bool]]


def main() -> None:
    """Damage, check, count, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--pictures", type=int, default=100)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.folder or write_starter(Path(scratch) / "starter")
        files = [
            file for file in sorted(folder.rglob("*")) if file.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp")
        ]
        random.Random(0).shuffle(files)
        found: Found = Counter()
        with ProcessPoolExecutor() as pool:
            for counts in pool.map(_of_picture, files[: asked.pictures]):
                found.update(counts)
    print("\n".join(_table(found)))


def _of_picture(file: Path) -> Found:
    found: Found = Counter()
    chance = random.Random(file.name)
    with Image.open(file) as opened:
        image = opened.convert("RGB")
    image.thumbnail((SIDE, SIDE))
    for name, (encoding, options) in ENCODINGS.items():
        good = encoded(image, encoding, **options)
        checked, whole = examine(good)
        found[GOOD, name, checked.verdict != "ok"] += 1
        for kind, damage in {"JPEG": JPEG, "PNG": PNG}.get(encoding, ANY).items():
            checked, pixels = examine(damage(good, chance))
            found[kind, name, checked.verdict != "ok"] += 1
            if checked.verdict == "ok" and kind in ANY and whole and pixels:
                off = _share_off(whole, pixels)
                found[SAME, name, off == 0.0] += 1
                found[SEEN, name, off > 0.01] += 1
    return found


def _share_off(one: Image.Image, other: Image.Image) -> float:
    """0 for equal pixels; else the share (0 to 1, never 0) of those that differ by more than 16 in some colour."""
    if one.size != other.size:
        return 1.0
    off = np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16))
    return 0.0 if not off.any() else max(float((off > 16).any(axis=2).mean()), 1e-9)


def _table(found: Found) -> list[str]:
    lines = [f"| damage | {' | '.join(ENCODINGS)} |", "| --- |" + " ---: |" * len(ENCODINGS)]
    for kind in (GOOD, *JPEG, *(kind for kind in PNG if kind not in JPEG), SAME, SEEN):
        cells = []
        for name in ENCODINGS:
            hits, misses = found[kind, name, True], found[kind, name, False]
            cells.append(f"{hits}/{hits + misses}" if hits + misses else "–")
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
