"""THE decode: bytes -> one canonical RGB image, or a reason why not; fingerprints and thumbnails from the same pass.

What "canonical" means is written once, in ``pipeline.predict.open_image``, because that file travels alone to the
Space; this module adds what only the workspace needs: a verdict, fingerprints, thumbnails.
"""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.images.damage import JPEG_COLOURS, broken, grey_end, note, sound_jpeg, strict_jpeg, strict_objection
from pipeline.images.formats import closer_look
from pipeline.images.opening import Values, opening_of, seen_values
from pipeline.images.taken import Taken, taken
from pipeline.predict import (
    MEGAPIXELS,
    Opening,
    Unreadable,
    begins_like,
    exif_orientation,
    is_deep,
    open_header,
    open_image,
    reduction,
    to_rgb,
)
from pipeline.workspace.workspace import Workspace, writing

VERDICTS = ("ok", "suspect", "empty", "not_an_image", "truncated", "corrupt", "too_large", "unsupported")
THUMBNAIL_SIDE = 256
LARGE_SIDE = 1024
TINY_SIDE = 32
BITS_TAG = 258  # TIFF's bits of each channel
MOST_OF_LITTLE = 64


@dataclass(frozen=True)
class Checked:
    """What can be said of a file's bytes. ``verdict`` is one of VERDICTS; ``reason`` says why in a sentence.

    ``width`` and ``height`` are those of the upright picture, in pixels; ``values`` of one of more than 8 bits;
    ``taken`` is for the workspace alone, and never published.
    """

    verdict: str
    reason: str = ""
    format: str | None = None
    mode: str | None = None
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    exif_orientation: int | None = None
    values: Values | None = None
    taken: Taken = field(default=Taken(), repr=False)

    @property
    def usable(self) -> bool:
        """Whether the picture can be shown and trained on."""
        return self.verdict in ("ok", "suspect")

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON, without what EXIF tells of people; the picture's values where it has some."""
        told = {name: value for name, value in asdict(self).items() if name != "taken"}
        return {name: value for name, value in told.items() if name != "values" or value is not None}


@dataclass(frozen=True)
class Fingerprint:
    """What tells pictures apart: ``pixels`` SHA-256 of the RGB pixels, ``phash`` 8 bytes, ``tiny`` 32 x 32 RGB."""

    pixels: str
    phash: bytes
    tiny: bytes


def check(data: bytes, opening: Opening | None = None) -> Checked:
    """The verdict on a file's bytes, by a full decode: that of :func:`examine`. Never raises for bad bytes."""
    return _check_jpeg(data, opening or Opening()) or examine(data, opening)[0]


def _check_jpeg(data: bytes, opening: Opening) -> Checked | None:
    """The verdict on a JPEG file that needs no closer look; None on any other. It need not make the pixels."""
    if begins_like(data) != "JPEG":
        return None
    try:
        header = open_header(data, opening.megapixels)
    except Unreadable:
        return None
    if header.format != "JPEG" or header.mode not in ("RGB", "L") or not sound_jpeg(data):
        return None
    facts = _facts(header) | {"exif_orientation": exif_orientation(header)}
    if facts["exif_orientation"] >= 5:
        facts |= {"width": header.height, "height": header.width}
    return Checked("ok", _joined(_reduced_note(header), note(data, "JPEG", 1)), **facts)


def examine(data: bytes, opening: Opening | None = None) -> tuple[Checked, Image.Image | None]:
    """The verdict and, where usable, the canonical RGB image, from one decode. Never raises for bad bytes.

    A picture that is ``ok`` may have a reason too: a note, of what a person should know. ``opening``: how the set that
    it belongs to is opened.
    """
    opening = opening or Opening()
    try:
        header = open_header(data, opening.megapixels)
    except Unreadable as trouble:
        return Checked(*closer_look(data, trouble)), None
    facts, size, remark = _facts(header), header.size, _reduced_note(header)
    late = header.format == "PNG"  # its EXIF block may lie behind the pixels, and Pillow decodes to get there
    orientation = 0 if late else exif_orientation(header)
    facts["taken"] = Taken() if late else taken(header)
    try:
        image, objection = _decoded(data, header, orientation, opening)
    except Unreadable as trouble:
        return Checked(trouble.verdict, str(trouble), **facts, exif_orientation=orientation or 1), None
    facts |= {"exif_orientation": orientation or exif_orientation(header), "width": image.width, "height": image.height}
    if remark:
        facts |= dict(zip(("width", "height"), size if facts["exif_orientation"] < 5 else size[::-1], strict=True))
    if late:
        facts["taken"] = taken(header)
    if is_deep(facts["mode"]):
        facts["values"] = seen_values(_first(header), data)
    objection = objection or grey_end(image, facts["exif_orientation"])
    if objection:
        return Checked("suspect", objection, **facts), image
    remark = remark or _lost_bits_note(data, header, image)
    return Checked("ok", _joined(remark, note(data, str(header.format), facts["frames"])), **facts), image


def _lost_bits_note(data: bytes, header: Image.Image, image: Image.Image) -> str:
    """What is to be said of a coloured picture of 16 bits a channel, of which the upper 8 are read and hold little."""
    bits = data[24] if header.format == "PNG" else max(getattr(header, "tag_v2", {}).get(BITS_TAG, (8,)))
    if bits <= 8 or is_deep(header.mode) or np.asarray(image).max() >= MOST_OF_LITTLE:
        return ""
    return "It has 16 bits a channel, of which the upper 8 are read, and little is in these; save it with 8 of them."


