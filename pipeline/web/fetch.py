"""One URL -> its bytes, with every limit there is: address, size, time, redirects, tries, connections a host."""

from __future__ import annotations

import asyncio
import random
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TypeAlias
from urllib.parse import urljoin

import httpcore2 as httpcore

from pipeline.errors import BlockedAddress
from pipeline.web.addresses import BlockedScheme, PinnedNetwork, Resolver, Target, UnknownHost, is_allowed, parse
from pipeline.web.hosts import Host, Hosts
from pipeline.web.responses import NotFetched, header, location, refuse

REQUEST_HEADERS = (
    (b"User-Agent", b"Mozilla/5.0 (compatible; Winnow/0.1; fetches pictures for its user)"),
    (b"Accept", b"image/avif,image/webp,image/png,image/jpeg,image/*;q=0.8,*/*;q=0.5"),
    (b"Accept-Encoding", b"gzip, identity;q=0.8"),
)
SECONDS_BEFORE_RETRY = 0.5
# The rest of an answer that is no picture is read, if it is small, so that its connection can be used again.
SMALL_REST = 16 << 10
SECONDS_FOR_REST = 0.5

Fetch: TypeAlias = Callable[[str], Awaitable[bytes]]


@dataclass(frozen=True)
class FetchLimits:
    """What one URL may cost (bytes, seconds, hops, tries), and what a host is asked: so many ``connections`` at once,
    ``per_host`` of them to one, and ``gap_seconds`` at least between two requests to one (one's own servers, those in
    ``allow_hosts``, may be asked with up to 14 connections and without a gap).
    """

    max_bytes: int = 32 << 20
    connect_seconds: float = 5.0
    idle_seconds: float = 10.0
    total_seconds: float = 30.0
    redirects: int = 5
    tries: int = 3
    longest_wait: float = 30.0
    connections: int = 64
    per_host: int = 6
    gap_seconds: float = 0.01


