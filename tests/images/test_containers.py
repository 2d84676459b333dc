"""Where a picture ends: found in whole files, missed in cut ones, and what follows is counted where it is news."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from pipeline.images.containers import CODED, JPEG_END, JPEG_SCAN, end_of_picture, heif_is_cut, jpeg_parts, tail

KINDS = ("JPEG", "PNG", "GIF", "WEBP")


def saved(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_the_end_is_found_whatever_follows(kind: str) -> None:
    data = saved(kind)
    assert end_of_picture(data, kind) == len(data)
    assert end_of_picture(data + b"more", kind) == len(data)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_cut_anywhere_has_no_end(kind: str) -> None:
    data = saved(kind)
    assert {end_of_picture(data[:length], kind) for length in range(0, len(data), 7)} == {None}
    assert end_of_picture(data[:-1], kind) is None


def test_an_animation_ends_behind_its_last_frame_and_stray_bytes_are_stepped_over() -> None:
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "lime", "blue")]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], comment=b"three of them")
    data = file.getvalue()
    assert end_of_picture(data, "GIF") == len(data)
    stray = data[:-1] + b"\0\0" + data[-1:]
    assert end_of_picture(stray, "GIF") == len(stray)


def test_of_other_kinds_the_end_is_that_of_the_file() -> None:
    assert end_of_picture(b"anything", "TIFF") == 8


def test_a_heif_that_ends_within_its_data_is_cut() -> None:
    data = saved("AVIF")
    assert not heif_is_cut(data) and not heif_is_cut(data + b"<?php" * 10)
    assert heif_is_cut(data[:-1]) and heif_is_cut(data[:60])
    at = data.index(b"mdat") - 4
    long = data[:at] + b"\0\0\0\1mdat" + (len(data) - at + 8).to_bytes(8, "big") + data[at + 8 :]
    assert not heif_is_cut(long) and heif_is_cut(long[:-1])


def test_the_parts_of_a_progressive_jpeg_are_its_scans_and_what_lies_between() -> None:
    data = saved("JPEG", progressive=True, restart_marker_rows=1)
    parts = list(jpeg_parts(data))
    kinds = [kind for kind, _, _ in parts]
    assert kinds.count(JPEG_SCAN) == kinds.count(CODED) > 3
    assert parts[-1] == (JPEG_END, len(data), len(data))
    assert all(start <= end <= len(data) for _, start, end in parts)


@pytest.mark.parametrize(
    ("follows", "news"),
    [(b"", 0), (b"\r\n", 0), (b"few", 0), (b"\0" * 4096, 0), (b"\0" * 4097, 4097), (b"<?php" * 10, 50)],
)
@pytest.mark.parametrize("kind", KINDS)
def test_only_more_than_padding_is_news(kind: str, follows: bytes, news: int) -> None:
    assert tail(saved(kind) + follows, kind) == news


def test_what_belongs_to_a_jpeg_is_no_news_and_behind_a_png_it_is() -> None:
    film = b"\0\0\0\x18ftypmp42" + b"film" * 50
    assert tail(saved("JPEG") + film, "JPEG") == 0
    assert tail(saved("JPEG") + b"\0" * 100 + saved("JPEG") + b"\0" * 20, "JPEG") == 0
    assert tail(saved("PNG") + film, "PNG") == len(film)
    assert tail(saved("JPEG") + b"the other eye" * 9, "MPO") == 0
