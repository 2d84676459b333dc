"""What was collected: counts, a few pictures of each class or the newest, how downloads ended, and the data card."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.collect.data_card import ATTRIBUTIONS, CARD, write_card
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.collect.outcomes import Outcome
from pipeline.errors import UsageError, WorkspaceError
from pipeline.images import in_workers
from pipeline.jobs import job as jobs
from pipeline.jobs.job import Job
from pipeline.jobs.stages import StageName
from pipeline.tabs.page.downloads import place_of, zipped
from pipeline.tabs.page.show import LISTED_CLASSES, bars, count, empty, escape, facts, picture
from pipeline.workspace.records import IN_USE
from pipeline.workspace.workspace import Workspace

LONGEST_URL = 200


def collecting(workspace: Workspace) -> bool:
    """Whether pictures are being collected in a workspace right now."""
    return jobs.running(workspace, StageName.IMPORT, StageName.SEARCH, StageName.DOWNLOAD) is not None


def one_at_a_time(workspace: Workspace) -> None:
    """Raises UsageError while pictures are being collected in a workspace."""
    if collecting(workspace):
        raise UsageError("Pictures are being collected already. Wait until that is done, or cancel it above.")


def import_job(workspace: Workspace, config: ImportConfig) -> Job:
    """Start importing. Raises UsageError while another collection runs here."""
    one_at_a_time(workspace)
    return jobs.start(workspace, import_images, config)


def overview(workspace: Workspace) -> str:
    """How many usable pictures of which classes the workspace has, as HTML."""
    images = workspace.store.images()
    usable, aside = images[images["status"].isin(IN_USE)], int((images["status"] == "set_aside").sum())
    if usable.empty and not aside:
        return empty(
            "No pictures yet", "Choose one of the ways below. The starter set is the quickest, and needs no network."
        )
    counts = workspace.store.class_counts()
    new = int((usable["status"] == "new").sum())
    numbers = [("pictures", f"{len(usable):,}"), ("classes", f"{len(counts):,}")]
    numbers += [("not checked yet", f"{new:,}")] if new else []
    unlabelled = int(usable["label"].isna().sum())
    numbers += [("without a class", f"{unlabelled:,}")] if unlabelled else []
    numbers += [("set aside", f"{aside:,}")] if aside else []
    shown = dict(list(counts.items())[:LISTED_CLASSES])
    more = f'<p class="w-hint">and {count(len(counts) - len(shown), "more class", "more classes")}</p>'
    return facts(numbers) + bars(shown) + (more if len(counts) > len(shown) else "") + _advice(counts)


def _advice(counts: Mapping[str, int]) -> str:
    if len(counts) == 1:
        return '<p class="w-hint">There is one class only. A classifier needs at least two to tell apart.</p>'
    few = [name for name, number in counts.items() if number < 10]
    if few:
        return f'<p class="w-hint">Very few pictures of: {escape(", ".join(few[:5]))}. Aim for 30 or more of each.</p>'
    return ""


def sample(workspace: Workspace) -> str:
    """A few pictures of each class, as HTML."""
    return _tiles(in_workers.sample(workspace))


def newest(workspace: Workspace) -> str:
    """The pictures that arrived last, the newest first, as HTML."""
    images = workspace.store.images()
    usable = images[images["status"].isin(IN_USE)].tail(in_workers.SAMPLE).iloc[::-1]
    tiles = _tiles(in_workers.thumbnails(workspace, usable))
    return f"<p class='w-hint w-arriving'>Just arrived</p>{tiles}" if tiles else ""


def _tiles(pictures: Sequence[tuple[Path, str]]) -> str:
    tiles = "".join(
        f"<figure>{picture(path, label)}<figcaption>{escape(label)}</figcaption></figure>" for path, label in pictures
    )
    return f'<div class="w-tiles">{tiles}</div>' if tiles else ""


def outcomes_view(found: Sequence[Outcome]) -> str:
    """How candidates ended, as HTML: a line a reason with its number, that opens to the sites and a few examples."""
    return "".join(_outcome(outcome) for outcome in found)


def _outcome(outcome: Outcome) -> str:
    again = f" <small>{outcome.again:,} tried again</small>" if outcome.again else ""
    kind = outcome.status if outcome.status in ("stored", "failed") else "other"
    short = [(url if len(url) <= LONGEST_URL else f"{url[: LONGEST_URL - 1]}…", why) for url, why in outcome.examples]
    rows = "".join(f"<li><code>{escape(url)}</code> {escape(why)}</li>" for url, why in short)
    examples = f"<p><i>Examples</i></p><ul>{rows}</ul>"
    return (
        f'<details class="w-outcome w-{kind}" data-key="{escape(outcome.status)} {escape(outcome.code)}"><summary>'
        f"<b>{outcome.number:,}</b> <span>{escape(outcome.title)}{again}{_worst_site(outcome)}</span></summary>"
        f"<p>{escape(outcome.meaning)}</p>{_numbers('Sites', outcome.hosts, outcome.more_hosts)}"
        f"{_numbers('Reasons', outcome.reasons) if outcome.status == 'failed' else ''}{examples}</details>"
    )


def _worst_site(outcome: Outcome) -> str:
    """Which site did it most, for endings that are somebody's doing."""
    if outcome.status not in ("failed", "skipped") or not outcome.hosts:
        return ""
    (name, number), *others = outcome.hosts
    more = f", and {count(len(others) + outcome.more_hosts, 'other site')}" if others else ""
    return f" <small>{escape(name)} ({number:,}){more}</small>"


def _numbers(title: str, counted: Sequence[tuple[str, int]], more: int = 0) -> str:
    named = [f"{escape(name.rstrip('.'))} ({number:,})" for name, number in counted if name]
    others = [f"and {count(more, 'other')}"] if more else []
    return f"<p><i>{title}</i> {' · '.join([*named, *others])}</p>" if named else ""


def papers(workspace: Workspace, cache: Path, anew: bool = True) -> Path | None:
    """The data card and the attributions as a zip file below ``cache``; None where they were not written yet.

    ``anew``: they are written again first where the store has changed since.
    """
    files = [workspace.root / name for name in (CARD, ATTRIBUTIONS)]
    if anew and _changed(workspace.database) > min(map(_changed, files)):
        with suppress(WorkspaceError):  # the disk refuses: those there are have to do
            write_card(workspace)
    if not all(file.is_file() for file in files):
        return None
    target = place_of(workspace.root, cache) / f"{workspace.name}-data-card.zip"
    changed = max(file.stat().st_mtime for file in files)
    return zipped({file.name: file for file in files}, target, changed, zipfile.ZIP_DEFLATED)


def _changed(file: Path) -> float:
    return max((one.stat().st_mtime for one in (file, Path(f"{file}-wal")) if one.is_file()), default=0.0)
