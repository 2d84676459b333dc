"""Rows of Parquet and Arrow files as pictures with labels: data sets as Hugging Face keeps them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, islice
from pathlib import PurePosixPath
from typing import IO, Any, TypeAlias

from pipeline.collect.arrow_worker import Column, Looked
from pipeline.collect.cells import Row, Said
from pipeline.collect.columns import FILES, LABEL, LABELS, LOOKED_AT, SPLITS, SPLITS_TOO, Meaning, plain
from pipeline.collect.entries import (
    MAX_ENTRIES,
    MAX_IMAGE_BYTES,
    Entry,
    Labelling,
    Link,
    NameMatcher,
    Note,
    Refused,
    opener,
    shown,
    split_of,
)
from pipeline.collect.features import class_names, features_of, has_classes, in_classes, is_image, with_names
from pipeline.collect.finder import FinderOnDisk
from pipeline.collect.layouts import NAMES, TOLD
from pipeline.collect.listings import columns_of, label_column
from pipeline.collect.nested import labels_of_cell
from pipeline.collect.reading import Choice, Columns, Question, Reading, few, in_words, number
from pipeline.collect.shard_files import Shard, ShardFiles
from pipeline.collect.tables import Cells, Table, record, rows_of, table_of
from pipeline.errors import SourceError
from pipeline.images.formats import extension_by_bytes

MOST_SHOWN = 60
PLACE = re.compile(r"^line")
NOT_ALONG = "Its picture did not come along: the row has no bytes, and names a file."
NO_BYTES = "There is no picture in this row."
_Numbered: TypeAlias = tuple[int, tuple[Any, ...]]
_Record: TypeAlias = tuple[int, Cells | str]


def read_shards(
    shards: Sequence[Shard], how: Labelling, local: bool, files: ShardFiles, beside: Mapping[str, Any] | None = None
) -> Reading:
    """What the rows of files mean. ``beside``: what is said of their columns where they themselves say nothing.

    Files whose columns are alike are one table. Raises SourceError where none of them can be read.
    """
    refused: list[Refused] = []
    groups: dict[tuple[tuple[Column, ...], str], list[tuple[Shard, Looked]]] = {}
    for shard in shards:
        try:
            looked = files.look(shard.path)
        except SourceError as error:
            refused.append(Refused(shard.name, f"It cannot be read as a Parquet or Arrow file: {error}."))
            continue
        groups.setdefault((looked.columns, looked.features), []).append((shard, looked))
    if not groups and len(refused) == 1:
        raise SourceError(f"{refused[0].path}: {refused[0].reason} Get it anew.")
    rows = sum(looked.rows for group in groups.values() for _, looked in group)
    if groups and not rows and not refused:
        raise SourceError(f"{few([shard.name for shard in shards])}: there are no rows in it.")
    if rows > MAX_ENTRIES:
        raise SourceError(f"There are {rows:,} rows, and {MAX_ENTRIES:,} are allowed at once. Import it in parts.")
    found: list[_Found] = []
    problems: list[SourceError] = []
    for group in groups.values():
        try:
            found.append(_Group(group, how, local, files, beside or {}).read())
        except SourceError as error:
            problems.append(error)
            refused += [Refused(shard.name, str(error)) for shard, _ in group]
    if problems and not any(group.taken for group in found):
        raise problems[0]
    taken = [one for group in found for one in group.taken]
    splits = {one.thing.split for one in taken if one.thing.label is not None}
    notes = [note for group in found for note in group.notes]
    if len(splits) == 1 and None not in splits and how.split_from is None and not any(one.by_column for one in taken):
        notes.append(f"Only '{next(iter(splits))}' has pictures with labels, so nothing is split yet.")
        taken = [replace(one, thing=replace(one.thing, split=None)) for one in taken]
    if how.split_from == "folders" and not any(shard.split for shard in shards):
        raise SourceError("No file or folder is named for train, valid or test, to take the split from.")
    reading = Reading(
        "",
        entries=tuple(one.thing for one in taken if isinstance(one.thing, Entry)),
        links=tuple(one.thing for one in taken if isinstance(one.thing, Link)),
        refused=(*refused, *(one for group in found for one in group.refused)),
        tables=tuple(shard.name for group in groups.values() for shard, _ in group),
        notes=tuple(dict.fromkeys(notes)),
        questions=tuple(question for group in found for question in group.questions),
        columns=tuple(group.columns for group in found if group.columns is not None),
    )
    origins = Counter(one.origin for one in taken if one.thing.label is not None)
    return replace(reading, layout=in_words(reading, origins))


def picture_columns(looked: Looked, features: Mapping[str, Any]) -> list[str]:
    """The columns that hold pictures: first those that features call so, then those that look like it."""
    told, likely = [], []
    for column, first in zip(looked.columns, looked.first, strict=True):
        if column.kind in ("picture", "bytes") and is_image(features.get(column.name)):
            told.append(column.name)
        elif column.kind == "picture" or extension_by_bytes(first) is not None:
            likely.append(column.name)
    order = {word: n for n, word in enumerate(FILES)}
    for names in (told, likely):
        names.sort(key=lambda name: order.get(plain(name), len(order)))
    return [*told, *likely]


@dataclass(frozen=True)
class _Taken:
    """A picture; ``origin``: where its label is from, in words; ``by_column``: its split is from a column."""

    thing: Entry | Link
    origin: str
    by_column: bool


@dataclass
class _Found:
    taken: list[_Taken] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    columns: Columns | None = None


class _Group:
    """Files whose columns are alike, as one table."""

    def __init__(
        self,
        shards: Sequence[tuple[Shard, Looked]],
        how: Labelling,
        local: bool,
        files: ShardFiles,
        beside: Mapping[str, Any],
    ) -> None:
        self.shards = [shard for shard, _ in shards]
        firsts = zip(*(looked.first for _, looked in shards), strict=True)
        self.looked = replace(shards[0][1], first=tuple(next(filter(None, first), b"") for first in firsts))
        self.counts = [looked.rows for _, looked in shards]
        self.starts = [0, *accumulate(self.counts)]
        self.how, self.local, self.files = how, local, files
        self.features = {**beside, **features_of(self.looked.features)}
        first = self.shards[0].name
        self.name = first if len(shards) == 1 else f"{number(len(shards), 'file')} like {first}"
        self.found = _Found()
        self.paths = [""] * self.starts[-1]
        self.sizes = [0] * self.starts[-1]
        self.classes: dict[str, tuple[str, ...]] = {}
        self.finder: FinderOnDisk | None = None

    def read(self) -> _Found:
        """What its rows say. Raises SourceError where ``how`` names a column that is not there."""
        empty = [shard for shard, count in zip(self.shards, self.counts, strict=True) if not count]
        self.found.refused += [Refused(shard.name, "It has no rows.") for shard in empty]
        if not any(self.counts):
            return self.found
        if self.looked.left:
            self.found.notes.append(f"{self.name}: {self.looked.left:,} more columns were not looked at.")
        pictures = picture_columns(self.looked, self.features)
        cells = [column.name for column in self.looked.columns if self._is_read(column)]
        self.classes = {name: names for name in cells if (names := class_names(self.features.get(name))) is not None}
        picture = self._picture(pictures, cells)
        how = self._with_label(cells)
        if picture is not None and how.file_column is not None:
            how = replace(how, file_column=None)
        first = [self._object(cells, values) for _, values in islice(self._rows(cells, None, tell=False), LOOKED_AT)]
        table = table_of(self.name, enumerate(first), how)
        columns = [name for name in cells if self._has_meaning(table.meaning, name)] if first else cells
        records = [
            (n, one if isinstance(one := self._object(columns, values), str) else record(table.meaning, cells, one))
            for n, values in self._rows(columns, picture)
        ]
        if not records:
            return self.found
        if picture is not None and any(self.sizes):
            self._pictures_of(table, records, picture, how)
        elif picture is not None and not any(self.paths):
            self.found.refused.append(Refused(self.name, f"There is nothing in its column '{picture}'."))
        else:
            self._named(table, records, picture, how)
        self.found.columns = self._columns(table, pictures, picture)
        return self.found

    # --- which columns

    def _is_read(self, column: Column) -> bool:
        """Whether its cells may say something: of those with objects, where classes are in them."""
        if column.kind == "nested":
            return plain(column.name) in (*LABELS, *LABEL) or has_classes(self.features.get(column.name))
        return column.kind in ("text", "number", "list")

    def _picture(self, pictures: Sequence[str], cells: Sequence[str]) -> str | None:
        """The column of the pictures, or None where a column of names or addresses is to be taken."""
        told = self.how.file_column
        if told is not None:
            holding = [column.name for column in self.looked.columns if column.kind in ("picture", "bytes", "octets")]
            for same in (str, lambda text: text.strip().casefold(), plain):
                if named := [name for name in holding if same(name) == same(told)]:
                    return named[0]
            if not any(plain(name) == plain(told) for name in cells):
                raise SourceError(f"{self.name} has no column '{told[:60]}' (--file-column). It has: {self._listed()}.")
            return None
        if len(pictures) > 1:
            choices = tuple(Choice(name, {"file_column": name}) for name in pictures)
            self.found.questions.append(Question(f"{self.name}: which column has the pictures?", choices))
        return pictures[0] if pictures else None

    def _listed(self) -> str:
        names = [repr(column.name[:60]) for column in self.looked.columns[:30]]
        more = len(self.looked.columns) - len(names) + self.looked.left
        return (", ".join(names) or "none") + (f" and {more:,} more" if more else "")

    def _with_label(self, cells: Sequence[str]) -> Labelling:
        """With the column of classes that the features tell, where nobody names one."""
        how = self.how
        likely = [name for name in cells if name in self.classes and not self._is_split(name)]
        if how.label is not None or how.label_column is not None or not likely:
            return how
        words = (*LABEL, *LABELS)
        likely.sort(key=lambda name: words.index(plain(name)) if plain(name) in words else len(words))
        if len(likely) > 1:
            choices = tuple(Choice(name, {"label_column": name}) for name in likely)
            self.found.questions.append(Question(f"{self.name}: which column has the class?", choices))
        return replace(how, label_column=likely[0])

    def _is_split(self, name: str) -> bool:
        told = self.how.split_column
        named = plain(name) in (*SPLITS, *SPLITS_TOO) and all(split_of(one) for one in self.classes[name])
        return named or (told is not None and plain(told) == plain(name))

    def _has_meaning(self, meaning: Meaning, name: str) -> bool:
        named = " ".join(name.split())
        index = meaning.names.index(named) if named in meaning.names else None
        return index in (*meaning.roles.values(), *meaning.one_hot, *meaning.more)

    # --- rows

    def _rows(self, columns: Sequence[str], picture: str | None, tell: bool = True) -> Iterator[_Numbered]:
        """Rows with their numbers over all files; what is known of their pictures is put down. A part that is damaged
        is left out, and refused (``tell``).
        """
        for n, shard in enumerate(self.shards):
            row = 0
            while row < self.counts[n]:
                start = self.starts[n] + row
                try:
                    read = self.files.cells(shard.path, tuple(columns), picture, row)
                except SourceError as error:
                    end = self.files.part(shard.path, row)[1]
                    if tell:
                        reason = f"They cannot be read: {error}."
                        self.found.refused.append(Refused(f"{shard.name} rows {row} to {end - 1}", reason))
                    row = end
                    continue
                self.paths[start : start + len(read.rows)] = read.paths
                self.sizes[start : start + len(read.rows)] = read.sizes
                yield from enumerate(read.rows, start)
                row += len(read.rows)

    def _object(self, columns: Sequence[str], values: Sequence[Any]) -> dict[str, Any] | str:
        """A row by its columns, with names for the numbers of classes; what is wrong with it, in words."""
        try:
            return {
                name: in_classes(value, self.classes[name]) if name in self.classes else self._named_in(name, value)
                for name, value in zip(columns, values, strict=True)
            }
        except SourceError as error:
            return str(error)

    def _named_in(self, name: str, value: Any) -> Any:
        return with_names(value, self.features.get(name)) if isinstance(value, dict | list) else value

    def _place(self, n: int) -> tuple[Shard, int]:
        """The file that has this row of all, and its number in there."""
        shard = bisect_right(self.starts, n) - 1
        return self.shards[shard], n - self.starts[shard]

    def _pictures_of(self, table: Table, records: Sequence[_Record], picture: str, how: Labelling) -> None:
        """The pictures in the rows, each with what its row says."""
        said = Said(self.name, table.meaning, [cells for _, cells in records if not isinstance(cells, str)], how)
        self._check_split(table, how)
        self.found.notes += [note.text for note in table.notes]
        labels = _Labels(self.name, table, how)
        for n, cells in records:
            shard, place = self._place(n)
            name = f"{shard.name} row {place}"
            try:
                if isinstance(cells, str):
                    raise SourceError(cells)
                row = said.row(place, cells)
                name = shown(self.paths[n] or row.path) or name
                label = labels.of(name, row)
                open_it, size = self._opener(n, picture)
            except SourceError as error:
                self.found.refused.append(Refused(name, str(error)))
                continue
            split = self._split(row, shard)
            entry = Entry(name, label, split if label is not None else None, size, open_it, row.scene)
            self.found.taken.append(_Taken(entry, labels.origin, row.split is not None and split == row.split))
        self.found.notes += [*said.notes(), *labels.notes()]

    def _opener(self, n: int, picture: str) -> tuple[Callable[[], IO[bytes]], int]:
        """What opens a row's picture, and its size. Raises SourceError where there is none."""
        shard, place = self._place(n)
        if self.sizes[n]:
            return self.files.opener(shard.path, picture, place), min(self.sizes[n], MAX_IMAGE_BYTES)
        named = self.paths[n]
        if not named:
            raise SourceError(NO_BYTES)
        if not self.local:
            raise SourceError(NOT_ALONG)
        if self.finder is None:
            self.finder = FinderOnDisk(shard.path)
        path, _ = self.finder.find(named, shard.split)
        if path is None:
            raise SourceError(f"There is no file {named[:200]}, and no bytes in the row.")
        return opener(path), path.stat().st_size

    def _split(self, row: Row, shard: Shard) -> str | None:
        if self.how.split_from == "folders":
            return shard.split
        return row.split if self.how.split_from == "column" else row.split or shard.split

    def _check_split(self, table: Table, how: Labelling) -> None:
        if how.split_from == "column" and not table.roles & {"split", "is_valid"}:
            raise SourceError(
                f"{self.name} has no column 'split' to take the split from (it has: {self._listed()}). Say which it is "
                "(--split-column)."
            )

    # --- rows that name files or addresses

    def _named(self, table: Table, records: Sequence[_Record], picture: str | None, how: Labelling) -> None:
        """The files and addresses that the rows name, as those of any table do."""
        if picture is not None:
            names = (*table.meaning.names, picture)
            roles = {**table.meaning.roles, "path": len(names) - 1}
            table = replace(table, meaning=replace(table.meaning, names=names, roles=roles))
            records = [(n, c if isinstance(c, str) else {**c, "path": self.paths[n]}) for n, c in records]
        if not table.roles & {"path", "url"}:
            raise SourceError(self._no_pictures())
        if "path" in table.roles and "url" not in table.roles and not self.local:
            raise SourceError(f"{self.name} names its pictures, and they did not come along. Put their bytes into it.")
        origin = f"{self.name} ({column})" if (column := label_column(table)) else self.name
        for n, shard in enumerate(self.shards):
            mine = [(at - self.starts[n], one) for at, one in records if self.starts[n] <= at < self.starts[n + 1]]
            one = replace(table, name=shard.name, records=iter(mine))
            for thing in rows_of(shard.path, one, how, ("path", "url") if self.local else ("url",)):
                if isinstance(thing, Note):
                    self.found.notes.append(thing.text)
                elif isinstance(thing, Refused):
                    self.found.refused.append(replace(thing, path=PLACE.sub(f"{shard.name} row", thing.path)))
                elif isinstance(thing, Entry | Link):
                    split = None if self.how.split_from == "column" or thing.label is None else shard.split
                    taken = replace(thing, split=thing.split or split)
                    self.found.taken.append(_Taken(taken, origin, thing.split is not None))

    def _no_pictures(self) -> str:
        pixels = [column.name for column in self.looked.columns if column.kind in ("pixels", "octets")]
        several = [column.name for column in self.looked.columns if column.kind == "pictures"]
        if pixels:
            return (
                f"{self.name} holds pictures as numbers in the column '{pixels[0]}'. Make an image column of it "
                "(datasets: cast_column with Image()), and write the file anew."
            )
        if several:
            return f"{self.name} has several pictures a row in '{several[0]}'. Write a row for each, and import that."
        return (
            f"{self.name} has no column with pictures, nor with names of files or addresses (it has: "
            f"{self._listed()}). If one of them is, name it (--file-column)."
        )

    def _columns(self, table: Table, pictures: Sequence[str], picture: str | None) -> Columns:
        """The columns with their first rows, as one would see them; those with pictures are columns, too."""
        told = columns_of(self.name, table)
        roles = {**told.roles, **({"file": picture} if picture is not None else {})}
        rows = tuple((*("(picture)" for _ in pictures), *map(_plain_cell, row)) for row in told.rows)
        return replace(told, columns=(*pictures, *told.columns), rows=rows, roles=roles)


