"""A phrase -> candidates (URL + provenance), from several providers merged by URL; nothing is fetched yet."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TypeAlias

from pipeline.errors import UsageError
from pipeline.labels import clean_label
from pipeline.search.cache import SearchCache
from pipeline.search.candidates import (
    Candidate,
    Page,
    Query,
    SearchFailed,
    address,
    candidate,
    merged,
    nothing_found,
    together,
    words,
)
from pipeline.search.duckduckgo import DuckDuckGo
from pipeline.search.openverse import Openverse
from pipeline.search.wanted import remember_safesearch
from pipeline.search.wikimedia import Wikimedia
from pipeline.settings import about, check, setting
from pipeline.stage import Progress, Stage
from pipeline.web.addresses import link
from pipeline.workspace.workspace import Workspace

__all__ = ["Candidate", "Found", "Problem", "SearchConfig", "SearchFailed", "merged", "providers", "search"]

MAXIMUM = 1_000
MAXIMUM_LISTED = 100_000
MAX_PHRASE_CHARACTERS = 300
ANY_SIZE_OR_KIND = "A size is small, medium or large, a kind is photo or drawing; leave it out for any."
SILENCING = ("no_network", "blocked", "rate_limited")
LONGEST_SLEEP = 0.5

Clock: TypeAlias = Callable[[], float]
Sleep: TypeAlias = Callable[[float], None]
Turn: TypeAlias = Generator[Progress, None, None]

Ask: TypeAlias = Callable[[Query], Page]


def named_query(text: str) -> tuple[str, str]:
    """(class, what to search for) from ``NAME=QUERY``, or from a name that is both."""
    name, _, query = text.partition("=")
    return name, query or name


@dataclass(frozen=True)
class SearchConfig:
    """What to search for, and where. Raises UsageError where that makes no sense.

    ``classes`` are (label, what to search for) pairs. The provider ``urls`` takes what to search for as a list of URLs,
    all of which become candidates. Answers not older than ``keep_hours`` are used again.

    >>> config = w.SearchConfig((("grizzly", "grizzly bear"), ("black", "black bear")), maximum=50, extras=("photo",))
    >>> config.phrases("grizzly bear")
    ('grizzly bear', 'grizzly bear photo')
    """

    classes: tuple[tuple[str, str], ...] = field(
        metadata=about(
            "a class, and what to search for if it is not its name",
            flag="--class",
            parse=named_query,
            metavar="NAME[=QUERY]",
        )
    )
    maximum: int = setting(
        100,
        "candidates a class, over all providers",
        flag="--max",
        low=1,
        high=MAXIMUM,
        rule=f"Search for 1 to {MAXIMUM:,} pictures a class.",
        metavar="N",
    )
    providers: tuple[str, ...] = setting(
        ("duckduckgo", "openverse", "wikimedia"),
        "who is asked: these, or urls, for which QUERY is a list of URLs",
        flag="--provider",
        metavar="P",
    )
    extras: tuple[str, ...] = setting(
        (), "search each class with these words behind its phrase too", flag="--extra", metavar="WORDS"
    )
    size: str = setting(
        "",
        "only of this size",
        choices={"": "any size", "small": "", "medium": "", "large": ""},
        rule=ANY_SIZE_OR_KIND,
    )
    kind: str = setting(
        "",
        "only of this kind",
        choices={"": "anything", "photo": "photographs", "drawing": "drawings"},
        rule=ANY_SIZE_OR_KIND,
    )
    open_licence: bool = setting(False, "only what may be used commercially and changed")
    safesearch: bool = setting(True, "leave out what is for adults only (unless --no-safesearch)")
    keep_hours: float = setting(
        24.0,
        "use no answer of today",
        flag="--fresh",
        const=0.0,
        low=0,
        rule="The hours for which answers are kept cannot be negative.",
    )

    def __post_init__(self) -> None:
        if not self.classes:
            raise UsageError("Say what to search for: at least one class, like 'grizzly bear'.")
        if any(not words(query) for _, query in self.classes):
            raise UsageError("A class has nothing to search for. Write it as 'class = what to search for'.")
        check(self)
        self._check_providers()

    def _check_providers(self) -> None:
        known = providers()
        unknown = [name for name in self.providers if name not in known]
        if unknown or not self.providers:
            raise UsageError(f"There is no provider '{''.join(unknown[:1])}'. There is: {', '.join(sorted(known))}.")
        if "urls" not in self.providers:
            if any(len(phrase) > MAX_PHRASE_CHARACTERS for _, query in self.classes for phrase in self.phrases(query)):
                raise UsageError(f"Search for something shorter: {MAX_PHRASE_CHARACTERS} characters at most.")
            return
        if set(self.providers) != {"urls"} or self.extras:
            raise UsageError("A list of URLs cannot be mixed with a search. Do one after the other.")
        for wrong in (text for _, query in self.classes for text in query.split() if link(text) is None):
            raise UsageError(f"'{wrong[:60]}' is no URL of a picture: they begin with http:// or https://.")

    def phrases(self, query: str) -> tuple[str, ...]:
        """Everything a class is searched for: its phrase, then the phrase with each of the extra words."""
        if "urls" in self.providers:
            return (query,)
        extras = dict.fromkeys(words(extra) or "" for extra in ("", *self.extras))
        return tuple(f"{words(query)} {extra}".strip() for extra in extras)

    def asked(self, phrase: str) -> Query:
        """The first question for ``phrase``."""
        return Query(phrase, 1, self.size, self.kind, self.open_licence, self.safesearch)


@dataclass(frozen=True)
class Problem:
    """A phrase of which a provider brought nothing, or not all. ``kind`` is one of candidates.FAILURE_KINDS;
    ``reason`` says what to do next.
    """

    label: str
    query: str
    kind: str
    reason: str
    provider: str = ""


@dataclass(frozen=True)
class Found:
    """The candidates, no URL twice; how many of them the workspace did not know; who brought nothing, and why."""

    candidates: tuple[Candidate, ...]
    added: int
    problems: tuple[Problem, ...] = ()


def search(
    workspace: Workspace,
    config: SearchConfig,
    known: Mapping[str, Provider] | None = None,
    clock: Clock = time.monotonic,
    sleep: Sleep = time.sleep,
) -> Stage[Found]:
    """Put candidates for every class on record. Raises SearchFailed (a NetworkError) if there are none at all.

    ``known`` are the providers by name, those of ``providers()`` if None. One that fails does not stop the others;
    one that cannot be reached or refuses is not asked again. ``clock`` and ``sleep`` pace the questions.

    >>> listed = "https://example.org/1.jpg https://example.org/2.jpg"
    >>> config = w.SearchConfig((("bear", listed),), providers=("urls",))  # leave providers out to ask the web
    >>> found = w.run(w.search(ws, config))
    >>> found.added, [candidate.label for candidate in found.candidates]
    (2, ['bear', 'bear'])
    """
    classes = _phrases_by_class(config)
    remember_safesearch(workspace, config.safesearch)
    cache = SearchCache(workspace.cache / "search", config.keep_hours)
    cache.forget_old()
    total = sum(map(len, classes.values())) * len(set(config.providers))
    asking = _Asking(config, known or providers(), cache, _Pace(clock, sleep), total)
    found: dict[str, Candidate] = {}
    added = 0
    for label, phrases in classes.items():
        new = yield from asking.about(label, phrases, found)
        added += workspace.store.add_candidates(asdict(one) for one in new.values())
        found |= new
    if not found and asking.failures:
        raise together(asking.failures)
    yield Progress(asking.total, asking.total, "Searched", {"found": len(found)})
    return Found(tuple(found.values()), added, tuple(asking.problems))


def _phrases_by_class(config: SearchConfig) -> dict[str, list[str]]:
    """A class may have several rows: all of their phrases are its own."""
    found: dict[str, dict[str, None]] = {}
    for name, query in config.classes:
        found.setdefault(clean_label(name), {}).update(dict.fromkeys(config.phrases(query)))
    return {label: list(phrases) for label, phrases in found.items()}


class _Pace:
    """Keeps the seconds between two questions to one provider, in naps short enough to be interrupted."""

    def __init__(self, clock: Clock, sleep: Sleep) -> None:
        self.clock = clock
        self.sleep = sleep
        self.asked_at: dict[str, float] = {}

    def before(self, provider: Provider) -> Iterator[None]:
        """Yields after every nap, until ``provider`` may be asked."""
        due = self.asked_at.get(provider.name, float("-inf")) + provider.seconds_between
        while (left := due - self.clock()) > 0:
            self.sleep(min(left, LONGEST_SLEEP))
            yield

    def note(self, provider: Provider) -> None:
        """``provider`` was asked just now."""
        self.asked_at[provider.name] = self.clock()


@dataclass
class _Source:
    """One phrase for one provider, asked page by page while there is ``more``."""

    provider: Provider
    query: Query
    found: dict[str, Candidate] = field(default_factory=dict)
    more: bool = True


class _Asking:
    """One search: who was asked what, who has fallen silent, what went wrong."""

    def __init__(
        self, config: SearchConfig, known: Mapping[str, Provider], cache: SearchCache, pace: _Pace, total: int
    ) -> None:
        self.config, self.cache, self.pace, self.total = config, cache, pace, total
        self.providers = [known[name] for name in dict.fromkeys(config.providers)]
        self.maximum = MAXIMUM_LISTED if "urls" in config.providers else config.maximum
        self.silent: dict[str, SearchFailed] = {}
        self.failures: list[SearchFailed] = []
        self.problems: list[Problem] = []
        self.done = 0

    def about(self, label: str, phrases: Sequence[str], taken: Collection[str]) -> Stage[dict[str, Candidate]]:
        """Candidates of one class: every source is asked for a page, then again in turn until there are enough."""
        sources = [_Source(provider, self.config.asked(phrase)) for phrase in phrases for provider in self.providers]
        new: dict[str, Candidate] = {}
        while open_ones := [source for source in sources if source.more]:
            for source in open_ones:
                if source.query.page > 1 and len(new) >= self.maximum:
                    return new
                yield from self._turn(label, source, len(taken) + len(new))
                lists = [[replace(one, label=label) for one in each.found.values()] for each in sources]
                new = merged(lists, self.maximum, taken)
        return new

    def _turn(self, label: str, source: _Source, found: int) -> Turn:
        """Ask ``source`` for its next page."""
        provider, query = source.provider, source.query
        try:
            page = yield from self._page(provider, query, found)
            if query.page == 1 and not page.candidates:
                raise nothing_found(provider.who, query.phrase)
        except SearchFailed as failure:
            self._failed(label, source, failure)
            page = Page()
        before = len(source.found)
        for one in page.candidates:
            source.found.setdefault(address(one.url), one)
        self.done += query.page == 1
        source.more = page.more and len(source.found) > before
        source.query = replace(query, page=query.page + 1)

    def _page(self, provider: Provider, query: Query, found: int) -> Generator[Progress, None, Page]:
        """The page as it was kept, or as the provider gives it now."""
        what = f": {query.phrase}" if provider.name != "urls" else ""
        kept = self.cache.get(provider.name, query) if provider.kept else None
        if kept:
            page, hours = kept
            ago = "within the last hour" if hours < 1 else f"{math.ceil(hours)} hours ago"
            yield self._progress(f"{provider.who} answered this {ago}{what}", found)
            return page
        if provider.name in self.silent:
            raise self.silent[provider.name]
        yield self._progress(f"Asking {provider.who}{what}", found)
        for _ in self.pace.before(provider):
            yield self._progress(f"Asking {provider.who}{what}", found)
        try:
            page = provider.ask(query)
        finally:
            self.pace.note(provider)
        if provider.kept:
            self.cache.keep(provider.name, query, page)
        return page

    def _progress(self, note: str, found: int) -> Progress:
        return Progress(self.done, self.total, note, {"found": found})

    def _failed(self, label: str, source: _Source, failure: SearchFailed) -> None:
        if failure.kind in SILENCING:
            self.silent[source.provider.name] = failure
        self.failures.append(failure)
        self.problems.append(Problem(label, source.query.phrase, failure.kind, str(failure), source.provider.name))


# --- one list of several -------------------------------------------------------------------------------------------


# --- Who can be asked for pictures, by name: DuckDuckGo, Openverse, Wikimedia Commons, and one's own list of URLs ----


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
