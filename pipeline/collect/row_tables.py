"""Parquet and Arrow files without pictures as tables that name some: Hugging Face's metadata.parquet, for one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.collect.entries import MAX_ENTRIES, File, Labelling
from pipeline.collect.features import class_names, features_of, in_classes
from pipeline.collect.shard_files import ShardFiles
from pipeline.collect.tables import Table, table_of
from pipeline.errors import SourceError

CELLS = ("text", "number", "list")


def table_of_rows(file: File, how: Labelling) -> Table:
    """The table in a file of rows. Raises SourceError where it cannot be read."""
    files = ShardFiles(file.size)
    path = files.place(file)
    looked = files.look(path)
    if looked.rows > MAX_ENTRIES:
        raise SourceError(f"It has {looked.rows:,} rows, and {MAX_ENTRIES:,} are allowed.")
    columns = tuple(column.name for column in looked.columns if column.kind in CELLS)
    features = features_of(looked.features)
    classes = {name: names for name in columns if (names := class_names(features.get(name))) is not None}
    return table_of(file.path.name, _objects(files, path, columns, classes, looked.rows), how)


def _objects(
    files: ShardFiles, path: Path, columns: tuple[str, ...], classes: Mapping[str, tuple[str, ...]], rows: int
) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    row = 0
    while row < rows:
        read = files.cells(path, columns, None, row)
        for at, values in enumerate(read.rows):
            try:
                cells = {
                    name: in_classes(value, classes[name]) if name in classes else value
                    for name, value in zip(columns, values, strict=True)
                }
            except SourceError as error:
                yield row + at, str(error)
            else:
                yield row + at, cells
        row += len(read.rows)
