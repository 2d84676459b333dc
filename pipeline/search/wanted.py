"""Which candidates are wanted: unticked and ticked in the preview, and whether it is to be blurred."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from pipeline.workspace.workspace import Workspace

UNTICKED = "Unticked in the preview."
BLUR = "blur_candidates"


def previewed(workspace: Workspace) -> pd.DataFrame:
    """The candidates that a person may still choose from: not asked for yet, or unticked."""
    every = workspace.store.candidates()
    return every[(every["status"] == "new") | ((every["status"] == "skipped") & (every["reason"] == UNTICKED))]


def leave_out(workspace: Workspace, pairs: Iterable[tuple[str, str]]) -> int:
    """Candidates (url, label) the person does not want: skipped, until :func:`take_back`. Returns how many."""
    return _mark(workspace, pairs, "new", "skipped", UNTICKED)


def take_back(workspace: Workspace, pairs: Iterable[tuple[str, str]]) -> int:
    """Candidates (url, label) that were left out are wanted after all. Returns how many."""
    return _mark(workspace, pairs, "skipped", "new", "")


def _mark(workspace: Workspace, pairs: Iterable[tuple[str, str]], before: str, after: str, reason: str) -> int:
    wanted = set(pairs)
    end = {"status": after, "code": None, "reason": reason, "sha256": None, "again": False}
    rows = [
        {"url": url, "label": label, **end}
        for url, label, status in previewed(workspace)[["url", "label", "status"]].itertuples(index=False)
        if status == before and (url, label) in wanted
    ]
    workspace.store.record_downloads(rows)
    return len(rows)


def remember_safesearch(workspace: Workspace, safesearch: bool) -> None:
    """Blur the preview from now on if a search is not a safe one; no longer only when nothing of such a one is left."""
    if not safesearch:
        workspace.store.set_fact(BLUR, True)
    elif workspace.store.fact(BLUR) and previewed(workspace).empty:
        workspace.store.set_fact(BLUR, False)
