"""The hosts a download asks: so many connections each, kept alive, and left alone when they ask for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpcore2 as httpcore

from pipeline.web.responses import NotFetched

KEPT_ALIVE_SECONDS = 10.0
OWN_CONNECTIONS = 14
SLOWEST_GAP = 5.0
FIRST_GAP_WHEN_REFUSED = 0.25
# So many answers in a row that ask for fewer requests, and the rest of a host is left for another time.
REFUSALS = 8
# A host that has answered so often is known: it gets ten times its slowest answer so far to begin one, if that is less
# than what a stranger gets.
ANSWERS_TO_BE_KNOWN = 4
TIMES_THE_SLOWEST = 10.0
LEAST_PATIENCE = 4.0


class Host:
    """One host and port: its connections and when it may be asked next.

    ``gap`` is the least time between two requests in seconds; it grows while the host asks for fewer of them.
    """

    def __init__(self, name: str, connections: int, gap: float, network: httpcore.AsyncNetworkBackend) -> None:
        self.name = name
        self.pool = httpcore.AsyncConnectionPool(
            max_connections=connections, keepalive_expiry=KEPT_ALIVE_SECONDS, network_backend=network
        )
        self.users = 0
        self._places = asyncio.Semaphore(connections)
        self._least_gap = self._gap = gap
        self._next = self._left_alone_until = 0.0
        self._refusals = 0
        self._answers = 0
        self._slowest = 0.0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """One of its connections, when it is this request's turn. Raises NotFetched where the host was given up."""
        async with self._places:
            await self._turn()
            yield

    async def _turn(self) -> None:
        clock = asyncio.get_running_loop().time
        while (wait := self._left_alone_until - clock()) > 0:
            await asyncio.sleep(wait)
        if self._refusals >= REFUSALS:
            raise NotFetched("rate_limited", f"{self.name} asks for fewer requests, so it is left alone.", again=True)
        began = max(clock(), self._next)
        self._next = began + self._gap
        if began > clock():
            await asyncio.sleep(began - clock())

    def patience(self, seconds: float) -> float:
        """How long to wait for the beginning of an answer: ``seconds``, or less where the host is known to be quick."""
        if self._answers < ANSWERS_TO_BE_KNOWN:
            return seconds
        return min(seconds, max(LEAST_PATIENCE, TIMES_THE_SLOWEST * self._slowest))

    def began(self, seconds: float) -> None:
        """It began to answer after so long."""
        self._answers += 1
        self._slowest = max(self._slowest, seconds)

    def answered(self) -> None:
        """It gave something: it may be asked a little faster again."""
        self._refusals = 0
        self._gap = max(self._least_gap, self._gap * 0.8)

    def refused(self, wait: float) -> None:
        """It asks for fewer requests: nobody asks it for ``wait`` seconds, and then more slowly."""
        self._refusals += 1
        self._gap = min(max(2 * self._gap, FIRST_GAP_WHEN_REFUSED), SLOWEST_GAP)
        self._left_alone_until = max(self._left_alone_until, asyncio.get_running_loop().time() + wait)


class Hosts:
    """All hosts by name; idle ones beyond ``keep`` have their connections closed, the longest idle first."""

    def __init__(self, per_host: int, gap: float, keep: int, network: httpcore.AsyncNetworkBackend) -> None:
        self._per_host, self._gap, self._keep, self._network = per_host, gap, keep, network
        self._hosts: dict[str, Host] = {}
        self._idle: dict[str, Host] = {}

    @asynccontextmanager
    async def at(self, name: str, own: bool = False) -> AsyncIterator[Host]:
        """The host of that ``name:port``, in use while the context lasts. One's ``own`` is asked without a pause."""
        host = self._hosts.get(name)
        if host is None:
            places, gap = (max(self._per_host, OWN_CONNECTIONS), 0.0) if own else (self._per_host, self._gap)
            host = self._hosts[name] = Host(name, places, gap, self._network)
        host.users += 1
        self._idle.pop(name, None)
        try:
            yield host
        finally:
            host.users -= 1
            if not host.users:
                self._idle[name] = host
            while len(self._idle) > self._keep:
                await self._idle.pop(next(iter(self._idle))).pool.aclose()

    async def close(self) -> None:
        """Hang up everywhere."""
        for host in self._hosts.values():
            await host.pool.aclose()
