"""Folder, zip or tar, CSV or URL list, and the built-in starter sets -> image files and rows of the store."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.download import DownloadConfig, download
from pipeline.errors import SourceError, UsageError, WorkspaceError
from pipeline.records import NewImage
from pipeline.sources import MAX_IMAGE_BYTES, PICTURE_SUFFIXES, Entry, Link, Refused, clean_label, entries
from pipeline.stage import Progress, Stage
from pipeline.starter_set import write_messy, write_starter
from pipeline.workspace import Workspace

BATCH = 64
STARTERS = ("starter", "starter-messy")
MAGIC = (
    (re.compile(rb"\xff\xd8\xff"), "jpg"), (re.compile(rb"\x89PNG\r\n\x1a\n"), "png"),
    (re.compile(rb"GIF8[79]a"), "gif"),
    (re.compile(rb"RIFF....WEBP", re.S), "webp"), (re.compile(rb"BM....\0\0\0\0", re.S), "bmp"),
    (re.compile(rb"II\*\0|MM\0\*"), "tif"), (re.compile(rb"....ftypavi[fs]", re.S), "avif"),
)  # fmt: skip


@dataclass(frozen=True)
class ImportConfig:
    """``source``: a folder, an archive, a CSV file, ``starter`` or ``starter-messy``. ``label`` is given to all of it;
    ``split_from`` is ``folders``, ``column`` or None (taken where it is plain to see).
    """

    source: str
    label: str | None = None
    split_from: str | None = None
    allow_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.split_from not in (None, "folders", "column"):
            raise UsageError("--split-from is 'folders' or 'column'.")


@dataclass(frozen=True)
class Imported:
    """How many files were new, how many known already, which failed and why, and the classes of the workspace now."""

    added: int
    duplicates: int
    failed: tuple[Refused, ...] = ()
    classes: dict[str, int] = field(default_factory=dict)


def import_images(workspace: Workspace, config: ImportConfig) -> Stage[Imported]:
    """Copy the pictures of a source into the workspace. The source is never changed.

    What was copied before a cancel or a crash stays; importing again adds only what is missing.
    """
    label = None if config.label is None else clean_label(config.label)
    yield Progress(0, 0, f"Looking through {config.source}")
    with _source(workspace, config.source) as (source, provider):
        found = list(entries(source, label, config.split_from))
        files = [entry for entry in found if isinstance(entry, Entry)]
        links = [link for link in found if isinstance(link, Link)]
        failed = [refused for refused in found if isinstance(refused, Refused)]
        added, duplicates = yield from _copy_all(workspace, files, provider, failed)
    if links:
        fetched, known = yield from _download(workspace, links, config.allow_hosts, failed)
        added, duplicates = added + fetched, duplicates + known
    if not found:
        raise SourceError(f"There are no pictures in {config.source}.")
    return Imported(added, duplicates, tuple(failed), class_counts(workspace))


def class_counts(workspace: Workspace) -> dict[str, int]:
    """How many images each class has, removed ones left out; in alphabetical order."""
    images = workspace.store.images()
    counts = Counter(str(label) for label in images[images["status"] != "removed"]["label"].dropna())
    return dict(sorted(counts.items()))


def image_rows(workspace: Workspace, status: str | None = None) -> list[dict[str, Any]]:
    """The store's rows as plain values: id, file, label, original_label, split, group, status, verdict, reason, width,
    height, format, bytes, added_at, and ``source`` with provider, name, page and licence.
    """
    rows = []
    for row in workspace.store.images(status).to_dict("records"):
        source = {name: row.pop(f"source_{name}") for name in ("provider", "name", "page", "licence")}
        rows.append({**{str(key): value for key, value in row.items()}, "source": source})
    return rows


@contextmanager
def _source(workspace: Workspace, source: str) -> Iterator[tuple[Path, str]]:
    if source not in STARTERS:
        try:
            path = Path(source).expanduser().resolve()
        except (OSError, RuntimeError, ValueError) as error:  # a NUL in it, say, or ~name of nobody
            raise SourceError(f"{source!r} cannot be a file or folder: {error}.") from error
        _refuse_own_folder(workspace, path)
        yield path, "file"
        return
    with tempfile.TemporaryDirectory(prefix="winnow-starter-") as folder:
        written = (write_starter if source == "starter" else write_messy)(Path(folder))
        truth = written / "truth.csv"
        if truth.exists():
            shutil.move(truth, workspace.root / "starter-messy-truth.csv")
        yield written, source


def _refuse_own_folder(workspace: Workspace, path: Path) -> None:
    if (
        path == path.parent
        or path == workspace.root
        or path in workspace.root.parents
        or workspace.root in path.parents
    ):
        raise WorkspaceError(
            f"{path} contains the workspace itself (or is all of a disk). Choose the folder of your pictures."
        )


def _copy_all(workspace: Workspace, files: list[Entry], provider: str, failed: list[Refused]) -> Stage[tuple[int, int]]:
    added = taken = 0
    batch: list[NewImage] = []
    try:
        for done, entry in enumerate(files, 1):
            copied = _copy(workspace, entry, provider)
            if isinstance(copied, Refused):
                failed.append(copied)
            else:
                batch.append(copied)
                taken += 1
            if len(batch) >= BATCH:
                added += workspace.store.add_images(batch)
                batch = []
            yield Progress(done, len(files), "Copying pictures")
    finally:
        added += workspace.store.add_images(batch)
    return added, taken - added


def _copy(workspace: Workspace, entry: Entry, provider: str) -> NewImage | Refused:
    """The entry's bytes as ``images/<first two>/<sha256>.<ext>``, whole or not at all."""
    if entry.size > MAX_IMAGE_BYTES:
        return Refused(entry.name, f"It is larger than {MAX_IMAGE_BYTES >> 20} MiB.")
    try:
        with entry.open() as file:
            data = file.read(MAX_IMAGE_BYTES + 1)
    except Exception as error:  # noqa: BLE001 - archives raise zlib, lzma, zipfile and tarfile errors, and OSError
        return Refused(entry.name, f"It cannot be read: {error}.")
    suffix = Path(entry.name).suffix.lower()
    extension = next((name for magic, name in MAGIC if magic.match(data)), None)
    if len(data) > MAX_IMAGE_BYTES:
        return Refused(entry.name, f"It is larger than {MAX_IMAGE_BYTES >> 20} MiB.")
    if extension is None and suffix not in PICTURE_SUFFIXES:
        return Refused(entry.name, "It is not a picture, by its name and by its content.")
    image_id, name = workspace.keep(data, extension or suffix[1:])
    return NewImage(image_id, name, len(data), entry.label, provider, entry.name, split=entry.split)


def _download(
    workspace: Workspace, links: list[Link], allow_hosts: tuple[str, ...], failed: list[Refused]
) -> Stage[tuple[int, int]]:
    workspace.store.add_candidates({"url": link.url, "label": link.label, "provider": "urls"} for link in links)
    pairs = tuple((link.url, link.label) for link in links)
    fetched = yield from download(workspace, DownloadConfig(only=pairs, allow_hosts=allow_hosts))
    failed += [
        Refused(result.url, result.reason) for result in fetched.results if result.status in ("failed", "skipped")
    ]
    by_url = {link.url: link.split for link in links if link.split}
    splits = {str(r.sha256): by_url[r.url] for r in fetched.results if r.sha256 and r.url in by_url}
    workspace.store.set_given_splits(splits)
    return fetched.downloaded, sum(result.status == "duplicate" for result in fetched.results)
