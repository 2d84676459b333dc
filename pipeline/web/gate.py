"""What stands in front of Gradio, which fetches links, makes sessions and keeps files before a handler is asked.

``Gate`` is ASGI middleware around a whole app: it looks at where a request comes from, at its address, and at every
value in its body, and lets pass what the app's own pages and clients send. This one file also goes into a Space, beside
the app, so it imports nothing of ours.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import html
import ipaddress
import json
import logging
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, unquote_to_bytes, urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

API = "/gradio_api/"
FOUND, TOLD = "winnow.found", "winnow_told"
MEGABYTE = 1 << 20
# A body may take so many seconds, and more as long as it arrives at so many bytes a second.
GRACE_SECONDS, SLOWEST = 20.0, 16 << 10
# Of all requests together, in memory.
MOST_HELD = 256 * MEGABYTE
# Of one address: requests that are open, those of them that bring something, and the part of the queue.
MOST_OPEN, MOST_BRINGING, PART_OF_QUEUE = 256, 16, 4
MOST_PARTS, DEEPEST, LONGEST_SESSION = 400_000, 60, 100
MOST_TOLD = 20
OWN_SITE, THIS_MACHINE, EVERY_SITE = "own", "machine", "every"
PRIVATE_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# What of Gradio's own interface is used; the rest of it (proxies, recordings, deep links, streams) is not there.
NAMED = (
    *("", "info", "openapi.json", "app_id", "login_check", "token", "user", "theme.css", "startup-events"),
    *("queue/join", "queue/data", "queue/status", "cancel", "reset", "component_server", "upload"),
    *("upload_progress", "mcp"),
)
BEGIN = ("heartbeat/", "call/", "run/", "api/", "file=", "file/", "mcp/")
LINK = re.compile(r"[a-z][a-z0-9+.\-]+:|[/\\]{2}", re.IGNORECASE)
DATA = re.compile(r"\s*data:(?P<kind>[^,]{0,200}),", re.IGNORECASE)

NO_LINKS = (
    "A picture's address is not fetched here. Send the picture as a file, or as a data: URL "
    "(data:image/jpeg;base64,...)."
)
NOT_HERE = "There is no such file here."
OTHER_SITE = "A page of another site asked for this, and only this app's own pages may."
TOO_MUCH = "That is more than is taken here at once."
TOO_SLOW = "That took too long to arrive."
BUSY = "Too much is going on from your address. Wait a moment, then try again."
FULL = "There is no room for files now. Try again in some minutes."
NO_JSON = "What was sent is no JSON."
ODD = "What was sent cannot be read."
UNNAMED = (
    "says for whom it asks (X-Forwarded-For), but it was not named, so everybody behind it counts as one. If it is "
    "your proxy, start with --proxy and its address."
)
FAILED = "That could not be done with what was sent. Reload the page and try again."
LOG = logging.getLogger("winnow.door")
LOG.addHandler(logging.NullHandler())


class Refused(Exception):
    """A request is not let in: an HTTP ``status``, and ``str(error)`` for whoever sent it."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status

    def answer(self, headers: Headers) -> Response:
        """What is sent back: a page for a browser's window, JSON for its scripts and for programs."""
        if "text/html" in headers.get("accept", ""):
            return HTMLResponse(f"<!doctype html><title>Refused</title><p>{html.escape(str(self))}</p>", self.status)
        return JSONResponse({"detail": str(self), "error": str(self)}, self.status)


@dataclass
class Room:
    """The folder that uploads wait in: at most ``most`` bytes, and what was cut off is cleared away."""

    folder: Path
    most: int
    keep_seconds: float = 3_600.0
    measure_seconds: float = 5.0
    _measured: tuple[float, int] = (float("-inf"), 0)

    def check(self, coming: int) -> None:
        """Raises Refused where ``coming`` more bytes have no room."""
        now = time.monotonic()
        if now - self._measured[0] > self.measure_seconds:
            self._measured = (now, self._measure())
        if self._measured[1] + coming > self.most:
            raise Refused(507, FULL)
        self._measured = (self._measured[0], self._measured[1] + coming)

    def _measure(self) -> int:
        """The bytes that lie there. An upload that was cut off lies there under a name of Gradio's for such."""
        total, oldest = 0, time.time() - self.keep_seconds
        for place, _, names in os.walk(self.folder):
            for file in (Path(place, name) for name in names):
                try:
                    stat = file.lstat()
                    if Path(place) == self.folder and file.name.startswith("tmp") and stat.st_mtime < oldest:
                        file.unlink()
                        continue
                except OSError:  # it went away meanwhile
                    continue
                total += stat.st_size
        return total


