"""Runs of zero bytes where a coded picture has none: a block of a disk that was lost, space that was never written."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.images.containers import CODED, JPEG_SCAN, jpeg_parts

SHORT, MIDDLE, LONG = 64, 512, 1024
HUFFMAN_TABLES, BASELINE, PROGRESSIVE = 0xC4, (0xC0, 0xC1), 0xC2


def zeroed(data: bytes, kind: str) -> str:
    """What is to be said of zero bytes in the coded picture of a JPEG, WebP, AVIF or HEIF; empty where there are none
    that its encoder cannot have meant.
    """
    if data.find(bytes(SHORT)) < 0:
        return ""
    for start, end, most in _coded(data, kind):
        run = data.find(bytes(most), start, end)
        if run >= 0:
            length = len(data[run:end]) - len(data[run:end].lstrip(b"\0"))
            return f"It decodes, but {length:,} bytes in its middle are zeros, as if a part of the file had been lost."
    return ""


def _coded(data: bytes, kind: str) -> Iterator[tuple[int, int, int]]:
    """(start, end, the shortest run of zeros that no encoder writes there) of the coded parts of a picture.

    The arithmetic coders of WebP and AVIF write hundreds of zeros for no picture below the pixel limit.
    """
    if kind in ("JPEG", "MPO"):
        yield from _jpeg_scans(data)
    elif kind == "WEBP":
        for name, start, end in _parts(data, 12, "little"):
            if name in (b"VP8 ", b"VP8L"):
                yield start, end, MIDDLE
    elif kind in ("AVIF", "HEIF"):
        for name, start, end in _parts(data, 0, "big"):
            if name == b"mdat":
                yield start, end, LONG  # EXIF blocks lie here too, with some padding of their own


def _jpeg_scans(data: bytes) -> Iterator[tuple[int, int, int]]:
    """The scans in which a long run of zero bits means nothing that an encoder would say.

    In a sequential JPEG the shortest code, all zeros, of a table of AC coefficients says mostly "one coefficient of
    size 1": 63 of them in a row, in block after block, are no picture. Where it says "end of block", they are a flat
    area. A progressive JPEG counts such blocks instead of listing them; only its scans of means (``first`` is 0) may be
    that flat.
    """
    frame, most = 0, 0
    shortest: dict[int, int] = {}
    for kind, start, end in jpeg_parts(data):
        if kind in (*BASELINE, PROGRESSIVE):
            frame = kind
        elif kind == HUFFMAN_TABLES:
            shortest |= dict(_shortest_codes(data[start:end]))
        elif kind == JPEG_SCAN and end - start >= 6:
            table, first = 0x10 | data[start + 2] & 15, data[end - 3]
            meant = frame in BASELINE and shortest.get(table, 0) & 15 == 0
            most = 0 if meant or not frame else SHORT
            if frame == PROGRESSIVE:
                most = MIDDLE if first else 0
        elif kind == CODED and most:
            yield start, end, most


def _shortest_codes(tables: bytes) -> Iterator[tuple[int, int]]:
    """(class and number, the symbol of the shortest code) of each of a segment's Huffman tables."""
    at = 0
    while at + 17 < len(tables):
        yield tables[at], tables[at + 17]
        at += 17 + sum(tables[at + 1 : at + 17])


def _parts(data: bytes, at: int, order: str) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, end) of the content of the chunks of a RIFF file (little) or the boxes of a HEIF file (big)."""
    while at + 8 <= len(data):
        if order == "little":
            name, size = data[at : at + 4], 8 + int.from_bytes(data[at + 4 : at + 8], "little")
            following = at + size + size % 2
        else:
            name, size = data[at + 4 : at + 8], int.from_bytes(data[at : at + 4], "big")
            following = at + size if size >= 8 else len(data)
        yield name, at + 8, min(at + size if size >= 8 else len(data), len(data))
        at = following
