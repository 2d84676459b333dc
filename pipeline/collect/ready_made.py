"""Ready-made data sets by name (PETS, MNIST_SAMPLE …): their archives through fastdownload, and how they are labelled.

fastdownload fetches with urllib. By itself it checks neither how much comes nor how long that takes (its time limit is
for one read), follows redirects to any host, cannot be stopped, begins anew after a break, and compares only the size
and the MD5 of the first MiB, after everything has been written. So it runs in a process of its own here, which is ended
at a cancel, when more comes than the list says, or when next to nothing comes any more; there must be room on the disk
first; and its unpacker is not used. What stays: bytes after the first MiB are vouched for by HTTPS and the size alone,
and a redirect is followed wherever the archive's server sends it.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from urllib.error import HTTPError

import psutil

from pipeline.collect.apart import ArchiveLimits, Watch, apart
from pipeline.collect.entries import Labelling
from pipeline.errors import NetworkError, SourceError
from pipeline.machine import limit_file_size
from pipeline.stage import Progress, Stage

OWN_ARCHIVES = ("~/.fastai/archive", "~/.fastdownload/archive")
PET = r"^(?P<label>.+)_\d+\.jpe?g$"
INNERMOST = r"/(?P<label>[^/]+)/[^/]+$"
IMAGENETTE = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}
IMAGEWOOF = {
    "n02086240": "Shih-Tzu",
    "n02087394": "Rhodesian ridgeback",
    "n02088364": "beagle",
    "n02089973": "English foxhound",
    "n02093754": "Border terrier",
    "n02096294": "Australian terrier",
    "n02099601": "golden retriever",
    "n02105641": "Old English sheepdog",
    "n02111889": "Samoyed",
    "n02115641": "dingo",
}


def _folders(*below: str, **more: Any) -> Labelling:
    """Class folders below these; no table has a say."""
    return Labelling(below=below, tables=(), **more)


READY_MADE: Mapping[str, Labelling] = {
    "CALTECH_101": _folders(),
    "CIFAR": _folders("train", "test"),
    "CIFAR_100": _folders("train", "test", pattern=INNERMOST),
    "CUB_200_2011": _folders("images"),
    "DOGS": _folders("train", "valid"),
    "FLOWERS": _folders("jpg", lists=("train.txt", "valid.txt", "test.txt")),
    "FOOD": _folders("images"),
    **{f"IMAGENETTE{size}": _folders("train", "val", names=IMAGENETTE) for size in ("", "_160", "_320")},
    **{f"IMAGEWOOF{size}": _folders("train", "val", names=IMAGEWOOF) for size in ("", "_160", "_320")},
    "MNIST": _folders("training", "testing"),
    **{f"MNIST_{kind}": _folders("train", "valid") for kind in ("SAMPLE", "TINY", "VAR_SIZE_TINY")},
    "PASCAL_2007": Labelling(below=("train", "test"), tables=("train.csv", "test.csv"), separator=" "),
    "PETS": _folders("images", pattern=PET),
    "PLANET_SAMPLE": Labelling(below=("train",), separator=" "),
    "PLANET_TINY": Labelling(below=("train",), separator=" "),
}

Archives: TypeAlias = Mapping[str, tuple[str, int, str]]


@dataclass(frozen=True)
class ReadyMade:
    """Where ready-made sets come from.

    ``archives``: name -> (URL, size, MD5 of the first MiB), by default fastdownload's list. ``folders``: where a user
    of fast.ai may have them already.
    """

    archives: Archives | None = None
    folders: tuple[str, ...] = OWN_ARCHIVES
    limits: ArchiveLimits = field(default_factory=ArchiveLimits)

    def catalogue(self) -> Archives:
        """All archives there are."""
        return self.archives if self.archives is not None else _fastdownload_list()

    def archive(self, name: str) -> tuple[str, int, str]:
        """URL, size and MD5 of the first MiB of a set's archive. Raises SourceError where the list lacks it."""
        archives = self.catalogue()
        if name not in archives:
            raise SourceError(f"fastdownload has no archive of {name} any more. Import its folder or archive instead.")
        url, size, md5 = archives[name]
        return url, size, md5


def ready_made_name(source: str) -> str | None:
    """The name of the ready-made set that ``source`` means, in any case, or None."""
    name = source.strip().upper()
    return name if name in READY_MADE else None


