"""Silent damage: what a strict decoder, the structure of a file, its pixels and its coded bytes say of a picture that
decodes.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from functools import cache
from typing import TypeAlias

import numpy as np
import simplejpeg
from PIL import Image

from pipeline.images.containers import (
    CODED,
    JPEG_SCAN,
    end_of_picture,
    heif_boxes,
    heif_is_cut,
    jpeg_parts,
    tail,
    webp_parts,
)
from pipeline.predict import FORMATS, to_rgb

Pixels: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
Marks: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
JPEG_COLOURS = {"RGB": "RGBX", "L": "GRAY", "CMYK": "CMYK"}
# What a decoder says that lacks a feature: no news of the file.
LACKS = ("tjDecompress", "not implemented", "Unsupported", "not supported")
# What libjpeg paints where the rest of a file is missing is 128; saving it again moves it a little.
GREY = (126, 130)
GREY_ROWS = 8
STORED = {6: 8, 8: 6}  # the orientation that undoes one; the others undo themselves
# Runs of zero bytes: a block of a disk that was lost, or space that was never written.
SHORT, MIDDLE, LONG, LONGER = 64, 512, 1024, 3072
HUFFMAN_TABLES, BASELINE, PROGRESSIVE = 0xC4, (0xC0, 0xC1), 0xC2


def strict_jpeg(data: bytes, mode: str) -> tuple[Image.Image | None, str]:
    """(the picture as it is stored, its objection) from libjpeg-turbo, which here takes every warning for an error.

    The picture's pixels are those that Pillow would give; None where there is an objection or that is not certain.
    """
    if mode == "CMYK" or not same_pixels():
        return None, strict_objection(data, mode)
    try:
        array = simplejpeg.decode_jpeg(data, colorspace=JPEG_COLOURS[mode])
    except ValueError as error:
        return None, _in_words(error)
    return _image(array), zeroed(data, "JPEG")


def sound_jpeg(data: bytes) -> bool:
    """Whether the strict decoder reads all of a JPEG in RGB or grey and its end is not grey: no closer look is needed.

    Every coefficient is read, but only an eighth of each side is made: four times as fast.
    """
    try:
        eighth = _eighth(data, "GRAY")
    except ValueError:
        return False
    return not zeroed(data, "JPEG") and bool(np.abs(eighth[-1].astype(int) - 128).max() > 2 * (GREY[1] - 128))


def strict_objection(data: bytes, mode: str) -> str:
    """What the strict decoder objects to."""
    try:
        _eighth(data, "CMYK" if mode == "CMYK" else "GRAY")
    except ValueError as error:
        return _in_words(error)
    return zeroed(data, "JPEG")


def _eighth(data: bytes, colours: str) -> Pixels:
    pixels: Pixels = simplejpeg.decode_jpeg(
        data, colorspace=colours, fastdct=True, fastupsample=True, min_height=1, min_width=1, min_factor=8
    )
    return pixels


def _in_words(error: ValueError) -> str:
    words = str(error)[:120]
    return "" if any(lack in words for lack in LACKS) else f"It decodes, but a strict decoder says: {words}."


def _image(array: Pixels) -> Image.Image:
    height, width, bands = array.shape
    if bands == 1:
        return Image.fromarray(array[:, :, 0])
    return Image.frombytes("RGB", (width, height), array.data, "raw", "RGBX")


@cache
def same_pixels() -> bool:
    """Whether Pillow and the strict decoder, as they are installed here, make the same pixels of a JPEG."""
    noise = np.random.default_rng(0).integers(0, 256, (9, 13, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((83, 61), Image.Resampling.BICUBIC)
    for mode, sampling, progressive in itertools.product(("RGB", "L"), (0, 1, 2), (False, True)):
        file = io.BytesIO()
        picture.convert(mode).save(file, "JPEG", quality=80, subsampling=sampling, progressive=progressive)
        ours = _image(simplejpeg.decode_jpeg(file.getvalue(), colorspace=JPEG_COLOURS[mode]))
        with Image.open(file) as theirs:
            if ours.tobytes() != theirs.tobytes():
                return False
    return True


def broken(data: bytes, kind: str) -> str:
    """What is wrong with the structure of a file that decodes: a PNG's checksums, a missing end, a lost block."""
    if kind in ("PNG", "GIF") and end_of_picture(data, kind) is None:
        return "It decodes, but its end marker is missing."
    if kind == "HEIF" and heif_is_cut(data):
        return "It decodes, but the end of its file is missing."
    return _broken_png(data) if kind == "PNG" else zeroed(data, kind)


def _broken_png(data: bytes) -> str:
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as again:
            again.verify()
    except Exception as error:  # noqa: BLE001 - Pillow's readers raise nearly every built-in exception
        return f"It decodes, but its structure is damaged ({str(error)[:120]})."
    return ""


def grey_end(image: Image.Image, orientation: int = 1) -> str:
    """What is to be said of a canonical picture that ends in flat grey, as it was stored: below the last line that a
    decoder of cut-off files could read it paints just this grey.
    """
    if orientation != 1:
        image = to_rgb(image, STORED.get(orientation, orientation))
    width, height = image.size
    last = np.asarray(image.crop((0, height - 1, width, height)))
    if last.min() < GREY[0] or last.max() > GREY[1]:
        return ""
    pixels = np.asarray(image)
    grey: Marks = np.all((pixels >= GREY[0]) & (pixels <= GREY[1]), axis=2)
    whole: Marks = np.all(grey, axis=1)
    rows = height if whole.all() else int(np.argmin(whole[::-1]))
    if rows < GREY_ROWS or whole[0] or grey[: height - rows].mean() > 0.5:
        return ""
    return f"It decodes, but its lowest {rows:,} of {height:,} lines are flat grey, as if it had been cut off once."


def note(data: bytes, kind: str, frames: int) -> str:
    """What a person should know of a good picture; empty for nearly all."""
    sentences = []
    if frames > 1 and kind != "MPO":
        what, used = {"TIFF": ("pages", "first"), "HEIF": ("pictures", "main one")}.get(kind, ("frames", "first"))
        sentences.append(f"It has {frames:,} {what}; only the {used} is used.")
    if extra := tail(data, kind):
        sentences.append(f"{extra:,} bytes follow the end of the picture; they are ignored.")
    return " ".join(sentences)


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
        for name, start, end in webp_parts(data):
            if name in (b"VP8 ", b"VP8L"):
                yield start, end, MIDDLE
    elif kind in ("AVIF", "HEIF"):
        for name, start, end in heif_boxes(data):
            if name == b"mdat":  # EXIF blocks lie here too, with padding of their own; those of cameras' HEIF have more
                yield start, end, LONG if kind == "AVIF" else LONGER


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
