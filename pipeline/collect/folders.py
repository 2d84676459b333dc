"""A folder as a list of files: every one of them is told, links are followed with care."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from pipeline.collect.entries import MAX_ENTRIES, Empty, File, LeftOut, Refused, Walked, shown
from pipeline.collect.noise import empty_folders, noise_of
from pipeline.errors import SourceError
from pipeline.images.formats import PICTURE_SUFFIXES

STORED = "stored data that links point to"
LINK = "It is a link; only real files are imported."
OUTSIDE = "It is a link to something outside this folder. Links that you trust are followed with --follow-links."
BROKEN = "It is a link to something that is not there."
CIRCLE = "It is a link that leads back to itself, or to a folder that it lies in."
SPECIAL = "It is not an ordinary file."
HASH = re.compile(r"[0-9a-f]{30,}", re.IGNORECASE)


def walked(root: Path, local: bool = True, follow_links: bool = False) -> Iterator[Walked]:
    """Every file below ``root``, in order: as a File, refused, or left out as something nobody means to import; and the
    folders that hold none.

    Links to files and folders are followed where they stay below ``root``, or with ``follow_links`` anywhere; where
    ``local`` is False, for what a visitor sent, never. A file that is only a store for the links to it is left out at
    its own place. Raises SourceError for a folder that cannot be read, and for more than MAX_ENTRIES files.
    """
    return _Walk(Path(os.path.realpath(root)), local, follow_links).all()


@dataclass(frozen=True)
class _Met:
    """A file at its ``place`` below the folder; ``real`` is where it lies, and ``linked`` whether that is elsewhere."""

    place: PurePosixPath
    real: str
    size: int
    linked: bool


@dataclass(frozen=True)
class _Folder:
    """A folder to look into. ``above``: the real places of those it was reached through, the outermost first."""

    place: PurePosixPath
    real: str
    above: tuple[str, ...] = ()
    linked: bool = False


@dataclass
class _Walk:
    root: Path
    local: bool
    follow_links: bool
    count: int = 0

    def all(self) -> Iterator[Walked]:
        files: list[_Met] = []
        folders: list[PurePosixPath] = []
        told: list[PurePosixPath] = []
        waiting = [_Folder(PurePosixPath(), str(self.root))]
        while waiting:
            folder = waiting.pop()
            folders.append(folder.place)
            inside: list[_Folder] = []
            for entry in self._listed(folder):
                place = folder.place / entry.name
                if kind := noise_of(entry.name, folder.place.name):
                    yield from (LeftOut(kind) for _ in range(_files_in(entry)))
                    continue
                self._count()
                found = self._met(entry, place, folder)
                if isinstance(found, _Folder):
                    inside.append(found)
                    continue
                told.append(place)
                if isinstance(found, Refused):
                    yield found
                else:
                    files.append(found)
            waiting += reversed(inside)
        stored = _stored(files)
        for file in files:
            if not file.linked and file.real in stored:
                yield LeftOut(STORED)
            else:
                yield File(file.place, file.size, partial(_open, file.real), file.real)
        yield from (Empty(shown(folder)) for folder in empty_folders(folders, told))

    def _listed(self, folder: _Folder) -> list[os.DirEntry[str]]:
        """What is in the folder, files before folders."""
        try:
            with os.scandir(folder.real) as entries:
                return sorted(entries, key=lambda entry: (entry.is_dir(follow_symlinks=False), entry.name))
        except OSError as error:
            where = shown(str(self.root / folder.place))
            raise SourceError(f"The folder {where} cannot be read: {error.strerror}.") from error

    def _met(self, entry: os.DirEntry[str], place: PurePosixPath, folder: _Folder) -> _Met | _Folder | Refused:
        if entry.is_symlink():
            return self._link(entry, place, folder)
        if entry.is_dir(follow_symlinks=False):
            return _Folder(place, entry.path, (*folder.above, folder.real), folder.linked)
        try:
            about = os.lstat(entry.path)
        except OSError as error:
            return Refused(shown(place), f"It cannot be looked at: {error.strerror}.")
        if not stat.S_ISREG(about.st_mode):
            return Refused(shown(place), SPECIAL)
        return _Met(place, entry.path, about.st_size, folder.linked)

    def _link(self, entry: os.DirEntry[str], place: PurePosixPath, folder: _Folder) -> _Met | _Folder | Refused:
        if not self.local:
            return Refused(shown(place), LINK)
        try:
            real = os.path.realpath(entry.path, strict=True)
            about = os.lstat(real)
        except OSError as error:
            # Windows tells a circle in another way than by ELOOP: it cannot be resolved.
            return Refused(shown(place), CIRCLE if error.errno == errno.ELOOP else BROKEN)
        if not self.follow_links and not _is_below(real, str(self.root)):
            return Refused(shown(place), OUTSIDE)
        if stat.S_ISREG(about.st_mode):
            return _Met(place, real, about.st_size, True)
        if not stat.S_ISDIR(about.st_mode):
            return Refused(shown(place), SPECIAL)
        above = (*folder.above, folder.real)
        if any(_is_below(one, real) for one in above):
            return Refused(shown(place), CIRCLE)
        return _Folder(place, real, above, True)

    def _count(self) -> None:
        self.count += 1
        if self.count > MAX_ENTRIES:
            raise SourceError(f"{self.root} holds more than {MAX_ENTRIES:,} files. Import its parts one by one.")


def _is_below(path: str, folder: str) -> bool:
    """Whether the real ``path`` is the real ``folder``, or lies below it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _files_in(entry: os.DirEntry[str]) -> int:
    """How many files there are: 1, or those in a folder; what cannot be looked into is one thing."""
    if not entry.is_dir(follow_symlinks=False):
        return 1
    count = 0

    def unread(error: OSError) -> None:
        nonlocal count
        count += 1

    for folder, folders, names in os.walk(entry.path, onerror=unread):
        count += len(names) + sum(os.path.islink(f"{folder}{os.sep}{name}") for name in folders)  # noqa: PTH114
    return count


def _stored(files: list[_Met]) -> set[str]:
    """The real places of files that are there for the links to them, and need not be taken where they lie.

    Their name has no ending or is a hash; or all pictures of their folder are linked to, and there are no more such
    folders than folders with links to them.
    """
    targets = {file.real for file in files if file.linked}
    own = [file for file in files if not file.linked]
    bare = {file.real for file in own if file.real in targets and _is_bare(file.place)}
    pictures = [file for file in own if file.place.suffix.lower() in PICTURE_SUFFIXES]
    shelves = {file.place.parent for file in pictures}
    shelves -= {file.place.parent for file in pictures if file.real not in targets}
    shelved = {file.real for file in pictures if file.place.parent in shelves}
    links = {file.place.parent for file in files if file.linked and file.real in shelved}
    return bare | shelved if len(links) >= len(shelves) else bare


def _is_bare(place: PurePosixPath) -> bool:
    return not place.suffix or bool(HASH.fullmatch(place.stem))


def _open(real: str) -> IO[bytes]:
    """The file, where nothing on its way has become a link since it was found, and it no pipe."""
    flags = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
    handle = os.open(real, flags)
    try:
        about = os.fstat(handle)
        same = os.path.realpath(real) == real and os.path.samestat(about, os.lstat(real))
        if not stat.S_ISREG(about.st_mode) or not same:
            raise OSError("it was replaced meanwhile")
        return os.fdopen(handle, "rb")
    except OSError:
        os.close(handle)
        raise
