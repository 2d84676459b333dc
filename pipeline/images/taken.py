"""When and with which camera a picture was taken, as its EXIF says: to know what was taken together, nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from PIL import Image

EXIF_PART = 0x8769
TAKEN_TAG, DIGITIZED_TAG = 36867, 36868
MAKE_TAG, MODEL_TAG, SERIAL_TAG = 271, 272, 42033
MOST_OF_A_TAG = 200
FIRST_YEAR = 1990  # digital cameras; one whose clock was never set may say less


@dataclass(frozen=True)
class Taken:
    """``time``: by the camera's clock, as ISO 8601 to the second, or "". ``camera``: a few letters that are the same
    for pictures of one camera and tell nothing else of it, or "".
    """

    time: str = ""
    camera: str = ""


def taken(image: Image.Image) -> Taken:
    """What the EXIF of an opened picture says; nothing where there is none, or it cannot be read."""
    try:
        exif = image.getexif()
        inner = exif.get_ifd(EXIF_PART)
    except Exception:  # noqa: BLE001 - a picture with broken EXIF is still a good picture
        return Taken()
    camera = [_text(exif, MAKE_TAG), _text(exif, MODEL_TAG), _text(inner, SERIAL_TAG)]
    time = _time(_text(inner, TAKEN_TAG)) or _time(_text(inner, DIGITIZED_TAG))
    key = hashlib.blake2b("\n".join(camera).encode("utf-8", "replace"), digest_size=4).hexdigest()
    return Taken(time, key if any(camera) else "")


def _text(tags: Mapping[int, Any], tag: int) -> str:
    value = tags.get(tag, "")
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return value[:MOST_OF_A_TAG].strip("\0 ") if isinstance(value, str) else ""


def _time(text: str) -> str:
    try:
        time = datetime.strptime(text[:19], "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return ""
    return time.isoformat() if time.year >= FIRST_YEAR else ""
