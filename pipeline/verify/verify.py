"""Decode everything once; set aside what is broken; find duplicate groups; give splits."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.errors import TooManyBroken, UsageError
from pipeline.images.decode import Checked, large_file
from pipeline.images.opening import MEGAPIXELS_FACT, decide, opening_of, outdated
from pipeline.images.pixel_cache import PixelCache
from pipeline.images.sandbox import WorkerLimits, map_in_workers
from pipeline.predict import MEGAPIXELS, Opening
from pipeline.settings import setting
from pipeline.stage import Progress, Stage
from pipeline.verify.cards import restore
from pipeline.verify.findings import Verified, verified
from pipeline.verify.groups import find_duplicates
from pipeline.verify.scenes import AUTO, KINDS, NO_SCENES, choose
from pipeline.verify.split import SplitConfig, assign_splits, wait_for_choice
from pipeline.verify.worker import check_file, examine_file
from pipeline.workspace.records import Verdict
from pipeline.workspace.seals import LOOKED_AT, altered
from pipeline.workspace.workspace import Workspace

BATCH_SECONDS = 1.0
STOPPED = "Decoding it was stopped"
BYTES_A_PIXEL = 16  # what decoding one takes at most
# Pictures that a worker process has before it.
AHEAD = 8
# Where more than this share cannot be used (and not just one or two), verify stops and asks.
MOST_BROKEN, ASK_FROM = 0.1, 3
DOUBT = "verify_doubt"
ASK = "ask"
WHAT_NOW = "Put it right and check again, or go on all the same (--accept-broken on the command line)."


@dataclass(frozen=True)
class VerifyConfig(SplitConfig):
    """How pictures are checked, and how the splits are drawn that are given at the end.

    >>> w.VerifyConfig(valid=0.2, test=0.2, seed=1).accept_broken
    False
    """

    workers: int = setting(0, "worker processes", flag=None, low=0, means={0: "one a core"})
    seconds: float = setting(20.0, "the most time for a picture", flag=None, above=0)
    memory_mb: int = setting(2048, "the most memory for a picture", flag=None, low=1)
    scenes: str = setting(
        AUTO,
        "what was taken together and stays in one split",
        choices={
            AUTO: "by a column that was named, else by what is seen first of the others",
            **KINDS,
            NO_SCENES: "nothing",
            ASK: "no splits are given where something is seen, until the command scenes says what is meant",
        },
    )
    accept_broken: bool = setting(False, "do not ask where many pictures cannot be used")
    cache: bool = setting(True, "whether the training cache is filled, where there is room for it", flag=None)
    max_megapixels: int = setting(
        0,
        "pictures of more are refused (JPEG, which can be read smaller, above 250)",
        low=MEGAPIXELS,
        high=1000,
        means={0: "as before, and at first 50"},
        metavar="N",
    )

    def limits(self, opening: Opening) -> WorkerLimits:
        """What a worker process may take for a picture: more memory where larger ones are let in."""
        more = max(0, opening.megapixels - MEGAPIXELS) * 1_000_000
        return WorkerLimits(self.seconds, (self.memory_mb << 20) + more * BYTES_A_PIXEL)


def verify(workspace: Workspace, config: VerifyConfig | None = None) -> Stage[Verified]:
    """Check every image that was not checked yet, then group duplicates and give splits.

    Raises TooManyBroken where more than a tenth cannot be used and ``accept_broken`` does not say to go on: then the
    good ones are on record and nothing was set aside.

    >>> verified = w.run(w.verify(ws, w.VerifyConfig(workers=2)))
    >>> verified.ok, verified.set_aside, len(verified.duplicate_groups)
    (60, (), 0)
    """
    config = config or VerifyConfig()
    if config.scenes not in (AUTO, ASK):
        choose(workspace, config.scenes)
    _let_in(workspace, config.max_megapixels)
    new, doubt = yield from _check_new(workspace, config)
    workspace.store.set_fact(DOUBT, "")
    yield from _by_one_scale(workspace, config)
    yield Progress(new, new, "Looking for duplicates")
    find_duplicates(workspace)
    shares = SplitConfig(config.valid, config.test, config.seed)
    if config.scenes != ASK or not wait_for_choice(workspace, shares):
        assign_splits(workspace, shares)
    return verified(workspace, new, doubt)


def _let_in(workspace: Workspace, megapixels: int) -> None:
    """Remember that pictures may be so large (0: as before), and have those looked at again that were too large."""
    before = opening_of(workspace).megapixels
    if megapixels and megapixels < before:
        raise UsageError(
            f"Pictures of up to {before} megapixels were let in before: --max-megapixels is {before} or more."
        )
    if megapixels > before:
        workspace.store.set_fact(MEGAPIXELS_FACT, megapixels)
        images = workspace.store.images("set_aside")
        restore(workspace, [str(image) for image in images[images["verdict"] == "too_large"]["id"]])


def _by_one_scale(workspace: Workspace, config: VerifyConfig) -> Stage[None]:
    """Decide the scale of pictures of many bits, and open those again that were opened by another one."""
    before, opening = opening_of(workspace), decide(workspace)
    again = outdated(workspace, opening)
    if opening != before:
        caches = (PixelCache.in_use(workspace.cache, how) for how in (opening, before))
        next(caches).take_over(next(caches), [image for image, _ in again])
    if not again:
        return
    for image, _ in again:
        large_file(workspace, image).unlink(missing_ok=True)
    broken = yield from _examined(workspace, config, again, "Scaling pictures of many bits alike")
    workspace.store.record_verdicts(broken)


def _check_new(workspace: Workspace, config: VerifyConfig) -> Stage[tuple[int, str]]:
    """(how many were checked, what to think of those that cannot be used). Pictures that were fine and whose files are
    gone or changed since are among these.
    """
    waiting, began = workspace.store.unchecked(), time.time()
    fine = workspace.store.images("ok")
    lost = [
        Verdict(one.id, "set_aside", "empty" if one.gone else "corrupt", one.reason) for one in altered(workspace, fine)
    ]
    broken = yield from _examined(workspace, config, waiting, "Checking pictures")
    doubt = _doubt(broken, len(waiting)) or _doubt(lost, len(fine))
    if doubt and not config.accept_broken:
        workspace.store.set_fact(DOUBT, doubt)
        raise TooManyBroken(f"{doubt} Nothing was set aside. {WHAT_NOW}")
    workspace.store.record_verdicts(broken)
    workspace.store.record_lost(lost)
    workspace.store.set_fact(LOOKED_AT, began)
    return len(waiting), doubt


def _examined(
    workspace: Workspace, config: VerifyConfig, waiting: Sequence[tuple[str, str]], note: str
) -> Stage[list[Verdict]]:
    """Look at these images (id, file) and record what is said of the good ones; returns what is said of the others."""
    jobs = ((image, workspace.image_file(file), workspace.thumbnail(image)) for image, file in waiting)
    opening = opening_of(workspace)
    cache = PixelCache.in_use(workspace.cache, opening)
    kept = cache if config.cache and cache.fits(len(waiting)) else None
    work = partial(examine_file, cache=kept, opening=opening)

    def lost(job: tuple[str, Path, Path], why: str) -> Verdict:
        return Verdict(job[0], "set_aside", "corrupt", f"{STOPPED}: {why}.")

    good: list[Verdict] = []
    broken: list[Verdict] = []
    written = time.monotonic()
    yield Progress(0, len(waiting), note)
    try:
        answers = map_in_workers(work, jobs, lost, config.workers, config.limits(opening), AHEAD)
        for done, (_, verdict) in enumerate(answers, 1):
            (good if verdict.status == "ok" else broken).append(verdict)
            if time.monotonic() - written > BATCH_SECONDS:
                workspace.store.record_verdicts(good)
                good, written = [], time.monotonic()
            yield Progress(done, len(waiting), note, {"broken": len(broken)})
    finally:
        workspace.store.record_verdicts(good)
    return broken


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
    opening = Opening(megapixels=config.max_megapixels or MEGAPIXELS)
    found: dict[str, Checked] = {}

    def lost(_file: str, why: str) -> Checked:
        return Checked("corrupt", f"{STOPPED}: {why}.")

    work, limits = partial(check_file, opening=opening), config.limits(opening)
    for file, checked in map_in_workers(work, dict.fromkeys(files), lost, config.workers, limits, AHEAD):
        found[file] = checked
        yield Progress(len(found), len(files), "Checking files")
    return [(file, found[file]) for file in files]


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(file for file in path.rglob("*") if file.is_file())
    else:
        yield path
