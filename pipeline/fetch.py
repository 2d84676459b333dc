"""One URL -> its bytes, with every limit there is: address, size, time, redirects, tries, connections a host."""

from __future__ import annotations

import asyncio
import random
import re
import ssl
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import TypeAlias
from urllib.parse import urljoin

import httpcore2 as httpcore

from pipeline.addresses import BlockedScheme, PinnedNetwork, Resolver, Target, UnknownHost, parse
from pipeline.errors import BlockedAddress, NetworkError

CODES = (
    "dns", "truncated", "too_large", "timeout", "redirect_limit", "blocked_address", "blocked_scheme", "not_image",
    "unsupported", "corrupt", "bomb", "http_error", "rate_limited", "reset", "bad_response", "noai", "too_small",
)  # fmt: skip
AGENT = "Winnow"
REQUEST_HEADERS = (
    (b"User-Agent", b"Mozilla/5.0 (compatible; Winnow/0.1; fetches pictures for its user)"),
    (b"Accept", b"image/avif,image/webp,image/png,image/jpeg,image/*;q=0.8,*/*;q=0.5"),
    (b"Accept-Encoding", b"gzip, identity;q=0.8"),
)
REDIRECTS = (301, 302, 303, 307, 308)
PASSING = (408, 425, 429)
MAX_HEADER_LINE = 16 << 10
SECONDS_BEFORE_RETRY = 0.5
# Directives of X-Robots-Tag that hold a colon themselves; before any other colon stands a robot's name.
DIRECTIVES_WITH_VALUE = ("max-snippet", "max-image-preview", "max-video-preview", "unavailable_after")

Fetch: TypeAlias = Callable[[str], Awaitable[bytes]]


class NotFetched(NetworkError):
    """A URL brought nothing: ``code`` is one of CODES, ``str()`` the reason in words.

    ``again`` says that it may work another time; ``wait`` is how long the server asked to be left alone, in seconds.
    """

    def __init__(self, code: str, reason: str, again: bool = False, wait: float | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.again = again
        self.wait = wait


@dataclass(frozen=True)
class FetchLimits:
    """What one URL may cost (bytes, seconds, hops, tries), and how many connections are open at once."""

    max_bytes: int = 32 << 20
    connect_seconds: float = 5.0
    idle_seconds: float = 10.0
    total_seconds: float = 30.0
    redirects: int = 5
    tries: int = 3
    longest_wait: float = 30.0
    connections: int = 16
    per_host: int = 6


class Client:
    """Fetches URLs: ``async with Client() as fetch: data = await fetch(url)``. Raises NotFetched.

    No cookies, no credentials, no proxy from the environment. ``allow_hosts`` are exact ``host:port`` strings exempt
    from the address rule; ``resolver`` and ``network`` stand in for the name service and for connecting.
    """

    def __init__(
        self,
        limits: FetchLimits | None = None,
        allow_hosts: Sequence[str] = (),
        resolver: Resolver | None = None,
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self.limits = limits or FetchLimits()
        self._network = PinnedNetwork(allow_hosts, resolver, network)
        self._pool = httpcore.AsyncConnectionPool(
            max_connections=self.limits.connections, keepalive_expiry=10.0, network_backend=self._network
        )
        self._places = asyncio.Semaphore(self.limits.connections)
        self._places_at: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(self.limits.per_host)
        )

    async def __aenter__(self) -> Client:
        await self._pool.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.__aexit__(kind, error, trace)
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
            async with self._places_at[f"{target.host}:{target.port}"], self._places:
                began = asyncio.get_running_loop().time()
                with_body = await self._one(target, left)
                left -= asyncio.get_running_loop().time() - began
            if isinstance(with_body, bytes):
                return with_body
            url = _joined(target, with_body)
        raise NotFetched("redirect_limit", f"It redirects more than {self.limits.redirects} times.")

    async def _one(self, target: Target, seconds: float) -> bytes | str:
        """One request: the body, or where it redirects to."""
        try:
            async with asyncio.timeout(seconds), self._response(target) as response:
                location = _location(response)
                return location if location is not None else await self._body(response)
        except NotFetched:
            raise
        except Exception as error:  # the one boundary where the library's and the system's errors become a reason
            raise _not_fetched(error, target) from error

    @asynccontextmanager
    async def _response(self, target: Target) -> AsyncIterator[httpcore.Response]:
        limits = self.limits
        waits = {"connect": limits.connect_seconds, "read": limits.idle_seconds, "write": limits.idle_seconds}
        url = httpcore.URL(
            scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.path.encode()
        )
        headers = [(b"Host", target.authority.encode()), *REQUEST_HEADERS]
        async with self._pool.stream("GET", url, headers=headers, extensions={"timeout": waits}) as response:
            _refuse(response)
            yield response

    async def _body(self, response: httpcore.Response) -> bytes:
        length = _header(response, b"content-length")
        if length.isdigit() and int(length[:20]) > self.limits.max_bytes:
            raise self._too_large()
        encoding = _header(response, b"content-encoding").lower()
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise NotFetched("bad_response", f"It is packed as {encoding[:30]!r}, which was not asked for.")
        wire = self._capped(response.aiter_stream())
        try:
            return await (self._unpacked(wire) if "gzip" in encoding else _joined_bytes(wire))
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


async def _joined_bytes(wire: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in wire])


