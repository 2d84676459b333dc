"""What phones and cameras hand over: HEIC, large photographs, gain maps, raw pictures; read, or refused in words."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from pipeline import predict
from pipeline.errors import UsageError
from pipeline.images.decode import check, examine
from pipeline.images.formats import EXTENSIONS, PICTURE_SUFFIXES, extension_by_bytes
from pipeline.images.sandbox import map_in_workers
from pipeline.predict import REDUCED_MEGAPIXELS, Opening, Preprocessing, Unreadable, open_header, open_image, pixels
from pipeline.stage import run
from pipeline.verify.verify import VerifyConfig, verify
from pipeline.workspace.records import NewImage, Verdict
from pipeline.workspace.workspace import Workspace
from tests.images.test_opening import ramp, tiff
from tests.support.paths import DATA

GREY, GREEN = (128, 128, 128), (0, 160, 0)


def heic() -> bytes:
    """Grey, its lower right quarter green, 64 x 40."""
    return (DATA / "grey_and_green.heic").read_bytes()


def turned_heic() -> bytes:
    """The same with "turned to the left" in its properties, in the place of how many bits it has."""
    data, pixi = heic(), heic().index(b"pixi")
    turned = data[:pixi] + b"irot" + bytes([1]) + bytes(7) + data[pixi + 12 :]
    return turned.replace(bytes.fromhex("058102030584"), bytes.fromhex("058102038485"))


def close(image: Image.Image, at: tuple[int, int], colour: tuple[int, ...]) -> bool:
    return max(abs(a - b) for a, b in zip(image.getpixel(at), colour, strict=True)) < 12


# --- HEIC -------------------------------------------------------------------------------------------------------------


def test_heic_is_read_after_a_plain_installation() -> None:
    checked, image = examine(heic())
    assert (checked.verdict, checked.format, checked.width, checked.height) == ("ok", "HEIF", 64, 40)
    assert image is not None and close(image, (2, 2), GREY) and close(image, (60, 36), GREEN)
    for ending in ("heic", "heif", "hif"):
        assert f".{ending}" in PICTURE_SUFFIXES
    assert EXTENSIONS["HEIF"] == "heic"


def test_heic_is_turned_once() -> None:
    checked, image = examine(turned_heic())
    assert (checked.width, checked.height, checked.exif_orientation) == (40, 64, 1)
    assert image is not None and close(image, (37, 2), GREEN) and close(image, (2, 61), GREY)


def test_heic_of_ten_bits_is_scaled_like_other_deep_pictures() -> None:
    data = (DATA / "grey_of_10_bits.heif").read_bytes()
    checked, image = examine(data)
    assert checked.verdict == "ok" and checked.values is not None and image is not None
    scaled = open_image(data, Opening(whole=(0.0, 65535.0)))
    assert scaled.size == image.size == (checked.width, checked.height)
    assert len(np.unique(np.asarray(scaled))) > 32


@pytest.mark.parametrize("length", [24, 60, 200, 420, 600])
def test_heic_that_was_cut_off_is_no_good_picture(length: int) -> None:
    assert check(heic()[:length]).verdict in ("corrupt", "truncated", "unsupported")


def test_heic_that_claims_much_is_refused_by_its_header() -> None:
    data, size = bytearray(heic()), heic().index(b"ispe") + 8
    data[size : size + 8] = struct.pack(">II", 30000, 30000)
    clap = data.index(b"clap") + 4
    data[clap : clap + 32] = struct.pack(">8I", 30000, 1, 30000, 1, 0, 1, 0, 1)
    assert check(bytes(data)).verdict in ("too_large", "corrupt")


def test_rubbish_in_heic_costs_one_verdict_in_the_worker() -> None:
    chance = np.random.default_rng(3)
    files = []
    for _ in range(20):
        data = bytearray(heic())
        for at in chance.integers(12, len(data), 6):
            data[at] = chance.integers(0, 256)
        files.append(bytes(data))
    verdicts = [
        getattr(answer, "verdict", answer) for _, answer in map_in_workers(check, files, lambda _, why: why, workers=1)
    ]
    assert len(verdicts) == len(files)


# --- large photographs ------------------------------------------------------------------------------------------------


def photograph(width: int, height: int, **how: object) -> bytes:
    file = io.BytesIO()
    colours = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    image = Image.fromarray(colours).resize((width, height), Image.Resampling.BICUBIC)
    image.save(file, "JPEG", quality=90, **how)
    return file.getvalue()


@pytest.mark.parametrize(("times", "part"), [(1.0, 1), (1.01, 2), (4.0, 2), (4.1, 4), (16.0, 4), (17.0, 8)])
def test_a_large_jpeg_is_read_smaller_as_it_is_decoded(
    monkeypatch: pytest.MonkeyPatch, times: float, part: int
) -> None:
    width, height = 240, 180
    data = photograph(width, height)
    whole = open_image(data)
    monkeypatch.setattr(predict, "MAX_PIXELS", width * height / times)
    checked, image = examine(data)
    assert image is not None and image.size == (-(-width // part), -(-height // part))
    assert (checked.verdict, checked.width, checked.height) == ("ok", width, height)
    assert ("is read at" in checked.reason) == (part > 1) and check(data) == checked
    assert image.tobytes() == open_image(data).tobytes()
    averaged = whole.resize(image.size, Image.Resampling.BOX)
    assert np.abs(np.asarray(image, int) - np.asarray(averaged, int)).mean() < part


def test_a_turned_one_and_one_with_two_pictures_are_read_smaller_too(monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[predict.ORIENTATION_TAG] = 6
    turned = photograph(200, 100, exif=exif)
    file = io.BytesIO()
    first, second = (Image.open(io.BytesIO(photograph(200, 100))) for _ in range(2))
    first.save(file, "MPO", save_all=True, append_images=[second])
    monkeypatch.setattr(predict, "MAX_PIXELS", 200 * 100 / 4)
    checked, image = examine(turned)
    assert image is not None and image.size == (50, 100) and (checked.width, checked.height) == (100, 200)
    checked, image = examine(file.getvalue())
    assert checked.format == "MPO" and image is not None and image.size == (100, 50)


def test_what_is_cut_off_is_noticed_at_a_part_of_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    data = photograph(400, 300)
    monkeypatch.setattr(predict, "MAX_PIXELS", 400 * 300 / 4)
    assert check(data[: len(data) // 2]).verdict == "truncated"
    assert check(data[:-2]).verdict in ("suspect", "truncated")


def test_a_real_one_is_read() -> None:
    file = io.BytesIO()
    Image.new("L", (9152, 6944), 90).save(file, "JPEG")  # 64 megapixels
    data = file.getvalue()
    checked, image = examine(data)
    assert image is not None and image.size == (4576, 3472) and "64 megapixels" in checked.reason
    assert pixels(image, Preprocessing((32, 32))).shape == (32, 32, 3)


def claiming(data: bytes, width: int, height: int) -> bytes:
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def test_a_jpeg_has_a_limit_too() -> None:
    for width, height in ((65_000, 65_000), (10_000, REDUCED_MEGAPIXELS * 100 + 1)):
        bomb = claiming(photograph(64, 64), width, height)
        with pytest.raises(Unreadable, match="the limit is 250 megapixels") as trouble:
            open_header(bomb)
        assert trouble.value.verdict == "too_large"


def drawing(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("1", (width, height)).save(file, "PNG")
    return file.getvalue()


def test_larger_pictures_are_let_in_by_a_setting(workspace: Workspace) -> None:
    data = drawing(8000, 6300)
    refused = check(data)
    assert refused.verdict == "too_large" and check(data, Opening(megapixels=60)).verdict == "ok"
    image, kept = workspace.keep(data, "png")
    workspace.store.add_images([NewImage(image, kept, 1, "drawing", "folder", "large.png")])
    workspace.store.record_verdicts([Verdict(image, "set_aside", refused.verdict, refused.reason)])
    assert run(verify(workspace, VerifyConfig(workers=1, max_megapixels=60))).ok == 1
    with pytest.raises(UsageError, match="60 or more"):
        run(verify(workspace, VerifyConfig(workers=1, max_megapixels=55)))
    with pytest.raises(predict.Unreadable, match="50 megapixels"):
        open_image(data)


# --- others -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [".jpe", ".jfif", ".jpeg", ".mpo", ".avif", ".webp"])
def test_names_that_phones_give_are_those_of_pictures(name: str) -> None:
    assert name in PICTURE_SUFFIXES


def test_a_jpeg_with_a_gain_map_is_its_first_picture() -> None:
    base, gain = photograph(120, 80), photograph(30, 20)
    xmp = b"http://ns.adobe.com/xap/1.0/\0" + b'<x:xmpmeta hdrgm:Version="1.0"/>'
    segment = b"\xff\xe1" + struct.pack(">H", len(xmp) + 2) + xmp
    checked, image = examine(base[:2] + segment + base[2:] + gain)
    assert checked.verdict == "ok" and image is not None and image.size == (120, 80)


def test_a_moving_webp_is_its_first_frame() -> None:
    file = io.BytesIO()
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    checked, image = examine(file.getvalue())
    assert checked.frames == 2 and image is not None and image.getpixel((3, 3)) == (255, 0, 0)


@pytest.mark.parametrize("more", [((50706, 1),), ((254, 1), (330, 8))])
def test_a_cameras_raw_picture_is_not_taken_for_its_thumbnail(more: tuple[tuple[int, int], ...]) -> None:
    raw = tiff(ramp(0, 255, "u1", side=8), more=more)
    assert extension_by_bytes(raw) == "tif"
    checked = check(raw)
    assert checked.verdict == "unsupported" and "camera's raw picture" in checked.reason
    assert check(tiff(ramp(0, 255, "u1", side=8))).verdict == "ok"
