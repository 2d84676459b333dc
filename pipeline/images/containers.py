"""The parts of a picture's file: where the picture ends, what follows it, and whether there is more than pixels."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from pipeline.predict import begins_like

# A marker that is neither a stuffed byte nor a restart: the next segment, the next scan or the end.
JPEG_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
JPEG_START, JPEG_END, JPEG_SCAN = 0xD8, 0xD9, 0xDA
CODED, GAP = 0, 1  # what jpeg_parts calls the parts that no marker names
PADDING = b"\0\r\n\t "
STRAY = 16
LONG_PADDING = 4096

# What a JPEG needs to be decoded: frames, tables, scans, restarts. All else (APPn, COM, JPGn) may tell something.
JPEG_PARTS = frozenset({*range(0xC0, 0xD0), 0xDA, 0xDB, 0xDC, 0xDD} - {0xC8})
PNG_PARTS = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD", b"pHYs", b"hIST"}
)
HEIF_PARTS = frozenset({b"meta", b"mdat", b"moov"})
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
    companion = begins_like(rest) == "JPEG" or data[end + 4 : end + 8] == b"ftyp" or b"MotionPhoto_Data" in rest
    return 0 if kind == "JPEG" and companion else len(data) - end


def jpeg_parts(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of the content of each segment of a JPEG's first picture, and of the coded data behind each
    start of scan, as CODED; up to its end marker, which has no content. What lies between segments is GAP.
    """
    at, scanning = 2, False
    while marker := JPEG_MARKER.search(data, at):
        if scanning:
            yield CODED, at, marker.start()
        elif at < marker.start():
            yield GAP, at, marker.start()
        kind, at = data[marker.end() - 1], marker.end()
        size = 0 if kind in (JPEG_START, JPEG_END) else max(2, int.from_bytes(data[at : at + 2], "big"))
        yield kind, at + 2 if size else at, at + size
        if kind == JPEG_END:
            return
        at, scanning = at + size, kind == JPEG_SCAN


def _jpeg_end(data: bytes) -> int | None:
    return next((end for kind, _, end in jpeg_parts(data) if kind == JPEG_END), None)


def png_parts(data: bytes) -> Iterator[tuple[bytes, int]]:
    """(name, the offset behind it) of each chunk of a PNG, up to its IEND."""
    at, name = 8, b""
    while name != b"IEND" and at + 8 <= len(data):
        name, at = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4], "big")
        yield name, at


def _png_end(data: bytes) -> int | None:
    return next((end for name, end in png_parts(data) if name == b"IEND"), None)


def webp_parts(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, end) of the content of each chunk of a WebP; its end may lie behind that of a file cut off."""
    at = 12
    while at + 8 <= len(data):
        start, size = at + 8, int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], start, start + size
        at = start + size + size % 2


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


def heif_boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, end) of the content of each outermost box of an AVIF or HEIF file."""
    at = 0
    while at + 8 <= len(data):
        size, head = int.from_bytes(data[at : at + 4], "big"), 8
        if size == 1:  # told behind its name, in eight bytes
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        end = at + size if size >= head else len(data)
        yield data[at + 4 : at + 8], at + head, end
        at = end


def heif_is_cut(data: bytes) -> bool:
    """Whether a box that holds the picture, or tells of it, ends behind the end of the file."""
    return any(end > len(data) for name, _, end in heif_boxes(data) if name in HEIF_PARTS)


def is_bare(data: bytes, kind: str) -> bool:
    """Whether a file holds its pixels and nothing else: no EXIF, XMP, IPTC, ICC, comment, thumbnail or trailing bytes.

    Of JPEG, PNG and WebP that can be told; of other formats it is never believed. Never raises for bad bytes.
    """
    if kind == "JPEG":
        return _is_bare_jpeg(data)
    if kind == "PNG":
        chunks = dict(png_parts(data))
        return chunks.keys() <= PNG_PARTS and chunks.get(b"IEND") == len(data)
    if kind == "WEBP":
        pieces = list(webp_parts(data))
        end = pieces[-1][2] if pieces else 12
        return {name for name, _, _ in pieces} <= WEBP_PARTS and end + end % 2 == len(data) == _webp_end(data)
    return False


def _is_bare_jpeg(data: bytes) -> bool:
    for kind, start, end in jpeg_parts(data):
        content = data[start:end]
        if kind == JPEG_END:
            return end == len(data)
        if kind == GAP and content.strip(b"\xff"):  # else it is padding
            return False
        if kind not in (GAP, CODED) and not _is_plain(kind, content):
            return False
    return False


def _is_plain(kind: int, body: bytes) -> bool:
    if kind == 0xE0:
        return body.startswith(b"JFIF\0") and len(body) == 14 and body.endswith(b"\0\0")  # no thumbnail
    if kind == 0xEE:
        return body.startswith(b"Adobe") and len(body) == 12
    return kind in JPEG_PARTS
