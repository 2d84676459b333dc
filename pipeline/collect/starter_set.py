"""The built-in starter set: five kinds of fruit; and the same pictures messy, with the truth to score a cleaning by."""

from __future__ import annotations

import csv
import hashlib
import io
import random
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from PIL import Image

from pipeline.errors import SourceError

STARTERS = ("starter", "starter-messy")
STARTER_LICENCE = "MIT"
ARCHIVE = Path(__file__).parent / "starter" / "starter.zip"
ARCHIVE_SHA256 = "e02dd30eb4ed5b183bea6fbf1a5ea3080bd9905046ca93f5147a375fc3e5c136"
CLASSES = ("apple", "melon", "orange", "pear", "satsuma")
TRUTH = "truth.csv"

# What a model confuses each class with most, as measured (docs/starter.md).
CONFUSED_WITH = {"apple": "pear", "melon": "orange", "orange": "satsuma", "pear": "apple", "satsuma": "orange"}
TRUNCATED_AT = (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
RECOMPRESSED_AT = (45, 50, 55, 60, 65, 70, 75, 80)
RESIZED_TO = (0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1.25)
WRONG_LABEL_SHARE = 0.08
BROKEN = ("truncated", "empty", "web_page", "garbage_header", "text")
DUPLICATES = ("same_bytes", "same_pixels", "near_duplicate", "label_conflict")
PLANTED = ("ok", "wrong_label", *BROKEN, *DUPLICATES)
RESTORE = "Get a fresh copy of the program, or import a folder of your own pictures instead."

Pictures: TypeAlias = dict[str, bytes]
Change: TypeAlias = Callable[[bytes], bytes]


def write_starter(folder: Path, archive: Path = ARCHIVE) -> Path:
    """Write the starter set as class folders into ``folder`` (new, empty, or holding it already) and return it.

    600 JPEG photographs, 256 px on the shorter side. Raises SourceError where the archive is missing or damaged, or
    the folder holds other files or cannot be written.
    """
    return _write(folder, _pictures(archive))


def write_messy(folder: Path, seed: int = 0, archive: Path = ARCHIVE) -> Path:
    """Write the starter set with trouble planted in it as class folders into ``folder``, and ``truth.csv`` beside them.

    ``truth.csv`` has a row a file: file (relative path), kind (one of PLANTED), true_label (empty where the file never
    was a picture), given_label (its folder), of (the file it copies, for DUPLICATES). The same seed and Pillow give
    the same bytes. Raises SourceError like :func:`write_starter`.
    """
    plants = _mess(_pictures(archive), random.Random(seed))
    return _write(folder, {plant.file: plant.data for plant in plants} | {TRUTH: _truth(plants)})


@dataclass(frozen=True)
class Plant:
    """One file of the messy set. Until the files have names, ``file`` and ``of`` are those of the starter set."""

    kind: str
    true_label: str
    given_label: str
    data: bytes
    file: str = ""
    of: str = ""
    suffix: str = ".jpg"


# --- the archive and the disk -------------------------------------------------------------------------------------


def _pictures(archive: Path) -> Pictures:
    """``apple/apple_001.jpg`` -> its bytes, for the whole set."""
    try:
        data = archive.read_bytes()
    except OSError as error:
        raise SourceError(
            f"The starter set is not there: {archive} cannot be read ({error.strerror}). {RESTORE}"
        ) from error
    if hashlib.sha256(data).hexdigest() != ARCHIVE_SHA256:
        raise SourceError(f"The starter set is damaged: {archive} is not the file it should be. {RESTORE}")
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        return {name: opened.read(name) for name in sorted(opened.namelist())}


def _write(folder: Path, files: Mapping[str, bytes]) -> Path:
    try:
        for path in folder.rglob("*") if folder.exists() else ():
            if path.is_file() and path.relative_to(folder).as_posix() not in files:
                raise SourceError(
                    f"{folder} already holds other files ({path.name} …). Choose a new or an empty folder."
                )
        for label in sorted({Path(name).parent for name in files}):
            (folder / label).mkdir(parents=True, exist_ok=True)
        for name in sorted(files):
            (folder / name).write_bytes(files[name])
    except OSError as error:
        raise SourceError(
            f"The starter set cannot be written to {folder}: {error.strerror}. "
            "Choose another folder or free some space."
        ) from error
    return folder


def _truth(plants: list[Plant]) -> bytes:
    lines = io.StringIO()
    table = csv.writer(lines, lineterminator="\n")
    table.writerow(["file", "kind", "true_label", "given_label", "of"])
    table.writerows([p.file, p.kind, p.true_label, p.given_label, p.of] for p in plants)
    return lines.getvalue().encode()


# --- planting -----------------------------------------------------------------------------------------------------


def _mess(pictures: Pictures, draw: random.Random) -> list[Plant]:
    """Every picture once and whole, some with a wrong label, then copies and broken files; named, in order of name."""
    order = sorted(pictures)
    draw.shuffle(order)
    copies = _copies(pictures, order, draw)
    copied = {plant.of for plant in copies}
    whole = _labelled(pictures, [name for name in order if name not in copied], draw)
    whole += [Plant("ok", _label(name), _label(name), pictures[name], name) for name in order if name in copied]
    return _named([*whole, *copies, *_broken(pictures, order, draw)], draw)


def _label(name: str) -> str:
    return name.partition("/")[0]


def _labelled(pictures: Pictures, names: list[str], draw: random.Random) -> list[Plant]:
    """``names`` with WRONG_LABEL_SHARE of each class wrongly labelled: half at random, half as the most confusable."""
    plants = []
    for true in CLASSES:
        own = [name for name in names if _label(name) == true]
        wrong = round(WRONG_LABEL_SHARE * len(own))
        given = [draw.choice([label for label in CLASSES if label != true]) for _ in range(wrong // 2)]
        given += [CONFUSED_WITH[true]] * (wrong - len(given))
        plants += [
            Plant("wrong_label", true, label, pictures[name], name)
            for name, label in zip(own[:wrong], given, strict=True)
        ]
        plants += [Plant("ok", true, true, pictures[name], name) for name in own[wrong:]]
    return plants


def _copies(pictures: Pictures, order: list[str], draw: random.Random) -> list[Plant]:
    """Copies of pictures from the end of ``order``, each picture copied once."""
    names = reversed(order)

    def copy(kind: str, change: Change, suffix: str = ".jpg") -> Plant:
        name = next(names)
        label = _label(name)
        given = CONFUSED_WITH[label] if kind == "label_conflict" else label
        return Plant(kind, label, given, change(pictures[name]), of=name, suffix=suffix)

    def commented(data: bytes) -> bytes:
        """The JPEG with a comment segment (marker FFFE, two bytes of length) right after its first marker."""
        comment = f"No. {draw.randrange(10_000)}".encode()
        return data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:]

    plants = [copy("same_bytes", bytes) for _ in range(10)]
    plants += [copy("same_pixels", commented) for _ in range(7)]
    plants += [copy("same_pixels", lambda data: _saved(_opened(data), "PNG"), ".png") for _ in range(3)]
    plants += [copy("near_duplicate", _recompressed(quality)) for quality in RECOMPRESSED_AT]
    plants += [copy("near_duplicate", _resized(factor)) for factor in RESIZED_TO]
    plants += [copy("label_conflict", commented) for _ in range(3)]
    plants += [copy("label_conflict", _recompressed(quality)) for quality in (60, 70, 80)]
    return plants


def _broken(pictures: Pictures, order: list[str], draw: random.Random) -> list[Plant]:
    """Files that no decoder can read to the end, under labels of pictures drawn at random."""
    plants = []
    for fraction, name in zip(TRUNCATED_AT, draw.sample(order, len(TRUNCATED_AT)), strict=True):
        data = pictures[name]
        plants.append(Plant("truncated", _label(name), _label(name), data[: int(len(data) * fraction)]))
    for kept, name in zip((0, 3, 20), draw.sample(order, 3), strict=True):
        data = pictures[name]
        garbage = data[:kept] + draw.randbytes(200 - kept) + data[200:]
        plants.append(Plant("garbage_header", _label(name), _label(name), garbage))
    plants.append(Plant("empty", "", draw.choice(CLASSES), b""))
    numbers = draw.sample(range(10_000), 6)
    plants += [Plant("web_page", "", draw.choice(CLASSES), _web_page(number)) for number in numbers[:4]]
    for number in numbers[4:]:
        notes = f"Notes on picture {number}: see the other folder.\n".encode()
        plants.append(Plant("text", "", draw.choice(CLASSES), notes, suffix=".png"))
    return plants


def _named(plants: list[Plant], draw: random.Random) -> list[Plant]:
    """The plants under neutral names that tell nothing, ``of`` pointing at those, in order of name."""
    numbers = draw.sample(range(1, len(plants) + 1), len(plants))
    files = [f"{p.given_label}/photo_{number:04d}{p.suffix}" for p, number in zip(plants, numbers, strict=True)]
    new = {plant.file: file for plant, file in zip(plants, files, strict=True) if plant.file}
    named = [replace(p, file=file, of=new.get(p.of, "")) for p, file in zip(plants, files, strict=True)]
    return sorted(named, key=lambda plant: plant.file)


# --- changing bytes -----------------------------------------------------------------------------------------------


def _recompressed(quality: int) -> Change:
    return lambda data: _saved(_opened(data), "JPEG", quality=quality)


def _resized(factor: float) -> Change:
    def resize(data: bytes) -> bytes:
        image = _opened(data)
        size = (round(image.width * factor), round(image.height * factor))
        return _saved(image.resize(size, Image.Resampling.BICUBIC), "JPEG", quality=85)

    return resize


def _opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def _saved(image: Image.Image, encoding: str, **options: int) -> bytes:
    target = io.BytesIO()
    image.save(target, encoding, **options)
    return target.getvalue()


def _web_page(number: int) -> bytes:
    return (
        "<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head>\n"
        f"<body><h1>Not Found</h1><p>Picture {number} has moved.</p></body></html>\n"
    ).encode()
