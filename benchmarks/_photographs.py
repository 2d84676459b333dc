"""Photographs of web sizes for the benchmarks of Verify, damaged copies of them, and copies that are duplicates."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import count, zip_longest
from pathlib import Path

from PIL import Image

from benchmarks._damage import JPEG, NO_PICTURE, PNG, Maker, encoded
from pipeline.collect.starter_set import write_starter

SIDES = (400, 3000)
SHAPES = (1.0, 4 / 3, 3 / 2, 16 / 9, 3 / 4, 2 / 3)
LEAST_SIDE = 600
PNG_SIDE = 500


def photographs(photos: Path | None, target: Path, number: int) -> list[Path]:
    """``number`` JPEG files in ``target``, crops of the JPEG files below ``photos`` (else of the starter set's).

    The long side has 400 to 3,000 pixels (no more than the crop), the quality is 75 to 95, a quarter is progressive. A
    name says which photograph it is of: ``017-0003.jpg`` is the third of the 17th. What is there already is kept.
    """
    if photos is None:
        files = sorted(write_starter(target.parent / "starter").rglob("*.jpg"))
    else:
        files = [file for file in sorted(photos.rglob("*.jp*g")) if _large(file)]
    if not files:
        raise SystemExit(f"There are no JPEG photographs of at least {LEAST_SIDE} pixels below {photos}.")
    target.mkdir(parents=True, exist_ok=True)
    shares = [len(range(place, number, len(files))) for place in range(len(files))]
    with ProcessPoolExecutor() as pool:
        made = list(pool.map(partial(_crops, target), files, count(), shares))
    return [file for turn in zip_longest(*made) for file in turn if file is not None]


def same_photograph(photos: Path | None) -> list[str]:
    """What photograph each of the files is of that :func:`photographs` numbers: a wallpaper lies there in many sizes
    (``Kite/1280x800.jpg``, ``Elephants_3840x2160.jpg``). Empty for the starter set, whose files are all different.
    """
    files = [file for file in sorted(photos.rglob("*.jp*g")) if _large(file)] if photos else []
    return [str(file.parent / re.sub(r"_?\d+x\d+$", "", file.stem)) for file in files]


def _large(file: Path) -> bool:
    with Image.open(file) as image:
        return min(image.size) >= LEAST_SIDE


def _crops(target: Path, photograph: Path, place: int, number: int) -> list[Path]:
    files = [target / f"{place:03}-{turn:04}.jpg" for turn in range(number)]
    if all(file.exists() for file in files):
        return files
    with Image.open(photograph) as opened:
        image = opened.convert("RGB")
    for file in files:
        chance = random.Random(file.name)
        crop = _crop(image, chance)
        file.write_bytes(
            encoded(crop, "JPEG", quality=chance.randint(75, 95), progressive=chance.random() < 0.25, optimize=True)
        )
    return files


def _crop(image: Image.Image, chance: random.Random) -> Image.Image:
    shape, share = chance.choice(SHAPES), chance.uniform(0.35, 1.0)
    width = min(image.width, image.height * shape) * share
    height = width / shape
    x, y = chance.uniform(0, image.width - width), chance.uniform(0, image.height - height)
    side = min(chance.randint(*SIDES), max(width, height))
    scale = side / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return image.resize(size, Image.Resampling.BICUBIC, box=(x, y, x + width, y + height))


def damaged(good: list[Path], target: Path, number: int) -> list[str]:
    """``number`` damaged files of each kind (one of each bomb), each kind in a folder named for it; the kinds."""
    makers: dict[str, Maker] = {"good JPEG": lambda data, _chance: data, "good PNG": lambda data, _chance: _png(data)}
    makers |= {f"JPEG, {kind}": make for kind, make in JPEG.items()}
    makers |= {f"PNG, {kind}": _of_png(make) for kind, make in PNG.items()}
    makers |= {kind: _of_nothing(make) for kind, make in NO_PICTURE.items()}
    for kind, make in makers.items():
        folder = target / kind
        folder.mkdir(parents=True, exist_ok=True)
        for turn in range(1 if "bomb" in kind else min(number, len(good))):
            (folder / f"{turn:03}.{'png' if 'PNG' in kind else 'jpg'}").write_bytes(
                make(good[turn].read_bytes(), random.Random(turn))
            )
    return list(makers)


def _of_png(make: Maker) -> Maker:
    return lambda data, chance: make(_png(data), chance)


def _of_nothing(make: Callable[[], bytes]) -> Maker:
    return lambda _data, _chance: make()


def _png(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        image.thumbnail((PNG_SIDE, PNG_SIDE))
        return encoded(image, "PNG")


COPIES: dict[str, Callable[[Image.Image], bytes]] = {
    "quality 50": lambda image: encoded(image, "JPEG", quality=50),
    "half the size": lambda image: encoded(image.resize((image.width // 2, image.height // 2)), "JPEG", quality=90),
    "cropped by 5 %": lambda image: encoded(_inner(image, 0.05), "JPEG", quality=90),
}


def copies(good: list[Path], target: Path, number: int, copied: int) -> list[str]:
    """``number`` of ``good`` in ``target``, and copies of the first ``copied`` as ``017-0003--KIND.jpg``; the kinds."""
    target.mkdir(parents=True, exist_ok=True)
    for file in good[:number]:
        (target / file.name).write_bytes(file.read_bytes())
    for file in good[: min(copied, number)]:
        (target / f"{file.stem}--exact.jpg").write_bytes(file.read_bytes())
        with Image.open(file) as opened:
            image = opened.convert("RGB")
        for kind, make in COPIES.items():
            (target / f"{file.stem}--{kind}.jpg").write_bytes(make(image))
    return ["exact", *COPIES]


def _inner(image: Image.Image, share: float) -> Image.Image:
    x, y = round(image.width * share / 2), round(image.height * share / 2)
    return image.crop((x, y, image.width - x, image.height - y))
