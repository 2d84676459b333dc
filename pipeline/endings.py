"""How a program of ours ends: in one line and with an exit code, whatever happens; signals that end it ask first. And
what is said to libraries before they are imported.

It is imported before anything else, so it imports nothing that takes time.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import signal
import sys
import threading
from collections.abc import MutableMapping, Sequence
from types import FrameType, TracebackType
from typing import TextIO

# Ended by service managers and ``kill``; by a terminal that is closed, an ssh connection that breaks.
ENDING = ("SIGTERM", "SIGHUP")
CANCELLED = 130
# What a shell says of a program that wrote to a pipe which nobody reads (128 + SIGPIPE), and how systems say so.
NOBODY_READS = 141
GONE = (errno.EPIPE, errno.EINVAL)


def stand_by(program: str) -> None:
    """From now on, what nobody catches (Ctrl-C while modules are still imported, say) is a line on standard error; and
    what this process and its children import later waits without spinning for long (see :func:`wait_quietly`).
    """
    wait_quietly(os.environ)

    def at_the_end(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            say("Cancelled.")
            os._exit(CANCELLED)  # Python would end itself by the signal
        say(unexpected(error, program))

    sys.excepthook = at_the_end


def wait_quietly(environment: MutableMapping[str, str]) -> None:
    """Let the threads of a network spin a moment while they wait for one another, and then sleep, where nothing else is
    said. As they come they spin for long, and where anything else computes, one that spins keeps the others from the
    work it waits for; asleep at once, they take nearly twice as long on a machine that has nothing else to do
    (benchmarks/waiting.py). It is read when torch is imported.
    """
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", "10000")


def unexpected(error: BaseException, program: str) -> str:
    """The line about an error that nobody expected. What led to it is written down in the log of ``program``."""
    words = next(iter(str(error).strip().splitlines()), "").rstrip(".")[:300]
    line = f"An unexpected error ({type(error).__name__}{': ' if words else ''}{words})."
    try:
        from pipeline.logs import VARIABLE, logger, written_down

        with written_down(os.environ, program):
            logger(program).error("unexpected", exc_info=error)
            file = os.environ.get(VARIABLE)
    except Exception as trouble:  # noqa: BLE001 - it is the last thing that is done
        return f"{line} What led to it could not be written down ({trouble})."
    return f"{line} What led to it is in {file}." if file else line


def say(line: str, end: str = "\n") -> None:
    """A line on standard error, if there is anybody left to read it."""
    try:
        sys.stderr.write(line + end)
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):  # it is closed
        let_go(sys.stderr)


def written(text: str) -> int:
    """Write a result and the end of its line to standard output; returns the exit code: 0, or that of a program whose
    reader has gone away (``| head``). Raises OSError where the disk takes no more.
    """
    if sys.stdout is None or sys.stdout.closed:  # the process was started without one, say
        return 0
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except OSError as error:
        let_go(sys.stdout)
        if error.errno in GONE:
            return NOBODY_READS
        raise
    return 0


def at_terminal(stream: TextIO | None) -> bool:
    """Whether a stream leads to a terminal."""
    return stream is not None and not stream.closed and stream.isatty()


def let_go(stream: TextIO | None) -> None:
    """Let nothing more of a stream be written that takes nothing: Python tries again at its end, and complains."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # type: ignore[union-attr]
        os.close(nowhere)


def settle() -> None:
    """Write what was printed and still waits; let go of a stream that does not take it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            let_go(stream)


def stop_when_ended(within: float | None = None) -> None:
    """Let the signals that end a program stop it as Ctrl-C does, once: so that it keeps what it has. One that is
    ignored (nohup) stays so. ``within`` so many seconds after any of them, Ctrl-C too, the process ends in any case.
    """

    def stop(_signal: int, _frame: FrameType | None) -> None:
        for number in _numbers(ENDING):
            signal.signal(number, signal.SIG_IGN)  # service managers send several
        if within is not None:
            end_for_sure = threading.Timer(within, os._exit, (CANCELLED,))
            end_for_sure.daemon = True
            end_for_sure.start()
        raise KeyboardInterrupt

    for number in _numbers(ENDING if within is None else (*ENDING, "SIGINT")):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


def _numbers(names: Sequence[str]) -> list[int]:
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


def leave(code: int) -> None:
    """End this process with all that is to be done at its end, but without waiting for threads: some may still be
    answering somebody, for as long as they like.
    """
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    os._exit(code)
