"""Lost blocks: zeros in coded data are found in every format that is promised, and flat pictures are left alone."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pipeline.images.damage import zeroed

CODINGS = [
    ("JPEG", {}),
    ("JPEG", {"progressive": True, "quality": 90}),
    ("WEBP", {"quality": 90}),
    ("WEBP", {"lossless": True}),
    ("AVIF", {"quality": 90, "speed": 10}),
]


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def textured(side: int = 512) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (side // 4, side // 4, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC)


@pytest.mark.parametrize(("kind", "options"), CODINGS)
def test_a_lost_block_is_found_and_counted(kind: str, options: dict[str, object]) -> None:
    data = saved(textured(), kind, **options)
    assert zeroed(data, kind) == ""
    middle = len(data) * 2 // 3
    damaged = data[:middle] + bytes(4096) + data[middle + 4096 :]
    words = zeroed(damaged, kind)
    assert words.startswith("It decodes, but 4,09") or words.startswith("It decodes, but 4,1"), words


def test_zeros_where_nothing_is_coded_are_no_loss() -> None:
    assert zeroed(saved(textured(64), "JPEG", comment=bytes(5000)), "JPEG") == ""
    assert zeroed(saved(textured(64), "WEBP", xmp=bytes(5000)), "WEBP") == ""
    assert zeroed(saved(textured(64), "BMP") + bytes(5000), "BMP") == ""


@pytest.mark.parametrize("quality", [60, 95])
@pytest.mark.parametrize(("kind", "options"), [*CODINGS, ("JPEG", {"optimize": True, "subsampling": 0})])
def test_flat_pictures_are_left_alone(kind: str, options: dict[str, object], quality: int) -> None:
    words = Image.new("RGB", (1200, 1200), "white")
    ImageDraw.Draw(words).text((20, 20), "a few words on a wide white page")
    grid = Image.fromarray(np.kron(np.indices((150, 150)).sum(axis=0) % 2, np.ones((8, 8))).astype(np.uint8) * 255)
    for image in (Image.new("RGB", (1200, 1200)), Image.new("RGB", (1200, 1200), "white"), words, grid.convert("RGB")):
        assert zeroed(saved(image, kind, **{"quality": quality, **options}), kind) == ""


def test_bytes_that_are_no_picture_are_no_trouble() -> None:
    for kind in ("JPEG", "MPO", "WEBP", "AVIF", "HEIF", "PNG"):
        for data in (b"", bytes(3000), b"\xff" * 3000 + bytes(100), b"\xff\xd8\xff\xda\0\2" + bytes(3000)):
            assert isinstance(zeroed(data, kind), str)
