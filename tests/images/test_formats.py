"""What cannot be opened is named: other formats, files that are none, features that are missing, files that are cut."""

from __future__ import annotations

import io
import re
import struct

import pytest
from PIL import Image

from pipeline.images.formats import (
    EXTENSIONS,
    NO_PICTURES,
    OTHER_PICTURES,
    PICTURE_SUFFIXES,
    closer_look,
    extension_by_bytes,
)
from pipeline.predict import FORMATS, Unreadable, begins_like, open_header


def looked_at(data: bytes) -> tuple[str, str]:
    with pytest.raises(Unreadable) as trouble:
        open_header(data)
    return closer_look(data, trouble.value)


@pytest.mark.parametrize("kind", sorted({*FORMATS} - {"MPO"}))
def test_a_picture_is_told_by_how_it_begins_and_a_damaged_one_still_begins_like_it(kind: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (9, 7), "teal").save(file, kind)
    data = file.getvalue()
    assert begins_like(data) == begins_like(data[:12]) == kind
    assert extension_by_bytes(data) == EXTENSIONS[kind] and f".{EXTENSIONS[kind]}" in PICTURE_SUFFIXES
    assert begins_like(b"~" + data) == "" and extension_by_bytes(b"~" + data) is None


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"\x89PNG\n\x1a\n", "PNG"), (b"GIF88a", "GIF"), (b"BM a word", "BMP"), (b"\0\0\0\x18ftypheix", "HEIF")],
)
def test_less_than_a_whole_signature_is_no_picture_without_its_name(data: bytes, kind: str) -> None:
    assert begins_like(data) == kind and extension_by_bytes(data) is None


@pytest.mark.parametrize(
    ("data", "verdict", "words"),
    [
        (b"\xff\x0a\x10\x10" * 4, "unsupported", "a JPEG XL picture"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "unsupported", "a JPEG 2000 picture"),
        (b"8BPS\0\1" + bytes(20), "unsupported", "a Photoshop document"),
        (b"<?xml version='1.0'?>\n<!-- drawn -->\n<svg/>", "unsupported", "a drawing"),
        (b"%PDF-1.7", "unsupported", "a PDF document"),
        (b"P6\n2 2\n255\n" + bytes(12), "unsupported", "a PNM picture"),
        (b"\0\0\1\0\2\0" + bytes(20), "unsupported", "an icon"),
        (b"II\x2b\0\x08\0\0\0" + bytes(20), "unsupported", "a BigTIFF picture"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "unsupported", "a camera's raw picture"),
        (b"\0\0\0\x18ftypisom\0\0\2\0", "not_an_image", "a video"),
        (b"ID3\4" + bytes(9), "not_an_image", "a sound"),
        (b"\x1f\x8b\x08" + bytes(9), "not_an_image", "an archive"),
        (b"MZ" + bytes(60), "not_an_image", "a program"),
        (b"<?xml version='1.0'?><book/>", "not_an_image", "not a picture"),
        (b"<html></html>", "not_an_image", "a web page"),
        (b"nothing of the kind", "not_an_image", "not a picture"),
    ],
)
def test_what_is_no_picture_of_ours_is_named(data: bytes, verdict: str, words: str) -> None:
    answer = looked_at(data)
    assert answer[0] == verdict and words in answer[1] and answer[1].endswith(".")


def test_every_beginning_is_a_pattern_that_never_matches_nothing() -> None:
    for begins in (*OTHER_PICTURES.values(), *NO_PICTURES.values()):
        assert re.match(begins, b"", re.DOTALL) is None


def test_a_kind_of_bmp_that_pillow_does_not_know_is_unsupported_not_damaged() -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "BMP")
    data = bytearray(file.getvalue())
    data[28:30] = struct.pack("<H", 2)  # bits per pixel
    verdict, reason = looked_at(bytes(data))
    assert verdict == "unsupported" and "BMP" in reason and "save it as JPEG or PNG" in reason


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "WEBP"])
def test_a_header_that_is_cut_off_is_truncated(kind: str) -> None:
    file = io.BytesIO()
    Image.radial_gradient("L").save(file, kind)
    start = 12 if kind in ("TIFF", "GIF") else 20
    assert looked_at(file.getvalue()[:start]) == ("truncated", "The file ends before the picture does.")


def test_other_troubles_keep_their_words() -> None:
    trouble = Unreadable("too_large", "It is.")
    assert closer_look(b"\x89PNG", trouble) == ("too_large", "It is.")
