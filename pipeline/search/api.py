"""Ask a public JSON API one question: within limits, under the address rule; every failure says what to do next."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from pipeline.search.candidates import SearchFailed, blocked, in_trouble, no_network, rate_limited, too_slow, unreadable
from pipeline.web.fetch import Client, Fetch, FetchLimits
from pipeline.web.responses import NotFetched

MAX_BYTES = 4 << 20
HEADERS = (
    (b"User-Agent", b"Winnow/0.1 (finds pictures for its user to train an image classifier; one request at a time)"),
    (b"Accept", b"application/json"),
    (b"Accept-Encoding", b"gzip, identity;q=0.8"),
)


@dataclass(frozen=True)
class WebApi:
    """A JSON API at ``address``, called ``who`` in messages; it has ``seconds`` to answer.

    ``allow_hosts`` are exact ``host:port`` strings exempt from the address rule; ``fetch`` stands in for the web.
    """

    who: str
    address: str
    allow_hosts: tuple[str, ...] = ()
    seconds: float = 20.0
    fetch: Fetch | None = None

    def ask(self, **parameters: str) -> dict[str, Any]:
        """The JSON object that answers ``parameters``. Raises SearchFailed."""
        url = f"{self.address}?{urlencode(parameters, errors='replace')}"
        try:
            # A thread of its own, as the caller's may have an event loop already (a notebook's does).
            with ThreadPoolExecutor(1) as thread:
                data = thread.submit(asyncio.run, self._fetched(url)).result()
        except NotFetched as trouble:
            raise self._explained(trouble) from trouble
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise unreadable(self.who) from error
        if not isinstance(answer, dict):
            raise unreadable(self.who)
        return answer

    async def _fetched(self, url: str) -> bytes:
        if self.fetch is not None:
            return await self.fetch(url)
        seconds = self.seconds
        limits = FetchLimits(
            max_bytes=MAX_BYTES,
            connect_seconds=min(seconds, 5.0),
            idle_seconds=seconds,
            total_seconds=seconds,
            redirects=3,
            tries=1,
        )
        async with Client(limits, self.allow_hosts, headers=HEADERS, honour_noai=False) as fetch:
            return await fetch(url)

    def _explained(self, trouble: NotFetched) -> SearchFailed:
        status = trouble.status or 0
        if trouble.code == "timeout":
            return too_slow(self.who)
        if trouble.code in ("dns", "reset", "blocked_address"):
            return no_network(self.who)
        if trouble.code == "rate_limited" or trouble.wait is not None:
            return rate_limited(self.who, trouble.wait)
        if status in (401, 403, 451):
            return blocked(self.who)
        return in_trouble(self.who, status) if status >= 500 else unreadable(self.who)
