"""What can be imported, as one reading: folders, archives, tables."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from pipeline.class_names import Spelled
from pipeline.collect.archives import archived
from pipeline.collect.entries import Empty, Entry, File, Labelling, Link, Note, Refused, Walked
from pipeline.collect.folders import walked
from pipeline.collect.layouts import ARCHIVES
from pipeline.collect.listings import TABLE_SUFFIXES, columns_of, label_column
from pipeline.collect.naming import with_one_name_each
from pipeline.collect.reading import Reading, in_words
from pipeline.collect.row_sets import file_of_rows, tree_with_rows
from pipeline.collect.shard_files import is_shard
from pipeline.collect.tables import names_files, opened, rows_of
from pipeline.errors import SourceError, UsageError

WORKBOOKS = (".xlsx", ".xls", ".ods", ".numbers")


def read(source: Path, how: Labelling | None = None, local: bool = True) -> Reading:
    """What ``source`` means: a folder, a .zip, .tar, .tar.gz or .tgz archive, or a .csv file. Nothing is stored.

    In a folder or an archive, a picture's label is, in this order: what ``how`` says; what metadata.csv (or .jsonl)
    says of it; what other tables say, where they name most of the pictures in the folders that they speak of (what
    they do not name has no label then); its class folder (classes.csv tells what class a folder stands for); what any
    other table says. Train, valid and test folders above give the split, or a table's column; a picture without a
    label has none. ``local`` is False for what a visitor sent: then a table may name URLs, but no files of this
    machine. Raises SourceError, UsageError.
    """
    how = replace(how or Labelling(), spelled=Spelled())
    return with_one_name_each(_reading(source, how, local), how)


def _reading(source: Path, how: Labelling, local: bool) -> Reading:
    if not os.path.exists(source):  # noqa: PTH110 - Path.exists raises for a name that is too long
        raise SourceError(
            f"There is nothing at {source}. Give a folder, a .zip or .tar archive, a .csv file or 'starter'."
        )
    if source.is_dir():
        found = walked(source, local, how.follow_links)
        return tree_with_rows(_unpacked(found, how) if how.unpack else found, how, local)
    if source.suffix.lower() in TABLE_SUFFIXES:
        return _table(source, how, local)
    if source.suffix.lower() in WORKBOOKS:
        raise SourceError(f"{source.name} is a workbook. Save its sheet as 'CSV UTF-8' and import that file.")
    if (files := archived(source, how.name_encoding)) is not None:
        return tree_with_rows(files, how, local)
    if is_shard(source):
        return file_of_rows(source, how, local)
    raise SourceError(f"{source.name} is neither a folder, nor a .zip, .tar, .csv or Parquet file that can be read.")


def _unpacked(found: Iterable[Walked], how: Labelling) -> Iterator[Walked]:
    """The files with those of archives among them, each archive as a folder of its name."""
    for one in found:
        inside = None
        if isinstance(one, File) and one.real is not None and one.path.suffix.lower() in ARCHIVES:
            inside = archived(Path(one.real), how.name_encoding)
        if inside is None or not isinstance(one, File):
            yield one
            continue
        folder = one.path.parent / one.path.name.partition(".")[0]
        for part in inside:
            if isinstance(part, File):
                yield replace(part, path=folder / part.path)
            else:
                yield replace(part, path=f"{folder}/{part.path}") if isinstance(part, Refused | Empty) else part


def _table(source: Path, how: Labelling, local: bool) -> Reading:
    if how.pattern is not None:
        raise UsageError("A regular expression finds labels in file names; a table has a column for them.")
    try:
        table = opened(source, how)
        found = list(rows_of(source, table, how, ("path", "url") if local else ("url",)))
    except SourceError as error:
        if local or not names_files(source):
            raise
        raise SourceError(
            f"{source.name} names files, and its pictures did not come along. Send the folder that holds both, or a "
            "zip of it; or a table with a column 'url'."
        ) from error
    reading = Reading(
        "",
        entries=tuple(one for one in found if isinstance(one, Entry)),
        links=tuple(one for one in found if isinstance(one, Link)),
        refused=tuple(one for one in found if isinstance(one, Refused)),
        tables=(source.name,),
        notes=tuple(one.text for one in found if isinstance(one, Note)),
        columns=(columns_of(source.name, table),),
    )
    column = label_column(table) if how.label is None else ""
    origin = f"{source.name} ({column})" if column else source.name
    origins = Counter({origin: sum(one.label is not None for one in reading.all())})
    return replace(reading, layout=in_words(reading, origins))
