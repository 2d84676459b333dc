"""What is published carries its pixels and nothing else: no place, camera, comment or hidden second picture."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from pipeline.dataset.without_metadata import Published, Wanted, has_position, publish
from pipeline.images.containers import is_bare
from pipeline.predict import open_header, open_image

SECRET = b"the-secret-of-the-owner"
WORDS = SECRET.decode()


def photograph(side: int = 48) -> Image.Image:
    across = np.linspace(0, 255, side)
    return Image.fromarray(np.stack(np.broadcast_arrays(across, across[:, None], 90.0), axis=2).astype(np.uint8))


def encoded(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    written = io.BytesIO()
    (image or photograph()).save(written, kind, **options)  # type: ignore[arg-type]
    return written.getvalue()


def exif(position: bool = False, orientation: int = 1) -> bytes:
    tags = Image.Exif()
    tags[ExifTags.Base.ImageDescription] = WORDS
    tags[ExifTags.Base.Orientation] = orientation
    if position:
        tags.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    return tags.tobytes()


def profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def png_text() -> PngInfo:
    text = PngInfo()
    text.add_text("Author", WORDS)
    text.add_itxt("XML:com.adobe.xmp", f"<x>{WORDS}</x>", zip=True)
    return text


def segment(kind: int, body: bytes) -> bytes:
    return bytes([0xFF, kind]) + (len(body) + 2).to_bytes(2, "big") + body


def with_segment(kind: int, body: bytes) -> bytes:
    plain = encoded("JPEG")
    return plain[:2] + segment(kind, body) + plain[2:]


BARE: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: encoded("JPEG"),
    "progressive jpeg": lambda: encoded("JPEG", progressive=True),
    "grey jpeg": lambda: encoded("JPEG", photograph().convert("L")),
    "cmyk jpeg": lambda: encoded("JPEG", photograph().convert("CMYK")),
    "restarts": lambda: encoded("JPEG", restart_marker_blocks=1),
    "png": lambda: encoded("PNG"),
    "palette png": lambda: encoded("PNG", photograph().convert("P"), transparency=0),
    "webp": lambda: encoded("WEBP"),
    "webp without loss": lambda: encoded("WEBP", lossless=True),
    "webp with alpha": lambda: encoded("WEBP", photograph().convert("RGBA")),
}
LADEN: dict[str, Callable[[], bytes]] = {
    "jpeg exif": lambda: encoded("JPEG", exif=exif()),
    "jpeg place": lambda: encoded("JPEG", exif=exif(position=True)),
    "jpeg comment": lambda: encoded("JPEG", comment=SECRET),
    "jpeg xmp": lambda: encoded("JPEG", xmp=b"<x:xmpmeta>" + SECRET),
    "jpeg profile": lambda: encoded("JPEG", icc_profile=profile()),
    "jpeg iptc": lambda: with_segment(0xED, b"Photoshop 3.0\0" + SECRET),
    "jpeg jfif thumbnail": lambda: with_segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\1\1" + SECRET[:3]),
    "jpeg jfxx": lambda: with_segment(0xE0, b"JFXX\0\x13" + SECRET),
    "jpeg with a zip behind it": lambda: encoded("JPEG") + b"PK\3\4" + SECRET,
    "jpeg with a second scan's comment": lambda: encoded("JPEG")[:-2] + segment(0xFE, SECRET) + b"\xff\xd9",
    "mpo": lambda: encoded("MPO", save_all=True, append_images=[photograph()]),
    "png text": lambda: encoded("PNG", pnginfo=png_text()),
    "png exif": lambda: encoded("PNG", exif=exif(position=True)),
    "png profile": lambda: encoded("PNG", icc_profile=profile()),
    "png with more behind it": lambda: encoded("PNG") + SECRET,
    "animated png": lambda: encoded("PNG", save_all=True, append_images=[photograph().rotate(90)]),
    "webp exif": lambda: encoded("WEBP", exif=exif(position=True)),
    "webp xmp": lambda: encoded("WEBP", xmp=SECRET),
    "webp profile": lambda: encoded("WEBP", icc_profile=profile()),
    "webp with more behind it": lambda: encoded("WEBP") + SECRET,
    "gif comment": lambda: encoded("GIF", comment=SECRET),
    "tiff": lambda: encoded("TIFF", description=WORDS),
    "bmp": lambda: encoded("BMP"),
    "avif": lambda: encoded("AVIF", exif=exif()),
}


def published(folder: Path, data: bytes, originals: bool = False, checked: bool = True) -> tuple[Published, bytes]:
    (folder / "source").write_bytes(data)
    image = hashlib.sha256(data).hexdigest()
    answer = publish(Wanted(image, folder / "source", folder / "target", originals, checked))
    return answer, (folder / answer.name).read_bytes() if answer.name else b""


@pytest.mark.parametrize("name", BARE)
def test_a_picture_without_metadata_is_copied_byte_for_byte(name: str, tmp_path: Path) -> None:
    data = BARE[name]()
    answer, written = published(tmp_path, data)
    assert written == data and not answer.re_encoded and not answer.position and not answer.reason
    extension = next((kind for kind in ("webp", "png") if kind in name), "jpg")
    assert answer.name == f"target.{extension}"


@pytest.mark.parametrize("name", LADEN)
def test_a_picture_with_metadata_is_written_anew_without_it(name: str, tmp_path: Path) -> None:
    data = LADEN[name]()
    answer, written = published(tmp_path, data)
    assert answer.re_encoded and answer.name and SECRET not in written
    header = open_header(written)
    assert not dict(header.getexif()) and not {"exif", "xmp", "icc_profile", "comment", "Author"} & header.info.keys()
    assert is_bare(written, str(header.format)), "what is written is what would be copied"
    before, after = (np.asarray(open_image(picture), dtype=float) for picture in (data, written))
    if answer.name.endswith("png"):
        assert (before == after).all()
    assert np.abs(before - after).mean() < 3


def test_the_upright_picture_is_published(tmp_path: Path) -> None:
    answer, written = published(tmp_path, encoded("JPEG", photograph().crop((0, 0, 48, 24)), exif=exif(orientation=6)))
    assert answer.re_encoded and open_header(written).size == (24, 48)


@pytest.mark.parametrize("name", ["jpeg place", "png exif", "webp exif"])
def test_a_place_is_noticed_and_originals_keep_it(name: str, tmp_path: Path) -> None:
    data = LADEN[name]()
    assert published(tmp_path, data)[0].position
    answer, written = published(tmp_path, data, originals=True)
    assert written == data and answer.position and not answer.re_encoded


def test_a_place_in_xmp_is_noticed_and_a_camera_is_no_place() -> None:
    placed = encoded("JPEG", xmp=b"<exif:GPSLatitude>52,31.2N</exif:GPSLatitude>")
    assert has_position(open_header(placed), placed)
    assert not has_position(open_header(LADEN["jpeg exif"]()), LADEN["jpeg exif"]())


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "empty"), (b"<html>", "not a picture"), (encoded("JPEG", exif=exif())[:600], "ends before|cut off|damaged")],
)
def test_what_cannot_be_read_is_a_reason(data: bytes, words: str, tmp_path: Path) -> None:
    answer, _ = published(tmp_path, data)
    assert not answer.name
    assert any(word in answer.reason for word in words.split("|")), answer.reason
    assert "cannot be read" in publish(Wanted("id", tmp_path / "missing", tmp_path / "t")).reason


def test_what_nobody_checked_is_decoded_before_it_is_copied(tmp_path: Path) -> None:
    data = encoded("PNG")
    broken = data[:60] + bytes(8) + data[68:]  # all chunks are there, the pixels are not
    assert published(tmp_path, broken, checked=False)[0].reason
    assert published(tmp_path, broken, originals=True, checked=False)[0].reason


@given(st.sampled_from(sorted(BARE)), st.data())
def test_less_or_more_than_a_picture_is_never_bare(name: str, data: st.DataObject) -> None:
    whole = BARE[name]()
    kind = str(open_header(whole).format)
    assert is_bare(whole, kind)
    assert not is_bare(whole[: data.draw(st.integers(0, len(whole) - 1))], kind)
    assert not is_bare(whole + data.draw(st.binary(min_size=1, max_size=20)), kind)


@given(st.sampled_from([*range(0xE1, 0xEE), 0xEF, 0xFE, 0xF0, 0xC8]), st.binary(max_size=40))
def test_no_segment_of_a_jpeg_that_may_tell_something_is_copied(kind: int, body: bytes) -> None:
    assert not is_bare(with_segment(kind, body), "JPEG")


@given(st.binary(max_size=200), st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "TIFF"]))
def test_any_bytes_are_answered(data: bytes, kind: str) -> None:
    starts = {"JPEG": b"\xff\xd8\xff", "PNG": b"\x89PNG\r\n\x1a\n", "WEBP": b"RIFF\0\0\0\0WEBP"}
    assert is_bare(starts.get(kind, b"") + data, kind) in (True, False)


@pytest.mark.parametrize(("kind", "dtype"), [("PNG", "u2"), ("TIFF", "u2"), ("TIFF", "i4"), ("TIFF", "f4")])
def test_values_of_more_than_eight_bits_are_published_as_they_are(tmp_path: Path, kind: str, dtype: str) -> None:
    values = np.linspace(0, 3900, 48).reshape(6, 8).astype(dtype)
    source = tmp_path / "scan"
    source.write_bytes(encoded(kind, Image.fromarray(values), exif=exif(position=True, orientation=6)))
    published = publish(Wanted(hashlib.sha256(source.read_bytes()).hexdigest(), source, tmp_path / "published"))
    written = (tmp_path / published.name).read_bytes()
    assert published.re_encoded and published.name.endswith(".png" if dtype == "u2" else ".tif")
    assert SECRET not in written and not has_position(open_header(written), written)
    assert np.array_equal(np.asarray(open_header(written)), np.rot90(values, -1))