def _first(header: Image.Image) -> Image.Image:
    """The picture itself; counting has moved one of several pages on (not HEIF, which opens at its main one)."""
    if getattr(header, "is_animated", False) and header.format != "HEIF":
        header.seek(0)
    return header


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _reduced_note(header: Image.Image) -> str:
    part = reduction(header)
    if part == 1:
        return ""
    share = {2: "half", 4: "a quarter of", 8: "an eighth of"}[part]
    many = f"{header.width * header.height / 1e6:,.0f}"
    return f"It has {many} megapixels, more than {MEGAPIXELS}, and is read at {share} its width and height."


def _facts(header: Image.Image) -> dict[str, Any]:
    return {
        "format": header.format,
        "mode": header.mode,
        "width": header.width,
        "height": header.height,
        "frames": _frames(header),
    }


def _frames(header: Image.Image) -> int:
    try:
        return int(getattr(header, "n_frames", 1))
    except Exception:  # noqa: BLE001 - counting reads later frames, which may be broken; only the first is used
        return 1


def _decoded(data: bytes, header: Image.Image, orientation: int, opening: Opening) -> tuple[Image.Image, str]:
    """(the canonical image, what speaks against it). The pixels are those of ``open_image``, whoever makes them."""
    objection = ""
    if header.format in ("JPEG", "MPO") and header.mode in JPEG_COLOURS:
        whole = reduction(header) == 1
        stored, objection = strict_jpeg(data, header.mode) if whole else (None, strict_objection(data, header.mode))
        if stored is not None:
            upright = stored.mode == "RGB" and orientation == 1
            return stored if upright else to_rgb(stored, orientation), objection
    # Counting has moved an animation on; a header alone is decoded as it is.
    image = open_image(data if getattr(header, "is_animated", False) else header, opening)
    return image, objection or broken(data, str(header.format))


def fingerprint(image: Image.Image) -> Fingerprint:
    """The fingerprint of a canonical RGB image."""
    size = f"{image.width}x{image.height}:".encode()
    small = image.resize((TINY_SIDE, TINY_SIDE), Image.Resampling.BOX)
    grey = np.asarray(small.convert("L"), dtype=np.float64)
    return Fingerprint(hashlib.sha256(size + image.tobytes()).hexdigest(), _phash(grey), small.tobytes())


def _phash(grey: np.ndarray[Any, np.dtype[np.float64]]) -> bytes:
    """64 bits: which of the 8 x 8 lowest DCT-II coefficients of a 32 x 32 grey image exceed their median (pHash)."""
    basis = _dct_basis()
    low = (basis @ grey @ basis.T).ravel()
    return np.packbits(low > np.median(low[1:])).tobytes()


@cache
def _dct_basis() -> np.ndarray[Any, np.dtype[np.float64]]:
    k, n = np.arange(8)[:, None], np.arange(TINY_SIDE)[None, :]
    basis: np.ndarray[Any, np.dtype[np.float64]] = np.cos(np.pi * (2 * n + 1) * k / (2 * TINY_SIDE))
    return basis


def reduced(data: bytes, side: int) -> tuple[bytes, str]:
    """A smaller file of a usable picture, at most ``side`` pixels wide and high, upright and without metadata; and its
    format: PNG stays PNG, everything else becomes JPEG.
    """
    kind = "PNG" if open_header(data).format == "PNG" else "JPEG"
    image = open_image(data)
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    target = io.BytesIO()
    image.save(target, kind, **({"quality": 92} if kind == "JPEG" else {"optimize": True}))
    return target.getvalue(), kind


def smaller(image: Image.Image, side: int = THUMBNAIL_SIDE) -> Image.Image:
    """``image``, or where it is larger a copy that is at most ``side`` pixels wide and high."""
    size = _fitted(image.size, side)
    return image if size == image.size else image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)


def squished(image: Image.Image, side: int = THUMBNAIL_SIDE) -> Image.Image:
    """The whole picture as a square of ``side`` pixels: averaged over whole pixels to no less than twice that, then
    bicubic.
    """
    return image.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)


def unsquished(square: Image.Image, image: Image.Image) -> Image.Image:
    """``image`` as it is in its :func:`squished` copy, in its own shape again and no larger; a small one as it is."""
    size = _fitted(image.size, square.width)
    return image if size == image.size else square.resize(size, Image.Resampling.BICUBIC)


def _fitted(size: tuple[int, int], side: int) -> tuple[int, int]:
    """The size in the same shape that is at most ``side`` pixels wide and high; no larger than before."""
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def save_thumbnail(image: Image.Image, target: Path, side: int = THUMBNAIL_SIDE) -> Path:
    """A JPEG of ``image`` no larger than ``side`` pixels, without metadata, written whole or not at all."""
    small = smaller(image, side)
    with writing(target, durable=False) as part:
        small.save(part, "JPEG", quality=85)
    return target


def is_whole(thumbnail: Path) -> bool:
    """Whether there is a thumbnail that begins and ends as a JPEG does: one that is cut off, or that a power cut left
    without content, is made again.
    """
    try:
        with thumbnail.open("rb") as file:
            begins = file.read(2) == b"\xff\xd8"
            file.seek(-2, os.SEEK_END)
            return begins and file.read(2) == b"\xff\xd9"
    except OSError:
        return False


def large_file(workspace: Workspace, image_id: str) -> Path:
    """Where :func:`large_picture` puts one."""
    return workspace.thumbnails / "large" / image_id[:2] / f"{image_id}.jpg"


def large_picture(workspace: Workspace, image_id: str, file: str) -> Path:
    """A re-encoded picture of at most 1,024 px for looking at, made when first asked for."""
    target = large_file(workspace, image_id)
    if not is_whole(target):
        save_thumbnail(open_image(workspace.image_file(file), opening_of(workspace)), target, LARGE_SIDE)
    return target
