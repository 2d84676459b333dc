"""One picture -> a file to publish: byte for byte where it carries no metadata, else re-encoded without it."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.images.containers import is_bare
from pipeline.images.formats import EXTENSIONS
from pipeline.predict import Unreadable, exif_orientation, is_deep, open_header, open_image, turned_upright

QUALITY = 95
LOSSY = ("JPEG", "MPO", "WEBP", "AVIF")
GPS = 0x8825
LATITUDE, LONGITUDE = 2, 4


@dataclass(frozen=True)
class Wanted:
    """An image to be published as ``target`` (without an extension). ``originals``: as it is, whatever it carries.

    ``checked``: that it decodes is known.
    """

    id: str
    source: Path
    target: Path
    originals: bool = False
    checked: bool = False


@dataclass(frozen=True)
class Published:
    """``name`` is the file that was written; without one, ``reason`` says why. ``position``: the picture held one."""

    id: str
    name: str = ""
    re_encoded: bool = False
    position: bool = False
    reason: str = ""


def publish(wanted: Wanted) -> Published:
    """Write the file. Runs in a worker; an OSError is the disk's, an unreadable picture is a reason."""
    try:
        data = wanted.source.read_bytes()
    except OSError as error:
        return Published(wanted.id, reason=f"The file cannot be read: {error.strerror}.")
    if hashlib.sha256(data).hexdigest() != wanted.id:
        return Published(wanted.id, reason=f"Its file was changed after it was imported ({len(data):,} bytes now).")
    try:
        header = open_header(data)
        extension, content = _as_wanted(wanted, data, header)
    except Unreadable as trouble:
        return Published(wanted.id, reason=str(trouble))
    target = wanted.target.with_name(f"{wanted.target.name}.{extension}")
    target.write_bytes(content)
    return Published(wanted.id, target.name, content is not data, has_position(header, data))


def _as_wanted(wanted: Wanted, data: bytes, header: Image.Image) -> tuple[str, bytes]:
    """The extension and the bytes of the file to write; values of more than 8 bits stay what they are."""
    kind = str(header.format)
    if wanted.originals or is_bare(data, kind):
        if not wanted.checked:
            open_image(data)
        return EXTENSIONS[kind], data
    written = io.BytesIO()
    if is_deep(header.mode):
        open_image(data)
        upright = turned_upright(Image.fromarray(np.asarray(header)), exif_orientation(header))
        whole = "PNG" if upright.mode.startswith("I;16") else "TIFF"
        upright.save(written, whole)
        return EXTENSIONS[whole], written.getvalue()
    if kind in LOSSY:
        open_image(data).save(written, "JPEG", quality=QUALITY, optimize=True)
        return "jpg", written.getvalue()
    open_image(data).save(written, "PNG")
    return "png", written.getvalue()


def lost(wanted: Wanted, why: str) -> Published:
    """What is said of a picture whose process ended."""
    return Published(wanted.id, reason=f"Decoding it was stopped: {why}.")


def has_position(header: Image.Image, data: bytes) -> bool:
    """Whether a picture says where it was taken."""
    try:
        found = header.getexif().get_ifd(GPS)
    except Exception:  # noqa: BLE001 - a picture with broken EXIF is still a good picture
        found = {}
    return LATITUDE in found or LONGITUDE in found or b"GPSLatitude" in data
