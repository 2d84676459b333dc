"""The training cache: the pixels of each picture as a network wants them, written when the picture is decoded anyway.

A row is a fixed number of bytes: the image's id, its aspect ratio, the picture as the deployed model will see it, and
the whole picture with some room for random crops. Every process appends to a file of its own, so a process that is
killed leaves at most a part of its last row, which is not read. All of it can be made again at any time: a row that
does not agree with its check sum, a file that cannot be read and a disk that takes no more are as good as no row.
"""

from __future__ import annotations

import json
import shutil
import uuid
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from PIL import Image

from pipeline.images.decode import squished
from pipeline.machine import replace as move
from pipeline.predict import MEGAPIXELS, Opening, Preprocessing, pixels

ROOM = 8 / 7
CHECK_BYTES = 4
PREFIX = "pixels-"
# Verify fills the cache where that leaves at least so much of the free disk.
DISK_SHARE = 0.25
Array = np.ndarray[Any, np.dtype[np.uint8]]
Rows = np.ndarray[Any, Any]


class Pixels(Protocol):
    """uint8 [N, H, W, 3], of which batches are asked for: an array, or rows of the cache."""

    def __getitem__(self, positions: Any, /) -> Array:
        """The pictures at ``positions`` (int [B]), uint8 [B, H, W, 3]."""
        ...

    def __len__(self) -> int:
        """How many pictures there are."""
        ...