def fetch_ready_made(name: str, folder: Path, sets: ReadyMade | None = None) -> Stage[Path]:
    """The archive of a ready-made set: one that is there already, or fetched into ``folder``; checked either way.

    Raises NetworkError where it cannot be had, SourceError where there is no room.
    """
    sets = sets or ReadyMade()
    url, size, md5 = sets.archive(name)
    file = url.rpartition("/")[2]
    for place in (*map(Path, sets.folders), folder):
        known = place.expanduser() / file
        if _is_whole(known, size, md5):
            return known
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder, file)
    _check_room(folder, size)
    coming = folder / f"{file}.{os.getpid()}"
    try:
        yield from _fetch(name, url, coming, size, sets.limits)
        if not _is_whole(coming, size, md5):
            raise NetworkError(
                f"What came from {url} is not the archive of {name}: its size or its beginning is another. "
                "Try again later, or import a copy of your own."
            )
        return coming.replace(folder / file)
    finally:
        for left in (coming, _part(coming)):
            left.unlink(missing_ok=True)


def _fastdownload_list() -> Archives:
    from fastdownload.urls import URLs

    return {name: (url, size, md5) for name, (url, size, md5) in URLs.items()}


def _is_whole(file: Path, size: int, md5: str) -> bool:
    if not file.is_file() or file.stat().st_size != size:
        return False
    from fastdownload.core import path_stats

    return bool(path_stats(file) == (size, md5))


def _part(file: Path) -> Path:
    """Where fastdownload writes before the file is complete."""
    return file.with_name(f"{file.name}.part")


def _sweep(folder: Path, file: str) -> None:
    """Remove what was left by a process that was killed."""
    for left in folder.glob(f"{file}.*"):
        number = left.name.removeprefix(f"{file}.").partition(".")[0]
        if number.isdecimal() and not psutil.pid_exists(int(number)):
            left.unlink(missing_ok=True)


def _check_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < 2 * size:
        raise SourceError(
            f"The archive has {size_in_words(size)}, and its pictures need about as much again; {folder} has room for "
            f"{size_in_words(free)}. Free some space, or keep the workspace on another disk."
        )


def size_in_words(size: int) -> str:
    """``12 KiB``, ``3.2 MiB``, ``5.7 GiB``."""
    if size < 1 << 20:
        return f"{-(-size // 1024):,} KiB"
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 30 else f"{size / (1 << 20):.1f} MiB"


def _fetch(name: str, url: str, target: Path, size: int, limits: ArchiveLimits) -> Stage[None]:
    """Let fastdownload fetch in another process, and watch how much has come."""
    watch = Watch(limits)

    def beat(_: object) -> Progress:
        come = _size(_part(target))
        if come > size:
            raise NetworkError(f"{url} sends more than the {size:,} bytes of {name}. It was stopped.")
        if watch.has_stalled(come):
            raise NetworkError(f"{url} sends next to nothing any more. Try again later.")
        return Progress(min(come, size), size, f"Fetching {name} ({size_in_words(size)})")

    problem = yield from apart(_download, (url, str(target), size, limits.seconds), beat)
    if problem is None:
        problem = "the process that fetches it has ended"
    if problem:
        raise NetworkError(
            f"{name} cannot be fetched from {url}: {problem}. Look at your connection and try again, "
            "or import a folder, an archive or 'starter', which need no network."
        )


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _download(_tell: object, url: str, target: str, size: int, seconds: float) -> str:
    """In the other process: fetch, and say how it ended."""
    limit_file_size(size)  # the parent only looks now and then
    return _problem(_fastdownload, url, target, seconds)


def _problem(fetch: Callable[[str, str, float], None], url: str, target: str, seconds: float) -> str:
    try:
        fetch(url, target, seconds)
    except HTTPError as error:
        return f"the server answers {error.code}"
    except NameError:  # what fastcore 2.2 raises in place of the error for it, which it forgot to import
        return "the connection ended before all of it had come"
    except Exception as error:  # noqa: BLE001 - told to the parent
        if getattr(error, "errno", None) == errno.EFBIG:
            return "it sends more than the archive has"
        reason = getattr(error, "reason", None) or error
        return str(getattr(reason, "strerror", None) or reason or type(error).__name__)
    return ""


def _fastdownload(url: str, target: str, seconds: float) -> None:
    from fastdownload.core import download_url

    download_url(url, target, timeout=seconds, show_progress=False)
