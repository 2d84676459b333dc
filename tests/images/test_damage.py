"""Silent damage: the strict decoder's pixels are Pillow's, objections, grey ends and notes are in words."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.images.damage import broken, grey_end, note, same_pixels, sound_jpeg, strict_jpeg


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def textured(width: int = 200, height: int = 150) -> Image.Image:
    noise = np.random.default_rng(1).integers(0, 256, (height // 5, width // 5, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def with_grey_end(rows: int, level: int = 128) -> Image.Image:
    image = textured()
    image.paste((level, level, level), (0, image.height - rows, image.width, image.height))
    return image


def test_both_decoders_make_the_same_pixels_as_they_are_installed_here() -> None:
    assert same_pixels()


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_sound_jpeg_is_decoded_by_the_strict_decoder_alone(mode: str) -> None:
    data = saved(textured().convert(mode), "JPEG")
    image, objection = strict_jpeg(data, mode)
    assert image is not None and (image.mode, objection) == (mode, "") and sound_jpeg(data)
    with Image.open(io.BytesIO(data)) as expected:
        assert image.tobytes() == expected.tobytes()


def test_what_the_strict_decoder_objects_to_is_said_and_gives_no_pixels() -> None:
    data = saved(textured(), "JPEG")[:-2]
    image, objection = strict_jpeg(data, "RGB")
    assert image is None and objection.startswith("It decodes, but a strict decoder says: ")
    assert not sound_jpeg(data)


def test_a_jpeg_that_the_strict_decoder_cannot_read_is_no_news() -> None:
    data = bytearray(saved(textured(), "JPEG", subsampling=0))
    frame = data.index(b"\xff\xc0")
    data[frame + 11] = 0x13  # a sampling that is not among the usual ones
    image, objection = strict_jpeg(bytes(data), "RGB")
    assert image is None and objection == ""


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_missing_end_marker_is_told(kind: str) -> None:
    data = saved(textured(), kind)
    assert broken(data, kind) == ""
    assert broken(data[:-1], kind) == "It decodes, but its end marker is missing."


def test_a_wrong_checksum_is_told() -> None:
    data = bytearray(saved(textured(), "PNG"))
    data[data.rindex(b"IEND") - 5] ^= 1
    assert "checksum" in broken(bytes(data), "PNG")


@pytest.mark.parametrize("rows", [8, 75, 140])
def test_a_flat_grey_end_is_told(rows: int) -> None:
    words = grey_end(with_grey_end(rows))
    assert words == f"It decodes, but its lowest {rows} of 150 lines are flat grey, as if it had been cut off once."


def test_the_end_is_that_of_the_picture_as_it_was_stored() -> None:
    for orientation, turn in ((6, Image.Transpose.ROTATE_270), (8, Image.Transpose.ROTATE_90)):
        upright = with_grey_end(60).transpose(turn)
        assert grey_end(upright, orientation) and not grey_end(upright)


@pytest.mark.parametrize("level", [0, 100, 140, 255])
def test_flat_ends_of_other_shades_are_pictures(level: int) -> None:
    assert grey_end(with_grey_end(75, level)) == ""


def test_a_few_grey_lines_and_a_grey_background_are_pictures() -> None:
    product = Image.new("RGB", (200, 150), (128, 128, 128))
    product.paste(textured(60, 60), (70, 40))
    for image in (with_grey_end(7), product, Image.new("RGB", (200, 150), (128, 128, 128))):
        assert grey_end(image) == ""


def test_notes_are_sentences_about_frames_and_tails() -> None:
    data = saved(textured(), "PNG")
    assert note(data, "PNG", 1) == ""
    assert note(data + b"x" * 1234, "PNG", 3) == (
        "It has 3 frames; only the first is used. 1,234 bytes follow the end of the picture; they are ignored."
    )
    assert note(data, "TIFF", 2) == "It has 2 pages; only the first is used."
    assert note(saved(textured(), "JPEG"), "MPO", 2) == ""