@dataclass
class PixelCache:
    """The rows for one geometry (size, way of resizing, crop share) and one scale of deep pictures in ``folder``; mean
    and std do not matter here.
    ``presize``: the side of the squished pictures, in pixels (0: ROOM times the larger side of the network's input).

    Cheap to make and to send to another process; :meth:`add` opens a file on first use and keeps it open.
    """

    folder: Path
    geometry: Preprocessing
    presize: int = 0
    _file: BinaryIO | None = field(default=None, repr=False, compare=False)
    _refused: bool = field(default=False, repr=False, compare=False)

    @classmethod
    def of(cls, cache: Path, preprocessing: Preprocessing, presize: int = 0) -> PixelCache:
        """The cache below ``cache`` (a workspace's) for ``preprocessing``."""
        opening = replace(preprocessing.opening, megapixels=MEGAPIXELS)  # no pixel of a picture depends on it
        geometry = replace(preprocessing, mean=Preprocessing().mean, std=Preprocessing().std, opening=opening)
        height, width = geometry.size
        parts = ["checked", f"{height}x{width}", geometry.resize, f"{geometry.crop_pct:g}"]
        if geometry.resize == "pad" and geometry.padding != "zeros":
            parts.append(geometry.padding)
        if presize:
            parts.append(f"from{presize}")
        for name, scale in (("whole", opening.whole), ("real", opening.real)):
            if scale is not None:
                parts.append(f"{name}{scale[0]!r}to{scale[1]!r}")
        return cls(cache / (PREFIX + "-".join(parts)), geometry, presize)

    @classmethod
    def in_use(cls, cache: Path, opening: Opening | None = None) -> PixelCache:
        """The cache of the last training, or that of a training with the defaults where there was none; of pictures
        that are opened as ``opening`` says.
        """
        opening = opening or Opening()
        for settings in sorted(cache.glob(f"{PREFIX}*/geometry.json")):
            try:
                written = json.loads(settings.read_text(encoding="utf-8"))
                geometry = replace(Preprocessing.from_json(written), opening=opening)
                return cls.of(cache, geometry, int(written.get("presize", 0)))
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                continue  # damaged: nobody says what those rows are
        return cls.of(cache, Preprocessing(opening=opening))

    @property
    def side(self) -> int:
        """The side of the squished pictures, in pixels."""
        return self.presize or round(max(self.geometry.size) * ROOM)

    @property
    def row(self) -> np.dtype[Any]:
        """What one row holds."""
        exact, squished = (*self.geometry.size, 3), (self.side, self.side, 3)
        pictures = [("exact", np.uint8, exact), ("squished", np.uint8, squished)]
        return np.dtype([("id", "S64"), ("aspect", "<f4"), *pictures, ("check", "<u4")])

    def fits(self, pictures: int) -> bool:
        """Whether rows for so many more pictures take no more than DISK_SHARE of the free disk, and can be written."""
        try:
            free = shutil.disk_usage(_folder(self.folder.parent)).free
        except OSError:
            return False
        return pictures * self.row.itemsize <= DISK_SHARE * free

    def drop_others(self) -> None:
        """Remove the rows of every other geometry."""
        for folder in self.folder.parent.glob(f"{PREFIX}*"):
            if folder != self.folder:
                shutil.rmtree(folder, ignore_errors=True)

    def add(self, image_id: str, image: Image.Image, square: Image.Image | None = None) -> None:
        """Append the row of a canonical RGB image; ``square`` is its squished copy, if there is one of some size. Where
        the disk refuses, there is no row of this and of what follows.
        """
        if self._refused:
            return
        if square is None or square.width != self.side:
            square = squished(image, self.side)
        row = np.zeros((), self.row)
        row["id"], row["aspect"] = image_id.encode(), image.width / image.height
        row["exact"] = pixels(image, self.geometry)
        row["squished"] = np.asarray(square)
        data = row.tobytes()[:-CHECK_BYTES]
        data += zlib.crc32(data).to_bytes(CHECK_BYTES, "little")
        try:
            if self._file is None:
                self._file = self._new_file()
            self._refused = self._file.write(data) < len(data)
        except OSError:
            self._refused = True

    def take_over(self, other: PixelCache, but: Collection[str]) -> None:
        """Move the rows of ``other``, of the same sizes, here, without those of the images ``but``."""
        with suppress(OSError):  # what cannot be moved is made again
            self._take_over(other, but)
        shutil.rmtree(other.folder, ignore_errors=True)

    def _take_over(self, other: PixelCache, but: Collection[str]) -> None:
        left_out = np.array(sorted(but), "S64")
        for path, rows in other._files():
            kept = ~np.isin(rows["id"], left_out)
            if kept.all():
                del rows  # what is mapped cannot be moved everywhere
                move(path, self._made() / path.name)
            elif kept.any():
                with self._new_file() as file:
                    for number in np.flatnonzero(kept):
                        file.write(rows[number].tobytes())

    def _new_file(self) -> BinaryIO:
        return (self._made() / f"{uuid.uuid4().hex}.rows").open("xb", buffering=0)

    def _made(self) -> Path:
        """The folder, which says what it holds."""
        _folder(_folder(self.folder.parent) / self.folder.name)
        settings = self.folder / "geometry.json"
        if not settings.exists():
            content = {**self.geometry.to_json(), "presize": self.presize}
            settings.write_text(json.dumps(content), encoding="utf-8")
        return self.folder

    def close(self) -> None:
        """Close the file that :meth:`add` opened."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def rows(self, image_ids: Iterable[str]) -> CachedRows:
        """Where the rows of these images are, as far as there are any that are as they were written."""
        files = [rows for _, rows in self._files()]
        wanted = {image_id.encode(): image_id for image_id in image_ids}
        places: dict[str, tuple[int, int]] = {}
        for number, file in enumerate(files):
            written = file.view(np.uint8).reshape(len(file), self.row.itemsize)
            for row, found in enumerate(file["id"].tolist()):
                image_id = wanted.get(found)
                if image_id and image_id not in places and _sound(written[row]):
                    places[image_id] = (number, row)
        return CachedRows(files, places)

    def _files(self) -> Iterator[tuple[Path, Rows]]:
        for path in sorted(self.folder.glob("*.rows")):
            try:
                whole = path.stat().st_size // self.row.itemsize  # one that is being written may end in half a row
                rows = np.memmap(path, self.row, "r", shape=(whole,)) if whole else None
            except OSError:
                continue
            if rows is not None:
                yield path, rows


def _folder(place: Path) -> Path:
    """A folder at ``place``; a file is in its way, whatever put it there."""
    if place.is_file():
        place.unlink()
    place.mkdir(parents=True, exist_ok=True)
    return place


def _sound(row: Array) -> bool:
    """Whether the bytes of a row are as they were written: a power cut may leave zeros, a disk anything."""
    return zlib.crc32(row[:-CHECK_BYTES].data) == int.from_bytes(row[-CHECK_BYTES:].tobytes(), "little")


@dataclass(frozen=True)
class CachedRows:
    """Rows on disk: ``files`` of them, and the (file, row) at which each known image is."""

    files: Sequence[Rows]
    places: dict[str, tuple[int, int]]

    def column(self, name: str, image_ids: Sequence[str]) -> Column:
        """``exact``, ``squished`` or ``aspect`` of images that are all known, in that order."""
        places = np.array([self.places[image_id] for image_id in image_ids], dtype=np.int64).reshape(-1, 2)
        return Column(tuple(file[name] for file in self.files), places)


@dataclass(frozen=True)
class Column:
    """One column of rows in several files, as one array that is read when it is indexed. ``places`` [N, 2]."""

    files: tuple[Rows, ...]
    places: np.ndarray[Any, np.dtype[np.int64]]

    def __len__(self) -> int:
        return len(self.places)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Rows:
        return np.asarray(self[np.arange(len(self))], dtype)

    def __getitem__(self, positions: Any) -> Rows:
        places = self.places[positions]
        if places.ndim == 1:
            return np.array(self.files[places[0]][places[1]])
        sample = self.files[0] if self.files else np.zeros(0, np.uint8)
        found = np.empty((len(places), *sample.shape[1:]), sample.dtype)
        for number in np.unique(places[:, 0]):
            mine = places[:, 0] == number
            found[mine] = self.files[number][places[mine, 1]]
        return found
