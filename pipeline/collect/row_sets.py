"""Folders, archives and files with Parquet or Arrow files in them: what belongs to the set, and what is beside it."""

from __future__ import annotations

import fnmatch
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.collect.entries import File, Labelling, LeftOut, Refused, Walked, opener, shown, split_of
from pipeline.collect.features import configs_of, features_of, features_of_card, front_matter
from pipeline.collect.layouts import NO_PICTURE, laid_out
from pipeline.collect.reading import Reading
from pipeline.collect.shard_files import SHARD_SUFFIXES, Shard, ShardFiles, split_of_place
from pipeline.collect.shards import picture_columns, read_shards
from pipeline.errors import SourceError
from pipeline.images.formats import PICTURE_SUFFIXES

INFO, INFOS, STATE, CARD = "dataset_info.json", "dataset_infos.json", "state.json", "readme.md"
ABOUT = "files about the data set"
NOT_OF_IT = "files that its state.json does not name"
MOST_BYTES = 8 << 20
PAPERS = (".md", ".txt", ".json", ".py", ".lock", ".bib", ".cff")


def file_of_rows(source: Path, how: Labelling, local: bool) -> Reading:
    """What one Parquet or Arrow file means. Raises SourceError, UsageError."""
    beside: list[File] = []
    for folder in (source.parent, source.parent.parent) if local else ():
        for name in (INFO, INFOS, "README.md"):
            with suppress(OSError):
                if (path := folder / name).is_file():
                    beside.append(File(PurePosixPath(name), path.stat().st_size, opener(path)))
    shard = Shard(source.name, source, split_of_place(PurePosixPath(source.name)))
    return read_shards([shard], how, local, ShardFiles(source.stat().st_size), _Papers.of(beside).features)


def tree_with_rows(found: Iterable[Walked], how: Labelling, local: bool) -> Reading:
    """What a folder or an archive means: the rows of its Parquet and Arrow files, and its pictures as they are laid
    out. Raises SourceError, UsageError.
    """
    walked = list(found)
    rows = [one for one in walked if isinstance(one, File) and one.path.suffix.lower() in SHARD_SUFFIXES]
    pictures = any(isinstance(one, File) and one.path.suffix.lower() in PICTURE_SUFFIXES for one in walked)
    if pictures:  # those that hold none are tables about these
        rows = [file for file in rows if _has_pictures(file)]
    if not rows:
        return laid_out(walked, how)
    held = set(map(id, rows))
    rest = [one for one in walked if id(one) not in held]
    papers = _Papers.of([one for one in rest if isinstance(one, File)])
    wanted = [file for file in rows if papers.names(file)]
    reading = _rows(wanted, how, local, papers)
    left_out = Counter({NOT_OF_IT: len(rows) - len(wanted)})
    if pictures:
        return _both(reading, laid_out(rest, how), left_out)
    refused: list[Refused] = []
    for one in rest:
        if isinstance(one, Refused):
            refused.append(one)
        elif isinstance(one, LeftOut):
            left_out[one.kind] += 1
        elif isinstance(one, File) and one.path.suffix.lower() in PAPERS:
            left_out[ABOUT] += 1
        elif isinstance(one, File):
            refused.append(Refused(shown(one.path), NO_PICTURE))
    return replace(reading, refused=(*reading.refused, *refused), left_out=dict(+left_out))


def _has_pictures(file: File) -> bool:
    """Whether a file of rows holds pictures; so it seems where it cannot be read, to be refused with the reason."""
    files = ShardFiles(file.size)
    try:
        looked = files.look(files.place(file))
    except SourceError:
        return True
    return bool(picture_columns(looked, features_of(looked.features)))


def _rows(wanted: Sequence[File], how: Labelling, local: bool, papers: _Papers) -> Reading:
    files = ShardFiles(max((file.size for file in wanted), default=0))
    files.check_room(wanted, local)
    shards: list[Shard] = []
    refused: list[Refused] = []
    for file in wanted:
        try:
            shards.append(Shard(shown(file.path), files.place(file), papers.split(file.path)))
        except SourceError as error:
            refused.append(Refused(shown(file.path), str(error)))
    reading = read_shards(shards, how, local, files, papers.features)
    return replace(reading, refused=(*refused, *reading.refused))


def _both(rows: Reading, tree: Reading, left_out: Counter[str]) -> Reading:
    """Two readings of one source as one."""
    left_out.update(tree.left_out)
    return Reading(
        f"{rows.layout}; and beside them {tree.layout}",
        rows.entries + tree.entries,
        rows.links + tree.links,
        rows.refused + tree.refused,
        dict(+left_out),
        rows.tables + tree.tables,
        tree.empty,
        rows.notes + tree.notes,
        rows.questions + tree.questions,
        tree.others,
        rows.columns + tree.columns,
    )


@dataclass
class _Papers:
    """What files about a set say: ``features`` of its columns, the ``splits`` of folders and of ``patterns`` of paths,
    and the ``data`` files of folders that name theirs.
    """

    features: Mapping[str, Any] = field(default_factory=dict)
    splits: dict[PurePosixPath, str] = field(default_factory=dict)
    patterns: list[tuple[str, str]] = field(default_factory=list)
    data: dict[PurePosixPath, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, files: Sequence[File]) -> _Papers:
        """Of those among ``files`` that say something; what cannot be read says nothing."""
        papers = cls()
        card: Mapping[str, Any] = {}
        for file in files:
            name = file.path.name.lower()
            if name in (INFO, INFOS):
                papers.features = {**features_of(_text(file)), **papers.features}
            elif name == CARD:
                told = front_matter(_text(file))
                card = {**features_of_card(told), **card}
                patterns = [(split_of(split), shape) for one in configs_of(told) for split, shape in one.files]
                papers.patterns += [(split, shape.removeprefix("./")) for split, shape in patterns if split]
            elif name == STATE:
                papers._state(file)
        papers.features = {**card, **papers.features}
        return papers

    def _state(self, file: File) -> None:
        with suppress(ValueError, RecursionError, AttributeError, TypeError):
            told = json.loads(_text(file))
            names = frozenset(str(one["filename"]) for one in told["_data_files"])
            self.data[file.path.parent] = names
            if split := split_of_place(PurePosixPath(f"{told.get('_split') or ''}")):
                self.splits[file.path.parent] = split

    def split(self, path: PurePosixPath) -> str | None:
        """The split that is said of a file of rows, or that its place says."""
        told = next((split for split, shape in self.patterns if fnmatch.fnmatchcase(str(path), shape)), None)
        return told or self.splits.get(path.parent) or split_of_place(path)

    def names(self, file: File) -> bool:
        """Whether a file of rows is one of the set, as far as its folder says."""
        names = self.data.get(file.path.parent)
        return names is None or file.path.name in names


def _text(file: File) -> str:
    """The file as text; nothing where it is too large or cannot be read."""
    if file.size > MOST_BYTES:
        return ""
    try:
        with file.open() as opened:
            return opened.read(MOST_BYTES).decode("utf-8", "replace")
    except Exception:  # noqa: BLE001 - archives raise zlib, lzma, zipfile and tarfile errors, and OSError
        return ""
