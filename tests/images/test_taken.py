"""When a picture was taken is read where it is opened, from honest files and from others."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from pipeline.images.decode import examine
from pipeline.images.taken import Taken, taken

WHEN = "2024:05:01 12:00:03"


def picture(kind: str = "JPEG", when: str | bytes = WHEN, tag: int = 36867, model: str = "Phone 7") -> bytes:
    exif = Image.Exif()
    exif[271], exif[272] = "Maker", model
    exif.get_ifd(0x8769)[tag] = when
    target = io.BytesIO()
    Image.new("RGB", (16, 16), "teal").save(target, kind, exif=exif)
    return target.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_time_and_camera_are_read_and_the_camera_is_not_named(kind: str) -> None:
    checked, image = examine(picture(kind))
    assert image is not None and checked.taken.time == "2024-05-01T12:00:03"
    assert len(checked.taken.camera) == 8 and "hone" not in checked.taken.camera
    assert checked.taken == examine(picture(kind))[0].taken
    assert checked.taken.camera != examine(picture(kind, model="Phone 8"))[0].taken.camera
    assert "taken" not in checked.to_json()


@pytest.mark.parametrize(
    "when", ["0000:00:00 00:00:00", "    :  :     :  :  ", "2024:13:01 12:00:00", "1970:01:01 00:00:00", ""]
)
def test_a_time_that_is_none_says_nothing(when: str) -> None:
    assert examine(picture(when=when))[0].taken.time == ""


def test_broken_exif_says_nothing_and_the_picture_stays_good() -> None:
    target = io.BytesIO()
    Image.new("RGB", (16, 16), "teal").save(target, "JPEG", exif=b"Exif\0\0garbage" * 3)
    checked, image = examine(target.getvalue())
    assert image is not None and checked.usable and checked.taken == Taken()
    assert taken(Image.new("L", (2, 2))) == Taken()
