"""Who can be asked for pictures, by name: DuckDuckGo, Openverse, Wikimedia Commons, and one's own list of URLs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from pipeline.search.candidates import Page, Query, candidate
from pipeline.search.duckduckgo import DuckDuckGo
from pipeline.search.openverse import Openverse
from pipeline.search.wikimedia import Wikimedia

Ask: TypeAlias = Callable[[Query], Page]


@dataclass(frozen=True)
class Provider:
    """Somebody who knows pictures: ``ask`` gives one page of candidates or raises SearchFailed.

    ``who`` is the name for people. At least ``seconds_between`` pass between two questions; ``kept``: its answers are
    kept on disk for a while.
    """

    name: str
    who: str
    ask: Ask
    seconds_between: float = 1.0
    kept: bool = True


def providers() -> dict[str, Provider]:
    """Everybody who can be asked, by name."""
    known = (
        Provider("duckduckgo", "DuckDuckGo", DuckDuckGo(), seconds_between=2.0),
        Provider("openverse", "Openverse", Openverse(), seconds_between=3.0),  # strict with those who have no key
        Provider("wikimedia", "Wikimedia Commons", Wikimedia()),
        Provider("urls", "The list of URLs", listed, seconds_between=0.0, kept=False),
    )
    return {provider.name: provider for provider in known}


def listed(query: Query) -> Page:
    """The URLs that the phrase is a list of, separated by white space. Filters mean nothing here."""
    found = [candidate("urls", Query(""), url) for url in query.phrase.split()]
    return Page(tuple(one for one in found if one is not None))
