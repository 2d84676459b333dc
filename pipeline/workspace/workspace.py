"""Workspace(root): one project on disk; every path there is comes from here."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from pipeline.bounded import forget_old, remove
from pipeline.errors import ExportError, WorkspaceError
from pipeline.machine import flush, replace, told

if TYPE_CHECKING:
    from pipeline.workspace.store import Store

DATABASE = "winnow.sqlite"
LIMITS_FILE = ".winnow-limits.json"
STALE_SECONDS = 3_600


@dataclass(frozen=True)
class Workspace:
    """One project on disk: its images, its store, its runs, its jobs.

    Make or reopen one with :meth:`create` or :meth:`open`; the constructor itself touches no file.

    >>> ws = w.Workspace.open("fruit")
    >>> images = ws.store.images()  # a DataFrame, one row an image
    >>> images["label"].value_counts().sort_index().to_dict()
    {'apple': 20, 'melon': 20, 'pear': 20}
    >>> ws.image_file(images["file"][0]).is_file()
    True
    """

    root: Path

    @classmethod
    def create(cls, root: Path | str) -> Workspace:
        """The workspace at ``root``, made if it is not there. Raises WorkspaceError where it cannot be."""
        workspace = cls(_absolute(root))
        try:
            workspace._refuse_foreign_folder()
            for folder in (workspace.images, workspace.trash, workspace.thumbnails, workspace.runs, workspace.jobs):
                folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=workspace.root) as probe:
                probe.write(b"can this folder be written?")
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and os.path.isfile(workspace.database):  # noqa: PTH113 - as in open
                return cls.open(root)  # what is there can be looked at; who writes is told then
            if isinstance(error, OSError):
                error = told(error, workspace.root)
            raise WorkspaceError(
                f"The workspace {workspace.root} cannot be written: {_reason(error)}. "
                "Choose a folder you may write to, or free some space."
            ) from error
        workspace.store.database.migrate()
        return workspace

    @classmethod
    def open(cls, root: Path | str) -> Workspace:
        """The workspace that is at ``root``. Raises WorkspaceError where there is none."""
        workspace = cls(_absolute(root))
        if not os.path.isfile(workspace.database):  # noqa: PTH113 - Path.is_file raises for a name that is too long
            raise WorkspaceError(
                f"There is no workspace at {workspace.root}. Import some images first: "
                f"python cli.py import {root} SOURCE (or 'starter' as the source)."
            )
        workspace.store.database.migrate()
        return workspace

    def _refuse_foreign_folder(self) -> None:
        if self.root.is_dir() and any(self.root.iterdir()) and not self.database.exists():
            ours = {"images", "trash", "thumbnails", "runs", "jobs", "parts"}
            ours_or_hidden = (".", DATABASE)  # the store too: another process may be making it right now
            names = (p.name for p in self.root.iterdir())
            foreign = sorted(name for name in names if name not in ours and not name.startswith(ours_or_hidden))
            if foreign:
                raise WorkspaceError(
                    f"{self.root} already holds other files ({foreign[0]} …) and is not a workspace. "
                    "Choose a new or an empty folder; your own images are imported from theirs."
                )

    @property
    def name(self) -> str:
        """What the person calls it: the folder's name."""
        return self.root.name

    @property
    def owner(self) -> str:
        """Whose it is: the folder that it lies in, beside the others of the same person."""
        return str(self.root.parent)

    @property
    def limits(self) -> Path:
        """What its owner may do at most, in a public demo; no such file elsewhere."""
        return self.root.parent / LIMITS_FILE

    @property
    def database(self) -> Path:
        """The store's SQLite file."""
        return self.root / DATABASE

    @property
    def images(self) -> Path:
        """The image files: ``<first two hex digits>/<sha256>.<ext>``."""
        return self.root / "images"

    @property
    def trash(self) -> Path:
        """Where removed files lie, laid out like :attr:`images`."""
        return self.root / "trash"

    @property
    def thumbnails(self) -> Path:
        """Re-encoded small pictures, safe to serve: nothing else is ever put here."""
        return self.root / "thumbnails"

    @property
    def runs(self) -> Path:
        """One folder a run."""
        return self.root / "runs"

    @property
    def checkpoints(self) -> Path:
        """Trainings that were broken off; one folder each."""
        return self.root / "checkpoints"

    @property
    def jobs(self) -> Path:
        """One folder a job."""
        return self.root / "jobs"

    @property
    def cache(self) -> Path:
        """What can be made again at any time: decoded pixels, search answers."""
        return self.root / "cache"

    @property
    def parts(self) -> Path:
        """Image files that are being written; they move to :attr:`images` when they are whole."""
        return self.root / "parts"

    @property
    def exports(self) -> Path:
        """Model folders and Space folders made in the browser."""
        return self.root / "exports"

    @property
    def answers(self) -> Path:
        """Tables of what a run said about many pictures at once; one folder each."""
        return self.root / "answers"

    @cached_property
    def store(self) -> Store:
        """The SQLite store of this workspace."""
        from pipeline.workspace.database import Database  # pandas takes its time, and not every process asks
        from pipeline.workspace.journal import Journal
        from pipeline.workspace.store import Store

        database = Database(self.database)
        return Store(database, Journal(database))

    def keep(self, data: bytes, extension: str) -> tuple[str, str]:
        """Write an image file, whole or not at all; returns its id (SHA-256) and its name below :attr:`images`.

        Raises WorkspaceError where it cannot be written.
        """
        image_id = hashlib.sha256(data).hexdigest()
        file = f"{image_id[:2]}/{image_id}.{extension}"
        if not self.image_file(file).exists():
            try:
                with writing(self.images / file, False, self.parts, len(data)) as part:
                    part.write_bytes(data)
            except OSError as error:
                raise WorkspaceError(
                    f"The picture cannot be written: {_reason(error)}. "
                    "Free some space or look at the folder's permissions, then start again: what is here already stays."
                ) from error
        return image_id, file

    def sweep(self) -> None:
        """Remove what processes that were killed have left half written."""
        forget_old(self.parts.glob("*.part"), STALE_SECONDS)
        for folder in (self.parts, self.runs, self.jobs, self.answers):
            clear_killed(folder)

    def image_file(self, file: str) -> Path:
        """Where the image file ``ab/abcd….jpg`` lies now: among the images, or in the trash."""
        kept, trashed = self.images / file, self.trash / file
        return trashed if trashed.exists() and not kept.exists() else kept

    def thumbnail(self, image_id: str) -> Path:
        """The thumbnail of an image (made by verify; may not exist yet)."""
        return self.thumbnails / image_id[:2] / f"{image_id}.jpg"

    def to_trash(self, file: str) -> None:
        """Move an image file to the trash; doing it twice is harmless."""
        _move(self.images / file, self.trash / file)

    def from_trash(self, file: str) -> None:
        """Move an image file back from the trash; doing it twice is harmless."""
        _move(self.trash / file, self.images / file)


