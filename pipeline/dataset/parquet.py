"""The pictures as Parquet files, as the hub has them: bytes, class, name and id of each, in shards by split."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.dataset.pictures import HUB_SPLITS, Picture, original_name
from pipeline.stage import Progress, Stage

SHARD_BYTES = 500_000_000
GROUP_ROWS = 100
GROUP_BYTES = 32_000_000
NOTE = "Writing Parquet files"


def write_shards(done: Mapping[str, Picture], files: Mapping[str, Path], folder: Path, anonymous: bool) -> Stage[None]:
    """Write ``data/train-00000-of-00003.parquet`` and so on below ``folder``: the pictures by their places, whose
    ``files`` (by id) are removed as soon as they are in. What is held in memory is one group of rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    classes, several = classes_of(done), has_several(done)
    schema = _schema(pa, classes, several)
    (folder / "data").mkdir(parents=True)
    written = 0
    for split, places in split_places(done).items():
        shards = list(_parts([(place, files[done[place].id].stat().st_size) for place in places], SHARD_BYTES))
        for number, shard in enumerate(shards):
            path = folder / "data" / f"{split}-{number:05d}-of-{len(shards):05d}.parquet"
            with pq.ParquetWriter(path, schema, use_dictionary=False, write_statistics=False) as writer:
                for group in _parts(shard, GROUP_BYTES, GROUP_ROWS):
                    rows = [_row(place, done[place], files, classes, several, anonymous) for place, _ in group]
                    writer.write_table(pa.Table.from_pylist(rows, schema=schema))
                    for place, _ in group:
                        files[done[place].id].unlink()
                    written += len(group)
                    yield Progress(written, len(done), NOTE)


def features(done: Mapping[str, Picture]) -> dict[str, Any]:
    """What the card says of the columns and splits of these files."""
    classes = {str(number): name for number, name in enumerate(classes_of(done))}
    label = {"class_label": {"names": classes}}
    several = has_several(done)
    columns = [
        {"name": "image", "dtype": "image"},
        {"name": "labels", "sequence": label} if several else {"name": "label", "dtype": label},
        {"name": "original_name", "dtype": "string"},
        {"name": "id", "dtype": "string"},
    ]
    splits = [{"name": split, "num_examples": len(places)} for split, places in split_places(done).items()]
    return {"dataset_info": {"features": columns, "splits": splits}}


def classes_of(done: Mapping[str, Picture]) -> list[str]:
    """The classes, in the order of their numbers."""
    return sorted({label for picture in done.values() for label in picture.labels})


def has_several(done: Mapping[str, Picture]) -> bool:
    """Whether a picture has several labels."""
    return any(len(picture.labels) > 1 for picture in done.values())


def split_places(done: Mapping[str, Picture]) -> dict[str, list[str]]:
    """split, as the hub calls it -> the places of its pictures; where nothing is split, all is train."""
    found: dict[str, list[str]] = {hub: [] for hub in HUB_SPLITS.values()}
    for place, picture in done.items():
        found[HUB_SPLITS[picture.split] if picture.split else "train"].append(place)
    return {hub: places for hub, places in found.items() if places}


def _schema(pa: Any, classes: Sequence[str], several: bool) -> Any:
    """The columns, with what ``datasets`` needs to know of them: which is a picture, and the names of the classes."""
    names = {"names": list(classes), "_type": "ClassLabel"}
    text = {"dtype": "string", "_type": "Value"}
    told = {
        "image": {"_type": "Image"},
        # "List" says the same to readers of today; this is read by those of yesterday, too
        **({"labels": {"feature": names, "_type": "Sequence"}} if several else {"label": names}),
        "original_name": text,
        "id": text,
    }
    number = pa.int64()
    columns = {
        "image": pa.struct({"bytes": pa.binary(), "path": pa.string()}),
        **({"labels": pa.list_(number)} if several else {"label": number}),
        "original_name": pa.string(),
        "id": pa.string(),
    }
    return pa.schema(columns, metadata={"huggingface": json.dumps({"info": {"features": told}})})


def _row(
    place: str,
    picture: Picture,
    files: Mapping[str, Path],
    classes: Sequence[str],
    several: bool,
    anonymous: bool,
) -> dict[str, Any]:
    numbers = [classes.index(label) for label in picture.labels]
    return {
        "image": {"bytes": files[picture.id].read_bytes(), "path": place.partition("/")[2]},
        **({"labels": numbers} if several else {"label": numbers[0] if numbers else None}),
        "original_name": original_name(picture, anonymous) or None,
        "id": picture.id,
    }


def _parts(
    rows: Sequence[tuple[str, int]], most_bytes: int, most_rows: int | None = None
) -> Iterator[list[tuple[str, int]]]:
    """(place, bytes) of pictures in parts of so many bytes and rows at most; one that is larger is a part by itself."""
    part: list[tuple[str, int]] = []
    held = 0
    for row in rows:
        if part and (held + row[1] > most_bytes or len(part) == most_rows):
            yield part
            part, held = [], 0
        part.append(row)
        held += row[1]
    if part:
        yield part
