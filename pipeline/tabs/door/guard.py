"""The guard at the door of a public demo: says who asks, gives newcomers a key, and refuses what is not theirs."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.tabs.door.visitors import NO_COOKIE, NOT_YOURS, SCOPE, Visitors
from pipeline.workspace.limits import MEGABYTE, disk_use

API = "/gradio_api/"
MEASURE_SECONDS = 5.0
SHOWN: Mapping[str, str] = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
NOT_HERE = "There is no such file here."


class Guard:
    """ASGI middleware around the whole app of a public demo."""

    def __init__(self, app: ASGIApp, visitors: Visitors) -> None:
        self._app, self._visitors = app, visitors
        self._lock = threading.Lock()
        self._measured = (float("-inf"), 0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on with the visitor's name in its scope."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        visitor = self._visitors.who(HTTPConnection(scope).cookies.get(self._visitors.cookie))
        scope[SCOPE] = visitor
        answer = self._answer(scope, headers, visitor)
        if answer is not None:
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send if visitor else self._greeting(send, scope, headers))

    def _answer(self, scope: Scope, headers: Headers, visitor: str | None) -> Response | None:
        """What is answered right here; None: the app is to answer."""
        _, api, route = str(scope["path"]).partition(API)
        session = _session(scope, route if api else "")
        if session and not self._visitors.owns(visitor, session):
            return PlainTextResponse(NOT_YOURS, 403)
        if api and route.startswith(("file=", "file/")):
            return self._file(route[len("file=") :], visitor)
        if api and route.rstrip("/") == "upload":
            return self._upload(headers, visitor)
        return None

    # --- files ---

    def _file(self, name: str, visitor: str | None) -> Response | None:
        """A thumbnail of the visitor's own; nothing else of what visitors have, and no other site's file."""
        if "://" in name or "\0" in name:
            return PlainTextResponse(NOT_HERE, 403)
        file = Path(name).resolve()
        if not file.is_relative_to(self._visitors.root.resolve()):
            return None  # Gradio refuses what is not its own
        if file.is_relative_to((self._visitors.root / "cache").resolve()):
            return None
        own = self._visitors.home(visitor).resolve() if visitor else None
        parts = file.relative_to(own).parts if own and file.is_relative_to(own) else ()
        kind = SHOWN.get(file.suffix)
        if len(parts) < 3 or parts[1] != "thumbnails" or kind is None or not file.is_file():
            return PlainTextResponse(NOT_HERE, 403)
        return FileResponse(file, media_type=kind, headers={"X-Content-Type-Options": "nosniff"})

    # --- uploads ---

    def _upload(self, headers: Headers, visitor: str | None) -> Response | None:
        """Why an upload is not taken; None where it is."""
        limits = self._visitors.limits
        length = headers.get("content-length", "")
        if visitor is None:
            return PlainTextResponse(NO_COOKIE, 403)
        if not length.isdigit() or limits is None:
            return PlainTextResponse("Say how long the upload is.", 411)
        if int(length) > (limits.upload_megabytes + 1) * MEGABYTE:
            return PlainTextResponse(f"This public demo takes at most {limits.upload_megabytes} MB at a time.", 413)
        if self._cache() + int(length) > limits.megabytes * limits.visitors * MEGABYTE // 2:
            return PlainTextResponse("This public demo has no room for files now. Try again in some minutes.", 507)
        return None

    def _cache(self) -> int:
        """How many bytes wait in the folder for uploads, as of some seconds ago."""
        with self._lock:
            now = time.monotonic()
            if now - self._measured[0] > MEASURE_SECONDS:
                self._measured = (now, disk_use(self._visitors.root / "cache"))
            return self._measured[1]

    # --- keys ---

    def _greeting(self, send: Send, scope: Scope, headers: Headers) -> Send:
        """Gives somebody new a key, together with the page."""

        async def greet(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                if answer.get("content-type", "").startswith("text/html"):
                    answer.append("set-cookie", f"{self._visitors.cookie}={self._key(scope, headers)}")
                    answer["cache-control"] = "no-store"
            await send(message)

        return greet

    def _key(self, scope: Scope, headers: Headers) -> str:
        https = scope.get("scheme") == "https" or headers.get("x-forwarded-proto", "").startswith("https")
        # A Space is shown inside a page of another site, which only a partitioned cookie gets through.
        rest = "SameSite=None; Secure; Partitioned" if https else "SameSite=Lax"
        return f"{self._visitors.new_key()}; Path=/; HttpOnly; {rest}"


def _session(scope: Scope, route: str) -> str:
    """The page that a request is about, as far as its address says so."""
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("session_hash", [""])[0]
    kind, _, rest = route.partition("/")
    return asked or (rest.partition("/")[0] if kind == "heartbeat" else "")
