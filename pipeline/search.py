"""A phrase -> candidates (URL + provenance), from named providers; nothing is fetched yet."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias
from urllib.parse import unquote

from pipeline.errors import NetworkError, UsageError
from pipeline.sources import clean_label
from pipeline.stage import Progress, Stage
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from ddgs.ddgs import DDGS

KINDS = ("no_network", "refused", "nothing_found")
MAXIMUM = 1_000
PAGES = 10
SECONDS = 20
DUCKDUCKGO = "The image search (DuckDuckGo)"
INSTEAD = "Import a folder of your own pictures, a CSV file of URLs, or the starter set instead."


@dataclass(frozen=True)
class Candidate:
    """A picture somebody says is on the web: its URL and what was said about it. ``licence`` is a claim."""

    url: str
    label: str = ""
    provider: str = ""
    page_url: str | None = None
    licence: str | None = None
    query: str = ""
    title: str = ""
    width: int | None = None
    height: int | None = None


SearchImages: TypeAlias = Callable[[str, int], Sequence[Candidate]]


@dataclass(frozen=True)
class SearchConfig:
    """``classes``: (label, what to search for) pairs; ``maximum`` candidates each, 1 to 1,000."""

    classes: tuple[tuple[str, str], ...]
    maximum: int = 100
    provider: str = "duckduckgo"

    def __post_init__(self) -> None:
        if not self.classes:
            raise UsageError("Say what to search for: at least one class, like 'grizzly bear'.")
        if not 1 <= self.maximum <= MAXIMUM:
            raise UsageError(f"Search for 1 to {MAXIMUM:,} pictures a class.")
        if self.provider not in providers():
            raise UsageError(f"There is no provider '{self.provider}'. There is: {', '.join(sorted(providers()))}.")
        if any(not query.strip() for _, query in self.classes):
            raise UsageError("A class has nothing to search for. Write it as 'class = what to search for'.")


@dataclass(frozen=True)
class Problem:
    """A class whose search brought nothing. ``kind`` is one of KINDS; ``reason`` says what to do next."""

    label: str
    query: str
    kind: str
    reason: str


@dataclass(frozen=True)
class Found:
    """The candidates, no URL twice; how many of them the workspace did not know; classes that brought nothing."""

    candidates: tuple[Candidate, ...]
    added: int
    problems: tuple[Problem, ...] = ()


class SearchFailed(NetworkError):
    """A search brought nothing; ``kind`` is one of KINDS, and each has its own advice."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


def search(workspace: Workspace, config: SearchConfig, search_images: SearchImages | None = None) -> Stage[Found]:
    """Put candidates for every class on record. Raises SearchFailed (a NetworkError) if no class brought any.

    ``search_images`` is the provider: phrase, maximum -> candidates without a label; the one that
    ``config.provider`` names if None. Another class's failure does not stop the others.
    """
    search_images = search_images or providers()[config.provider]
    found: dict[str, Candidate] = {}
    problems: list[Problem] = []
    added = 0
    classes = [(clean_label(name), query.strip()) for name, query in config.classes]
    for done, (label, query) in enumerate(classes):
        yield Progress(done, len(classes), f"Searching for {query}", {"found": len(found)})
        try:
            new = _new(search_images(query, config.maximum), label, query, found)
        except NetworkError as trouble:
            kind = trouble.kind if isinstance(trouble, SearchFailed) else "no_network"
            problems.append(Problem(label, query, kind, str(trouble)))
            continue
        added += workspace.store.add_candidates(asdict(candidate) for candidate in new)
        found |= {candidate.url: candidate for candidate in new}
    if len(problems) == len(classes):
        raise _all_failed(problems)
    yield Progress(len(classes), len(classes), "Searched", {"found": len(found)})
    return Found(tuple(found.values()), added, tuple(problems))


def _new(results: Sequence[Candidate], label: str, query: str, known: Mapping[str, Candidate]) -> list[Candidate]:
    """The results of one class, no URL twice; nothing_found is raised where there were none at all."""
    usable = {result.url: result for result in results if result.url.lower().startswith(("http://", "https://"))}
    if not usable:
        raise nothing_found(query)
    return [replace(result, label=label, query=query) for url, result in usable.items() if url not in known]


def _all_failed(problems: Sequence[Problem]) -> SearchFailed:
    """One sentence for all: what keeps the search from answering, before what it did not find."""
    graver = [problem for problem in problems if problem.kind != "nothing_found"]
    if graver:
        return SearchFailed(graver[0].kind, graver[0].reason)
    return nothing_found(*(problem.query for problem in problems))


def providers() -> dict[str, SearchImages]:
    """Everybody who can be asked, by name."""
    return {"duckduckgo": duckduckgo}


def no_network(who: str) -> SearchFailed:
    """The search service cannot be reached at all."""
    reason = f"{who} cannot be reached. Check that this computer is online, then search again. {INSTEAD}"
    return SearchFailed("no_network", reason)


