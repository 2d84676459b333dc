"""DuckDuckGo's image search, through ddgs: watched, so that a refusal is not taken for finding nothing."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

from pipeline.search.candidates import (
    Candidate,
    Page,
    Query,
    SearchFailed,
    blocked,
    candidate,
    in_trouble,
    no_network,
    rate_limited,
    too_slow,
    unreadable,
)

if TYPE_CHECKING:
    from ddgs.ddgs import DDGS

WHO = "DuckDuckGo"
PAGES = 10
SECONDS = 20
SIZES = {"small": "Small", "medium": "Medium", "large": "Large"}
TYPES = {"photo": "photo", "drawing": "clipart"}
OPEN_LICENCES = "ModifyCommercially"
OPEN_CLAIM = "not stated (searched with DuckDuckGo's filter for open licences)"


class Http(Protocol):
    """What ddgs asks the web with."""

    def request(self, *arguments: Any, **options: Any) -> Any:
        """An answer with ``status_code``, ``content`` and ``text``."""


@dataclass(frozen=True)
class DuckDuckGo:
    """Asks DuckDuckGo through ddgs; ``http`` stands in for the web, ``seconds`` is how long one request may take.

    The two image engines of ddgs, duckduckgo and bing, show one and the same index, but only duckduckgo heeds safe
    search, size, kind and licence. So bing is asked too only where none of them is wanted; safe search is wanted
    unless it was switched off. The licence of a picture is not told: with an open licence wanted, the claim says so.
    """

    http: Http | None = None
    seconds: int = SECONDS

    def __call__(self, query: Query) -> Page:
        """One page of pictures. Raises SearchFailed."""
        watch = _Watch(self.http)
        filtered = query.safesearch or query.open_licence or query.size or query.kind
        try:
            rows = _watched(watch, self.seconds).images(
                query.phrase,
                page=query.page,
                max_results=None,
                backend="duckduckgo" if filtered else "auto",
                safesearch="on" if query.safesearch else "off",
                size=SIZES.get(query.size),
                type_image=TYPES.get(query.kind),
                license_image=OPEN_LICENCES if query.open_licence else None,
            )
        except Exception as error:  # ddgs raises its own, and whatever an unexpected answer makes it stumble over
            failure = watch.explain(error)
            if failure is None:
                return Page()
            raise failure from error
        found = [_candidate(row, query, watch.as_given) for row in rows]
        return Page(tuple(one for one in found if one is not None), query.page < PAGES)


def _candidate(row: Mapping[str, Any], query: Query, as_given: Mapping[str, str]) -> Candidate | None:
    """ddgs decodes the percent signs of URLs; ``as_given`` has them as they were."""
    image, page_url, thumbnail = (str(row.get(key) or "") for key in ("image", "url", "thumbnail"))
    return candidate(
        "duckduckgo",
        query,
        as_given.get(image, image),
        page_url=as_given.get(page_url, page_url),
        thumbnail=as_given.get(thumbnail, thumbnail),
        title=row.get("title"),
        width=row.get("width"),
        height=row.get("height"),
        licence=OPEN_CLAIM if query.open_licence else None,
    )


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

    def explain(self, error: Exception) -> SearchFailed | None:
        """Which of the failures it was; None where there is just nothing (more). ddgs says that of refusals too."""
        from ddgs.exceptions import TimeoutException

        statuses = {answer for answer in self.answers if isinstance(answer, int)}
        empty = "No results found" in str(error)
        if empty and statuses == {200} and len(self.answers) == self.answers.count(200):
            return None
        if any(isinstance(answer, TimeoutException) for answer in (error, *self.answers)):
            return too_slow(WHO)
        if not statuses and (self.answers or not empty):
            return no_network(WHO)
        if statuses & {401, 403, 418, 451}:
            return blocked(WHO)
        if statuses & {202, 429}:  # 202 is the page that asks whether one is a robot
            return rate_limited(WHO)
        faults = [status for status in statuses if status >= 500]
        return in_trouble(WHO, faults[0]) if faults else unreadable(WHO, "ddgs")


@dataclass(frozen=True)
class _Through:
    """Stands where a search engine of ddgs keeps its HTTP client."""

    http: Http
    watch: _Watch

    def request(self, *arguments: Any, **options: Any) -> Any:
        return self.watch.asked(self.http, *arguments, **options)


def _titled(results: list[Any]) -> list[Any]:
    """ddgs ranks results by their titles, and fails for all where one has none."""
    for result in results:
        result.title = result.title or ""
    return results


def _watched(watch: _Watch, seconds: int) -> DDGS:
    from ddgs.ddgs import DDGS

    class Watched(DDGS):  # type: ignore[misc]
        """DDGS whose search engines ask through ``watch``. Where a newer ddgs has no such method, nothing is seen."""

        def _get_engines(self, category: str, backend: str) -> list[Any]:
            engines: list[Any] = super()._get_engines(category, backend)
            for engine in engines:
                engine.post_extract_results = _titled
                if not isinstance(engine.http_client, _Through):
                    engine.http_client = _Through(engine.http_client, watch)
            return engines

    return Watched(timeout=seconds)
