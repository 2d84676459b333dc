"""What can be imported, as one list of entries: folders, archives, tables; where a picture lies says what it shows."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from pipeline.class_names import Spelled
from pipeline.collect.archives import archived
from pipeline.collect.entries import (
    Empty,
    Entry,
    File,
    Found,
    Labelling,
    LeftOut,
    Link,
    NameMatcher,
    NamesRead,
    Note,
    Refused,
    Walked,
    shown,
    split_of,
)
from pipeline.collect.folders import walked
from pipeline.collect.listings import CLASSES, is_listing, read_class_names, read_listings
from pipeline.collect.naming import with_one_name_each
from pipeline.collect.reading import Choice, Reading, in_words
from pipeline.collect.tables import Row, read_table
from pipeline.errors import SourceError, UsageError
from pipeline.images.formats import PICTURE_SUFFIXES

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl")
WORKBOOKS = (".xlsx", ".xls", ".ods", ".numbers")


def read(source: Path, how: Labelling | None = None, local: bool = True) -> Reading:
    """What ``source`` means: a folder, a .zip, .tar, .tar.gz or .tgz archive, or a .csv file. Nothing is stored.

    In a folder or an archive, a picture's label is, in this order: what ``how`` says; what metadata.csv (or .jsonl) in
    its folder or above says of it; its class folder, where there are two at least (classes.csv tells what class a
    folder stands for); what labels.csv says of it; its only class folder. Train, valid and test folders above give the
    split, or a table's column. ``local`` is False for what a visitor sent: then a table may name URLs, but no files of
    this machine. Raises SourceError, UsageError.
    """
    how = replace(how or Labelling(), spelled=Spelled())
    found = list(_found(source, how, local))
    reading = Reading(
        "",
        entries=tuple(one for one in found if isinstance(one, Entry)),
        links=tuple(one for one in found if isinstance(one, Link)),
        refused=tuple(one for one in found if isinstance(one, Refused)),
        left_out=Counter(one.kind for one in found if isinstance(one, LeftOut)),
        empty=tuple(one.path for one in found if isinstance(one, Empty)),
        notes=tuple(one.text for one in found if isinstance(one, Note)),
        others=tuple(
            Choice(words, {"name_encoding": encoding})
            for one in found
            if isinstance(one, NamesRead)
            for encoding, words in one.others.items()
        ),
    )
    reading = with_one_name_each(reading, how)
    return replace(reading, layout=in_words(reading))


def _found(source: Path, how: Labelling, local: bool) -> Iterator[Found]:
    if not os.path.exists(source):  # noqa: PTH110 - Path.exists raises for a name that is too long
        raise SourceError(
            f"There is nothing at {source}. Give a folder, a .zip or .tar archive, a .csv file or 'starter'."
        )
    if source.is_dir():
        return _placed(walked(source, local, how.follow_links), how)
    if source.suffix.lower() in TABLE_SUFFIXES:
        if how.pattern is not None:
            raise UsageError("A regular expression finds labels in file names; a table has a column for them.")
        return read_table(source, how, ("path", "url") if local else ("url",))
    if source.suffix.lower() in WORKBOOKS:
        raise SourceError(f"{source.name} is a workbook. Save its sheet as 'CSV UTF-8' and import that file.")
    if (files := archived(source, how.name_encoding)) is not None:
        return _placed(files, how)
    raise SourceError(f"{source.name} is neither a folder, nor a .zip, .tar or .csv file that can be read.")


# --- where a file lies says what it is ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Layout:
    """How the pictures lie: below ``outer`` folders of no meaning, perhaps ``in_splits``, perhaps in class folders."""

    outer: int
    in_splits: bool

    def place(self, path: PurePosixPath) -> tuple[str | None, str | None]:
        """(split, class folder) of a file, where its folders name them."""
        folders = path.parts[self.outer : -1]
        split = split_of(folders[0]) if self.in_splits and folders else None
        folders = folders[1:] if split else folders
        return split, folders[0] if folders else None


def _layout(paths: Sequence[PurePosixPath], split_from: str | None) -> _Layout:
    """A single outer folder, or split folders, are seen first.

    Where the pictures lie decides: a README beside the folders, or a folder of papers, says nothing about classes.
    """
    outer = 0
    folders = {path.parts[0] for path in paths if len(path.parts) > 1}
    while len(folders) == 1 and all(len(path.parts) > outer + 2 for path in paths):
        if split_from == "folders" and split_of(next(iter(folders))):
            break
        outer += 1
        folders = {path.parts[outer] for path in paths}
    in_splits = bool(folders) and all(map(split_of, folders))
    if split_from == "folders" and not in_splits:
        raise SourceError("There are no train, valid or test folders to take the split from.")
    return _Layout(outer, in_splits)


def _pictures(paths: Iterable[PurePosixPath]) -> list[PurePosixPath]:
    """The files that are called like pictures; all of them where none is."""
    paths = list(paths)
    return [path for path in paths if path.suffix.lower() in PICTURE_SUFFIXES] or paths


def _placed(files: Iterator[Walked], how: Labelling) -> Iterator[Found]:
    """Entries from the places of files, and from the tables that lie among them."""
    kept: list[File] = []
    tables: list[File] = []
    for file in files:
        if not isinstance(file, File):
            yield file
        elif is_listing(file.path, how):
            tables.append(file)
        elif not how.below or set(file.path.parts[:2]) & set(how.below):
            kept.append(file)
    pictures = _pictures(file.path for file in kept)
    layout = _layout(pictures, how.split_from)
    problems: list[Refused | Note] = []
    about_classes = [file for file in tables if file.path.name.lower() == CLASSES]
    how = replace(how, names={**how.names, **read_class_names(about_classes, how, problems)})
    listings = read_listings([file for file in tables if file not in about_classes], pictures, how, problems)
    if how.split_from == "column" and not any(table.splits for table in listings.tables):
        raise SourceError("There is no table with a column 'split' to take the split from.")
    classes = len({folder for folder in (layout.place(path)[1] for path in pictures) if folder is not None})
    matcher = NameMatcher(how.pattern) if how.pattern is not None else None
    for file in kept:
        split, folder = layout.place(file.path)
        row = listings.row(file.path, folder is not None and classes > 1)
        if row is not None and how.split_from != "folders":
            split = row.split or split
        try:
            label = _label(file.path, folder, row, how, matcher)
        except SourceError as error:
            yield Refused(shown(file.path), str(error))
        else:
            yield Entry(shown(file.path), label, split, file.size, file.open)
    yield from problems
    yield from listings.left()


def _label(
    path: PurePosixPath, folder: str | None, row: Row | None, how: Labelling, matcher: NameMatcher | None
) -> str | None:
    """Raises SourceError where what should be the label cannot be one."""
    if how.label is not None:
        return how.name(how.label)
    if matcher is not None:
        told = matcher.label(path)
        if told is None:
            raise SourceError("The regular expression does not fit its name.")
        return how.name(told)
    if row is not None and row.label is not None:
        return row.label
    if folder is None:
        return None
    name = how.name(folder)
    return how.names.get(name, name)
