"""Folder, zip or tar, CSV or URL list, ready-made and starter sets -> image files and rows of the store."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.collect.data_card import card_afterwards
from pipeline.collect.download import OWN_SERVER, DownloadConfig, download
from pipeline.collect.entries import ALIKE_NAMES, LABELS_FROM, MAX_IMAGE_BYTES, Entry, Labelling, Link, Refused
from pipeline.collect.hub_sets import DataHub, HubSet, fetch_hub_set, hub_set
from pipeline.collect.layouts import NO_PICTURE
from pipeline.collect.name_encodings import encoding_named
from pipeline.collect.reading import Choice, Columns, Question, Reading, at_most
from pipeline.collect.ready_made import READY_MADE, ReadyMade, fetch_ready_made, ready_made_name
from pipeline.collect.refused import remember
from pipeline.collect.relabelling import Claims, Compared, Differing
from pipeline.collect.samples import pictures_of
from pipeline.collect.sources import read
from pipeline.collect.starter_set import STARTER_LICENCE, STARTERS, write_messy, write_starter
from pipeline.errors import LimitReached, SourceError, WorkspaceError
from pipeline.images.formats import PICTURE_SUFFIXES, extension_by_bytes
from pipeline.labels import clean_label, named
from pipeline.settings import about, check, setting
from pipeline.stage import Progress, Stage
from pipeline.workspace.limits import check_images, room_for_images
from pipeline.workspace.records import NewImage
from pipeline.workspace.workspace import Workspace

BATCH = 64
MOST_BESIDE = 1000


FOUND = {None: "found by its name"}


@dataclass(frozen=True)
class ImportConfig:
    """What to import, and where labels and splits come from. Raises UsageError where that makes no sense.

    >>> config = w.ImportConfig("photos.zip", label_regex="(.+)_[0-9]+")
    >>> config.source, config.split_from
    ('photos.zip', None)
    """

    source: str = field(
        metadata=about(
            "folder, .zip, .tar, .csv, .parquet, .arrow, 'starter', 'starter-messy', a ready-made set like PETS, or "
            "hf:OWNER/NAME of Hugging Face",
            flag="SOURCE",
        )
    )
    label: str | None = setting(None, "the class of all of them", means={None: "as the source says"})
    split_from: str | None = setting(
        None,
        "where train, valid and test come from",
        choices={None: "", "folders": "", "column": ""},
        means={None: "either, where that is plain to see"},
    )
    allow_hosts: tuple[str, ...] = setting((), OWN_SERVER, flag="--allow-host", metavar="HOST:PORT")
    label_regex: str | None = setting(None, "finds the class in file names, like (.+)_[0-9]+[.]jpg$", metavar="R")
    label_separator: str | None = setting(None, "between several labels in one cell of a table, like ';'", metavar="S")
    labels_from: str | None = setting(
        None,
        "where labels come from",
        choices={None: "", **dict.fromkeys(LABELS_FROM, "")},
        means={None: "what fits best"},
    )
    file_column: str | None = setting(None, "the column of a table that names the file", metavar="C", means=FOUND)
    label_column: str | None = setting(None, "the column that has the label", metavar="C", means=FOUND)
    split_column: str | None = setting(None, "the column that has the split", metavar="C", means=FOUND)
    group_column: str | None = setting(
        None,
        "the column of what was taken together: patient, video, place",
        metavar="C",
        means=FOUND,
    )
    read_as: tuple[str, ...] = setting(
        (),
        "what a folder stands for: class, unlabelled, train, valid, test, inside (only what is in it counts) or ignore",
        metavar="FOLDER=WHAT",
    )
    follow_links: bool = setting(False, "follow links that lead out of the folder, too")
    name_encoding: str | None = setting(
        None,
        "the encoding of names in an archive that does not say it, like cp932, gbk, cp1252",
        metavar="E",
        means={None: "what fits the names"},
    )
    maximum: int | None = setting(
        None,
        "at most so many pictures, of each class in each split its share",
        low=1,
        flag="--max",
        means={None: "all"},
    )
    relabel: bool = setting(False, "where pictures are here under another label, take the new one")
    alike_names: str | None = setting(
        None,
        "class names that differ in capitals, accents or blanks alone, or look the same",
        choices={None: "", **dict.fromkeys(ALIKE_NAMES, "")},
        means={None: "kept apart, and said"},
    )
    dry_run: bool = setting(False, "say how the source is read, and store nothing")
    samples: bool = setting(False, "whether a dry run makes small pictures of a few of each class", flag=None)
    local: bool = setting(True, "whether a table may name files of this machine, and not only URLs", flag=None)

    def __post_init__(self) -> None:
        check(self)
        self.labelling()

    def answered(self, told: Mapping[str, Any]) -> ImportConfig:
        """The configuration with what a :class:`Choice` says; what folders stand for is added to what was said of
        others. ``told`` may have been JSON.
        """
        changes: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in told.items()
        }
        if "read_as" in changes:
            changes["read_as"] = tuple(dict.fromkeys((*self.read_as, *changes["read_as"])))
        return replace(self, **changes)

    def labelling(self, known: Labelling | None = None) -> Labelling:
        """Where labels and splits come from; ``known`` is what is known of a ready-made set. Raises UsageError."""
        known = known or Labelling()
        return replace(
            known,
            label=self.label,
            split_from=self.split_from,
            pattern=self.label_regex or known.pattern,
            separator=known.separator if self.label_separator is None else self.label_separator,
            file_column=self.file_column,
            label_column=self.label_column,
            split_column=self.split_column,
            group_column=self.group_column,
            follow_links=self.follow_links,
            name_encoding=encoding_named(self.name_encoding) if self.name_encoding else None,
            labels_from=self.labels_from,
            alike_names=self.alike_names,
            read_as={name: meaning for name, _, meaning in (told.rpartition("=") for told in self.read_as)},
        )


@dataclass(frozen=True)
class Imported:
    """How many files were new, how many known already, which failed and why, and how many usable pictures each class
    of the workspace has now; in a dry run, nothing is new, and the classes are those of the source.

    The rest is how the source was read, see :class:`Reading`: in words (``layout``), what one should know about it
    (``notes``), and ``read``, the number of pictures by label ("" for none) and split (""). ``samples``: the files of a
    few small pictures by label, where they were asked for.

    ``duplicates`` came under the label that they have here, or without one; ``labels_differ`` are the pictures that the
    source calls otherwise: their labels here were changed if that was asked for (``relabelled``: how many). A dry run
    with ``samples`` does not look for them.
    """

    added: int
    duplicates: int
    failed: tuple[Refused, ...] = ()
    classes: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    layout: str = ""
    unlabelled: int = 0
    read: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    questions: tuple[Question, ...] = ()
    others: tuple[Choice, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    empty: tuple[str, ...] = ()
    columns: tuple[Columns, ...] = ()
    samples: Mapping[str, Sequence[str]] = field(default_factory=dict)
    labels_differ: tuple[Differing, ...] = ()
    relabelled: int = 0

    @classmethod
    def of(cls, reading: Reading, compared: Compared | None = None, **figures: Any) -> Imported:
        """The figures, with how the source was read, and what its labels came to."""
        compared = compared or Compared()
        return cls(
            **figures,
            notes=(*reading.notes, *compared.notes),
            layout=reading.layout,
            unlabelled=reading.unlabelled,
            read=reading.counts(),
            questions=(*reading.questions, *compared.questions),
            others=reading.others,
            left_out=dict(reading.left_out),
            empty=reading.empty,
            columns=reading.columns,
            labels_differ=compared.differing,
            relabelled=compared.relabelled,
        )


@dataclass(frozen=True)
class _Source:
    """Where the pictures lie, what is put on record about where they come from, and how they are labelled."""

    path: Path
    provider: str
    how: Labelling
    page_url: str | None = None
    licence: str | None = None


def import_images(
    workspace: Workspace, config: ImportConfig, ready_made: ReadyMade | None = None, hub: DataHub | None = None
) -> Stage[Imported]:
    """Copy the pictures of a source into the workspace. The source is never changed.

    What was copied before a cancel or a crash stays; importing again adds only what is missing, and gives labels to
    images that had none. In the end, also at a cancel, the data card is written anew. ``ready_made`` says where the
    archives of ready-made sets come from, ``hub`` how long Hugging Face is waited for.

    >>> bears = w.Workspace.create("bears")
    >>> imported = w.run(w.import_images(bears, w.ImportConfig("photos")))
    >>> imported.added, imported.classes
    (4, {'apple': 2, 'pear': 2})
    >>> imported.layout
    '4 pictures with labels from their folders; nothing is split yet'
    """
    if config.label is not None:
        clean_label(config.label)
    workspace.sweep()
    yield Progress(0, 0, f"Looking through {config.source}")
    if config.source in STARTERS:
        with _starter(workspace, config) as source:
            return (yield from _import(workspace, config, source))
    if (asked := hub_set(config.source)) is not None:
        return (yield from _from_hub(workspace, config, asked, hub))
    source = yield from _source(workspace, config, ready_made or ReadyMade())
    return (yield from _import(workspace, config, source))


def _from_hub(workspace: Workspace, config: ImportConfig, asked: HubSet, hub: DataHub | None) -> Stage[Imported]:
    """Fetch a data set from Hugging Face, and import it as what a stranger sent; what was fetched goes when all of it
    is imported.
    """
    if not config.local or room_for_images(workspace) is not None:
        raise LimitReached(
            "This public demo fetches nothing from Hugging Face. Send the files, or run Winnow yourself."
        )
    files = yield from fetch_hub_set(asked, workspace.cache / "hub", config.maximum, config.dry_run, hub)
    how = replace(config.labelling(), unpack=True)
    source = _Source(files.folder, files.provider, how, files.url, files.licence)
    imported = yield from _import(workspace, replace(config, local=False), source)
    if not config.dry_run:
        shutil.rmtree(files.folder, ignore_errors=True)
    return replace(imported, notes=(*files.notes, *imported.notes))


def _import(workspace: Workspace, config: ImportConfig, source: _Source) -> Stage[Imported]:
    claims = Claims.of(workspace.store)
    classes = frozenset(name for label in claims.before.values() for name in named(label))
    reading = read(source.path, replace(source.how, classes=classes), config.local)
    if not reading.entries and not reading.links and not reading.refused:
        raise SourceError(" ".join((f"There are no pictures in {config.source}.", *reading.notes)))
    if config.maximum is not None:
        reading = at_most(reading, config.maximum)
    if config.dry_run:
        return (yield from _dry(reading, workspace, config, claims))
    check_images(workspace, len(reading.entries) + len(reading.links))
    _check_room(workspace, reading.entries, source)
    failed = list(reading.refused)
    with card_afterwards(workspace):
        added, known = yield from _copy_all(workspace, reading.entries, source, failed, claims)
        if reading.links:
            fetched, here = yield from _download(workspace, reading.links, config.allow_hosts, failed, claims)
            added, known = added + fetched, known + here
        compared = claims.compared(config.relabel)
        remember(workspace.store, failed, {entry.name for entry in reading.entries})
    return Imported.of(
        reading,
        compared,
        added=added,
        duplicates=max(known - compared.otherwise, 0),
        failed=tuple(failed),
        classes=workspace.store.class_counts(),
    )


def _dry(reading: Reading, workspace: Workspace, config: ImportConfig, claims: Claims) -> Stage[Imported]:
    """What would be imported; nothing is stored but, where they are asked for, small pictures to look at. They are
    shown while a person waits, so which labels differ from those here is looked at where there are none.
    """
    files = len(reading.entries) + len(reading.links)
    compared = Compared()
    if claims.before and not config.samples:
        yield from _claim_all(reading.entries, claims)
        compared = claims.compared(config.relabel, dry=True)
    yield Progress(files, files, "Nothing is stored: this is how it is read")
    samples = pictures_of(workspace, reading.entries) if config.samples else {}
    classes: Counter[str] = Counter()
    for label, splits in reading.counts().items():
        classes.update(dict.fromkeys(named(label) if label else (), sum(splits.values())))
    return Imported.of(
        reading,
        compared,
        added=0,
        duplicates=0,
        failed=reading.refused,
        classes=dict(sorted(classes.items())),
        samples=samples,
    )


def _claim_all(files: Sequence[Entry], claims: Claims) -> Stage[None]:
    """Note what the source calls those of its pictures that are here."""
    for done, entry in enumerate(files, 1):
        data = _content(entry) if entry.label else b""
        if isinstance(data, bytes) and (image := hashlib.sha256(data).hexdigest()) in claims.before:
            claims.add(image, entry.label, entry.name, also=entry.also)
        yield Progress(done, len(files), "Comparing with the labels that are here")


@contextmanager
def _starter(workspace: Workspace, config: ImportConfig) -> Iterator[_Source]:
    with tempfile.TemporaryDirectory(prefix="winnow-starter-") as folder:
        written = (write_starter if config.source == "starter" else write_messy)(Path(folder))
        truth = written / "truth.csv"
        if truth.exists():
            shutil.move(truth, workspace.root / "starter-messy-truth.csv")
        yield _Source(written, config.source, config.labelling(), licence=STARTER_LICENCE)


def _source(workspace: Workspace, config: ImportConfig, ready_made: ReadyMade) -> Stage[_Source]:
    try:
        path = Path(config.source).expanduser().resolve()
        exists = os.path.exists(path)  # noqa: PTH110 - Path.exists raises for a name that is too long
    except (OSError, RuntimeError, ValueError) as error:  # a NUL in it, say, or ~name of nobody
        raise SourceError(f"{config.source!r} cannot be a file or folder: {error}.") from error
    if exists:
        _refuse_own_folder(workspace, path)
        return _Source(path, "file", config.labelling())
    name = ready_made_name(config.source)
    if name is None:
        raise SourceError(
            f"There is nothing at {path}{_did_you_mean(path)}. Give a folder, a .zip or .tar archive, a .csv or "
            f"Parquet file, 'starter', or a ready-made set: {', '.join(READY_MADE)}."
        )
    archive = yield from fetch_ready_made(name, workspace.cache / "archives", ready_made)
    return _Source(archive, name, config.labelling(READY_MADE[name]), ready_made.archive(name)[0])


def _did_you_mean(path: Path) -> str:
    """The name beside it that is most like it, as a question in brackets; nothing where there is none."""
    try:
        names = [other.name for other in islice(path.parent.iterdir(), MOST_BESIDE)]
    except OSError:
        return ""
    like = get_close_matches(path.name, names, 1)
    return f" (did you mean {like[0]}?)" if like else ""


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


def _check_room(workspace: Workspace, files: Sequence[Entry], source: _Source) -> None:
    """Raises SourceError where the disk has no room for the pictures; an archive may take half of what is free."""
    needed = sum(entry.size for entry in files if entry.size <= MAX_IMAGE_BYTES)
    free = shutil.disk_usage(workspace.root).free
    if needed > (free if source.path.is_dir() else free // 2):
        raise SourceError(
            f"The pictures of {source.path.name} need {needed:,} bytes, and the disk of the workspace "
            f"({workspace.root}) has {free:,} bytes free. Free some space, or keep the workspace on another disk."
        )


def _copy_all(
    workspace: Workspace, files: Sequence[Entry], source: _Source, failed: list[Refused], claims: Claims
) -> Stage[tuple[int, int]]:
    """How many files were new, and how many known."""
    added = taken = 0
    batch: list[NewImage] = []
    try:
        for done, entry in enumerate(files, 1):
            copied = _copy(workspace, entry, source)
            if isinstance(copied, Refused):
                failed.append(copied)
            else:
                batch += [copied, *(replace(copied, label=label) for label in entry.also)]
                claims.add(copied.id, copied.label, copied.name, also=entry.also)
                taken += 1
            if len(batch) >= BATCH:
                added += workspace.store.add_images(batch, claims.since)
                batch = []
            yield Progress(done, len(files), "Copying pictures")
    finally:
        added += workspace.store.add_images(batch, claims.since)
    return added, taken - added


def _copy(workspace: Workspace, entry: Entry, source: _Source) -> NewImage | Refused:
    """The entry's bytes as ``images/<first two>/<sha256>.<ext>``, whole or not at all."""
    if entry.size > MAX_IMAGE_BYTES:
        return Refused(entry.name, f"It is larger than {MAX_IMAGE_BYTES >> 20} MiB.")
    data = _content(entry)
    if isinstance(data, Refused):
        return data
    suffix = Path(entry.name).suffix.lower()
    extension = extension_by_bytes(data)
    if extension is None and suffix not in PICTURE_SUFFIXES:
        return Refused(entry.name, NO_PICTURE)
    image_id, name = workspace.keep(data, extension or suffix[1:])
    return NewImage(
        image_id,
        name,
        len(data),
        entry.label,
        source.provider,
        entry.name,
        source.page_url,
        source.licence,
        split=entry.split,
        scene=entry.scene,
    )