class Client:
    """Fetches URLs: ``async with Client() as fetch: data = await fetch(url)``. Raises NotFetched.

    No cookies, no credentials, no proxy from the environment. ``allow_hosts`` are exact ``host:port`` strings exempt
    from the address rule; ``resolver`` and ``network`` stand in for the name service and for connecting; ``headers``
    are sent with every request; ``honour_noai``: a picture whose site asks not to train on it is not taken.
    """

    def __init__(
        self,
        limits: FetchLimits | None = None,
        allow_hosts: Sequence[str] = (),
        resolver: Resolver | None = None,
        network: httpcore.AsyncNetworkBackend | None = None,
        headers: Sequence[tuple[bytes, bytes]] = REQUEST_HEADERS,
        honour_noai: bool = True,
    ) -> None:
        self.limits = limits or FetchLimits()
        self._headers = tuple(headers)
        self._honour_noai = honour_noai
        self._allow_hosts = tuple(allow_hosts)
        self._network = PinnedNetwork(allow_hosts, resolver, network)
        self._hosts = Hosts(self.limits.per_host, self.limits.gap_seconds, self.limits.connections, self._network)
        self._places = asyncio.Semaphore(self.limits.connections)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._hosts.close()
        self._network.close()

    async def __call__(self, url: str) -> bytes:
        """The body of ``url``, decoded from gzip, at most ``limits.max_bytes`` long."""
        for attempt in range(1, self.limits.tries + 1):
            try:
                return await self._follow(url)
            except NotFetched as trouble:
                pause = self._pause(trouble, attempt)
                if pause is None:
                    raise
            await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")

    def _pause(self, trouble: NotFetched, attempt: int) -> float | None:
        """Seconds to wait before the next try; None where there is to be none."""
        if not trouble.again or trouble.code in ("timeout", "dns") or attempt >= self.limits.tries:
            return None
        if trouble.wait is not None and trouble.wait > self.limits.longest_wait:
            return None
        backoff: float = SECONDS_BEFORE_RETRY * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
        return max(backoff, (trouble.wait or 0.0) + random.uniform(0.0, 0.2))

    async def _follow(self, url: str) -> bytes:
        """The body at the end of the redirects; every hop is read, resolved and checked like the first."""
        left = self.limits.total_seconds
        for _ in range(self.limits.redirects + 1):
            target = _parsed(url)
            own = is_allowed(target.host, target.port, self._allow_hosts)
            async with self._hosts.at(f"{target.host}:{target.port}", own) as host, host.place(), self._places:
                began = asyncio.get_running_loop().time()
                with_body = await self._one(host, target, left)
                left -= asyncio.get_running_loop().time() - began
            if isinstance(with_body, bytes):
                return with_body
            url = _joined(target, with_body)
        raise NotFetched("redirect_limit", f"It redirects more than {self.limits.redirects} times.")

    async def _one(self, host: Host, target: Target, seconds: float) -> bytes | str:
        """One request: the body, or where it redirects to."""
        answer: bytes | str | None
        try:
            async with asyncio.timeout(seconds), self._response(host, target) as response:
                answer = location(response)
                if answer is None:
                    answer = await self._body(response)
                else:
                    await _read_rest(response)
            host.answered()
            return answer
        except NotFetched as trouble:
            self._tell(host, trouble)
            raise
        except Exception as error:  # the one boundary where the library's and the system's errors become a reason
            raise _not_fetched(error, target) from error

    def _tell(self, host: Host, trouble: NotFetched) -> None:
        """Let the host's other requests know what this one was answered."""
        if trouble.status in (429, 503) and (trouble.wait is not None or trouble.status == 429):
            wait = trouble.wait or 0.0
            host.refused(wait if wait <= self.limits.longest_wait else 0.0)
        elif trouble.status is not None:
            host.answered()

    @asynccontextmanager
    async def _response(self, host: Host, target: Target) -> AsyncIterator[httpcore.Response]:
        limits = self.limits
        waits = {"connect": limits.connect_seconds, "read": limits.idle_seconds, "write": limits.idle_seconds}
        url = httpcore.URL(
            scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.path.encode()
        )
        headers = [(b"Host", target.authority.encode()), *self._headers]
        async with AsyncExitStack() as stack:
            clock = asyncio.get_running_loop().time
            asked = clock()
            async with asyncio.timeout(host.patience(limits.connect_seconds + limits.idle_seconds)):
                stream = host.pool.stream("GET", url, headers=headers, extensions={"timeout": waits})
                response = await stack.enter_async_context(stream)
            host.began(clock() - asked)
            try:
                refuse(response, self._honour_noai)
            except NotFetched:
                await _read_rest(response)
                raise
            yield response

    async def _body(self, response: httpcore.Response) -> bytes:
        length = header(response, b"content-length")
        if length.isdecimal() and int(length[:20]) > self.limits.max_bytes:
            raise self._too_large()
        encoding = header(response, b"content-encoding").lower()
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise NotFetched("bad_response", f"It is packed as {encoding[:30]!r}, which was not asked for.")
        wire = self._capped(response.aiter_stream())
        try:
            return await self._unpacked(wire) if "gzip" in encoding else b"".join([chunk async for chunk in wire])
        except httpcore.RemoteProtocolError as error:
            raise NotFetched("truncated", "The connection ended before the file did.", again=True) from error

    async def _capped(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in chunks:
            size += len(chunk)
            if size > self.limits.max_bytes:
                raise self._too_large()
            yield chunk

    async def _unpacked(self, wire: AsyncIterator[bytes]) -> bytes:
        unpacker, parts, size = zlib.decompressobj(16 + zlib.MAX_WBITS), [], 0
        async for chunk in wire:
            try:
                part = unpacker.decompress(chunk, self.limits.max_bytes + 1 - size)
            except zlib.error as error:
                raise NotFetched("bad_response", "It says it is packed with gzip, and it is not.") from error
            parts.append(part)
            size += len(part)
            if size > self.limits.max_bytes:
                raise self._too_large()
        if not unpacker.eof:
            raise NotFetched("truncated", "The packed file ends too early.", again=True)
        return b"".join(parts)

    def _too_large(self) -> NotFetched:
        return NotFetched("too_large", f"It is larger than {self.limits.max_bytes / (1 << 20):g} MiB.")


def _parsed(url: str) -> Target:
    try:
        return parse(url)
    except BlockedAddress as error:
        raise _not_fetched(error, None) from error


def _joined(target: Target, location: str) -> str:
    try:
        return urljoin(target.url, location)
    except ValueError as error:
        raise NotFetched("bad_response", "It redirects to something that is no URL.") from error


async def _read_rest(response: httpcore.Response) -> None:
    length = header(response, b"content-length")
    if length.isdecimal() and int(length[:20]) <= SMALL_REST:
        with suppress(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, TimeoutError):
            async with asyncio.timeout(SECONDS_FOR_REST):
                async for _ in response.aiter_stream():
                    pass


def _not_fetched(error: Exception, target: Target | None) -> NotFetched:
    """What went wrong below us, as a code and a reason."""
    host = target.host if target else "The server"
    match error:
        case BlockedScheme():
            return NotFetched("blocked_scheme", str(error))
        case BlockedAddress():
            return NotFetched("blocked_address", str(error))
        case UnknownHost():
            return NotFetched("dns", str(error), again=True)
        case TimeoutError() | httpcore.TimeoutException():
            return NotFetched("timeout", f"{host} took too long.", again=True)
        case httpcore.ConnectError() if isinstance(error.__context__, ssl.SSLError):
            return NotFetched("bad_response", f"The secure connection to {host} failed: {error}.")
        case httpcore.NetworkError():
            return NotFetched("reset", f"{host} cannot be reached, or hung up.", again=True)
        case httpcore.RemoteProtocolError() if "disconnected" in str(error):
            return NotFetched("bad_response", f"{host} hung up without a proper answer.", again=True)
        case httpcore.ProtocolError():
            return NotFetched("bad_response", f"{host} does not speak proper HTTP.")
    return NotFetched("bad_response", f"The answer of {host} cannot be used ({type(error).__name__}: {error}).")