@dataclass(frozen=True)
class Rules:
    """What an app lets in.

    ``hosts``: the names it may be asked by (none: any), and ``advice``, what to do for another. ``sites``: whose pages
    may use it. ``body``: the largest body in bytes; ``upload``: of an upload (None: no limit here). ``picture``: the
    largest picture in a data: URL. ``strangers``: whether one address is held to a part of everything. ``room``: where
    uploads lie.
    """

    hosts: tuple[str, ...] = ()
    advice: str = ""
    sites: str = OWN_SITE
    body: int = MEGABYTE
    upload: int | None = None
    picture: int = 20 * MEGABYTE
    strangers: bool = True
    room: Room | None = None


@dataclass
class Found:
    """What a request names: ``sessions`` (pages), wherever their names stand, and the paths of ``files``."""

    sessions: set[str] = field(default_factory=set)
    files: list[str] = field(default_factory=list)

    def session(self, value: Any) -> None:
        """Take in a page's name. Raises Refused for what is none."""
        if value is None:
            return
        if not isinstance(value, str) or len(value) > LONGEST_SESSION:
            raise Refused(422, ODD)
        self.sessions.add(value)


def is_link(text: str) -> bool:
    """Whether a path leads elsewhere, also where it was written so that one does not see it."""
    for _ in range(4):
        if LINK.match(text.lstrip("".join(map(chr, range(33))))):
            return True
        text = unquote(text)
    return False


def read_json(body: bytes) -> Any:
    """A body's value. Raises Refused for what is no JSON, too much in parts, or says the same name twice."""
    if sum(map(body.count, (b"[", b"{", b","))) > MOST_PARTS:
        raise Refused(413, TOO_MUCH)
    try:
        return json.loads(body, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Refused(400, NO_JSON) from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two values of one name a framework takes the last and a guard the first: there is none."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name is there twice")
    return made