def _content(entry: Entry) -> bytes | Refused:
    """The bytes of the entry."""
    try:
        with entry.open() as file:
            data = file.read(MAX_IMAGE_BYTES + 1)
    except Exception as error:  # noqa: BLE001 - archives raise zlib, lzma, zipfile and tarfile errors, and OSError
        return Refused(entry.name, f"It cannot be read: {error}.")
    if len(data) > MAX_IMAGE_BYTES:
        return Refused(entry.name, f"It is larger than {MAX_IMAGE_BYTES >> 20} MiB.")
    return data


def _download(
    workspace: Workspace, links: Sequence[Link], allow_hosts: tuple[str, ...], failed: list[Refused], claims: Claims
) -> Stage[tuple[int, int]]:
    """How many pictures were new, and how many known."""
    workspace.store.add_candidates({"url": link.url, "label": link.label, "provider": "urls"} for link in links)
    pairs = tuple((link.url, link.label) for link in links)
    fetched = yield from download(workspace, DownloadConfig(only=pairs, allow_hosts=allow_hosts))
    failed += [
        Refused(result.url, result.reason) for result in fetched.results if result.status in ("failed", "skipped")
    ]
    for result in fetched.results:
        if result.sha256 and result.status in ("stored", "duplicate"):
            claims.add(result.sha256, result.label, result.url)
    by_url = {link.url: link.split for link in links if link.split}
    splits = {str(r.sha256): by_url[r.url] for r in fetched.results if r.sha256 and r.url in by_url}
    workspace.store.set_given_splits(splits)
    scenes = {link.url: link.scene for link in links if link.scene}
    workspace.store.set_scenes({str(r.sha256): scenes[r.url] for r in fetched.results if r.sha256 and r.url in scenes})
    return fetched.downloaded, sum(result.status == "duplicate" for result in fetched.results)
