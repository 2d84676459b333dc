"""The file that a row of a table names, found as a person would: in other places, spellings and with other endings."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, product, takewhile
from pathlib import Path, PurePosixPath
from sys import intern
from typing import Any, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

from pipeline.collect.entries import split_of
from pipeline.images.formats import PICTURE_SUFFIXES

# How a file was found, the best first. BY_NAME: only the names are alike, the folders are not.
EXACT, SPELLED, OTHER_ENDING, BY_TAIL, BY_STEM, BY_NAME = range(6)
MOST_ALIKE = 8
MOST_WALKED = 200_000
MOST_AROUND = 50_000
# From how many folders above a table its paths may start.
ABOVE = 4
LABEL_STUDIO = ("/data/upload/", "/data/local-files/")
# An id that spreadsheets made a number of: 000123 became 123, or 123.0.
NUMBER = re.compile(r"(\d{1,18})(?:\.0)?", re.ASCII)
UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-(?=.)")
Parts: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class Sighting:
    """The files that a name may mean (one: found; several: it is not told which) and how they were found."""

    paths: tuple[PurePosixPath, ...] = ()
    how: int = BY_NAME

    @property
    def path(self) -> PurePosixPath | None:
        """The file, where there is one and no other."""
        return self.paths[0] if len(self.paths) == 1 else None


class Finder:
    """Finds the files that rows name among ``paths``, the files of a folder or an archive, relative to it.

    Nothing is opened, and nothing but ``paths`` is ever found. One takes a few look-ups, however many there are.
    """

    def __init__(self, paths: Iterable[PurePosixPath]) -> None:
        self._exact: dict[str, PurePosixPath] = {}
        self._names, self._stems = _Ends(), _Ends()
        self._folders: set[str] = set()
        self._numbers: dict[int, list[PurePosixPath]] = {}
        for path in paths:
            text = str(path)
            self._exact[text] = path
            key = tuple(map(_folded, text.split("/")))
            self._names.add(key, path)
            if (stem := _stem(key[-1])) is not None:
                self._stems.add((*key[:-1], stem), path)
                if NUMBER.fullmatch(stem):
                    self._numbers.setdefault(int(stem), []).append(path)
            self._folders.update(key[:-1])

    def find(self, named: str, beside: PurePosixPath | None = None, split: str | None = None) -> Sighting:
        """The file that ``named`` names in a table in the folder ``beside``.

        It is looked for beside the table, in the folders above, at the end of longer or shorter paths; in any Unicode
        form and case, with Windows' backslashes, as a file:// or storage address, without its ending or with that of
        another format of pictures, and as a number that lost its noughts. Where several are alike, those in a folder
        for ``split`` go first.
        """
        best = Sighting()
        for parts in _spellings(named):
            for look in (self._placed, self._by_end):
                sighting = look(parts, beside or PurePosixPath())
                if sighting.path is not None:
                    return sighting
                best = best if best.paths else sighting
        if not best.paths and (number := NUMBER.fullmatch(named.strip())):
            best = Sighting(tuple(self._numbers.get(int(number[1]), ())[:MOST_ALIKE]), BY_STEM)
        if split is not None and 1 < len(best.paths) < MOST_ALIKE:
            fitting = tuple(path for path in best.paths if split in map(_split_of_folder, path.parts[:-1]))
            best = Sighting(fitting or best.paths, best.how)
        return best

    def _placed(self, parts: Parts, beside: PurePosixPath) -> Sighting:
        """A file at its place beside the table or in a folder above it."""
        places = [beside.parts[:length] for length in range(len(beside.parts), -1, -1)]
        targets = [target for place in places if (target := _joined(place, parts)) is not None]
        for target in targets:
            if (path := self._exact.get("/".join(target))) is not None:
                return Sighting((path,), EXACT)
        best = Sighting()
        for how, ends in ((SPELLED, self._names), (OTHER_ENDING, self._stems)):
            for target in targets:
                for key in _keys(target, how == OTHER_ENDING):
                    found = tuple(ends.whole(key))
                    if len(found) == 1:
                        return Sighting(found, how)
                    best = best if best.paths else Sighting(found, how)
        return best

    def _by_end(self, parts: Parts, beside: PurePosixPath) -> Sighting:
        """The file whose path ends like this, or that this ends like; what differs before may not contradict."""
        parts = tuple(part for part in parts if part not in ("..", "."))
        best = Sighting()
        for ends, how in ((self._names, BY_TAIL), (self._stems, BY_STEM)):
            for key in _keys(parts, how == BY_STEM):
                found, length = ends.longest(key)
                sure = [path for path in found if length in (len(key), str(path).count("/") + 1)]
                fitting = sure or [path for path in found if self._may_be(key[:-length], path, length)]
                if len(found) == 1 and fitting:
                    return Sighting(tuple(found), how if sure else BY_NAME)
                best = best if best.paths or not fitting else Sighting(tuple(found), how)
        return best

    def _may_be(self, before: Parts, path: PurePosixPath, length: int) -> bool:
        """Whether a file in another folder may be meant: not where the folder that is named is here, or a split."""
        here = path.parts[:-length]
        if before[-1] in self._folders:
            return False
        named, found = split_of(before[-1]), split_of(here[-1])
        return named == found or named is None


class _Ends:
    """Paths by their ends: by their last part, and where several have the same, by the part before it, and so on."""

    def __init__(self) -> None:
        self._top: dict[str, Any] = {}

    def add(self, key: Parts, path: PurePosixPath) -> None:
        """Keep a path whose parts are compared as ``key``."""
        node = self._top
        for depth, part in enumerate(reversed(key), 1):
            below = node.get(part)
            if below is None:
                node[part] = _Leaf(key, [path])
                return
            if isinstance(below, _Leaf):
                if below.key == key:
                    below.paths.append(path)
                    return
                node[part] = {below.key[-depth - 1] if len(below.key) > depth else "": below}
            node = node[part]
        node.setdefault("", _Leaf(key, [])).paths.append(path)

    def whole(self, key: Parts) -> list[PurePosixPath]:
        """The paths that are ``key``."""
        found, length = self.longest(key)
        return [path for path in found if length == len(key) == str(path).count("/") + 1]

    def longest(self, key: Parts) -> tuple[list[PurePosixPath], int]:
        """The paths (MOST_ALIKE at most) with the most parts at their ends in common with ``key``, and how many."""
        node: Any = self._top
        for depth, part in enumerate(reversed(key)):
            below = node.get(part)
            if below is None:
                return (list(islice(_leaves(node), MOST_ALIKE)) if depth else []), depth
            if isinstance(below, _Leaf):
                alike = zip(reversed(below.key), reversed(key), strict=False)
                return below.paths[:MOST_ALIKE], sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], alike))
            node = below
        same = node[""].paths if "" in node else []
        return (same[:MOST_ALIKE] or list(islice(_leaves(node), MOST_ALIKE))), len(key)


@dataclass(slots=True)
class _Leaf:
    key: Parts
    paths: list[PurePosixPath]


def _leaves(node: dict[str, Any]) -> Iterator[PurePosixPath]:
    for below in node.values():
        yield from below.paths if isinstance(below, _Leaf) else _leaves(below)


def _folded(part: str) -> str:
    if part.isascii():
        return intern(part.lower())
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", part).casefold())


def _stem(name: str) -> str | None:
    """A picture's name without its ending; None where it has none."""
    stem, dot, ending = name.rpartition(".")
    return stem if stem and dot + ending in PICTURE_SUFFIXES else None


