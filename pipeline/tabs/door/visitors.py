"""The visitors of a public demo: who asks, what is theirs, and what is cleared away when they left.

A key in a cookie says who asks, and the server alone knows which folder is theirs.
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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gradio.context import LocalContext

from pipeline.bounded import LastUsed, forget_old
from pipeline.errors import LimitReached, WorkspaceError
from pipeline.jobs.job import end_all
from pipeline.logs import logger
from pipeline.machine import replace
from pipeline.web.gate import address_of
from pipeline.workspace.limits import MEGABYTE, SENT, Limits, used_by
from pipeline.workspace.workspace import Workspace, workspaces_in

SCOPE = "winnow.visitor"
# Pages: of a visitor, and of all who have done nothing yet. Gradio keeps the values of each.
MOST_PAGES, MOST_PASSING = 40, 200
NO_COOKIE = (
    "This public demo knows you by a cookie, and your browser sent none. Allow cookies for this site, or open the demo "
    "in a tab of its own, then reload the page."
)
NOT_YOURS = "This page belongs to another visitor. Reload it."
FULL = "As many people as this public demo can take are here already. Try again in some minutes."
CROWDED = (
    "As many people as this public demo takes from one address are here from yours already. Try again in some minutes."
)
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
        self._addresses: dict[str, str] = {}
        self._arriving: dict[str, int] = {}
        self._owners: dict[str, LastUsed[str, bool]] = {}
        self._passing: LastUsed[str, str] = LastUsed(MOST_PASSING)
        self.root, self.cache = root, root / "cache"
        self.cookie = f"winnow_{secrets.token_hex(4)}"
        self._homes.mkdir(parents=True, exist_ok=True)
        self.cache.mkdir(exist_ok=True)

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
        """Whether a page (Gradio's session) is the visitor's, or nobody's yet."""
        return self._owner(session) in (None, visitor) and visitor is not None

    def claim(self, visitor: str, session: str) -> list[str] | None:
        """Note that a page is the visitor's: it is whose asked first with it. Returns which pages are forgotten for it,
        none of them another's who is here; None where it is somebody else's.
        """
        with self._lock:
            owner = self._owner(session)
            if owner not in (None, visitor):
                return None
            if visitor not in self._seen:
                went = self._passing.put(session, visitor)
                return [one for one in went if not any(one in pages for pages in self._owners.values())]
            return self._owners.setdefault(visitor, LastUsed(MOST_PAGES)).put(session, True)

    def _owner(self, session: str) -> str | None:
        found = (visitor for visitor, pages in list(self._owners.items()) if session in pages)
        return next(found, None) or self._passing.get(session)

    def _asking(self) -> tuple[str, str | None]:
        """Who calls the function that runs now, and from which page. Raises WorkspaceError where that is not known."""
        request: Any = LocalContext.request.get(None)
        raw = getattr(request, "request", None) or request
        visitor: str | None = raw.scope.get(SCOPE) if raw is not None else None
        session: str | None = getattr(request, "session_hash", None)
        if visitor is None:
            raise WorkspaceError(NO_COOKIE)
        if session and self.claim(visitor, session) is None:
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
        request: Any = LocalContext.request.get(None)
        raw = getattr(request, "request", None) or request
        self.settle(visitor, address_of(raw.scope))
        if session:
            with self._lock:
                self._pages.setdefault(visitor, set()).add(session)
            self.claim(visitor, session)
        return self.home(visitor) / self._template.name

    def settle(self, visitor: str, address: str) -> None:
        """Give a visitor who asks from an ``address`` their folder, if they have none yet. Raises LimitReached."""
        with self._lock:
            if not self.home(visitor).exists():
                self._move_in(self.home(visitor), address)
                self._addresses[visitor] = address
            self._seen[visitor] = self._clock()
            self._left.pop(visitor, None)

    def _move_in(self, home: Path, address: str) -> None:
        if sum(1 for other in self._homes.iterdir() if other.suffix != ".part") >= self._limits.visitors:
            raise LimitReached(FULL)
        if address and list(self._addresses.values()).count(address) >= self._limits.of_one_address:
            raise LimitReached(CROWDED)
        part = home.with_name(f"{uuid.uuid4().hex}.part")
        part.mkdir()
        self._limits.write(part)
        shutil.copytree(self._template.root, part / self._template.name, copy_function=_linked)
        self.sent(home.name).mkdir(exist_ok=True)
        (part / SENT).symlink_to(self.sent(home.name).resolve(), target_is_directory=True)
        replace(part, home)

    def uploads(self) -> Path:
        """Where the uploads of whoever asks now are kept."""
        folder = self.first().parent / "uploads"
        folder.mkdir(exist_ok=True)
        return folder

    def received(self) -> Path:
        """Where the uploads of whoever asks now arrive, and nobody else's."""
        return self.sent(self.first().parent.name)

    def outgoing(self) -> Path:
        """Where the browser of whoever asks now may fetch a file from, and nobody else's."""
        return self.received()

    def sent(self, visitor: str) -> Path:
        """The visitor's own part of the folder that Gradio takes files from; a link in their home leads there."""
        return self.cache / visitor

    def reserve(self, visitor: str, length: int) -> None:
        """Keep room for ``length`` bytes until :meth:`take`. Raises LimitReached where they would be too many."""
        used = used_by(self.home(visitor))
        with self._lock:
            coming = self._arriving.get(visitor, 0) + length
            if used + coming > self._limits.megabytes * MEGABYTE:
                raise LimitReached(
                    f"With this you would have more than the {self._limits.megabytes:,} MB that this public demo keeps "
                    "for each visitor. Start over with the button at the top, or run Winnow on a machine of your own."
                )
            self._arriving[visitor] = coming

    def take(self, visitor: str, length: int, arrived: Path, files: Sequence[str]) -> list[str]:
        """Give a visitor the ``files`` in the folder ``arrived``; returns where they lie now (nowhere, where the
        visitor was cleared away meanwhile).
        """
        with self._lock:
            left = self._arriving.pop(visitor, 0) - length
            if left > 0:
                self._arriving[visitor] = left
            if not files or not self.home(visitor).exists():
                return []
            place = self.sent(visitor) / arrived.name
            replace(arrived, place)
        return [str(place / Path(file).relative_to(arrived)) for file in files]

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
        forget_old(self.cache.glob("*/*"), 60 * limits.idle_minutes)
        if cleared:
            LOG.info("swept: %d visitors who left or did nothing; %d are here", len(cleared), len(self._seen))
        return cleared

    def _clear(self, visitor: str) -> None:
        with self._lock:
            for book in (self._seen, self._left, self._pages, self._addresses):
                book.pop(visitor, None)
            for session in self._owners.pop(visitor, ()):
                self._passing.put(session, visitor)
            doomed = self._homes / f"{uuid.uuid4().hex}.part"
            try:
                for workspace in workspaces_in(self.home(visitor)):
                    end_all(workspace)
                replace(self.home(visitor), doomed)
                replace(self.sent(visitor), doomed / "cache")
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