def workspaces_in(folder: Path) -> list[Workspace]:
    """The workspaces that lie in a folder side by side, by name."""
    return [Workspace(file.parent) for file in sorted(folder.glob(f"*/{DATABASE}"))]


@contextmanager
def writing(target: Path, durable: bool = True, folder: Path | None = None, size: int | None = None) -> Iterator[Path]:
    """A temporary path that becomes ``target`` at the end, whole or not at all (kill -9 safe).

    It lies in ``folder`` (on the same disk), or beside ``target``. ``durable`` also survives a power cut; leave it out
    for what can be made again. Where the disk refuses, the OSError says what could not be written, its ``size`` in
    bytes (None: not known) and how many are free.
    """
    part = beside(target, "part", folder)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.parent.mkdir(parents=True, exist_ok=True)
        yield part
        if durable:
            flush(part)
        replace(part, target)
        if durable:
            flush(target.parent)
    except OSError as error:
        raise told(error, target, size) from error
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


_WHOSE = re.compile(r"(?s)(.+)\.([0-9a-f]{4})-([0-9]{1,10})-[0-9a-f]{8}\.(part|old)")


def beside(target: Path, kind: str, folder: Path | None = None) -> Path:
    """A new path beside ``target`` (or in ``folder``) for what becomes it (``part``) or was it (``old``). It says which
    process of which machine made it, so that it can be told when that was killed.
    """
    return (folder or target.parent) / f"{target.name}.{_host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.{kind}"


def clear_killed(folder: Path) -> None:
    """Remove what processes of this machine that were killed left half written in a folder; what one was about to
    replace, and did not, takes its place again. What cannot be removed stays until somebody tries again.
    """
    try:
        found = [(path, whose) for path in folder.iterdir() if (whose := _WHOSE.fullmatch(path.name))]
    except OSError:
        return
    for path, whose in found:
        name, host, process, kind = whose.groups()
        if host != _host() or psutil.pid_exists(int(process)):
            continue
        if kind == "old" and not os.path.lexists(path.with_name(name)):
            with suppress(OSError):
                path.rename(path.with_name(name))
        else:
            remove([path])


def _host() -> str:
    return hashlib.sha256(platform.node().encode(errors="replace")).hexdigest()[:4]


def _absolute(root: Path | str) -> Path:
    try:
        return Path(root).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a NUL in it, say, or ~name of nobody
        raise WorkspaceError(
            f"{str(root)!r} cannot be a workspace's folder: {_reason(error)}. Choose another."
        ) from error


def _move(source: Path, target: Path) -> None:
    if source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        replace(source, target)


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def outside(workspace: Workspace, out: str) -> Path:
    """The folder ``out``, which may not exist yet. Raises ExportError where it is a file or part of the workspace."""
    try:
        target = Path(out).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a NUL in it, say, or ~name of nobody
        raise ExportError(f"{out!r} cannot be a folder: {error}. Choose another.") from error
    own = workspace.root.resolve()
    if target == own or (own in target.parents and workspace.exports.resolve() not in target.parents):
        raise ExportError(f"{target} is part of the workspace. Choose a folder outside it, or in {workspace.exports}.")
    if target.exists() and not target.is_dir():
        raise ExportError(f"{target} is a file. Choose the name of a new folder.")
    return target
