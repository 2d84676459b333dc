"""The pictures that leave: neither removed nor set aside, each with its labels, its split, and its place in the set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import pandas as pd

from pipeline.collect.entries import split_of
from pipeline.dataset.names import WEB, alike, file_name, places, source_folders
from pipeline.errors import ExportError, NotEnoughData
from pipeline.workspace.records import IN_USE

SEPARATOR = ";"
NAME_DIGITS = 16
PICTURES = "images"
HUB_SPLITS: Mapping[str, str] = {"train": "train", "valid": "validation", "test": "test", "": PICTURES}


@dataclass(frozen=True)
class Picture:
    """An image that is exported; ``split`` is empty where it has none. ``name`` is what its source called it: a path,
    or an address; ``stem`` what its file is called where names are not to be told; ``claimed`` the label it came with.
    """

    id: str
    file: str
    name: str
    labels: tuple[str, ...]
    split: str
    checked: bool
    bytes: int
    stem: str
    claimed: str


def pictures_of(images: pd.DataFrame) -> list[Picture]:
    """What is neither removed nor set aside. Raises NotEnoughData where that is nothing."""
    kept = images[images["status"].isin(IN_USE)]
    if kept.empty:
        raise NotEnoughData("There are no pictures to export. Import some first, or restore what was removed.")
    splits = kept["split"].fillna(kept["given_split"]).fillna("")
    met = kept["id"].str[:NAME_DIGITS].duplicated(keep=False)
    stems = kept["id"].where(met, kept["id"].str[:NAME_DIGITS])
    return [
        Picture(
            str(row["id"]),
            str(row["file"]),
            str(row["source_name"] or row["file"]),
            tuple(str(row["label"]).split("|")) if row["label"] else (),
            str(split),
            row["status"] == "ok",
            int(row["bytes"]),
            str(stem),
            str(row["original_label"] or ""),
        )
        for row, split, stem in zip(kept.to_dict("records"), splits, stems, strict=True)
    ]


def check_layout(pictures: Sequence[Picture], layout: str) -> None:
    """Raises ExportError where the layout cannot hold the pictures."""
    several = [picture for picture in pictures if len(picture.labels) > 1]
    if several and layout == "folders":
        raise ExportError(
            f"Pictures with several labels ({len(several)}, like {', '.join(several[0].labels)[:100]}) fit into no "
            "class folder. Export as csv, metadata or parquet instead."
        )
    in_cells = several and layout != "parquet"
    if in_cells and any(SEPARATOR in label for picture in pictures for label in picture.labels):
        raise ExportError(
            f"A class has a '{SEPARATOR}' in its name, which separates the labels of a picture. Give it another name, "
            "or export as parquet."
        )
    unsplit = sum(not picture.split for picture in pictures)
    if layout != "csv" and 0 < unsplit < len(pictures):
        raise ExportError(
            f"{unsplit} of {len(pictures)} pictures have no split yet. Verify the workspace first, or export as csv."
        )


@dataclass(frozen=True)
class Placing:
    """How places are given: by the layout, with the ``folders`` of classes and the sub-folders of the source where they
    are ``kept``; ``anonymous``: without the names of files. ``taken`` are names that no folder may have.
    """

    layout: str
    folders: Mapping[str, str]
    kept: bool = False
    anonymous: bool = False
    taken: tuple[str, ...] = ()

    def places(self, written: Sequence[tuple[Picture, str]]) -> dict[str, Picture]:
        """place -> picture, for pictures with the extension each is written with, in their order."""
        wanted = []
        for picture, extension in written:
            name = "" if self.anonymous else file_name(picture.name, extension)
            wanted.append((self._folder(picture), name or f"{picture.stem}.{extension}"))
        splits = {picture.split for picture, _ in written} if self.layout == "folders" else ()
        held = [PurePosixPath(split, name) for split in splits for name in self.folders.values()]
        return {str(place): picture for place, (picture, _) in zip(places(wanted, held), written, strict=True)}

    def _folder(self, picture: Picture) -> PurePosixPath:
        """The folder of a picture; what has no label lies beside the class folders."""
        kept = self._kept(picture)
        if self.layout == "folders":
            return PurePosixPath(picture.split, *(self.folders[label] for label in picture.labels), *kept)
        return PurePosixPath(PICTURES if self.layout == "csv" else HUB_SPLITS[picture.split], *kept)

    def _kept(self, picture: Picture) -> tuple[str, ...]:
        """The folders of the source that are kept: without those for which the layout has one of its own."""
        if not self.kept or self.anonymous:
            return ()
        folders = source_folders(picture.name)
        if self.layout != "csv" and folders and split_of(folders[0]):
            folders = folders[1:]
        if self.layout == "folders":
            of_class = [n for n, name in enumerate(folders, 1) if alike(name) == alike(picture.claimed)]
            folders = folders[max(of_class, default=0) :]
        taken = {alike(name) for name in self.taken}
        return tuple(f"_{name}" if alike(name) in taken else name for name in folders)


def original_name(picture: Picture, anonymous: bool) -> str:
    """What the source called it; where names are not to be told, only an address is."""
    return picture.name if not anonymous or WEB.match(picture.name) else ""