def _keys(parts: Parts, stems: bool) -> Iterator[Parts]:
    """What to look up: the name; for ``stems`` as one without an ending, and without the ending that it has."""
    if not parts:
        return
    key = tuple(map(_folded, parts))
    yield key
    if stems and (stem := _stem(key[-1])) is not None:
        yield (*key[:-1], stem)


def _joined(place: Parts, parts: Parts) -> Parts | None:
    """The path from the top; None where it climbs out of it."""
    path: list[str] = list(place)
    for part in parts:
        if part == "..":
            if not path:
                return None
            path.pop()
        elif part != ".":
            path.append(part)
    return tuple(path) or None


def _split_of_folder(name: str) -> str | None:
    """``train`` for ``train``, and for ``train_images``."""
    return split_of(name) or split_of(re.split(r"[\W_]", name.strip())[0])


def _spellings(named: str) -> Iterator[Parts]:
    """The parts of the path that a cell may mean, the likeliest first."""
    text = named.strip()
    texts = [text]
    if any(prefix in text for prefix in LABEL_STUDIO):
        texts = list(_from_label_studio(text))
    elif address := re.match(r"([a-z][a-z0-9+.-]+)://", text, re.I):
        texts = [unquote(text[address.end() :]), text[address.end() :]]
    if "%" in text and texts == [text]:
        texts.append(unquote(text))
    if "\\" in text:
        texts += [re.sub(r"^[A-Za-z]:", "", one.replace("\\", "/")) for one in texts]
    seen: set[Parts] = set()
    for one in texts:
        one = re.sub(r"^[A-Za-z]:(?=/)", "", one)
        parts = tuple(part for part in one.split("/") if part not in ("", "."))
        if parts and parts not in seen and "\0" not in one:
            seen.add(parts)
            yield parts


