"""One picture -> a file to publish: byte for byte where it carries no metadata, else re-encoded without it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.images.decode import EXTENSIONS
from pipeline.predict import Unreadable, open_header, open_image

if TYPE_CHECKING:
    from PIL import Image

QUALITY = 95
LOSSY = ("JPEG", "MPO", "WEBP", "AVIF")
GPS = 0x8825
LATITUDE, LONGITUDE = 2, 4
# What a JPEG needs to be decoded: frames, tables, scans, restarts. All else (APPn, COM, JPGn) may tell something.
JPEG_PARTS = frozenset({*range(0xC0, 0xD0), 0xDA, 0xDB, 0xDC, 0xDD} - {0xC8})
SCAN, END = 0xDA, 0xD9
JPEG_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
PNG_PARTS = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD", b"pHYs", b"hIST"}
)
WEBP_PARTS = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH"})


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
    try:
        header = open_header(data)
        extension, content = _as_wanted(wanted, data, str(header.format))
    except Unreadable as trouble:
        return Published(wanted.id, reason=str(trouble))
    target = wanted.target.with_name(f"{wanted.target.name}.{extension}")
    target.write_bytes(content)
    return Published(wanted.id, target.name, content is not data, has_position(header, data))


def _as_wanted(wanted: Wanted, data: bytes, kind: str) -> tuple[str, bytes]:
    """The extension and the bytes of the file to write."""
    if wanted.originals or is_bare(data, kind):
        if not wanted.checked:
            open_image(data)
        return EXTENSIONS[kind], data
    written = io.BytesIO()
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


def is_bare(data: bytes, kind: str) -> bool:
    """Whether a file holds its pixels and nothing else: no EXIF, XMP, IPTC, ICC, comment, thumbnail or trailing bytes.

    Of JPEG, PNG and WebP that can be told; of other formats it is never believed. Never raises for bad bytes.
    """
    if kind == "JPEG":
        return _is_bare_jpeg(data)
    if kind == "PNG":
        return _all_known(_png_parts(data), PNG_PARTS)
    return kind == "WEBP" and _all_known(_webp_parts(data), WEBP_PARTS)


def _all_known(parts: Iterator[bytes], known: frozenset[bytes]) -> bool:
    return all(part in known for part in parts)


def _is_bare_jpeg(data: bytes) -> bool:
    at = 2
    while data[at : at + 1] == b"\xff":
        kind = int.from_bytes(data[at + 1 : at + 2], "big")
        if kind == 0xFF:  # padding
            at += 1
            continue
        if kind == END:
            return at + 2 == len(data)
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        if not _is_plain(kind, data[at + 4 : at + 2 + size]):
            return False
        at += 2 + size
        if kind == SCAN:
            marker = JPEG_MARKER.search(data, at)
            if marker is None:
                return False
            at = marker.start()
    return False


def _is_plain(kind: int, body: bytes) -> bool:
    if kind == 0xE0:
        return body.startswith(b"JFIF\0") and len(body) == 14 and body.endswith(b"\0\0")  # no thumbnail
    if kind == 0xEE:
        return body.startswith(b"Adobe") and len(body) == 12
    return kind in JPEG_PARTS


def _png_parts(data: bytes) -> Iterator[bytes]:
    """The names of a PNG's chunks; an empty one where it does not end with its last chunk."""
    at, name = 8, b""
    while name != b"IEND" and at + 8 <= len(data):
        name = data[at + 4 : at + 8]
        yield name
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    if name != b"IEND" or at != len(data):
        yield b""


def _webp_parts(data: bytes) -> Iterator[bytes]:
    at = 12
    while at + 8 <= len(data):
        yield data[at : at + 4]
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    if at != len(data) or int.from_bytes(data[4:8], "little") + 8 != len(data):
        yield b""
