"""Formats of files: those that are read here, by their bytes and by their names; and what a file is that is none."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from PIL import Image, features

from pipeline.images.containers import end_of_picture
from pipeline.predict import BEGINNINGS, Unreadable, begins_like


@dataclass(frozen=True)
class Format:
    """A format that is read here: the endings of its files' names, the first one that of files in a workspace; and, as
    a regular expression, how one begins that is believed to be a picture whatever its name is (None: no such file).
    """

    endings: tuple[str, ...]
    signature: bytes | None = None


READABLE: Mapping[str, Format] = {
    "JPEG": Format(("jpg", "jpeg", "jpe", "jfif"), BEGINNINGS["JPEG"]),
    "MPO": Format(("jpg", "mpo")),
    "PNG": Format(("png",), rb"\x89PNG\r\n\x1a\n"),
    "GIF": Format(("gif",), rb"GIF8[79]a"),
    "WEBP": Format(("webp",), rb"RIFF.{4}WEBP"),
    "BMP": Format(("bmp",), rb"BM.{4}\0{4}"),
    "TIFF": Format(("tif", "tiff"), BEGINNINGS["TIFF"]),
    "AVIF": Format(("avif",), BEGINNINGS["AVIF"]),
    "HEIF": Format(("heic", "heif", "hif")),
}
EXTENSIONS: Mapping[str, str] = {kind: read.endings[0] for kind, read in READABLE.items()}
# What is taken for a picture by its name: some of these are refused later, with the reason.
PICTURE_SUFFIXES = frozenset(
    f".{ending}" for ending in (*(e for read in READABLE.values() for e in read.endings), "svg", "ico", "psd")
)
UNSUPPORTED_WORDS = ("unsupported", "not supported", "unknown pixel mode", "unimplemented")
OTHER_PICTURES = {
    "a JPEG XL picture": rb"\xff\x0a|\0{3}\x0cJXL ",
    "a JPEG 2000 picture": rb"\0{3}\x0cjP  |\xff\x4f\xff\x51",
    "a JPEG XR picture": rb"II\xbc",
    "a BigTIFF picture": rb"II\x2b\0|MM\0\x2b",
    "a camera's raw picture": rb"FUJIFILMCCD-RAW|II(RO|RS|U\0)|FOVb|\0MRM|II\x1a\0{3}HEAP|.{4}ftypcrx ",
    "a Photoshop document": rb"8BPS",
    "a GIMP document": rb"gimp xcf",
    "a drawing (SVG)": rb"\s*<svg|\s*<(\?xml|!).*<svg",
    "a PDF document": rb"%PDF",
    "a PostScript document": rb"%!PS|\xc5\xd0\xd3\xc6",
    "an icon": rb"\0\0[\x01\x02]\0[\x01-\x7f]\0|icns",
    "a PNM picture": rb"P[1-7f][\s#]",
    "an OpenEXR picture": rb"v/1\x01",
    "a Radiance picture": rb"#\?(RADIANCE|RGBE)",
    "a QOI picture": rb"qoif",
    "a DirectDraw surface": rb"DDS ",
    "a FITS picture": rb"SIMPLE  =",
    "a DICOM picture": rb".{128}DICM",
    "an XPM picture": rb"/\* XPM",
    "an XBM picture": rb"#define \S+_width",
    "a Sun raster picture": rb"\x59\xa6\x6a\x95",
    "an SGI picture": rb"\x01\xda[\0\x01][\x01\x02]\0[\x01-\x03]",
    "a PCX picture": rb"\x0a[\0-\x05]\x01[\x01\x02\x04\x08]",
    "a Windows metafile": rb"\xd7\xcd\xc6\x9a|[\x01\x02]\0\x09\0\0[\x01\x03]|\x01\0{3}.{36} EMF",
    "an animation (FLIC)": rb".{4}[\x11\x12]\xaf",
    "a game's texture (BLP)": rb"BLP[12]",
    "a weather map (GRIB)": rb"GRIB",
    "a DjVu document": rb"AT&TFORM",
}
NO_PICTURES = {
    "a video": rb".{4}ftyp(isom|iso\d|mp4|mp7|M4|qt  |3g|avc1|dash|MSNV|F4V|mmp4)|RIFF.{4}AVI |\x1a\x45\xdf\xa3|FLV",
    "a sound": rb"ID3|fLaC|OggS|MThd|RIFF.{4}WAVE",
    "an archive": rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf|Rar!|BZh|\xfd7zXZ|.{257}ustar",
    "an office document": rb"\xd0\xcf\x11\xe0",
    "a program": rb"MZ|\x7fELF|#!",
}


def extension_by_bytes(data: bytes) -> str | None:
    """The extension of a file that begins like a picture; None for all others."""
    signed = ((kind, read.signature) for kind, read in READABLE.items() if read.signature)
    return next((EXTENSIONS[kind] for kind, signature in signed if re.match(signature, data, re.DOTALL)), None)


def closer_look(data: bytes, trouble: Unreadable) -> tuple[str, str]:
    """(verdict, reason) of bytes that could not be opened because of ``trouble``, in more exact words if there are."""
    if trouble.verdict == "corrupt":
        return _damaged(data) or (trouble.verdict, str(trouble))
    if trouble.verdict == "not_an_image" and "web page" not in str(trouble):
        if name := _named(data, OTHER_PICTURES):
            return "unsupported", f"It is {name}, which cannot be read here; save it as JPEG or PNG."
        if name := _named(data, NO_PICTURES):
            return "not_an_image", f"It is {name}, not a picture."
    return trouble.verdict, str(trouble)


def _named(data: bytes, names: Mapping[str, bytes]) -> str:
    return next((name for name, begins in names.items() if re.match(begins, data[:1024], re.DOTALL)), "")


def _damaged(data: bytes) -> tuple[str, str] | None:
    """What is to be said of a header that is that of a picture, and yet cannot be read."""
    if data[4:8] == b"ftyp":
        if data[8:11] == b"avi" and not features.check("avif"):
            return (
                "unsupported",
                "It is an AVIF picture, and this Pillow was built without AVIF; save it as JPEG or PNG.",
            )
        return None
    kind = begins_like(data)
    words = _complaint(data, kind)
    if any(word in words for word in UNSUPPORTED_WORDS):
        return "unsupported", f"It is a kind of {kind} that cannot be read here ({words}); save it as JPEG or PNG."
    if end_of_picture(data, kind) is None or (kind == "TIFF" and _directory_end(data) > len(data)):
        return "truncated", "The file ends before the picture does."
    return None


def _complaint(data: bytes, kind: str) -> str:
    """What Pillow's reader of that kind says; ``Image.open`` keeps it to itself."""
    opener = Image.OPEN.get(kind)
    try:
        if opener:
            opener[0](io.BytesIO(data), "")
    except Exception as error:  # noqa: BLE001 - Pillow's readers raise nearly every built-in exception
        return str(error)[:120].lower()
    return ""


def _directory_end(data: bytes) -> int:
    """The offset behind the first list of tags of a TIFF."""
    order: Literal["little", "big"] = "little" if data.startswith(b"II") else "big"
    start = int.from_bytes(data[4:8], order) + 2
    return start + 12 * int.from_bytes(data[start - 2 : start], order)
