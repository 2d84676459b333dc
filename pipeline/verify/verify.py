"""Decode everything once; set aside what is broken; find duplicate groups; give splits."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.errors import TooManyBroken
from pipeline.images.decode import Checked
from pipeline.images.pixel_cache import PixelCache
from pipeline.images.sandbox import WorkerLimits, map_in_workers
from pipeline.settings import setting
from pipeline.stage import Progress, Stage
from pipeline.verify.duplicates import group_duplicates
from pipeline.verify.findings import Verified, verified
from pipeline.verify.split import SplitConfig, assign_splits
from pipeline.verify.worker import check_file, examine_file
from pipeline.workspace.records import Verdict
from pipeline.workspace.workspace import Workspace

BATCH_SECONDS = 1.0
STOPPED = "Decoding it was stopped"
# Pictures that a worker process has before it.
AHEAD = 8
# Where more than this share cannot be used (and not just one or two), verify stops and asks.
MOST_BROKEN, ASK_FROM = 0.1, 3
DOUBT = "verify_doubt"
WHAT_NOW = "Put it right and check again, or go on all the same (--accept-broken on the command line)."


@dataclass(frozen=True)
class VerifyConfig(SplitConfig):
    """How pictures are checked, and how the splits are drawn that are given at the end.

    >>> w.VerifyConfig(valid=0.2, test=0.2, seed=1).accept_broken
    False
    """

    workers: int = setting(0, "worker processes", flag=None, means={0: "one a core"})
    seconds: float = setting(20.0, "the most time for a picture", flag=None)
    memory_mb: int = setting(2048, "the most memory for a picture", flag=None)
    accept_broken: bool = setting(False, "do not ask where many pictures cannot be used")
    cache: bool = setting(True, "whether the training cache is filled, where there is room for it", flag=None)


def verify(workspace: Workspace, config: VerifyConfig | None = None) -> Stage[Verified]:
    """Check every image that was not checked yet, then group duplicates and give splits.

    Raises TooManyBroken where more than a tenth cannot be used and ``accept_broken`` does not say to go on: then the
    good ones are on record and nothing was set aside.

    >>> verified = w.run(w.verify(ws, w.VerifyConfig(workers=2)))
    >>> verified.ok, verified.set_aside, len(verified.duplicate_groups)
    (60, (), 0)
    """
    config = config or VerifyConfig()
    new, doubt = yield from _check_new(workspace, config)
    workspace.store.set_fact(DOUBT, "")
    yield Progress(new, new, "Looking for duplicates")
    find_duplicates(workspace)
    assign_splits(workspace, SplitConfig(config.valid, config.test, config.seed))
    return verified(workspace, new, doubt)


def _check_new(workspace: Workspace, config: VerifyConfig) -> Stage[tuple[int, str]]:
    """(how many were checked, what to think of those that cannot be used)."""
    waiting = workspace.store.unchecked()
    jobs = ((image, workspace.image_file(file), workspace.thumbnail(image)) for image, file in waiting)
    cache = PixelCache.in_use(workspace.cache)
    work = partial(examine_file, cache=cache if config.cache and cache.fits(len(waiting)) else None)
    limits = WorkerLimits(config.seconds, config.memory_mb << 20)

    def lost(job: tuple[str, Path, Path], why: str) -> Verdict:
        return Verdict(job[0], "set_aside", "corrupt", f"{STOPPED}: {why}.")

    good: list[Verdict] = []
    broken: list[Verdict] = []
    written = time.monotonic()
    yield Progress(0, len(waiting), "Checking pictures")
    try:
        answers = map_in_workers(work, jobs, lost, config.workers, limits, AHEAD)
        for done, (_, verdict) in enumerate(answers, 1):
            (good if verdict.status == "ok" else broken).append(verdict)
            if time.monotonic() - written > BATCH_SECONDS:
                workspace.store.record_verdicts(good)
                good, written = [], time.monotonic()
            yield Progress(done, len(waiting), "Checking pictures", {"broken": len(broken)})
    finally:
        workspace.store.record_verdicts(good)
    doubt = _doubt(broken, len(waiting))
    if doubt and not config.accept_broken:
        workspace.store.set_fact(DOUBT, doubt)
        raise TooManyBroken(f"{doubt} Nothing was set aside. {WHAT_NOW}")
    workspace.store.record_verdicts(broken)
    return len(waiting), doubt


def _doubt(broken: Sequence[Verdict], checked: int) -> str:
    """A sentence where so many pictures cannot be used that they have one cause rather than many."""
    if len(broken) < ASK_FROM or len(broken) <= MOST_BROKEN * checked:
        return ""
    (reason, count), *others = Counter(verdict.reason for verdict in broken).most_common()
    rest = f", {len(broken) - count:,} for other reasons" if others else ""
    return (
        f"{len(broken):,} of {checked:,} pictures cannot be used: {count:,} because “{reason.rstrip('.')}”{rest}. "
        "So many at once often have one cause: the wrong folder, a download that was cut off, a kind of file that "
        "cannot be read here."
    )


def check_files(paths: Sequence[str], config: VerifyConfig | None = None) -> Stage[list[tuple[str, Checked]]]:
    """(path, verdict) of files, and of the files in folders, without a workspace; in the order of the names given.

    >>> [(path, checked.verdict) for path, checked in w.run(w.check_files(["photos/pear", "bears.csv"]))]
    [('photos/pear/1.jpg', 'ok'), ('photos/pear/2.jpg', 'ok'), ('bears.csv', 'not_an_image')]
    """
    config = config or VerifyConfig()
    files = [str(file) for path in paths for file in _files(Path(path))]
    limits = WorkerLimits(config.seconds, config.memory_mb << 20)
    found: dict[str, Checked] = {}

    def lost(_file: str, why: str) -> Checked:
        return Checked("corrupt", f"{STOPPED}: {why}.")

    for file, checked in map_in_workers(check_file, dict.fromkeys(files), lost, config.workers, limits, AHEAD):
        found[file] = checked
        yield Progress(len(found), len(files), "Checking files")
    return [(file, found[file]) for file in files]


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(file for file in path.rglob("*") if file.is_file())
    else:
        yield path


def find_duplicates(workspace: Workspace) -> None:
    """Write the duplicate group of every image that decodes."""
    store = workspace.store
    known = store.groups()
    groups = group_duplicates(store.fingerprints(), store.miniatures, known)
    store.set_groups({image: group for image, group in groups.items() if known.get(image) != group})
