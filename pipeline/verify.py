"""Decode everything once; set aside what is broken; find duplicate groups; give splits."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pandas as pd

from pipeline.duplicates import group_duplicates
from pipeline.images import Checked, Fingerprint, check, examine, fingerprint, save_thumbnail, smaller
from pipeline.pixel_cache import PixelCache
from pipeline.quality import problems, quality
from pipeline.records import Verdict
from pipeline.sandbox import Limits, map_in_workers
from pipeline.split import SplitConfig, assign_splits, leaks
from pipeline.stage import Progress, Stage
from pipeline.workspace import Workspace

BATCH_SECONDS = 1.0
# Pictures that a worker process has before it.
AHEAD = 8


@dataclass(frozen=True)
class VerifyConfig:
    """``workers`` processes (0 = one a core); each picture may take ``seconds`` and ``memory_mb``; shares and seed of
    the splits that are given at the end.
    """

    workers: int = 0
    seconds: float = 20.0
    memory_mb: int = 2048
    valid: float = 0.15
    test: float = 0.15
    seed: int = 0


@dataclass(frozen=True)
class SetAside:
    """A picture with the kind of trouble and the reason in words; ``name`` is what its source called it."""

    id: str
    file: str
    name: str
    verdict: str
    reason: str


@dataclass(frozen=True)
class Verified:
    """The workspace after verify. ``checked`` = ``ok`` + set aside; ``new`` of them were checked this time.

    ``duplicate_groups``: ids that are the same picture. ``label_conflicts``: groups that carry more than one label.
    ``leaks``: groups in more than one split. ``suspects`` are kept, but a second decoder objects. ``problems``: the ids
    of kept pictures with each kind of problem (keys of ``quality.KINDS``), the worst first.
    """

    checked: int
    ok: int
    new: int
    set_aside: tuple[SetAside, ...] = ()
    duplicate_groups: tuple[tuple[str, ...], ...] = ()
    label_conflicts: tuple[tuple[str, ...], ...] = ()
    leaks: tuple[tuple[str, ...], ...] = ()
    suspects: tuple[SetAside, ...] = field(default=())
    problems: dict[str, tuple[str, ...]] = field(default_factory=dict)


def verify(workspace: Workspace, config: VerifyConfig | None = None) -> Stage[Verified]:
    """Check every image that was not checked yet, then group duplicates and give splits."""
    config = config or VerifyConfig()
    new = yield from _check_new(workspace, config)
    yield Progress(new, new, "Looking for duplicates")
    find_duplicates(workspace)
    assign_splits(workspace, SplitConfig(config.valid, config.test, config.seed))
    return verified(workspace, new)


def _check_new(workspace: Workspace, config: VerifyConfig) -> Stage[int]:
    waiting = workspace.store.unchecked()
    jobs = ((image, workspace.image_file(file), workspace.thumbnail(image)) for image, file in waiting)
    examine_file = partial(_examine_file, cache=_cache(workspace, len(waiting)))
    limits = Limits(config.seconds, config.memory_mb << 20)
    batch: list[Verdict] = []
    written = time.monotonic()
    yield Progress(0, len(waiting), "Checking pictures")
    try:
        answers = map_in_workers(examine_file, jobs, _lost, config.workers, limits, AHEAD)
        for done, (_, verdict) in enumerate(answers, 1):
            batch.append(verdict)
            if time.monotonic() - written > BATCH_SECONDS:
                workspace.store.record_verdicts(batch)
                batch, written = [], time.monotonic()
            yield Progress(done, len(waiting), "Checking pictures")
    finally:
        workspace.store.record_verdicts(batch)
    return len(waiting)


def _cache(workspace: Workspace, pictures: int) -> PixelCache | None:
    """The training cache, where there is room for so many more pictures."""
    cache = PixelCache.in_use(workspace.cache)
    return cache if cache.fits(pictures) else None


def _examine_file(job: tuple[str, Path, Path], cache: PixelCache | None) -> Verdict:
    """Runs in a worker: one read, one decode; verdict, thumbnail, fingerprint, scores and the row of the training cache
    come from it.
    """
    image_id, file, thumbnail = job
    try:
        data = file.read_bytes()
    except OSError as error:
        return Verdict(image_id, "set_aside", "empty", f"The file cannot be read: {error.strerror}.")
    checked, image = examine(data)
    if image is None:
        return _verdict(image_id, checked)
    small = smaller(image)
    save_thumbnail(small, thumbnail)
    if cache is not None:
        cache.add(image_id, image)
    return _verdict(image_id, checked, fingerprint(image), quality(small).to_json())


def _verdict(image_id: str, checked: Checked, print_: Fingerprint | None = None, scores: str | None = None) -> Verdict:
    return Verdict(
        image_id,
        "ok" if checked.usable else "set_aside",
        checked.verdict,
        checked.reason,
        checked.width,
        checked.height,
        checked.format,
        print_.pixels if print_ else None,
        print_.phash if print_ else None,
        print_.tiny if print_ else None,
        scores,
    )


def _lost(job: tuple[str, Path, Path], why: str) -> Verdict:
    return Verdict(job[0], "set_aside", "corrupt", f"Decoding it was stopped: {why}.")


def check_files(paths: Sequence[str], config: VerifyConfig | None = None) -> Stage[list[tuple[str, Checked]]]:
    """(path, verdict) of files, and of the files in folders, without a workspace; in the order of the names given."""
    config = config or VerifyConfig()
    files = [str(file) for path in paths for file in _files(Path(path))]
    limits = Limits(config.seconds, config.memory_mb << 20)
    found: dict[str, Checked] = {}
    for file, checked in map_in_workers(_check_file, dict.fromkeys(files), _lost_file, config.workers, limits, AHEAD):
        found[file] = checked
        yield Progress(len(found), len(files), "Checking files")
    return [(file, found[file]) for file in files]


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(file for file in path.rglob("*") if file.is_file())
    else:
        yield path


def _check_file(path: str) -> Checked:
    try:
        return check(Path(path).read_bytes())
    except OSError as error:
        return Checked("empty", f"The file cannot be read: {error.strerror}.")


def _lost_file(_path: str, why: str) -> Checked:
    return Checked("corrupt", f"Decoding it was stopped: {why}.")


def find_duplicates(workspace: Workspace) -> None:
    """Write the duplicate group of every image that decodes."""
    images = workspace.store.images()
    known = images[images["group"].notna()]
    groups = group_duplicates(workspace.store.fingerprints(), dict(zip(known["id"], known["group"], strict=True)))
    workspace.store.set_groups(groups)


def verified(workspace: Workspace, new: int = 0) -> Verified:
    """What verify has to say about the workspace as it is now."""
    images = workspace.store.images()
    set_aside, ok = images[images["status"] == "set_aside"], images[images["status"] == "ok"]
    return Verified(
        checked=len(ok) + len(set_aside),
        ok=len(ok),
        new=new,
        set_aside=tuple(_set_aside(set_aside)),
        duplicate_groups=tuple(_groups(ok)),
        label_conflicts=tuple(label_conflicts(workspace, ok)),
        leaks=tuple(tuple(group) for group in leaks(images)),
        suspects=tuple(_set_aside(ok[ok["verdict"] == "suspect"])),
        problems=problems(ok),
    )


def _set_aside(rows: pd.DataFrame) -> Iterator[SetAside]:
    for row in rows.itertuples():
        yield SetAside(str(row.id), str(row.file), str(row.source_name), str(row.verdict), str(row.reason))


def _groups(ok: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    for _, group in ok.groupby("group", sort=False):
        if len(group) > 1:
            yield tuple(group["id"])


def label_conflicts(workspace: Workspace, ok: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    """The groups of the 'ok' images that carry more than one label.

    What the sources called an image counts too (the same file in two class folders), until a person decided about it.
    """
    decided = {decision.image for decision in workspace.store.decisions() if decision.about_label}
    labels = zip(ok["id"], ok["label"], strict=True)
    claims: dict[str, set[str]] = {str(image): {str(label)} if label else set() for image, label in labels}
    for image, label in workspace.store.sources()[["image_id", "claimed_label"]].itertuples(index=False):
        if image in claims and image not in decided and label is not None:
            claims[str(image)].add(str(label))
    for _, group in ok.groupby("group", sort=False):
        if len(set().union(*(claims[image] for image in group["id"]))) > 1:
            yield tuple(group["id"])