def _from_label_studio(text: str) -> Iterator[str]:
    """``/data/upload/1/1a2b3c4d-name.jpg`` is ``name.jpg``; ``/data/local-files/?d=a/name.jpg`` is ``a/name.jpg``."""
    try:
        split = urlsplit(text)
    except ValueError:
        yield text
        return
    for path in parse_qs(split.query).get("d", []):
        yield path
    path = unquote(split.path)
    if "/data/upload/" in path:
        yield path.rpartition("/data/upload/")[2]
        name = path.rpartition("/")[2]
        if short := UPLOAD_PREFIX.sub("", name):
            yield short


def walked(folder: Path, most: int = MOST_WALKED) -> list[PurePosixPath] | None:
    """The files below a folder, relative to it, without hidden ones and links; None where there are more than ``most``,
    or it cannot be read.
    """
    paths: list[PurePosixPath] = []
    seen = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        seen += len(names) + len(folders)
        if seen > most:
            return None
        here = PurePosixPath(Path(place).relative_to(folder).as_posix())
        paths += [here / name for name in sorted(names) if not name.startswith(".")]
    return paths


class FinderOnDisk:
    """Finds the files that the rows of a table name on this machine: where they say, from the folder of the table or
    one above it; else below it; else, where it has no pictures, below the folder above. Links are not followed.
    """

    def __init__(self, table: Path) -> None:
        self.folder = table.parent.absolute()
        self._places = (self.folder, *list(self.folder.parents)[:ABOVE])

    def find(self, named: str, split: str | None = None) -> tuple[Path | None, Sighting]:
        """The file, and how it was found; None where it is not there, or several may be meant."""
        for place, name in product(self._places, _written(named)):
            if _is_file(place / name):
                return place / name, Sighting((PurePosixPath(name),), EXACT)
        if self._below is None:
            return None, Sighting()
        root, finder = self._below
        sighting = finder.find(named, PurePosixPath(self.folder.relative_to(root).as_posix()), split)
        path = root / sighting.path if sighting.path is not None else None
        return (path if path is not None and _is_file(path) else None), sighting

    @cached_property
    def _below(self) -> tuple[Path, Finder] | None:
        """What is looked through where a name says no place: walked once, when it is needed."""
        paths = walked(self.folder, MOST_WALKED)
        if paths is not None and any(path.suffix.lower() in PICTURE_SUFFIXES for path in paths):
            return self.folder, Finder(paths)
        above = self.folder.parent
        around = walked(above, MOST_AROUND) if above not in (Path(above.anchor), Path.home()) else None
        return None if around is None else (above, Finder(around))


def _written(named: str) -> Iterator[str]:
    """The path as it is written; as Windows writes it; in the home folder; as an address of a file."""
    yield named
    if "\\" in named:
        yield named.replace("\\", "/")
    if named.startswith("~/"):
        yield str(Path.home() / named[2:])
    if named.lower().startswith("file://"):
        yield unquote(named[len("file://") :])


def _is_file(path: Path) -> bool:
    try:
        return not path.is_symlink() and path.is_file()
    except (OSError, ValueError):  # a name that is too long, say
        return False
