"""THE decode: bytes -> one canonical RGB image, or a reason why not; fingerprints and thumbnails from the same pass.

What "canonical" means is written once, in ``pipeline.predict.open_image``, because that file travels alone to the
Space; this module adds what only the workspace needs: a verdict, fingerprints, thumbnails.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from PIL import Image

from pipeline.predict import FORMATS, Unreadable, exif_orientation, open_header, open_image
from pipeline.workspace import Workspace, writing

VERDICTS = ("ok", "suspect", "empty", "not_an_image", "truncated", "corrupt", "too_large", "unsupported")
EXTENSIONS = {
    "JPEG": "jpg",
    "MPO": "jpg",
    "PNG": "png",
    "GIF": "gif",
    "WEBP": "webp",
    "BMP": "bmp",
    "TIFF": "tif",
    "AVIF": "avif",
}
THUMBNAIL_SIDE = 256
LARGE_SIDE = 1024
TINY_SIDE = 32


@dataclass(frozen=True)
class Checked:
    """What can be said of a file's bytes. ``verdict`` is one of VERDICTS; ``reason`` says why in a sentence.

    ``width`` and ``height`` are those of the upright picture, in pixels.
    """

    verdict: str
    reason: str = ""
    format: str | None = None
    mode: str | None = None
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    exif_orientation: int | None = None

    @property
    def usable(self) -> bool:
        """Whether the picture can be shown and trained on."""
        return self.verdict in ("ok", "suspect")


@dataclass(frozen=True)
class Fingerprint:
    """What tells pictures apart: ``pixels`` SHA-256 of the RGB pixels, ``phash`` 8 bytes, ``tiny`` 32 x 32 RGB."""

    pixels: str
    phash: bytes
    tiny: bytes


def check(data: bytes) -> Checked:
    """The verdict on a file's bytes, by a full decode. Never raises for bad bytes."""
    return _check_jpeg(data) or examine(data)[0]


def _check_jpeg(data: bytes) -> Checked | None:
    """The verdict on a JPEG file that the strict decoder has no objection to; None where a closer look is needed.

    It decodes every coefficient, as :func:`examine` does, but need not make the pixels: four times as fast.
    """
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    try:
        header = open_header(data)
        facts = _facts(header)
    except Unreadable:
        return None
    if header.format != "JPEG" or header.mode not in ("RGB", "L") or _strict_jpeg_objection(data):
        return None
    if facts["exif_orientation"] >= 5:
        facts |= {"width": header.height, "height": header.width}
    return Checked("ok", "", **facts)


def examine(data: bytes) -> tuple[Checked, Image.Image | None]:
    """The verdict and, where usable, the canonical RGB image, from one decode."""
    try:
        header = open_header(data)
        facts = _facts(header)
    except Unreadable as trouble:
        return Checked(trouble.verdict, str(trouble)), None
    try:
        image = open_image(data)
    except Unreadable as trouble:
        return Checked(trouble.verdict, str(trouble), **facts), None
    objection = _objection(data, header)
    facts |= {"width": image.width, "height": image.height}
    return Checked("suspect" if objection else "ok", objection, **facts), image


def _facts(header: Image.Image) -> dict[str, Any]:
    return {
        "format": header.format,
        "mode": header.mode,
        "width": header.width,
        "height": header.height,
        "frames": _frames(header),
        "exif_orientation": exif_orientation(header),
    }


def _frames(header: Image.Image) -> int:
    try:
        return int(getattr(header, "n_frames", 1))
    except Exception:  # noqa: BLE001 - counting reads later frames, which may be broken; only the first is used
        return 1


def _objection(data: bytes, header: Image.Image) -> str:
    """Why a second look doubts a picture that decodes; empty where it does not."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as again:
            again.verify()
    except Exception as error:  # noqa: BLE001 - Pillow's readers raise nearly every built-in exception
        return f"It decodes, but its structure is damaged ({str(error)[:120]})."
    if header.format in ("JPEG", "MPO") and header.mode in ("RGB", "L"):
        return _strict_jpeg_objection(data)
    return ""


def _strict_jpeg_objection(data: bytes) -> str:
    try:
        simplejpeg.decode_jpeg(
            data, colorspace="GRAY", fastdct=True, fastupsample=True, min_height=1, min_width=1, min_factor=8
        )
    except ValueError as error:
        return f"It decodes, but a strict decoder says: {str(error)[:120]}."
    return ""


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
    """A copy of ``image`` at most ``side`` pixels wide and high."""
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return small


def save_thumbnail(image: Image.Image, target: Path, side: int = THUMBNAIL_SIDE) -> Path:
    """A JPEG of ``image`` no larger than ``side`` pixels, without metadata, written whole or not at all."""
    small = smaller(image, side)
    with writing(target, durable=False) as part:
        small.save(part, "JPEG", quality=85)
    return target


def large_picture(workspace: Workspace, image_id: str, file: str) -> Path:
    """A re-encoded picture of at most 1,024 px for looking at, made when first asked for."""
    target = workspace.thumbnails / "large" / image_id[:2] / f"{image_id}.jpg"
    if not target.exists():
        save_thumbnail(open_image(workspace.image_file(file)), target, LARGE_SIDE)
    return target
