"""The one decode: each defect gets its verdict and its reason, each odd but good picture its RGB."""

from __future__ import annotations

import csv
import io
import json
import random
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from pipeline.images.decode import (
    LARGE_SIDE,
    THUMBNAIL_SIDE,
    VERDICTS,
    Checked,
    check,
    examine,
    fingerprint,
    large_picture,
    save_thumbnail,
    smaller,
    squished,
    unsquished,
)
from pipeline.predict import Unreadable, open_image
from pipeline.workspace.workspace import Workspace
from tests.support.paths import ROOT, SHARED
from tests.support.sharing import Sample

CORPUS = SHARED / "corpus"
SECONDS_FOR_THE_CORPUS = 120
MEGABYTES_FOR_THE_CORPUS = 800


def picture(width: int = 120, height: int = 80, mode: str = "RGB") -> Image.Image:
    """Red top left, green top right, blue bottom left, with some texture: wrong turns and colours show."""
    ramp = np.linspace(0, 60, width, dtype=np.uint8)[None, :, None] * np.ones((height, 1, 3), np.uint8)
    image = Image.fromarray(ramp)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width // 3, height // 3), fill="red")
    draw.rectangle((2 * width // 3, 0, width, height // 3), fill="lime")
    draw.rectangle((0, 2 * height // 3, width // 3, height), fill="blue")
    return image.convert(mode)


def saved(image: Image.Image, encoding: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, encoding, **options)
    return target.getvalue()


def photograph(folder: Path) -> bytes:
    return next(path for path in sorted(folder.rglob("*.jpg"))).read_bytes()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of_size(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


# --- what is no picture, or only part of one


@pytest.mark.parametrize(
    ("data", "verdict", "words"),
    [
        (b"", "empty", "empty"),
        (b"<!DOCTYPE html>\n<html><body>404</body></html>", "not_an_image", "web page"),
        (b"  \n<HTML><head></head></HTML>", "not_an_image", "web page"),
        (b"just some text", "not_an_image", "not a picture"),
        (b"\0" * 4000, "not_an_image", "not a picture"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "unsupported", "save it as JPEG or PNG"),
        (b'<?xml version="1.0"?><svg/>', "unsupported", "save it as JPEG or PNG"),
        (b"%PDF-1.7\n1 0 obj", "unsupported", "save it as JPEG or PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "unsupported", "save it as JPEG or PNG"),
        (b"8BPS\0\1" + b"\0" * 40, "unsupported", "save it as JPEG or PNG"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "unsupported", "JPEG XL"),
        (b"PK\x03\x04" + b"\0" * 60, "not_an_image", "an archive, not a picture"),
        (b"\0\0\0\x20ftypisom\0\0\2\0", "not_an_image", "a video, not a picture"),
        (b"\xff\xd8\xff", "truncated", "ends before"),
        (b"\x89PNG\r\n\x1a\n", "truncated", "ends before"),
        (b"GIF89a", "truncated", "ends before"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "truncated", "ends before"),
        (b"RIFF\x08\0\0\0WEBPVP8 ", "corrupt", "begins like a picture"),
    ],
)
def test_what_is_no_picture_has_a_verdict_and_a_reason(data: bytes, verdict: str, words: str) -> None:
    checked = check(data)
    assert (checked.verdict, checked.usable) == (verdict, False)
    assert words in checked.reason
    assert examine(data)[1] is None


@pytest.mark.parametrize("fraction", [0.3, 0.5, 0.7, 0.9, 0.99])
@pytest.mark.parametrize("encoding", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
def test_a_truncated_file_is_set_aside_with_its_reason(photographs: Path, encoding: str, fraction: float) -> None:
    data = photograph(photographs)
    whole = data if encoding == "JPEG" else saved(open_image(data), encoding)
    assert (check(whole).verdict, check(whole).reason) == ("ok", "")
    checked = check(whole[: int(len(whole) * fraction)])
    assert checked.verdict in ("truncated", "corrupt"), checked
    assert checked.reason.endswith(".") and not checked.usable


def test_a_truncated_jpeg_is_called_that_and_keeps_its_facts(photographs: Path) -> None:
    data = photograph(photographs)
    checked = check(data[: len(data) // 2])
    assert checked.verdict == "truncated" and checked.reason == "The file ends before the picture does."
    assert (checked.format, checked.mode, checked.frames) == ("JPEG", "RGB", 1)
    assert checked.width and checked.height


@pytest.mark.parametrize("lost", [1, 2])
def test_a_jpeg_without_its_end_marker_is_not_simply_ok(photographs: Path, lost: int) -> None:
    assert check(photograph(photographs)[:-lost]).verdict in ("suspect", "truncated")


@pytest.mark.parametrize(("width", "height"), [(8_000, 6_251), (30_000, 30_000), (65_000, 65_000), (2**31 - 1, 1)])
def test_a_bomb_is_refused_by_its_header_without_decoding(width: int, height: int) -> None:
    began = time.monotonic()
    checked = check(png_of_size(width, height))
    assert checked.verdict == "too_large" and "megapixels" in checked.reason
    assert time.monotonic() - began < 1


def test_a_picture_of_exactly_the_limit_is_not_too_large() -> None:
    assert check(png_of_size(8_000, 6_250)).verdict != "too_large"
    assert check(saved(Image.new("1", (8_000, 6_250)), "PNG")).verdict == "ok"


# --- what decodes, but a second look objects


def test_a_png_with_a_wrong_checksum_is_not_ok() -> None:
    data = bytearray(saved(picture(), "PNG"))
    end = data.rindex(b"IDAT") - 4
    length = struct.unpack(">I", data[end : end + 4])[0]
    data[end + 8 + length] ^= 0xFF  # the checksum of the last piece of picture
    checked = check(bytes(data))
    assert checked.verdict in ("suspect", "corrupt") and checked.reason


def test_a_jpeg_with_a_zeroed_block_is_suspect_and_kept(photographs: Path) -> None:
    data = bytearray(photograph(photographs))
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(400)
    checked = check(bytes(data))
    assert checked.verdict == "suspect" and checked.usable
    assert checked.reason.startswith("It decodes, but")
    image = examine(bytes(data))[1]
    assert image is not None and image.tobytes() == open_image(bytes(data)).tobytes()


@pytest.mark.parametrize("mode", ["CMYK", "L", "RGB"])
def test_a_damaged_jpeg_of_any_colours_is_suspect(photographs: Path, mode: str) -> None:
    data = bytearray(saved(open_image(photograph(photographs)).convert(mode), "JPEG", quality=90))
    assert check(bytes(data)).verdict == "ok"
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(400)
    assert check(bytes(data)).verdict == "suspect"


@pytest.mark.parametrize("encoding", ["JPEG", "PNG", "GIF", "WEBP"])
def test_a_good_picture_with_rubbish_behind_it_is_kept_with_a_note(photographs: Path, encoding: str) -> None:
    data = saved(open_image(photograph(photographs)), encoding) + b"rubbish" * 1000
    checked, image = examine(data)
    assert (checked.verdict, checked.usable) == ("ok", True) and image is not None
    assert checked.reason == "7,000 bytes follow the end of the picture; they are ignored."
    assert check(data) == checked


@pytest.mark.parametrize("more", [b"\0" * 2048, b"\r\n", b"\0\0\0\x18ftypmp42" + b"film" * 99, "another picture"])
def test_what_usually_follows_a_jpeg_is_no_news(photographs: Path, more: bytes | str) -> None:
    data = photograph(photographs)
    follows = more if isinstance(more, bytes) else data
    assert (check(data + follows).verdict, check(data + follows).reason) == ("ok", "")


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_picture_that_was_cut_off_and_saved_again_is_suspect(photographs: Path, orientation: int) -> None:
    data = saved(open_image(photograph(photographs)), "JPEG", quality=90)
    half = Image.fromarray(simplejpeg.decode_jpeg(data[: len(data) // 2], strict=False))
    exif = Image.Exif()
    exif[0x0112] = orientation
    again = saved(half, "JPEG", quality=85, exif=exif)
    checked = check(again)
    assert checked.verdict == "suspect" and "flat grey" in checked.reason and checked.usable
    assert examine(again)[0] == checked


def test_flat_grey_anywhere_else_is_no_damage() -> None:
    grey, framed, letterbox = (Image.new("RGB", (120, 80), (128, 128, 128)) for _ in range(3))
    framed.paste(picture(100, 60), (10, 10))
    letterbox.paste(picture(120, 40), (0, 20))
    light = picture()
    light.paste((140, 140, 140), (0, 40, 120, 80))
    for image in (grey, framed, letterbox, light):
        for encoding in ("JPEG", "PNG"):
            assert check(saved(image, encoding)).verdict == "ok"


# --- what is odd, but good


@pytest.mark.parametrize("encoding", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
def test_every_format_that_is_promised_is_read(encoding: str) -> None:
    checked = check(saved(picture(), encoding))
    assert checked == Checked("ok", "", encoding, checked.mode, 120, 80, 1, 1)


def modes_of_formats() -> list[tuple[str, str]]:
    none = {("JPEG", "P"), ("JPEG", "RGBA"), ("JPEG", "LA"), ("PNG", "CMYK"), ("GIF", "CMYK")}
    formats, modes = ("JPEG", "PNG", "TIFF", "WEBP", "GIF"), ("L", "1", "P", "RGB", "CMYK", "RGBA", "LA")
    return [(encoding, mode) for encoding in formats for mode in modes if (encoding, mode) not in none]


@pytest.mark.parametrize(("encoding", "mode"), modes_of_formats())
def test_every_mode_becomes_rgb_that_looks_the_same(encoding: str, mode: str) -> None:
    data = saved(picture().convert(mode), encoding)
    checked, image = examine(data)
    assert checked.verdict == "ok" and image is not None and image.mode == "RGB"
    want = picture().convert("L" if mode in ("1", "L", "LA") else "RGB").convert("RGB")
    corner = np.asarray(image)[10:20, 10:30].mean(axis=(0, 1))
    assert np.abs(corner - np.asarray(want)[10:20, 10:30].mean(axis=(0, 1))).max() < 40


def test_cmyk_jpegs_are_not_negatives() -> None:
    image = open_image(saved(Image.new("CMYK", (32, 32), (0, 255, 255, 0)), "JPEG"))
    red, green, blue = np.asarray(image)[16, 16]
    assert red > 180 and green < 60 and blue < 60


def test_sixteen_bits_are_scaled_to_eight_not_cut_off() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None, :].repeat(16, axis=0)
    for encoding in ("PNG", "TIFF"):
        checked, image = examine(saved(Image.fromarray(ramp), encoding))
        assert checked.verdict == "ok" and image is not None
        assert np.abs(np.asarray(image)[8, :, 0].astype(int) - np.arange(256)).max() <= 1


def test_transparent_parts_are_white() -> None:
    see_through = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    see_through.paste((0, 0, 255, 255), (0, 0, 10, 20))
    for image in (open_image(saved(see_through, "PNG")), open_image(saved(see_through, "WEBP", lossless=True))):
        assert image.getpixel((15, 10)) == (255, 255, 255) and image.getpixel((5, 10)) == (0, 0, 255)
    palette = Image.new("P", (20, 20), 0)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.paste(1, (0, 0, 10, 20))
    image = open_image(saved(palette, "PNG", transparency=0))
    assert image.getpixel((15, 10)) == (255, 255, 255) and image.getpixel((5, 10)) == (0, 0, 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotated_pictures_are_shown_upright(orientation: int) -> None:
    undo = {
        **{2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM},
        **{5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE},
        **{8: Image.Transpose.ROTATE_270},
    }
    stored = picture().transpose(undo[orientation]) if orientation > 1 else picture()
    exif = Image.Exif()
    exif[0x0112] = orientation
    checked, image = examine(saved(stored, "PNG", exif=exif))
    assert (checked.exif_orientation, checked.width, checked.height) == (orientation, 120, 80)
    assert image is not None and np.array_equal(np.asarray(image), np.asarray(picture()))
    assert image.getexif().get(0x0112) is None


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_an_orientation_that_does_not_exist_is_none(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    checked = check(saved(picture(), "JPEG", exif=exif))
    assert (checked.verdict, checked.exif_orientation, checked.width) == ("ok", 1, 120)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_does_not_spoil_a_good_picture() -> None:
    data = saved(picture(), "JPEG")
    segment = b"Exif\0\0" + b"II*\0\xff\xff\xff\xff" + b"\1" * 20
    checked = check(data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:])
    assert checked.usable and checked.exif_orientation == 1


@pytest.mark.parametrize("encoding", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_of_an_animation_the_first_frame_counts(encoding: str) -> None:
    others = [Image.new("RGB", (120, 80), colour) for colour in ("white", "black")]
    data = saved(picture(), encoding, save_all=True, append_images=others)
    checked, image = examine(data)
    assert checked.verdict == "ok" and checked.frames == 3 and image is not None
    assert checked.reason == f"It has 3 {'pages' if encoding == 'TIFF' else 'frames'}; only the first is used."
    assert image.getpixel((10, 10))[0] > 200 and image.getpixel((60, 60))[0] < 100


def test_a_picture_of_several_views_is_as_good_as_any() -> None:
    data = saved(picture(), "MPO", save_all=True, append_images=[picture()])
    checked = check(data)
    assert (checked.verdict, checked.reason, checked.format, checked.frames) == ("ok", "", "MPO", 2)


def test_a_single_pixel_and_a_long_strip_are_pictures() -> None:
    for size in ((1, 1), (1, 5_000), (5_000, 1)):
        checked, image = examine(saved(Image.new("RGB", size, "red"), "PNG"))
        assert checked.verdict == "ok" and image is not None
        assert len(fingerprint(image).phash) == 8


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of what it mends
def test_no_bytes_whatever_raise(photographs: Path) -> None:
    draw = random.Random(0)
    seeds = [photograph(photographs)] + [saved(picture(), e) for e in ("PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")]
    for turn in range(140):
        data = bytearray(seeds[turn % len(seeds)])
        for _ in range(draw.choice((1, 8, 64))):
            data[draw.randrange(len(data))] = draw.randrange(256)
        damaged = bytes(data[: draw.randrange(len(data))] if turn % 3 == 0 else data)
        checked = examine(damaged)[0]
        assert checked.verdict in VERDICTS
        assert checked.reason or checked.verdict == "ok"
        assert check(damaged) == checked


# --- fingerprints and thumbnails


def test_the_same_pixels_have_the_same_fingerprint_whatever_the_file() -> None:
    one = fingerprint(open_image(saved(picture(), "PNG")))
    two = fingerprint(open_image(saved(picture(), "BMP")))
    assert one == two and len(one.phash) == 8 and len(one.tiny) == 32 * 32 * 3


def test_other_pixels_or_another_shape_have_another_fingerprint() -> None:
    changed = picture()
    changed.putpixel((60, 40), (255, 255, 255))
    wide, high = Image.new("RGB", (20, 10)), Image.new("RGB", (10, 20))
    assert len({fingerprint(image).pixels for image in (picture(), changed, wide, high)}) == 4


def test_a_recompressed_picture_has_nearly_the_same_hash(photographs: Path) -> None:
    original = open_image(photograph(photographs))
    again = open_image(saved(original, "JPEG", quality=60))
    apart = [np.unpackbits(np.frombuffer(fingerprint(i).phash, np.uint8)) for i in (original, again)]
    assert int((apart[0] != apart[1]).sum()) <= 6


def test_a_thumbnail_is_small_and_carries_no_metadata(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    image = open_image(saved(picture(1200, 300), "JPEG", exif=exif, comment=b"where I live"))
    file = save_thumbnail(image, tmp_path / "a" / "b.jpg")
    with Image.open(file) as thumbnail:
        assert thumbnail.size == (THUMBNAIL_SIDE, 64) and thumbnail.format == "JPEG"
        assert not thumbnail.getexif() and "comment" not in thumbnail.info
    assert image.size == (1200, 300)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.jpg"]


@pytest.mark.parametrize("size", [(1, 1), (6_000, 1), (1, 6_000)])
def test_any_shape_has_a_thumbnail(tmp_path: Path, size: tuple[int, int]) -> None:
    with Image.open(save_thumbnail(Image.new("RGB", size), tmp_path / "t.jpg")) as thumbnail:
        assert max(thumbnail.size) <= THUMBNAIL_SIDE and min(thumbnail.size) >= 1


@pytest.mark.parametrize("size", [(1200, 300), (300, 1200), (256, 40), (90, 7), (1, 1), (6_000, 1), (700, 701)])
def test_the_small_picture_comes_from_the_squished_one_as_it_would_from_the_whole(size: tuple[int, int]) -> None:
    image = picture(*size)
    square = squished(image)
    small, direct = unsquished(square, image), smaller(image)
    assert square.size == (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    assert small.size == direct.size and max(small.size) <= THUMBNAIL_SIDE
    assert np.abs(np.asarray(small, int) - np.asarray(direct, int)).mean() < 2


def test_the_large_picture_is_made_once_and_found_in_the_trash_too(workspace: Workspace) -> None:
    image_id, file = workspace.keep(saved(picture(3000, 1500), "JPEG"), "jpg")
    workspace.to_trash(file)
    target = large_picture(workspace, image_id, file)
    with Image.open(target) as large:
        assert large.size == (LARGE_SIDE, LARGE_SIDE // 2)
    made = target.stat().st_mtime_ns
    assert large_picture(workspace, image_id, file).stat().st_mtime_ns == made
    assert workspace.thumbnails in target.parents


# --- a corpus of real odd files

CHECK_CORPUS = """
import json, sys
from pathlib import Path
from pipeline.images.decode import check
corpus = Path(sys.argv[1])
answers = {}
for file in json.load(sys.stdin):
    checked = check((corpus / file).read_bytes())
    answers[file] = [checked.usable, checked.verdict, checked.reason, checked.width, checked.height,
                            checked.frames, checked.exif_orientation, checked.format]
status = Path("/proc/self/status")  # getrusage would tell the peak of the process that started this one
peak = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")] if status.exists() else ["0 0"]
answers["megabytes"] = int(peak[0].split()[1]) >> 10
print(json.dumps(answers))
"""


@pytest.mark.skipif(not (CORPUS / "truth_dev.csv").exists(), reason="the corpus of odd pictures is not here")
def test_the_corpus_of_odd_pictures_is_judged_as_its_truth_says(sampled: Sample) -> None:
    with (CORPUS / "truth_dev.csv").open(encoding="utf-8", newline="") as lines:
        truth = {row["file"]: row for row in sampled.of(csv.DictReader(lines), lambda row: str(row["file"]))}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHECK_CORPUS, str(CORPUS)],
        input=json.dumps(list(truth)),
        capture_output=True,
        check=False,
        cwd=ROOT,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert time.monotonic() - began < SECONDS_FOR_THE_CORPUS
    assert answers.pop("megabytes") < MEGABYTES_FOR_THE_CORPUS
    assert [file for file, row in truth.items() if _wrong(row, answers[file])] == []
    suspects = {file for file, answer in answers.items() if answer[1] == "suspect"}
    assert {file for file in suspects if "suspect" not in truth[file]["flags"]} == set()


def _wrong(row: dict[str, str], answer: list[object]) -> bool:
    usable, verdict, reason, width, height, frames, orientation, encoding = answer
    assert verdict in VERDICTS and (reason or verdict == "ok")
    if row["verdict"] == "either":
        return False
    if row["verdict"] == "reject":
        return bool(usable) and encoding != "HEIF"  # the truth is that of a Pillow without a reader for it
    facts = (str(width), str(height), str(frames), str(orientation), encoding)
    expected = (
        row["upright_width"],
        row["upright_height"],
        row["n_frames"],
        row["orientation"].replace("0", "") or "1",
        row["format"],
    )
    return not usable or facts != expected


@st.composite
def jpeg_files(draw: st.DrawFn) -> bytes:
    """JPEG files of every colour space, sampling and order of the scans, some of them damaged or cut off."""
    exif = Image.Exif()
    exif[0x0112] = draw(st.integers(0, 9))
    mode = draw(st.sampled_from(["RGB", "L", "CMYK", "YCbCr"]))
    size = (draw(st.integers(1, 70)), draw(st.integers(1, 70)))
    image = Image.merge("RGB", [Image.radial_gradient("L").rotate(90 * turn) for turn in range(3)])
    options: dict[str, object] = {
        "quality": draw(st.integers(20, 100)),
        "progressive": draw(st.booleans()),
        "subsampling": draw(st.sampled_from([0, 1, 2, "4:1:1"])) if mode != "RGB" else draw(st.integers(0, 2)),
        "restart_marker_blocks": draw(st.integers(0, 3)),
        "exif": exif,
    }
    damaged = bytearray(saved(image.resize(size).convert(mode), "JPEG", **options))
    for place in draw(st.lists(st.integers(0, len(damaged) - 1), max_size=3)):
        damaged[place] = draw(st.integers(0, 255))
    return bytes(damaged[: draw(st.integers(0, len(damaged)))]) if draw(st.booleans()) else bytes(damaged)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of what it mends
@settings(max_examples=300, deadline=None)
@given(data=jpeg_files())
def test_whoever_decodes_a_jpeg_the_verdict_and_the_pixels_are_the_same(data: bytes) -> None:
    checked, image = examine(data)
    assert check(data) == checked
    if image is None:
        with pytest.raises(Unreadable) as trouble:
            open_image(data)
        assert not checked.usable and (checked.format is None or str(trouble.value) == checked.reason)
    else:
        expected = open_image(data)
        assert (image.mode, image.size, image.info) == (expected.mode, expected.size, {})
        assert image.tobytes() == expected.tobytes()
