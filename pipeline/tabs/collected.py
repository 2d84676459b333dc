"""What was collected, as HTML: counts, a few pictures of each class, what a search found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from pipeline.importing import class_counts
from pipeline.tabs.show import bars, count, empty, escape, facts, picture
from pipeline.tabs.thumbnails import a_few_of_each, thumbnails
from pipeline.workspace import Workspace

SAMPLE = 21
SHOWN_CANDIDATES = 60


def overview(workspace: Workspace) -> str:
    """How many pictures of which classes the workspace has, as HTML."""
    images = workspace.store.images()
    kept = images[images["status"] != "removed"]
    if kept.empty:
        return empty(
            "No pictures yet", "Choose one of the ways below. The starter set is the quickest, and needs no network."
        )
    counts = class_counts(workspace)
    new = int((kept["status"] == "new").sum())
    numbers = [("pictures", f"{len(kept):,}"), ("classes", f"{len(counts):,}")]
    numbers += [("not checked yet", f"{new:,}")] if new else []
    unlabelled = int(kept["label"].isna().sum())
    numbers += [("without a class", f"{unlabelled:,}")] if unlabelled else []
    return facts(numbers) + bars(counts) + _advice(counts)


def _advice(counts: Mapping[str, int]) -> str:
    if len(counts) == 1:
        return '<p class="w-hint">There is one class only. A classifier needs at least two to tell apart.</p>'
    few = [name for name, number in counts.items() if number < 10]
    if few:
        return f'<p class="w-hint">Very few pictures of: {escape(", ".join(few[:5]))}. Aim for 30 or more of each.</p>'
    return ""


def sample(workspace: Workspace) -> str:
    """A few pictures of each class, as HTML."""
    images = workspace.store.images()
    usable = images[images["status"].isin(["new", "ok"])]
    tiles = "".join(
        f"<figure>{picture(path, label)}<figcaption>{escape(label)}</figcaption></figure>"
        for path, label in thumbnails(workspace, a_few_of_each(usable, SAMPLE))
    )
    return f'<div class="w-tiles">{tiles}</div>' if tiles else ""


def candidates_view(workspace: Workspace) -> str:
    """The pictures a search found and that were not fetched yet, as HTML; they are loaded only when asked for."""
    candidates = workspace.store.candidates("new")
    if candidates.empty:
        return ""
    parts = [_candidate_group(str(label), rows) for label, rows in candidates.groupby("label", sort=True)]
    return (
        f'<p class="w-found">{count(len(candidates), "picture")} found. Their makers own them: '
        "look at the licence before you publish anything.</p>" + "".join(parts)
    )


def _candidate_group(label: str, rows: pd.DataFrame) -> str:
    shown = rows.head(SHOWN_CANDIDATES)
    tiles = "".join(_candidate(row) for row in shown.to_dict("records"))
    rest = f"<p class=w-hint>and {len(rows) - len(shown):,} more</p>" if len(rows) > len(shown) else ""
    return (
        f"<details class='w-details'><summary>{escape(label)}: {len(rows):,} found "
        f"<small>open to look (your browser fetches them from their sites)</small></summary>"
        f"<div class='w-tiles'>{tiles}</div>{rest}</details>"
    )


def _candidate(row: Mapping[Any, Any]) -> str:
    host = urlsplit(str(row["url"])).hostname or ""
    caption = " · ".join(str(part) for part in (host, row["licence"]) if isinstance(part, str) and part)
    picture = (
        f'<img loading="lazy" referrerpolicy="no-referrer" alt="" src="{escape(row["url"])}">'
        if _public_https(str(row["url"]))
        else "<span class=w-nopicture>no preview</span>"
    )
    return f'<figure title="{escape(row["title"] or "")}">{picture}<figcaption>{escape(caption)}</figcaption></figure>'


def _public_https(url: str) -> bool:
    """Whether a browser may be sent there for a preview: a name with a top-level domain, not an address in numbers."""
    parts = urlsplit(url)
    last = (parts.hostname or "").rpartition(".")
    return parts.scheme == "https" and bool(last[0]) and last[2].isalpha() and last[2] not in ("local", "internal")
