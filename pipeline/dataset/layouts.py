"""What says which picture shows what: the tables of each layout, and what a reader of the hub's cards needs to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from pipeline.dataset.parquet import features, has_several, split_places
from pipeline.dataset.pictures import HUB_SPLITS, SEPARATOR, Picture, original_name
from pipeline.safe_text import write_cells

CLASSES = "classes.csv"
LABELS = "labels.csv"
METADATA = "metadata.csv"
ABOUT: Mapping[str, str] = {
    "folders": f"Each picture lies in the folder of its class; {CLASSES} says which class a folder stands for, and "
    f"{LABELS} what each picture shows.",
    "csv": f"{LABELS} says what each picture shows.",
    "metadata": f"{METADATA} beside the pictures says what each shows, as `datasets` reads it (imagefolder).",
    "parquet": "The files in data/ hold the pictures with their classes, as `datasets` reads them.",
}


def write_tables(
    done: Mapping[str, Picture], layout: str, folders: Mapping[str, str], folder: Path, anonymous: bool
) -> None:
    """The tables of a layout about the pictures by their places, and of the classes with their ``folders``."""
    several = has_several(done)
    # readers split a cell without separator at its spaces, so a single label ends with it
    ends = {file: SEPARATOR if several and len(picture.labels) == 1 else "" for file, picture in done.items()}
    table = pd.DataFrame(
        {
            "path": list(done),
            "labels" if several else "label": [SEPARATOR.join(p.labels) + ends[file] for file, p in done.items()],
            "split": [picture.split for picture in done.values()],
            "original_name": [original_name(picture, anonymous) for picture in done.values()],
            "id": [picture.id for picture in done.values()],
        },
        dtype=object,
    )
    if layout in ("csv", "folders"):
        write_cells(table, folder / LABELS)
    if layout == "metadata":
        for place, part in table.groupby(table["path"].map(lambda path: PurePosixPath(path).parts[0])):
            named = part.assign(path=part["path"].str.removeprefix(f"{place}/"))
            write_cells(named.rename(columns={"path": "file_name"}), folder / str(place) / METADATA)
    classes = pd.DataFrame({"folder": list(folders.values()), "label": list(folders)}, dtype=object)
    write_cells(classes if layout == "folders" else classes[["label"]], folder / CLASSES)


def front_matter(done: Mapping[str, Picture], layout: str) -> dict[str, Any]:
    """What the card says to the hub and to ``datasets``: which files are which split."""
    if layout == "csv":
        return _configs([("train", LABELS)])
    if layout == "parquet":
        return {**_configs([(split, f"data/{split}-*") for split in split_places(done)]), **features(done)}
    splits = [split for split in HUB_SPLITS if any(picture.split == split for picture in done.values())]
    if layout == "metadata":
        return _configs([(HUB_SPLITS[split] if split else "train", f"{HUB_SPLITS[split]}/**") for split in splits])
    # those that lie in the folder of a class
    return _configs([(HUB_SPLITS[split] if split else "train", str(PurePosixPath(split, "*/**"))) for split in splits])


def _configs(files: Sequence[tuple[str, str]]) -> dict[str, Any]:
    data_files = [{"split": split, "path": path} for split, path in files]
    return {"configs": [{"config_name": "default", "data_files": data_files}]}
