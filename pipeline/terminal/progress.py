"""How far a command is, on standard error: a line that is written anew at a terminal; a line a change elsewhere.

Into a file or a pipe goes a line where the work is one that was not told yet, and at most one in ten seconds where only
its numbers are others, or what it is at (what stands behind a colon).
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.endings import at_terminal, say
from pipeline.safe_text import visible
from pipeline.stage import Progress
from pipeline.terminal.tables import sentences, width

MOST_WORKS = 500  # that are remembered
SECONDS_BETWEEN_LINES, SECONDS_BETWEEN_LOOKS = 10.0, 0.1
NUMBERS = re.compile(r"[\d.,]+")
ABOUT_LAYERS: Mapping[str, str] = {"head": "the head alone", "all": "all layers"}


class Shown:
    """What was shown of one stage. ``live``: whether a line can be written anew (None: whether it is a terminal)."""

    def __init__(self, live: bool | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        there = at_terminal(sys.stderr) and os.environ.get("TERM") != "dumb"
        self.live = there if live is None else live
        self.clock = clock
        self.works: dict[str, None] = {}
        self.text = ""
        self.at = float("-inf")
        self.width = 0  # of the line that may be written anew
        self.has_table = False

    def show(self, progress: Progress) -> None:
        """Tell a step."""
        if epoch := progress.metrics.get("epoch"):
            self._row(epoch)
            return
        note = visible(" ".join(progress.note.split()))
        work, text = NUMBERS.sub("", note.partition(":")[0]), f"{note}{_how_far(progress)}"
        if text == self.text:
            return
        new, ended, waited = work not in self.works, 0 < progress.total <= progress.done, self.clock() - self.at
        if self.live and (new or ended or waited >= SECONDS_BETWEEN_LOOKS):
            if new:
                self.finish()
            self._over(text, whole=not progress.total)
        elif not self.live and (new or waited >= SECONDS_BETWEEN_LINES):
            say(text)
        else:
            return
        self.text, self.at = text, self.clock()
        if new:
            self.works = {**dict.fromkeys(list(self.works)[-MOST_WORKS:]), work: None}

    def finish(self) -> None:
        """End the line that was written anew, so that what follows has one of its own."""
        if self.width:
            say("")
        self.width = 0

    def _over(self, text: str, whole: bool) -> None:
        """Write the line anew; a sentence that has to be ``whole`` and is too long for that has lines of its own."""
        from rich.cells import cell_len, set_cell_size

        room = width() - 1  # in the last column, some terminals go to the next line
        if whole and cell_len(text) > room:
            self.finish()
            for line in sentences(text):
                say(line)
            return
        fits = text if cell_len(text) <= room else f"{set_cell_size(text, room - 1)}…"
        say(f"\r{fits}{' ' * max(0, self.width - cell_len(fits))}", end="")
        self.width = cell_len(fits)

    def _row(self, epoch: Mapping[str, Any]) -> None:
        """A row of the table of epochs, as users of fastai know it, with what was trained."""
        if self.width:
            say(f"\r{' ' * self.width}\r", end="")
            self.width, self.text = 0, ""
        if not self.has_table:
            say(f"{'epoch':>5} {'train_loss':>10} {'valid_loss':>10} {'error_rate':>10} {'time':>6}")
            self.has_table = True
        numbers = " ".join(f"{_number(epoch[name]):>10}" for name in ("train_loss", "valid_loss", "error_rate"))
        minutes, seconds = divmod(round(epoch["seconds"]), 60)
        what = ABOUT_LAYERS.get(epoch.get("phase", ""), "")
        what += f", {epoch['views']} views" if epoch.get("views", 1) != 1 else ""
        say(f"{epoch['epoch']:>5} {numbers} {f'{minutes:02}:{seconds:02}':>6}{'  ' + what if what else ''}")


def _number(value: Any) -> str:
    return f"{value:.6f}" if isinstance(value, int | float) else "-"


def _how_far(progress: Progress) -> str:
    if not progress.total:
        return f" {progress.done:,}" if progress.done else ""
    return f" {100 * progress.done // progress.total} % ({progress.done:,}/{progress.total:,})"
