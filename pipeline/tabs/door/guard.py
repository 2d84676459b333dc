"""The guard at the door of a public demo: newcomers get a key, nobody what is not theirs; uploads are one's own."""

from __future__ import annotations

import math
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gradio.route_utils import upload_fn
from gradio.routes import file_upload_statuses
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.errors import LimitReached
from pipeline.tabs.door.visitors import NO_COOKIE, NOT_YOURS, SCOPE, Visitors
from pipeline.web.gate import NOT_HERE, Found, Gate, Refused, Rules, address_of, route_of
from pipeline.workspace.limits import MEGABYTE

SHOWN: Mapping[str, str] = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
# What a browser may ask for before it has a key: how the page is made, and nothing of anybody's.
FOR_ALL = ("", "info", "openapi.json", "app_id", "login_check", "user", "theme.css", "startup-events")


class Guard:
    """ASGI middleware around the whole app of a public demo; ``rules`` are those of the gate before it."""

    def __init__(self, app: ASGIApp, visitors: Visitors, rules: Rules | None = None) -> None:
        self._app, self._visitors = app, visitors
        self._gate = Gate(self._inside, rules or Rules(), self._check)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on with the visitor's name in its scope."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        visitor = self._visitors.who(HTTPConnection(scope).cookies.get(self._visitors.cookie))
        scope[SCOPE] = visitor
        await self._gate(scope, receive, send if visitor else self._greeting(send, scope, Headers(scope=scope)))

    def _check(self, scope: Scope, found: Found) -> None:
        """Raises Refused where a request names what is another visitor's, or nobody asks."""
        visitor, route = scope[SCOPE], route_of(scope)
        if visitor is None:
            if found.sessions or (route is not None and route.rstrip("/") not in FOR_ALL):
                raise Refused(403, NO_COOKIE)
            return
        reads = scope["method"] in ("GET", "HEAD", "OPTIONS")
        for session in found.sessions:
            forgotten = self._visitors.claim(visitor, session) if not reads else []
            if forgotten is None or not self._visitors.owns(visitor, session):
                raise Refused(403, NOT_YOURS)
            _forget(scope, forgotten)
        own = self._visitors.sent(visitor)
        for file in found.files:
            if not _is_below(Path(file), own):
                raise Refused(403, NOT_HERE)

    async def _inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What was let in: files and uploads are answered here, the rest by the app."""
        route, visitor = (route_of(scope) or "").rstrip("/"), scope.get(SCOPE)
        answer: Response | None = None
        if visitor is not None and route.startswith(("file=", "file/")):
            answer = self._file(route[len("file=") :], visitor)
        elif visitor is not None and route == "upload":
            answer = await self._upload(scope, receive, visitor)
        await (answer or self._app)(scope, receive, send)

    # --- files ---

    def _file(self, name: str, visitor: str) -> Response | None:
        """A thumbnail of the visitor's own, or what they sent or made for downloading; nothing else of the demo's."""
        if "\0" in name:
            raise Refused(403, NOT_HERE)
        asked, root = Path(name), self._visitors.root.resolve()
        file = asked.resolve()
        if not file.is_relative_to(root) and not asked.is_relative_to(self._visitors.root):
            return None  # Gradio refuses what is not its own
        if _is_below(asked, self._visitors.sent(visitor)):
            return None
        own = self._visitors.home(visitor).resolve()
        parts = file.relative_to(own).parts if file.is_relative_to(own) else ()
        kind = SHOWN.get(file.suffix)
        if len(parts) < 3 or parts[1] != "thumbnails" or kind is None or not file.is_file():
            raise Refused(403, NOT_HERE)
        return FileResponse(file, media_type=kind, headers={"X-Content-Type-Options": "nosniff"})

    # --- uploads ---

    async def _upload(self, scope: Scope, receive: Receive, visitor: str) -> Response:
        """Take an upload as Gradio does, but into the visitor's own folder."""
        headers, limits = Headers(scope=scope), self._visitors.limits
        length, most = headers.get("content-length", ""), limits.upload_megabytes if limits else 1
        if not length.isdigit():
            raise Refused(411, "Say how long the upload is.")
        if int(length) > (most + 1) * MEGABYTE:
            raise Refused(413, f"This public demo takes at most {most} MB at a time.")
        if not _let_in(scope):
            raise Refused(401, "Not authenticated")
        try:
            self._visitors.settle(visitor, address_of(scope))
            await run_in_threadpool(self._visitors.reserve, visitor, int(length))
        except LimitReached as error:
            raise Refused(507, str(error)) from error
        arrived, files = self._visitors.cache / uuid.uuid4().hex[:12], []
        try:
            files = await _receive(Request(scope, receive), arrived, most * MEGABYTE)
        except MultiPartException as error:
            return PlainTextResponse(error.message, 413 if "maximum allowed size" in error.message else 400)
        except HTTPException as error:
            raise Refused(error.status_code, str(error.detail)) from error
        finally:
            kept = self._visitors.take(visitor, int(length), arrived, files)
            await run_in_threadpool(shutil.rmtree, arrived, ignore_errors=True)
        return JSONResponse(kept)

    # --- keys ---

    def _greeting(self, send: Send, scope: Scope, headers: Headers) -> Send:
        """Gives somebody new a key, together with the page."""

        async def greet(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
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


async def _receive(request: Request, folder: Path, most: float) -> list[str]:
    upload_id = request.query_params.get("upload_id")
    progress = file_upload_statuses if upload_id else None
    files, _, _ = await upload_fn(
        request, str(folder), most or math.inf, upload_id, force_move=True, upload_progress=progress
    )
    return [str(file) for file in files]


def _is_below(file: Path, folder: Path) -> bool:
    """Whether a file lies in a folder, both as it is written and as it is."""
    return (
        file.is_relative_to(folder)
        and ".." not in file.parts
        and file != folder
        and file.resolve().is_relative_to(folder.resolve())
    )


def _let_in(scope: Scope) -> bool:
    """Whether who asks knows the password, where the app has one."""
    app: Any = scope.get("app")
    if app is None or getattr(app, "auth", None) is None:
        return True
    cookies = HTTPConnection(scope).cookies
    names = (f"access-token-{app.cookie_id}", f"access-token-unsecure-{app.cookie_id}")
    return any(app.tokens.get(cookies.get(name)) for name in names)


def _forget(scope: Scope, sessions: list[str]) -> None:
    """Let Gradio forget what it kept for pages that were given up, before it forgets other visitors'."""
    app: Any = scope.get("app")
    if app is None or not sessions:
        return
    holder, queue = app.state_holder, app.get_blocks()._queue
    with holder.lock:
        for session in sessions:
            for book in (holder.session_data, holder.time_last_used, queue.pending_event_ids_session):
                book.pop(session, None)
    for session in sessions:
        if session in queue.pending_messages_per_session:
            del queue.pending_messages_per_session[session]
