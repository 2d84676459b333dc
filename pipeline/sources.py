"""What can be imported, as one list of entries: class folders, zip and tar archives, CSV files."""

from __future__ import annotations

import csv
import lzma
import os
import re
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Literal, TypeAlias

from pipeline.errors import SourceError

MAX_IMAGE_BYTES = 64 << 20
MAX_ENTRIES = 200_000
MAX_ARCHIVE_BYTES = 10 << 30
MAX_RATIO = 200
RATIO_FROM_BYTES = 10 << 20
MAX_LABEL_CHARACTERS = 100
MAX_LINE = 1 << 20
PICTURE_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "gif", "webp", "bmp", "tif", "tiff", "avif", "mpo"),
        *("heic", "heif", "svg", "ico", "psd"),
    )
)
SPLIT_NAMES = {
    "train": "train", "training": "train", "valid": "valid", "val": "valid", "validation": "valid", "dev": "valid",
    "test": "test", "testing": "test",
}  # fmt: skip
ENTRY_NOISE = ("__macosx", "thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class Entry:
    """One file that may be a picture: its name within the source, its label and split, and how to open it."""

    name: str
    label: str | None
    split: str | None
    size: int
    open: Callable[[], IO[bytes]] = field(repr=False)


@dataclass(frozen=True)
class Refused:
    """A part of the source that is not taken, with the reason in words."""

    path: str
    reason: str


@dataclass(frozen=True)
class Link:
    """A row of a CSV file that names a URL."""

    url: str
    label: str
    split: str | None


Found: TypeAlias = Entry | Refused | Link


def clean_label(text: str) -> str:
    """A class name fit to keep: NFC, trimmed, one line. Raises SourceError where nothing usable is left."""
    label = " ".join(unicodedata.normalize("NFC", text).split())
    if not label:
        raise SourceError("A class needs a name.")
    if len(label) > MAX_LABEL_CHARACTERS:
        raise SourceError(f"The class name '{label[:20]}…' is longer than {MAX_LABEL_CHARACTERS} characters.")
    if "|" in label or any(unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in label):
        raise SourceError(f"The class name {label!r} has a character that cannot be kept ('|' or an invisible one).")
    return label


def entries(source: Path, label: str | None, split_from: str | None) -> Iterator[Found]:
    """Everything in ``source``: a folder, a .zip, .tar, .tar.gz or .tgz archive, or a .csv file.

    ``label`` is given to every file (else the class folder's name is); ``split_from`` says where splits come from:
    ``folders``, ``column``, or None to take them where they are plain to see. Raises SourceError.
    """
    if not os.path.exists(source):  # noqa: PTH110 - Path.exists raises for a name that is too long
        raise SourceError(
            f"There is nothing at {source}. Give a folder, a .zip or .tar archive, a .csv file or 'starter'."
        )
    if source.is_dir():
        return _placed(_folder(source), label, split_from)
    if source.suffix.lower() == ".csv":
        return _table(source, label, split_from)
    if zipfile.is_zipfile(source):
        return _placed(_readable(source, _zip(source)), label, split_from)
    if mode := _tar_mode(source):
        return _placed(_readable(source, _tar(source, mode)), label, split_from)
    raise SourceError(f"{source.name} is neither a folder, nor a .zip, .tar or .csv file that can be read.")


# --- where a file lies says what it is ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _File:
    path: PurePosixPath
    size: int
    open: Callable[[], IO[bytes]]


def _placed(files: Iterator[_File | Refused], label: str | None, split_from: str | None) -> Iterator[Found]:
    """Entries from the places of files; a single outer folder, or split folders, are seen first.

    Where the pictures lie decides: a README beside the folders, or a folder of papers, says nothing about classes.
    """
    found = list(files)
    paths = [file.path for file in found if isinstance(file, _File)]
    paths = [path for path in paths if path.suffix.lower() in PICTURE_SUFFIXES] or paths
    outer = 0
    folders = {path.parts[0] for path in paths if len(path.parts) > 1}
    while len(folders) == 1 and all(len(path.parts) > outer + 2 for path in paths):
        if split_from == "folders" and next(iter(folders)).lower() in SPLIT_NAMES:
            break
        outer += 1
        folders = {path.parts[outer] for path in paths}
    in_splits = bool(folders) and all(name.lower() in SPLIT_NAMES for name in folders)
    if split_from == "folders" and not in_splits:
        raise SourceError("There are no train, valid or test folders to take the split from.")
    for file in found:
        yield file if isinstance(file, Refused) else _entry(file, outer, in_splits, label)


def _entry(file: _File, outer: int, in_splits: bool, label: str | None) -> Found:
    folders = file.path.parts[outer:-1]
    split = SPLIT_NAMES.get(folders[0].lower()) if in_splits and folders else None
    folders = folders[1:] if split else folders
    try:
        own = clean_label(label if label is not None else folders[0]) if label is not None or folders else None
    except SourceError as error:
        return Refused(_shown(file.path), str(error))
    return Entry(_shown(file.path), own, split, file.size, file.open)


def _shown(path: PurePosixPath | str) -> str:
    """The name as text: names on disk and in tar archives may hold bytes that are no UTF-8."""
    return str(path).encode("utf-8", "replace").decode("utf-8")


def _noise(path: PurePosixPath) -> bool:
    return any(part.startswith(".") or part.lower() in ENTRY_NOISE for part in path.parts)


# --- folders ------------------------------------------------------------------------------------------------------


def _folder(root: Path) -> Iterator[_File | Refused]:
    count = 0
    for folder, folders, names in _walk(root):
        folders.sort()
        linked = [name for name in folders if (folder / name).is_symlink()]
        for name in sorted(names + linked):
            path = folder / name
            place = PurePosixPath(path.relative_to(root).as_posix())
            if _noise(place):
                continue
            count += 1
            if count > MAX_ENTRIES:
                raise SourceError(f"{root} holds more than {MAX_ENTRIES:,} files. Import its parts one by one.")
            if path.is_symlink():
                yield Refused(_shown(place), "It is a link; only real files are imported.")
            elif not path.is_file():
                yield Refused(_shown(place), "It is not an ordinary file.")
            else:
                yield _File(place, path.stat().st_size, lambda path=path: path.open("rb"))  # type: ignore[misc]


def _walk(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """``Path.walk`` (Python 3.12) without following links; a folder that cannot be read raises SourceError."""

    def complain(error: OSError) -> None:
        raise SourceError(f"The folder {_shown(str(error.filename))} cannot be read: {error.strerror}.")

    for folder, folders, names in os.walk(root, onerror=complain):
        yield Path(folder), folders, names


# --- archives -----------------------------------------------------------------------------------------------------


def _readable(source: Path, files: Iterator[_File | Refused]) -> Iterator[_File | Refused]:
    try:
        yield from files
    except SourceError:
        raise
    except Exception as error:  # zipfile and tarfile raise nearly every built-in exception at damaged archives
        raise SourceError(f"{source.name} is damaged and cannot be read: {error}. Get it anew.") from error


def _tar_mode(source: Path) -> Literal["r:", "r:gz", "r:bz2", "r:xz"] | None:
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


def _zip(source: Path) -> Iterator[_File | Refused]:
    archive = zipfile.ZipFile(source)
    infos = [info for info in archive.infolist() if not info.filename.endswith("/")]
    _check_totals(source, len(infos), sum(info.file_size for info in infos))
    for info in infos:
        path = PurePosixPath(info.filename.replace("\\", "/"))
        if _noise(path) and not _climbs(path):
            continue
        is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
        reason = _refusal(path, is_link)
        if info.flag_bits & 0x1:
            reason = "It is encrypted."
        elif info.file_size > RATIO_FROM_BYTES and info.file_size > MAX_RATIO * max(info.compress_size, 1):
            reason = "It unpacks to suspiciously much more than it is packed in."
        if reason:
            yield Refused(_shown(info.filename), reason)
        else:
            yield _File(path, info.file_size, lambda info=info: archive.open(info))  # type: ignore[misc]


def _tar(source: Path, mode: Literal["r:", "r:gz", "r:bz2", "r:xz"]) -> Iterator[_File | Refused]:
    archive = tarfile.open(source, mode)  # noqa: SIM115 - entries are opened later, one by one
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
        if member.isdir() or (_noise(path) and not _climbs(path)):
            continue
        if reason := _refusal(path, not member.isreg()):
            yield Refused(_shown(member.name), reason)
        else:
            yield _File(path, member.size, lambda member=member: _extracted(archive, member))  # type: ignore[misc]


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


# --- tables -------------------------------------------------------------------------------------------------------


def _table(source: Path, label: str | None, split_from: str | None) -> Iterator[Found]:
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(_lines(file))
            columns = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
            _check_columns(source, set(columns), label, split_from)
            for count, row in enumerate(reader, 1):
                if count > MAX_ENTRIES:
                    raise SourceError(f"{source.name} has more than {MAX_ENTRIES:,} rows. Import it in parts.")
                values = {key: (row.get(name) or "").strip() for key, name in columns.items()}
                yield _row(source.parent, reader.line_num, values, label)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{source.name} cannot be read as a CSV file in UTF-8: {error}.") from error


def _lines(file: IO[str]) -> Iterator[str]:
    """The lines of a text file, none of which is taken into memory when it is endless."""
    while line := file.readline(MAX_LINE):
        if len(line) == MAX_LINE:
            raise csv.Error(f"a line is longer than {MAX_LINE:,} characters")
        yield line


def _check_columns(source: Path, names: set[str], label: str | None, split_from: str | None) -> None:
    if not names & {"path", "url"}:
        raise SourceError(
            f"{source.name} needs a column 'path' or 'url' (it has: {', '.join(sorted(names)) or 'none'})."
        )
    if label is None and "label" not in names:
        raise SourceError(f"{source.name} needs a column 'label', or give one label for all with --label.")
    if split_from == "column" and "split" not in names:
        raise SourceError(f"{source.name} has no column 'split' to take the split from.")


def _row(folder: Path, line: int, values: dict[str, str], label: str | None) -> Found:
    where = f"line {line}"
    try:
        own = clean_label(label if label is not None else values.get("label", ""))
    except SourceError as error:
        return Refused(where, str(error))
    word = values.get("split", "").lower()
    if word and word not in SPLIT_NAMES:
        return Refused(where, f"'{word[:20]}' is not a split; use train, valid or test.")
    split = SPLIT_NAMES.get(word)
    if values.get("url"):
        return Link(values["url"], own, split)
    if not values.get("path") or "\0" in values["path"]:
        return Refused(where, "It names no file.")
    path, missing = folder / values["path"], Refused(where, f"There is no file {values['path'][:200]}.")
    try:
        if path.is_symlink() or not path.is_file():
            return missing
        return Entry(_shown(values["path"]), own, split, path.stat().st_size, lambda: path.open("rb"))
    except (OSError, ValueError):  # a name that is too long, say
        return missing
