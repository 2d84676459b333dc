"""Where the picture in a file ends: what is missing behind it, what follows it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


# A marker that is neither a stuffed byte nor a restart: the next segment, the next scan or the end.
JPEG_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
JPEG_START, JPEG_END, JPEG_SCAN, CODED = 0xD8, 0xD9, 0xDA, 0
PADDING = b"\0\r\n\t "
STRAY = 16
LONG_PADDING = 4096

# What a JPEG needs to be decoded: frames, tables, scans, restarts. All else (APPn, COM, JPGn) may tell something.
JPEG_PARTS = frozenset({*range(0xC0, 0xD0), 0xDA, 0xDB, 0xDC, 0xDD} - {0xC8})
SCAN, END = 0xDA, 0xD9
PNG_PARTS = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD", b"pHYs", b"hIST"}
)
WEBP_PARTS = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH"})


def end_of_picture(data: bytes, kind: str) -> int | None:
    """The offset behind the last byte of the picture; None where the file ends before it does.

    Of JPEG, MPO (the first picture), PNG, GIF and WebP; of every other ``kind`` the end of the file.
    """
    find = _ENDS.get(kind)
    end = len(data) if find is None else find(data)
    return end if end is not None and end <= len(data) else None


def tail(data: bytes, kind: str) -> int:
    """How many bytes follow the picture that have no business there.

    A few stray bytes and a short padding are no news; a JPEG's second picture (depth, brightness) and the film of a
    motion photo belong there.
    """
    if kind == "JPEG" and data.endswith(b"\xff\xd9"):  # nearly every one: its own end, or that of a second picture
        return 0
    end = end_of_picture(data, kind)
    if end is None or end + STRAY >= len(data) or kind == "MPO":
        return 0
    rest = data[end:].lstrip(PADDING)
    padding = len(data) - end - len(rest)
    if not rest:
        return padding if padding > LONG_PADDING else 0
    companion = rest.startswith(b"\xff\xd8\xff") or data[end + 4 : end + 8] == b"ftyp" or b"MotionPhoto_Data" in rest
    return 0 if kind == "JPEG" and companion else len(data) - end


def jpeg_parts(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of the content of each segment of a JPEG's first picture, and of the coded data behind each
    start of scan, as CODED; up to its end marker, which has no content.
    """
    at, scanning = 2, False
    while marker := JPEG_MARKER.search(data, at):
        if scanning:
            yield CODED, at, marker.start()
        kind, at = data[marker.end() - 1], marker.end()
        size = 0 if kind in (JPEG_START, JPEG_END) else max(2, int.from_bytes(data[at : at + 2], "big"))
        yield kind, at + 2 if size else at, at + size
        if kind == JPEG_END:
            return
        at, scanning = at + size, kind == JPEG_SCAN


def _jpeg_end(data: bytes) -> int | None:
    return next((end for kind, _, end in jpeg_parts(data) if kind == JPEG_END), None)


def _png_end(data: bytes) -> int | None:
    at = 8
    while at + 8 <= len(data):
        name, at = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4], "big")
        if name == b"IEND":
            return at
    return None


def _webp_end(data: bytes) -> int:
    return 8 + int.from_bytes(data[4:8], "little")


def _gif_end(data: bytes) -> int | None:
    at = 13 + _colours(data[10:11])
    while at < len(data):
        block = data[at]
        if block == 0x3B:
            return at + 1
        if block not in (0x21, 0x2C):  # stray bytes between blocks: every reader steps over them
            at += 1
            continue
        at += 2 if block == 0x21 else 11 + _colours(data[at + 9 : at + 10])
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    return None


def _colours(flags: bytes) -> int:
    """The bytes of the colour table that a GIF's flags announce."""
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


_ENDS: Mapping[str, Callable[[bytes], int | None]] = {
    "JPEG": _jpeg_end,
    "MPO": _jpeg_end,
    "PNG": _png_end,
    "GIF": _gif_end,
    "WEBP": _webp_end,
}


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
