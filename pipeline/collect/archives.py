"""Zip and tar archives as lists of files, without unpacking them: what climbs out, links and bombs are refused."""

from __future__ import annotations

import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal, TypeAlias

from pipeline.collect.entries import MAX_ENTRIES, Empty, File, LeftOut, Note, Refused, Walked, shown
from pipeline.collect.name_encodings import Names, encoding_named, names_of
from pipeline.collect.noise import empty_folders, noise
from pipeline.errors import SourceError

MAX_ARCHIVE_BYTES = 10 << 30
MAX_RATIO = 200
RATIO_FROM_BYTES = 10 << 20
MAX_NAME_BYTES = 1 << 20
NAMES_OF_TAR = (b"L", b"K", b"x", b"g", b"X")  # long names and links of GNU, headers of pax
NAME_FIELD = 0x7075
FROM_WINDOWS = (0, 10, 11, 14)  # FAT, NTFS, and what else programs of Windows write there
LINK = "It is a link or a device; only ordinary files are imported."
TarMode: TypeAlias = Literal["r:", "r:gz", "r:bz2", "r:xz"]


def archived(source: Path, name_encoding: str | None = None) -> Iterator[Walked] | None:
    """The files in a .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz archive, or None where ``source`` is none of them.

    Archives within it stay files. Names whose encoding the archive does not say are read in the one that fits all of
    them best, or in ``name_encoding``. Raises SourceError where it is damaged, holds too much, or where names are none
    in that encoding; UsageError where there is no such encoding.
    """
    encoding = encoding_named(name_encoding) if name_encoding else None
    if zipfile.is_zipfile(source):
        return _readable(source, _zip(source, encoding))
    if mode := _tar_mode(source):
        return _readable(source, _tar(source, mode, encoding))
    return None


def _readable(source: Path, files: Iterator[Walked]) -> Iterator[Walked]:
    try:
        yield from files
    except SourceError:
        raise
    except Exception as error:  # zipfile and tarfile raise nearly every built-in exception at damaged archives
        raise SourceError(f"{source.name} is damaged and cannot be read: {error}. Get it anew.") from error


def _tar_mode(source: Path) -> TarMode | None:
    """How to open a tar archive, by its first bytes; None where it is none.

    ``tarfile`` would try every decompressor in turn, and lzma takes minutes to tire of half a gigabyte of noughts.
    """
    with source.open("rb") as file:
        start = file.read(512)
    if start.startswith(b"\x1f\x8b"):
        return "r:gz"
    if start.startswith(b"BZh"):
        return "r:bz2"
    if start.startswith(b"\xfd7zXZ\0"):
        return "r:xz"
    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return None
    return "r:"


@dataclass(frozen=True)
class _Packed:
    """A file or folder in an archive, and why it is not taken, or ""."""

    name: str
    size: int
    is_folder: bool
    reason: str
    open: Callable[[], IO[bytes]]


def _told(packed: Sequence[_Packed]) -> Iterator[Walked]:
    """What is in an archive: a backslash divides folders, as a slash does."""
    files: list[PurePosixPath] = []
    folders: list[PurePosixPath] = []
    for one in packed:
        path = PurePosixPath(one.name.replace("\\", "/"))
        if one.is_folder:
            folders.append(path)
            continue
        kind = noise(path)
        if not kind:
            files.append(path)
        if kind and not _climbs(path):
            yield LeftOut(kind)
        elif _climbs(path):
            yield Refused(shown(one.name), one.reason or "Its name points outside the archive.")
        elif one.reason:
            yield Refused(shown(one.name), one.reason)
        else:
            yield File(path, one.size, one.open)
    yield from (Empty(shown(path)) for path in empty_folders(folders, files) if not _climbs(path))


# --- zip


def _zip(source: Path, encoding: str | None) -> Iterator[Walked]:
    archive = zipfile.ZipFile(source)
    infos = archive.infolist()
    names, note = _zip_names(source, infos, encoding)
    packed = []
    for info, name in zip(infos, names, strict=True):
        # Some programs of Windows end a folder's name with a backslash.
        is_folder = name.endswith("/") or (name.endswith("\\") and not info.file_size)
        packed.append(_Packed(name, info.file_size, is_folder, _not_taken(info), partial(archive.open, info)))
    _check_totals(source, len(packed), sum(one.size for one in packed))
    if note:
        yield note
    yield from _told(packed)


