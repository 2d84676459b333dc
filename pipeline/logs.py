"""What happened while others used the app, written down for whoever keeps it: refusals, sweeps, unexpected errors.

Loggers are called ``winnow.`` and the room that speaks; they are quiet until :func:`written_down`. What is written is
nothing personal: no name of a file, a workspace, a class or a visitor, no key, no address. Of an error that leaves its
kind and the code that led to it; its words may hold any of these.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.bounded import LastUsed
from pipeline.errors import UsageError

VARIABLE = "WINNOW_LOG"
MOST_BYTES, OLDER_FILES = 1_000_000, 3
LOCK_SECONDS = 2.0
MOST_PLACES = 500
ROOT = logging.getLogger("winnow")
ROOT.addHandler(logging.NullHandler())


def logger(room: str) -> logging.Logger:
    """The logger of a room."""
    return ROOT.getChild(room)


def where_raised(error: BaseException) -> str:
    """The kind of an error and the function that raised it."""
    functions = [frame.f_code.co_qualname for frame, _ in traceback.walk_tb(error.__traceback__)]
    return " in ".join((type(error).__name__, *functions[-1:]))


def is_written_down() -> bool:
    """Whether what happens goes to a file now."""
    return any(isinstance(handler, _SharedFile) for handler in ROOT.handlers)


@contextmanager
def written_down(environment: MutableMapping[str, str], name: str) -> Iterator[None]:
    """While the context lasts, what happens goes to the file that WINNOW_LOG names, or to ``name``.log in the person's
    folder for such things; a few files of a megabyte are kept. Jobs that are started meanwhile write there, too.

    Raises UsageError where the file of WINNOW_LOG cannot be written; without that one, nothing is written down.
    """
    chosen = environment.get(VARIABLE)
    try:
        state = environment.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        file = Path(chosen or Path(state) / "winnow" / f"{name}.log").expanduser().absolute()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.open("ab").close()
    except (OSError, RuntimeError) as error:  # the latter: nobody's home is known
        if chosen:
            raise UsageError(f"{VARIABLE}: {chosen} cannot be written ({error}).") from error
        yield
        return
    handler, level = _SharedFile(file), ROOT.level
    ROOT.addHandler(handler)
    ROOT.setLevel(logging.INFO)
    environment[VARIABLE] = str(file)
    try:
        yield
    finally:
        ROOT.removeHandler(handler)
        ROOT.setLevel(level)
        handler.close()
        if not chosen:
            environment.pop(VARIABLE, None)


class _SharedFile(RotatingFileHandler):
    """A file that several processes write to: it is open, and turned over, under a lock only."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, maxBytes=MOST_BYTES, backupCount=OLDER_FILES, encoding="utf-8", delay=True)
        self.setFormatter(_Impersonal())
        self._known: LastUsed[str, bool] = LastUsed(MOST_PLACES)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; of an error what led to it, the first time it comes."""
        if record.exc_info and record.exc_info[1]:
            led_here = "".join(_led_to(record.exc_info[1]))
            vars(record).update(led_here=led_here, told_before=self._known.get(led_here))
            self._known.put(led_here, True)
        try:
            with FileLock(f"{self.baseFilename}.lock", timeout=LOCK_SECONDS):
                super().emit(record)
                self.close()
        except (OSError, Timeout):
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """A full disk is not the visitor's trouble: the record is lost."""


class _Impersonal(logging.Formatter):
    """One line a record; an error without its words, with the lines of code that led to it where they are new."""

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record."""
        head = f"{self.formatTime(record)} {record.levelname} {record.name} [{record.process}] {record.getMessage()}"
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            return head
        told_before, led_here = getattr(record, "told_before", False), getattr(record, "led_here", "")
        return f"{head}: {where_raised(error)}" + (", as before" if told_before else f"\n{led_here.rstrip()}")


def _led_to(error: BaseException) -> Iterator[str]:
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield from _led_to(cause)
        yield "which led to\n"
    yield from traceback.format_tb(error.__traceback__)
    yield f"{type(error).__name__}\n"
