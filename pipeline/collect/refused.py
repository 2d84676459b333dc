"""What an import could not take, and why: kept with the workspace, so that it can be told later, file by file."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from pipeline.collect.entries import Refused
from pipeline.workspace.store import Store

FACT = "refused"
MOST = 20_000


def remember(store: Store, refused: Iterable[Refused], taken: Collection[str]) -> None:
    """Put on record what was refused; what was ``taken`` since is no longer. The latest MOST are kept."""
    before = not_taken(store)
    after = {path: why for path, why in before.items() if path not in taken}
    after |= {one.path: one.reason for one in refused}
    if after != before:
        store.set_fact(FACT, dict(list(after.items())[-MOST:]))


def not_taken(store: Store) -> dict[str, str]:
    """path in its source -> why it could not be imported."""
    return dict(store.fact(FACT, {}))