def _not_taken(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & 0x1:
        return "It is encrypted."
    if info.file_size > RATIO_FROM_BYTES and info.file_size > MAX_RATIO * max(info.compress_size, 1):
        return "It unpacks to suspiciously much more than it is packed in."
    return LINK if (info.external_attr >> 16) & 0o170000 == 0o120000 else ""


def _zip_names(source: Path, infos: Sequence[zipfile.ZipInfo], encoding: str | None) -> tuple[list[str], Note | None]:
    """The names: as the archive says (UTF-8 by its flag, or in a field beside the name), else as all together are read
    best.
    """
    raw = [info.orig_filename.partition("\0")[0].encode("utf-8" if _says_utf8(info) else "cp437") for info in infos]
    beside = [_name_beside(info, name) for info, name in zip(infos, raw, strict=True)]
    known = [(name, text) for name, text in zip(raw, beside, strict=True) if text]
    unsaid = [name for info, name, text in zip(infos, raw, beside, strict=True) if not text and not _says_utf8(info)]
    dos = bool(infos) and all(info.create_system in FROM_WINDOWS for info in infos)
    names = Names(encoding) if encoding else names_of(unsaid, known, dos)
    texts = [
        text or (name.decode() if _says_utf8(info) else names.text(name))
        for info, name, text in zip(infos, raw, beside, strict=True)
    ]
    return texts, names.note(source.name)


def _says_utf8(info: zipfile.ZipInfo) -> bool:
    return bool(info.flag_bits & 0x800)


def _name_beside(info: zipfile.ZipInfo, raw: bytes) -> str | None:
    """The name in the field of Info-ZIP for it, where it is one for this name."""
    extra = info.extra
    while len(extra) >= 4:
        kind, size = struct.unpack("<HH", extra[:4])
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == NAME_FIELD and len(field) > 5 and field[:5] == struct.pack("<BL", 1, zlib.crc32(raw)):
            try:
                return field[5:].decode()
            except UnicodeDecodeError:
                return None
    return None


# --- tar


class _Member(tarfile.TarInfo):
    """A record of a tar archive. Those that hold long names are read whole into memory, however long they are."""

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        if self.type in NAMES_OF_TAR and self.size > MAX_NAME_BYTES:
            raise tarfile.ReadError(f"a name of {self.size:,} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]


def _tar(source: Path, mode: TarMode, encoding: str | None) -> Iterator[Walked]:
    how: Any = {"tarinfo": _Member, "encoding": "utf-8", "errors": "surrogateescape"}
    archive = tarfile.open(source, mode, **how)  # noqa: SIM115 - entries are opened later, one by one
    members, size = [], 0
    try:
        for member in archive:
            members.append(member)
            size += member.size
            _check_totals(source, len(members), size)
    except (OSError, EOFError, tarfile.TarError, zlib.error, lzma.LZMAError) as error:
        if not members:
            raise
        yield Refused(source.name, f"It is damaged from here on: {error}. Get it anew for the rest.")
    names, note = _tar_names(source, members, encoding)
    if note:
        yield note
    yield from _told(
        [
            _Packed(
                name, member.size, member.isdir(), "" if member.isreg() else LINK, partial(_extracted, archive, member)
            )
            for name, member in zip(names, members, strict=True)
        ]
    )


def _tar_names(source: Path, members: Sequence[tarfile.TarInfo], encoding: str | None) -> tuple[list[str], Note | None]:
    """The names: headers of pax say theirs in UTF-8; others are bytes, and read as all together are read best."""
    raw = [
        None if "path" in member.pax_headers else member.name.encode("utf-8", "surrogateescape") for member in members
    ]
    unsaid = [name for name in raw if name is not None]
    names = Names(encoding) if encoding else names_of(unsaid)
    texts = [member.name if name is None else names.text(name) for member, name in zip(members, raw, strict=True)]
    return texts, names.note(source.name)


def _extracted(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(member)
    if file is None:
        raise OSError(f"{member.name} is not an ordinary file")
    return file


def _climbs(path: PurePosixPath) -> bool:
    return path.is_absolute() or ".." in path.parts or bool(re.match(r"[A-Za-z]:", str(path)))


def _check_totals(source: Path, count: int, size: int) -> None:
    if count > MAX_ENTRIES:
        raise SourceError(f"{source.name} holds more than {MAX_ENTRIES:,} files. Import its parts one by one.")
    if size > MAX_ARCHIVE_BYTES:
        raise SourceError(
            f"{source.name} unpacks to more than {MAX_ARCHIVE_BYTES >> 30} GiB. Import its parts one by one."
        )
