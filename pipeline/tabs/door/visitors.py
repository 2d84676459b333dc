"""The visitors of a public demo, and the guard at its door.

A key in a cookie says who asks, and the server alone knows which folder is theirs. The guard gives newcomers a key, and
refuses what is not theirs.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from gradio.context import LocalContext
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.bounded import LastUsed
from pipeline.errors import LimitReached, WorkspaceError
from pipeline.jobs.job import end_all
from pipeline.logs import logger
from pipeline.workspace.limits import MEGABYTE, Limits, disk_use
from pipeline.workspace.workspace import Workspace, workspaces_in

SCOPE = "winnow.visitor"
MOST_SESSIONS = 20_000
NO_COOKIE = (
    "This public demo knows you by a cookie, and your browser sent none. Allow cookies for this site, or open the demo "
    "in a tab of its own, then reload the page."
)
NOT_YOURS = "This page belongs to another visitor. Reload it."
FULL = "As many people as this public demo can take are here already. Try again in some minutes."
API = "/gradio_api/"
MEASURE_SECONDS = 5.0
SHOWN: Mapping[str, str] = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
NOT_HERE = "There is no such file here."
LOG = logger("door")


class Visitors:
    """Everybody who is here now. Each has a folder of their own below ``root``, with a copy of the workspace
    ``template`` as the first workspace; it is made when they first do something.
    """

    def __init__(
        self, root: Path, limits: Limits, template: Workspace, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._homes, self._limits, self._template, self._clock = root / "visitors", limits, template, clock
        self._secret = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._seen: dict[str, float] = {}
        self._pages: dict[str, set[str]] = {}
        self._left: dict[str, float] = {}
        self._sessions: LastUsed[str, str | None] = LastUsed(MOST_SESSIONS)
        self.root = root
        self.cookie = f"winnow_{secrets.token_hex(4)}"
        self._homes.mkdir(parents=True, exist_ok=True)

    # --- who asks ---

    def new_key(self) -> str:
        """A key for somebody new; nobody can guess one, or make one that is taken for ours."""
        word = secrets.token_urlsafe(32)
        return f"{word}.{self._seal(word)}"

    def who(self, key: str | None) -> str | None:
        """The visitor with this key, a name that says nothing about the key; None for a key we have not given out."""
        word, _, seal = (key or "").partition(".")
        if not word or not hmac.compare_digest(seal.encode(), self._seal(word).encode()):
            return None
        return hashlib.sha256(word.encode()).hexdigest()[:32]

    def _seal(self, word: str) -> str:
        return hmac.new(self._secret, word.encode(), hashlib.sha256).hexdigest()

    def owns(self, visitor: str | None, session: str) -> bool:
        """Whether a page (Gradio's session) is the visitor's: it is whose asked first with it."""
        return self._sessions.get_or(session, lambda: visitor) == visitor

    def _asking(self) -> tuple[str, str | None]:
        """Who calls the function that runs now, and from which page. Raises WorkspaceError where that is not known."""
        request: Any = LocalContext.request.get(None)
        raw = getattr(request, "request", None) or request
        visitor: str | None = raw.scope.get(SCOPE) if raw is not None else None
        session: str | None = getattr(request, "session_hash", None)
        if visitor is None:
            raise WorkspaceError(NO_COOKIE)
        if session and not self.owns(visitor, session):
            raise WorkspaceError(NOT_YOURS)
        return visitor, session

    # --- what is theirs ---

    @property
    def limits(self) -> Limits | None:
        """What each of them may do at most."""
        return self._limits

    def home(self, visitor: str) -> Path:
        """The folder of a visitor, whether it is there or not."""
        return self._homes / visitor

    def first(self) -> Path:
        """The default workspace of whoever asks now; made if missing. Raises WorkspaceError, LimitReached."""
        visitor, session = self._asking()
        with self._lock:
            if not self.home(visitor).exists():
                self._move_in(self.home(visitor))
            self._seen[visitor] = self._clock()
            self._left.pop(visitor, None)
            if session:
                self._pages.setdefault(visitor, set()).add(session)
        return self.home(visitor) / self._template.name

    def _move_in(self, home: Path) -> None:
        if sum(1 for other in self._homes.iterdir() if other.suffix != ".part") >= self._limits.visitors:
            raise LimitReached(FULL)
        part = home.with_name(f"{uuid.uuid4().hex}.part")
        part.mkdir()
        self._limits.write(part)
        shutil.copytree(self._template.root, part / self._template.name, copy_function=_linked)
        part.rename(home)

    def uploads(self) -> Path:
        """Where the uploads of whoever asks now are kept."""
        folder = self.first().parent / "uploads"
        folder.mkdir(exist_ok=True)
        return folder

    def serve(self, workspace: Workspace) -> None:
        """Nothing to do: the guard at the door serves thumbnails, to their owner alone."""

    # --- leaving ---

    def page_closed(self) -> None:
        """The page that calls was closed, or is being loaded anew."""
        try:
            visitor, session = self._asking()
        except WorkspaceError:  # nobody we know
            return
        with self._lock:
            pages = self._pages.get(visitor, set())
            pages.discard(session or "")
            if not pages:
                self._left[visitor] = self._clock()

    def start_over(self) -> None:
        """Clear away everything of whoever asks now; the next thing they do finds all as at first."""
        self._clear(self._asking()[0])

    def sweep(self) -> list[str]:
        """Clear away what is of visitors who left, or did nothing for too long; returns who that was."""
        now, limits = self._clock(), self._limits
        with self._lock:
            idle = [who for who, seen in self._seen.items() if now - seen > 60 * limits.idle_minutes]
            gone = [who for who, left in self._left.items() if now - left > 60 * limits.away_minutes]
        cleared = list(dict.fromkeys([*idle, *gone]))
        for visitor in cleared:
            self._clear(visitor)
        if cleared:
            LOG.info("swept: %d visitors who left or did nothing; %d are here", len(cleared), len(self._seen))
        return cleared

    def _clear(self, visitor: str) -> None:
        with self._lock:
            for book in (self._seen, self._left, self._pages):
                book.pop(visitor, None)
            doomed = self._homes / f"{uuid.uuid4().hex}.part"
            try:
                for workspace in workspaces_in(self.home(visitor)):
                    end_all(workspace)
                self.home(visitor).rename(doomed)
            except FileNotFoundError:
                return
        shutil.rmtree(doomed, ignore_errors=True)


def clear_demo(root: Path) -> None:
    """End every job of a demo's visitors and clear the demo's folder away."""
    for home in root.glob("visitors/*"):
        for workspace in workspaces_in(home):
            end_all(workspace)
    shutil.rmtree(root, ignore_errors=True)


def _linked(source: str, target: str) -> str:
    """The same file under another name where it is never written to again (pictures are not), else a copy."""
    if Path(source).suffix in (".jpg", ".png"):
        os.link(source, target)
        return target
    return shutil.copy2(source, target)


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
            if isinstance(answer, PlainTextResponse):
                LOG.info("refused with %d: %s", answer.status_code, bytes(answer.body).decode())
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