def look_into(value: Any, picture: int, found: Found) -> Found:
    """What a body names. Raises Refused for a link in the data of a file, and for a picture that is too large."""
    waiting: list[tuple[Any, int]] = [(value, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > DEEPEST:
            raise Refused(400, ODD)
        if isinstance(value, dict):
            found.session(value.get("session_hash"))
            _look_at_file(value, picture, found)
            waiting.extend((inner, depth + 1) for inner in value.values())
        elif isinstance(value, list):
            waiting.extend((inner, depth + 1) for inner in value)
    return found


def _look_at_file(value: dict[str, Any], picture: int, found: Found) -> None:
    path, url, meta = value.get("path"), value.get("url"), value.get("meta")
    if not isinstance(path, str) and not (isinstance(meta, dict) and "_type" in meta):
        return
    if isinstance(path, str) and path:
        if is_link(path):
            raise Refused(400, NO_LINKS)
        found.files.append(path)
    if not isinstance(url, str) or not url:
        return
    if DATA.match(url):
        if len(url) > picture * 4 // 3 + 300:
            raise Refused(413, TOO_MUCH)
    elif not path or unquote(url.partition("file=")[2]) not in (path, unquote(str(path))):
        raise Refused(400, NO_LINKS)  # it is not where that very file is served


def look_into_call(value: Any, picture: int) -> None:
    """The same for a tool's call, where a picture is a text by itself (MCP)."""
    calls = value if isinstance(value, list) else [value]
    params = [call.get("params") for call in calls if isinstance(call, dict)]
    waiting = [(one.get("arguments"), 0) for one in params if isinstance(one, dict)]
    while waiting:
        inner, depth = waiting.pop()
        if depth > DEEPEST:
            raise Refused(400, ODD)
        if isinstance(inner, str):
            if DATA.match(inner):
                if len(inner) > picture * 4 // 3 + 300:
                    raise Refused(413, TOO_MUCH)
            elif is_link(inner):
                raise Refused(400, NO_LINKS)
        elif isinstance(inner, dict | list):
            waiting.extend((one, depth + 1) for one in (inner.values() if isinstance(inner, dict) else inner))


def picture_in(url: Any, most: int = 20 * MEGABYTE) -> bytes | None:
    """The bytes in a data: URL; None for anything else. Raises ValueError where it is too large or damaged."""
    head = DATA.match(url) if isinstance(url, str) else None
    if head is None:
        return None
    rest = url[head.end() :]
    if len(rest) > most * 4 // 3 + 4:
        raise ValueError(f"It is larger than {most // MEGABYTE} MB.")
    if not head["kind"].lower().rstrip().endswith(";base64"):
        return unquote_to_bytes(rest)
    try:
        return base64.b64decode(unquote(rest), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("Its data: URL is damaged.") from error


def address_of(scope: Scope) -> str:
    """Who asks, as an address; of IPv6 the network that one household has."""
    text = str((scope.get("client") or ("",))[0])
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)


def name_of(authority: str) -> str:
    """The name in a Host header or an origin, without its port."""
    try:
        return (urlsplit(authority if "://" in authority else f"//{authority}").hostname or "").lower()
    except ValueError:
        return ""


def route_of(scope: Scope) -> str | None:
    """What of Gradio's interface is asked for; None where it is something else, like the page."""
    _, api, route = str(scope["path"]).partition(API)
    return route if api else None


def names_in_address(scope: Scope, found: Found) -> Found:
    """Every page that a request's address names, in its query or its path."""
    query = scope.get("query_string", b"").decode("latin-1")
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "session_hash":
            found.session(value)
    parts = (route_of(scope) or "").split("/")
    if parts[0] == "heartbeat" and len(parts) > 1:
        found.session(parts[1])
    elif parts[0] == "call" and scope["method"] in ("GET", "HEAD") and len(parts) > 2:
        found.session(parts[-1] or parts[-2])  # an event's, or, as Gradio takes it, a page's
    return found


class Gate:
    """Lets into ``app`` what ``rules`` allow, one sentence to whoever is refused and one line into the log.

    ``check`` may refuse more: it is given the scope and what the request names, before the app is.
    """

    def __init__(self, app: ASGIApp, rules: Rules, check: Callable[[Scope, Found], None] | None = None) -> None:
        self._app, self._rules, self._also = app, rules, check or (lambda scope, found: None)
        self._open: Counter[tuple[str, bool]] = Counter()
        self._held = 0
        self._told: set[str] = set()
        if rules.room is not None:
            rules.room.folder.mkdir(parents=True, exist_ok=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on; what goes wrong behind us is one sentence, too."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, begun = Headers(scope=scope), False

        async def told(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            self._check(scope, headers)
            with self._place(scope):
                await self._hand_on(scope, headers, receive, told)
        except Refused as refused:
            LOG.info("refused with %d: %s", refused.status, str(refused).partition(":")[0])
            if not begun:
                await _answer(scope, headers, refused)(scope, receive, send)
        except ClientDisconnect:
            LOG.info("a request was broken off")
        except Exception as error:  # noqa: BLE001 - the one boundary: a request ends in words, and in one line
            LOG.warning("unexpected: %s", where_raised(error))
            if not begun:
                await Refused(500, FAILED).answer(headers)(scope, receive, send)

    async def _hand_on(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        route, found = route_of(scope), names_in_address(scope, Found())
        scope[FOUND] = found
        if scope["method"] in ("GET", "HEAD", "OPTIONS"):
            self._also(scope, found)
            await self._app(scope, self._counted(receive, self._rules.body), send)
        elif route is not None and route.rstrip("/") == "upload":
            self._also(scope, found)
            length = _length(headers)
            if self._rules.upload is not None and length > self._rules.upload:
                raise Refused(413, TOO_MUCH)
            if self._rules.room is not None:
                self._rules.room.check(length)
            await self._app(scope, self._counted(receive, self._rules.upload), send)
        else:
            if _length(headers) > self._rules.body:
                raise Refused(413, TOO_MUCH)
            with self._holding() as held:
                body = await self._whole(receive, held)
                if body is None:
                    return
                if route is not None:
                    self._look(scope, route, body, found)
                self._also(scope, found)
                await self._app(scope, _again(body, receive), send)

    def _look(self, scope: Scope, route: str, body: bytes, found: Found) -> None:
        if not body and route.rstrip("/") != "component_server":
            return
        value = read_json(body)
        if route.partition("/")[0] == "mcp":
            try:
                look_into_call(value, self._rules.picture)
            except Refused as refused:
                raise _NoCall(value, refused) from refused
        look_into(value, self._rules.picture, found)

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Raises Refused by what stands in the request's head."""
        self._check_host(headers)
        path, route = str(scope["path"]), route_of(scope)
        changes = scope["method"] not in ("GET", "HEAD", "OPTIONS")
        if changes or route is not None or path.rstrip("/").endswith("/logout"):
            self._check_site(headers)
        if route is None:
            if changes and not path.rstrip("/").endswith("/login"):
                raise Refused(405, ODD)
            return
        if route.rstrip("/") not in NAMED and not route.startswith(BEGIN):
            raise Refused(403, NOT_HERE)
        if route.startswith(("file=", "file/")) and is_link(route[len("file=") :]):
            raise Refused(403, NOT_HERE)

    def _check_host(self, headers: Headers) -> None:
        rules = self._rules
        asked = headers.getlist("host")
        if not rules.hosts or (asked and all(name_of(one) in rules.hosts for one in asked)):
            return
        name = ascii(", ".join(asked)[:100])
        words = f"Invalid host header: this app is asked for by {' or '.join(rules.hosts[:2])}, not by {name}. "
        self._tell(words + rules.advice, name)
        raise Refused(400, words + rules.advice)

    def _tell(self, words: str, about: str) -> None:
        """Say something in the terminal, once about the same."""
        if about not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(about)
            sys.stderr.write(f"{words}\n")

    def _check_site(self, headers: Headers) -> None:
        if self._rules.sites == EVERY_SITE:
            return
        said, origins = headers.getlist("sec-fetch-site"), headers.getlist("origin")
        if said:
            own = all(one.strip().lower() in ("same-origin", "none") for one in said)
        else:
            hosts = [one.strip().lower() for name in ("host", "x-forwarded-host") for one in headers.getlist(name)]
            own = all(_authority(origin) in hosts for origin in origins)
        if own or (self._rules.sites == THIS_MACHINE and origins and all(name_of(one) in LOOPBACK for one in origins)):
            return
        raise Refused(403, OTHER_SITE)

    @contextmanager
    def _place(self, scope: Scope) -> Iterator[None]:
        """One of the requests of an address. Raises Refused where it has too many, or too much of the queue."""
        if not self._rules.strangers:
            yield
            return
        bringing = scope["method"] not in ("GET", "HEAD", "OPTIONS")
        address = address_of(scope)
        if address in LOOPBACK and "x-forwarded-for" in Headers(scope=scope):
            self._tell(f"{address} {UNNAMED}", "a proxy")
        keys = [(address, False), (address, True)] if bringing else [(address, False)]
        if self._open[keys[0]] >= MOST_OPEN or (bringing and self._open[keys[1]] >= MOST_BRINGING):
            raise Refused(429, BUSY)
        if bringing and (route_of(scope) or "").startswith(("queue/join", "call/")):
            self._check_queue(scope, address)
        self._open.update(keys)
        try:
            yield
        finally:
            self._open.subtract(keys)
            for key in keys:
                if not self._open[key]:
                    del self._open[key]

    def _check_queue(self, scope: Scope, address: str) -> None:
        blocks = getattr(scope.get("app"), "get_blocks", None)
        queue = blocks()._queue if blocks else None
        if queue is None or queue.max_size is None:
            return
        lines = list(queue.event_queue_per_concurrency_id.values())
        waiting = sum(address_of(event.request.scope) == address for line in lines for event in list(line.queue))
        if waiting >= max(1, queue.max_size // PART_OF_QUEUE):
            raise Refused(429, BUSY)

    @contextmanager
    def _holding(self) -> Iterator[Callable[[int], None]]:
        """Counts what a request holds in memory until it is over."""
        mine = 0

        def hold(more: int) -> None:
            nonlocal mine
            mine += more
            self._held += more
            if self._held > MOST_HELD:
                raise Refused(503, BUSY)

        try:
            yield hold
        finally:
            self._held -= mine

    async def _whole(self, receive: Receive, hold: Callable[[int], None]) -> bytes | None:
        """A body; None where whoever sent it went away."""
        parts, size, counted = [], 0, self._counted(receive, self._rules.body)
        while True:
            message = await counted()
            if message["type"] == "http.disconnect":
                return None
            part = message.get("body", b"")
            size += len(part)
            hold(len(part))
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)

    def _counted(self, receive: Receive, most: int | None) -> Receive:
        """``receive`` that raises Refused for too much, and for what arrives too slowly."""
        loop = asyncio.get_running_loop()
        began, size, whole = loop.time(), 0, False

        async def counted() -> Message:
            nonlocal size, whole
            if whole:
                return await receive()
            try:
                async with asyncio.timeout_at(began + GRACE_SECONDS + size / SLOWEST):
                    message = await receive()
            except TimeoutError as error:
                raise Refused(408, TOO_SLOW) from error
            size += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if most is not None and size > most:
                raise Refused(413, TOO_MUCH)
            return message

        return counted


class _NoCall(Refused):
    """A tool's call is not made; its caller is told in the words of its protocol."""

    def __init__(self, value: Any, refused: Refused) -> None:
        super().__init__(200, str(refused))
        self.call = value[0].get("id") if isinstance(value, list) and value and isinstance(value[0], dict) else None
        self.call = value.get("id") if isinstance(value, dict) else self.call

    def answer(self, headers: Headers) -> Response:
        """An error of JSON-RPC."""
        error = {"code": -32602, "message": str(self)}
        return JSONResponse({"jsonrpc": "2.0", "id": self.call, "error": error})


def _answer(scope: Scope, headers: Headers, refused: Refused) -> Response:
    answer = refused.answer(headers)
    if refused.status in (408, 413):
        answer.headers["connection"] = "close"  # the rest of what comes is not wanted
    return answer


def _again(body: bytes, receive: Receive) -> Receive:
    """``receive`` for whoever comes next: the body that was read, then what came after it."""
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _length(headers: Headers) -> int:
    said = headers.get("content-length", "0")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 20 else 0


def _authority(origin: str) -> str:
    return origin.partition("://")[2].strip().lower()


def where_raised(error: BaseException) -> str:
    """The kind of an error and the function that raised it: nothing of what was sent."""
    trace, name = error.__traceback__, ""
    while trace is not None:
        name, trace = trace.tb_frame.f_code.co_qualname, trace.tb_next
    return f"{type(error).__name__} in {name}" if name else type(error).__name__


def in_words(process: Callable[..., Awaitable[Any]], meant: type[Exception], refuse: Callable[[str], Exception]) -> Any:
    """Gradio's ``process_api``, so that what it makes of odd values is one sentence and one line of the log.

    ``meant``: Gradio's own kind of error, whose words are for the screen; ``refuse`` makes one that is not printed.
    """

    async def processed(*args: Any, **kwargs: Any) -> Any:
        try:
            return await process(*args, **kwargs)
        except meant as error:
            if getattr(error, "print_exception", False):  # Gradio's own words
                LOG.info("refused: %s", where_raised(error))
                vars(error)["print_exception"] = vars(refuse(FAILED)).get("print_exception", False)
            raise
        except Exception as error:
            if not getattr(error, TOLD, False):
                LOG.warning("unexpected: %s", where_raised(error))
            raise refuse(FAILED) from error

    return processed


def proxies(named: Iterable[str]) -> str:
    """The proxies that were named, as the server takes them. Raises ValueError, in words, for what is no address."""
    try:
        return ",".join(str(ipaddress.ip_network(one.strip(), strict=False)) for one in named)
    except ValueError as error:
        raise ValueError(f"--proxy is the address of a proxy, like 127.0.0.1 or 10.0.0.0/8: {error}.") from error


def believe(environment: MutableMapping[str, str], named: Iterable[str]) -> None:
    """Let the server believe these proxies, and no others, for whom they ask (X-Forwarded-For).

    What the environment says already stays. A Hugging Face Space is reached through the proxy of its own network alone.
    """
    near = PRIVATE_NETWORKS if environment.get("SPACE_ID") else ()
    environment.setdefault("FORWARDED_ALLOW_IPS", proxies((*near, *named)))