def _header(response: httpcore.Response, name: bytes) -> str:
    return next((value.decode("latin-1").strip() for key, value in response.headers if key.lower() == name), "")


def _location(response: httpcore.Response) -> str | None:
    """Where the response redirects to (UTF-8 where it is, as browsers read it); None where it does not."""
    if response.status not in REDIRECTS:
        return None
    location = next((value for key, value in response.headers if key.lower() == b"location"), b"")
    if not location:
        raise NotFetched("http_error", f"It redirects to nowhere (status {response.status}).")
    return location.decode("utf-8", "replace")


def _refuse(response: httpcore.Response) -> None:
    """Raises NotFetched where the head alone says there is no picture for us."""
    status = response.status
    if any(len(key) + len(value) > MAX_HEADER_LINE for key, value in response.headers):
        raise NotFetched("bad_response", f"The server sends a header line of more than {MAX_HEADER_LINE >> 10} KiB.")
    if status in PASSING or status >= 500:
        code = "rate_limited" if status == 429 else "http_error"
        wait = _retry_after(_header(response, b"retry-after"))
        raise NotFetched(code, _status_words(status, wait), again=True, wait=wait)
    if status in REDIRECTS:
        return
    if status != 200:
        raise NotFetched("http_error", _status_words(status, None))
    if any(
        _forbids_training(value.decode("latin-1")) for key, value in response.headers if key.lower() == b"x-robots-tag"
    ):
        raise NotFetched("noai", "Its site asks not to use it for training (X-Robots-Tag: noai).")


def _status_words(status: int, wait: float | None) -> str:
    words = {401: "It needs a login", 403: "The site refuses", 404: "It is not there", 410: "It is gone"}.get(
        status, "The site asks for fewer requests" if status == 429 else "The server answers without a picture"
    )
    if status >= 500:
        words = "The server is in trouble"
    later = f", and asks to wait {wait:.0f} seconds" if wait else ""
    return f"{words} (status {status}){later}."


def _retry_after(text: str) -> float | None:
    """Seconds, from a number or an HTTP date; None where it is missing or makes no sense."""
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())


def _forbids_training(value: str) -> bool:
    """Whether one X-Robots-Tag line, if it is meant for us, holds noai or noimageai."""
    line = value.lower()
    name = re.match(r"\s*([^\s:,]+)\s*:", line)
    if name and name[1] not in DIRECTIVES_WITH_VALUE:
        if name[1] not in ("*", AGENT.lower()):
            return False
        line = line[name.end() :]
    return bool({"noai", "noimageai"} & {part.strip() for part in line.split(",")})


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
