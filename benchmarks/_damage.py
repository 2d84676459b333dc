"""Damaged copies of good pictures, as disks, networks and careless programs make them; for the benchmarks of Verify.

Each maker takes the bytes of a good file and a source of chance, and returns the bytes of the damaged copy.
"""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Mapping

from PIL import Image, ImageFile

Maker = Callable[[bytes, random.Random], bytes]
ZEROED = 4096
BOMB_SIDE = 30_000


def cut_at(share: float) -> Maker:
    """The first ``share`` (0 to 1) of the file: a transfer that broke off."""
    return lambda data, _chance: data[: int(len(data) * share)]


def end_cut(data: bytes, _chance: random.Random) -> bytes:
    """All but the last two bytes: a JPEG without its end marker."""
    return data[:-2]


def zeroed_middle(data: bytes, chance: random.Random) -> bytes:
    """4,096 zero bytes (at most a quarter of the file) somewhere in its middle half: a lost block of a disk."""
    length = min(ZEROED, len(data) // 4)
    start = chance.randrange(len(data) // 4, len(data) * 3 // 4 - length + 1)
    return data[:start] + bytes(length) + data[start + length :]


def zeroed_half(data: bytes, _chance: random.Random) -> bytes:
    """The last half all zeros: space that was reserved and never written."""
    return data[: len(data) // 2] + bytes(len(data) - len(data) // 2)


def flipped_bits(count: int) -> Maker:
    """``count`` bits turned over, anywhere behind the first 2 %: failing memory or a failing disk."""

    def flip(data: bytes, chance: random.Random) -> bytes:
        damaged = bytearray(data)
        for _ in range(count):
            damaged[chance.randrange(len(data) // 50, len(data))] ^= 1 << chance.randrange(8)
        return bytes(damaged)

    return flip


def cut_and_saved_again(data: bytes, _chance: random.Random) -> bytes:
    """Half of a JPEG, opened by a program that does not mind and saved as a new, whole one: grey at the bottom."""
    start = data.index(b"\xff\xda")  # the first scan: its header has to be whole
    lenient = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        with Image.open(io.BytesIO(data[: (start + len(data)) // 2])) as half:
            half.load()
            return encoded(half.convert("RGB"), "JPEG", quality=90)
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = lenient


def png_bad_checksum(data: bytes, _chance: random.Random) -> bytes:
    """A PNG whose last piece of picture has a wrong checksum."""
    damaged = bytearray(data)
    start = data.rindex(b"IDAT") - 4
    damaged[start + 8 + struct.unpack(">I", data[start : start + 4])[0]] ^= 0xFF
    return bytes(damaged)


def web_page(_data: bytes = b"", _chance: random.Random | None = None) -> bytes:
    """What a server sends instead of a picture."""
    return b"<!DOCTYPE html>\n<html><head><title>403 Forbidden</title></head><body><h1>Forbidden</h1></body></html>\n"


def nothing(_data: bytes = b"", _chance: random.Random | None = None) -> bytes:
    """An empty file."""
    return b""


def png_bomb(_data: bytes = b"", _chance: random.Random | None = None) -> bytes:
    """A small PNG of 30,000 x 30,000 black pixels."""
    rows = zlib.compressobj(9)
    row = bytes(1 + BOMB_SIDE // 8)
    packed = b"".join(rows.compress(row) for _ in range(BOMB_SIDE)) + rows.flush()
    header = struct.pack(">IIBBBBB", BOMB_SIDE, BOMB_SIDE, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def jpeg_bomb(_data: bytes = b"", _chance: random.Random | None = None) -> bytes:
    """A JPEG whose header claims 65,500 x 65,500 pixels and whose content is those of 64 x 64."""
    data = bytearray(encoded(Image.new("RGB", (64, 64)), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 65_500, 65_500)
    return bytes(data)


def encoded(image: Image.Image, encoding: str, **options: object) -> bytes:
    """``image`` as the bytes of a file."""
    target = io.BytesIO()
    image.save(target, encoding, **options)
    return target.getvalue()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


ANY: Mapping[str, Maker] = {
    "cut at 10 %": cut_at(0.10),
    "cut at 50 %": cut_at(0.50),
    "cut at 90 %": cut_at(0.90),
    "cut at 99 %": cut_at(0.99),
    "last 2 bytes cut": end_cut,
    "4 KB zeroed": zeroed_middle,
    "last half zeroed": zeroed_half,
    "1 bit flipped": flipped_bits(1),
    "20 bits flipped": flipped_bits(20),
}
JPEG: Mapping[str, Maker] = {**ANY, "cut, then saved again": cut_and_saved_again}
PNG: Mapping[str, Maker] = {**ANY, "bad checksum": png_bad_checksum}
# Kinds that need no good picture: their makers take no arguments.
NO_PICTURE: Mapping[str, Callable[[], bytes]] = {
    "web page": web_page,
    "empty file": nothing,
    "PNG bomb": png_bomb,
    "JPEG bomb": jpeg_bomb,
}