class _Labels:
    """The label of a picture: what was told for all, what a regular expression finds in its name, or its row's."""

    def __init__(self, name: str, table: Table, how: Labelling) -> None:
        self.how = how
        self.matcher = NameMatcher(how.pattern) if how.pattern is not None else None
        self.has_column = bool(table.roles & {"label", "labels"})
        self.name = name
        self.origin = f"{name} ({label_column(table)})"
        if how.label is not None or self.matcher is not None:
            self.origin = TOLD if how.label is not None else NAMES

    def of(self, name: str, row: Row) -> str | None:
        """The label. Raises SourceError where the regular expression finds none."""
        if self.how.label is not None:
            return row.label
        if self.matcher is not None:
            found = self.matcher.label(PurePosixPath(name))
            if found is None:
                raise SourceError("The regular expression does not fit its name.")
            return self.how.name(found)
        return None if self.how.labels_from in ("none", "folders") else row.label

    def notes(self) -> Iterator[str]:
        """What one should know."""
        told = self.how.label is not None or self.matcher is not None or self.how.labels_from in ("none", "folders")
        if not self.has_column and not told:
            yield f"{self.name} has no column that says a class, so its pictures come without one (--label-column)."


def _plain_cell(cell: str) -> str:
    """The names of classes in a cell without the signs of a list."""
    labels = labels_of_cell(cell)
    return ", ".join(labels)[:MOST_SHOWN] if labels is not None else cell