def refused(who: str) -> SearchFailed:
    """The search service answers, but gives nothing: too many requests, or it takes us for a robot."""
    reason = f"{who} refuses at the moment, usually after too many searches. Wait some minutes, then search again."
    return SearchFailed("refused", f"{reason} {INSTEAD}")


def unreadable(who: str) -> SearchFailed:
    """The search service answers with something else than results."""
    reason = f"{who} answered with something that cannot be read: it refuses, or it has changed. Wait some minutes;"
    return SearchFailed("refused", f"{reason} if it stays so, update its client (pip install -U ddgs). {INSTEAD}")


def nothing_found(*queries: str) -> SearchFailed:
    """The search service answered properly, and knows no such picture."""
    phrases = " or ".join(f"'{query}'" for query in queries)
    reason = f"No pictures were found for {phrases}. Check the spelling, or search with other or fewer words."
    return SearchFailed("nothing_found", f"{reason} {INSTEAD}")


# --- DuckDuckGo, through ddgs --------------------------------------------------------------------------------------


class Http(Protocol):
    """What ddgs asks the web with."""

    def request(self, *arguments: Any, **options: Any) -> Any:
        """An answer with ``status_code``, ``content`` and ``text``."""


def duckduckgo(phrase: str, maximum: int, http: Http | None = None) -> list[Candidate]:
    """Up to ``maximum`` candidates for ``phrase``. Raises SearchFailed. ``http`` stands in for the web.

    ddgs says "No results found" both when there are none and when it was refused, so its answers are watched; and
    it decodes the percent signs of a URL, so the URL as it was given is looked up again.
    """
    watch = _Watch(http)
    client = _watched(watch)
    rows: dict[str, Mapping[str, Any]] = {}
    for page in range(1, PAGES + 1):
        fresh = {str(row["image"]): row for row in _page(client, watch, phrase, maximum, page) if row.get("image")}
        if len(rows | fresh) == len(rows):
            break
        rows |= fresh
        if len(rows) >= maximum:
            break
    return [_candidate(watch.as_given.get(url, url), row, phrase) for url, row in list(rows.items())[:maximum]]


def _page(client: DDGS, watch: _Watch, phrase: str, maximum: int, page: int) -> list[dict[str, Any]]:
    try:
        return list(client.images(phrase, max_results=maximum, page=page))
    except Exception as error:  # ddgs raises its own, and whatever an unexpected answer makes it stumble over
        if page > 1:
            return []  # what the first pages gave is enough
        raise watch.explain(error, phrase) from error


def _candidate(url: str, row: Mapping[str, Any], phrase: str) -> Candidate:
    return Candidate(
        url=url,
        provider="duckduckgo",
        page_url=str(row.get("url") or "") or None,
        query=phrase,
        title=str(row.get("title") or ""),
        width=_whole(row.get("width")),
        height=_whole(row.get("height")),
    )


def _whole(value: Any) -> int | None:
    text = str(value or "").strip()
    return int(text) if re.fullmatch(r"[1-9][0-9]{0,6}", text) else None


class _Watch:
    """What the search engines answered: statuses and exceptions in order, and the URLs in their text."""

    def __init__(self, http: Http | None) -> None:
        self.http = http
        self.answers: list[int | Exception] = []
        self.as_given: dict[str, str] = {}

    def asked(self, http: Http, *arguments: Any, **options: Any) -> Any:
        """Ask, and remember how it went."""
        try:
            answer = (self.http or http).request(*arguments, **options)
        except Exception as error:
            self.answers.append(error)
            raise
        self.answers.append(int(answer.status_code))
        text = html.unescape(answer.text).replace("\\/", "/").replace("\\u0026", "&")
        self.as_given |= {unquote(url).replace(" ", "+"): url for url in re.findall(r'https?://[^\s"<>\\]+', text)}
        return answer

    def explain(self, error: Exception, phrase: str) -> SearchFailed:
        """Which of the failures it was."""
        statuses = [answer for answer in self.answers if isinstance(answer, int)]
        empty = "No results found" in str(error)
        if not statuses and (self.answers or not empty):
            return no_network(DUCKDUCKGO)
        if empty and len(statuses) == len(self.answers) and set(statuses) <= {200}:
            return nothing_found(phrase)
        return unreadable(DUCKDUCKGO) if set(statuses) == {200} else refused(DUCKDUCKGO)


@dataclass(frozen=True)
class _Through:
    """Stands where a search engine of ddgs keeps its HTTP client."""

    http: Http
    watch: _Watch

    def request(self, *arguments: Any, **options: Any) -> Any:
        return self.watch.asked(self.http, *arguments, **options)


def _watched(watch: _Watch) -> DDGS:
    from ddgs.ddgs import DDGS

    class Watched(DDGS):  # type: ignore[misc]
        """DDGS whose search engines ask through ``watch``. Where a newer ddgs has no such method, nothing is seen."""

        def _get_engines(self, category: str, backend: str) -> list[Any]:
            engines: list[Any] = super()._get_engines(category, backend)
            for engine in engines:
                if not isinstance(engine.http_client, _Through):
                    engine.http_client = _Through(engine.http_client, watch)
            return engines

    return Watched(timeout=SECONDS)
