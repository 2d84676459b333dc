"""Zip and tar archives as lists of files, without unpacking them: what climbs out, links and bombs are refused."""

from __future__ import annotations

import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal, TypeAlias

from pipeline.collect.entries import MAX_ENTRIES, Empty, File, LeftOut, Refused, Walked, shown
from pipeline.collect.noise import empty_folders, noise
from pipeline.errors import SourceError

MAX_ARCHIVE_BYTES = 10 << 30
MAX_RATIO = 200
RATIO_FROM_BYTES = 10 << 20
MAX_NAME_BYTES = 1 << 20
NAMES_OF_TAR = (b"L", b"K", b"x", b"g", b"X")  # long names and links of GNU, headers of pax
TarMode: TypeAlias = Literal["r:", "r:gz", "r:bz2", "r:xz"]


def archived(source: Path) -> Iterator[Walked] | None:
    """The files in a .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz archive, or None where ``source`` is none of them.

    Archives within it stay files. Raises SourceError where it is damaged, or holds too much.
    """
    if zipfile.is_zipfile(source):
        return _readable(source, _zip(source))
    if mode := _tar_mode(source):
        return _readable(source, _tar(source, mode))
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


def _zip(source: Path) -> Iterator[Walked]:
    archive = zipfile.ZipFile(source)
    paths = {info: _path(info.filename) for info in archive.infolist()}
    infos = [info for info, path in paths.items() if not _is_folder(info)]
    _check_totals(source, len(paths), sum(info.file_size for info in infos))
    for info in infos:
        path = paths.pop(info)
        if (kind := noise(path)) and not _climbs(path):
            yield LeftOut(kind)
            continue
        is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
        reason = _refusal(path, is_link)
        if info.flag_bits & 0x1:
            reason = "It is encrypted."
        elif info.file_size > RATIO_FROM_BYTES and info.file_size > MAX_RATIO * max(info.compress_size, 1):
            reason = "It unpacks to suspiciously much more than it is packed in."
        if reason:
            yield Refused(shown(info.filename), reason)
        else:
            yield File(path, info.file_size, lambda info=info: archive.open(info))  # type: ignore[misc]
    yield from _empty(paths.values(), map(_path, (info.filename for info in infos)))


def _path(name: str) -> PurePosixPath:
    return PurePosixPath(name.replace("\\", "/"))


def _is_folder(info: zipfile.ZipInfo) -> bool:
    """Some programs of Windows end a folder's name with a backslash."""
    return info.filename.endswith("/") or (info.filename.endswith("\\") and not info.file_size)


def _empty(folders: Iterable[PurePosixPath], files: Iterable[PurePosixPath]) -> Iterator[Empty]:
    files = [path for path in files if not noise(path)]
    yield from (Empty(shown(path)) for path in empty_folders(folders, files) if not _climbs(path))


class _Member(tarfile.TarInfo):
    """A record of a tar archive. Those that hold long names are read whole into memory, however long they are."""

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        if self.type in NAMES_OF_TAR and self.size > MAX_NAME_BYTES:
            raise tarfile.ReadError(f"a name of {self.size:,} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]


def _tar(source: Path, mode: TarMode) -> Iterator[Walked]:
    archive = tarfile.open(source, mode, tarinfo=_Member)  # noqa: SIM115 - entries are opened later, one by one
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
    for member in members:
        path = PurePosixPath(member.name)
        if member.isdir():
            continue
        if (kind := noise(path)) and not _climbs(path):
            yield LeftOut(kind)
        elif reason := _refusal(path, not member.isreg()):
            yield Refused(shown(member.name), reason)
        else:
            yield File(path, member.size, lambda member=member: _extracted(archive, member))  # type: ignore[misc]
    folders = [PurePosixPath(member.name) for member in members if member.isdir()]
    yield from _empty(folders, (PurePosixPath(member.name) for member in members if not member.isdir()))


def _extracted(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(member)
    if file is None:
        raise OSError(f"{member.name} is not an ordinary file")
    return file


def _climbs(path: PurePosixPath) -> bool:
    return path.is_absolute() or ".." in path.parts or bool(re.match(r"[A-Za-z]:", str(path)))


def _refusal(path: PurePosixPath, is_link: bool) -> str:
    if is_link:
        return "It is a link or a device; only ordinary files are imported."
    return "Its name points outside the archive." if _climbs(path) else ""


def _check_totals(source: Path, count: int, size: int) -> None:
    if count > MAX_ENTRIES:
        raise SourceError(f"{source.name} holds more than {MAX_ENTRIES:,} files. Import its parts one by one.")
    if size > MAX_ARCHIVE_BYTES:
        raise SourceError(
            f"{source.name} unpacks to more than {MAX_ARCHIVE_BYTES >> 30} GiB. Import its parts one by one."
        )
