"""How far a command is: one line written anew at a terminal, few lines elsewhere."""

from __future__ import annotations

import io
import sys

import pytest

from pipeline.stage import Progress
from pipeline.terminal.progress import Shown

EPOCH = {"epoch": 1, "phase": "all", "train_loss": 0.5, "valid_loss": 0.25, "error_rate": 0.125, "seconds": 75.4}


class Clock:
    """A clock that goes on by ``pace`` whenever it is looked at."""

    def __init__(self, pace: float) -> None:
        self.now, self.pace = 0.0, pace

    def __call__(self) -> float:
        self.now += self.pace
        return self.now


def listening(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Standard error, of 40 columns."""
    monkeypatch.setenv("COLUMNS", "40")
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def test_at_a_terminal_one_line_is_written_anew_and_a_new_work_begins_another(monkeypatch: pytest.MonkeyPatch) -> None:
    err = listening(monkeypatch)
    shown = Shown(live=True, clock=Clock(1.0))
    for done in range(0, 101, 10):
        shown.show(Progress(done, 100, "Checking pictures"))
    shown.show(Progress(0, 9, "Looking for \x1b[31mduplicates 熊熊熊熊熊熊熊熊熊熊熊熊熊熊熊熊熊熊"))
    shown.finish()
    assert err.getvalue().count("\n") == 2
    first, second, _ = err.getvalue().split("\n")
    assert first.split("\r")[-1].rstrip() == "Checking pictures 100 % (100/100)"
    assert err.getvalue().endswith("…\n") and "\x1b" not in err.getvalue() and "U+001B" in second
    assert max(len(line) for line in err.getvalue().replace("\n", "\r").split("\r")) <= 40
    said = "There was no valid split: 12 pictures for it were drawn from train"
    shown.show(Progress(0, 0, said))
    assert err.getvalue().endswith("There was no valid split: 12 pictures\nfor it were drawn from train\n")


def test_into_a_file_goes_a_line_a_change_and_few_where_only_numbers_change(monkeypatch: pytest.MonkeyPatch) -> None:
    err = listening(monkeypatch)
    shown = Shown(clock=Clock(0.005))
    for done in range(10_000):
        shown.show(Progress(done, 10_000, "Checking pictures"))
    for waited in range(600):
        shown.show(Progress(0, 0, f"Waiting: you are number 1 in the queue ({waited // 60} min)"))
    for number in range(3000):
        shown.show(Progress(number, 3000, f"{'Downloading' if number % 2 else 'Asking'}: host{number}.example"))
    shown.show(Progress(1, 1, "Done"))
    shown.finish()
    lines = err.getvalue().splitlines()
    assert lines[0] == "Checking pictures 0 % (0/10,000)" and lines[-1] == "Done 100 % (1/1)"
    assert len(lines) < 20 and sum(line.startswith("Waiting") for line in lines) == 1


@pytest.mark.parametrize("live", [True, False])
def test_the_table_of_epochs_is_the_one_that_users_of_fastai_know(monkeypatch: pytest.MonkeyPatch, live: bool) -> None:
    err = listening(monkeypatch)
    shown = Shown(live, Clock(1.0))
    shown.show(Progress(1, 2, "Epoch 1 of 2"))
    shown.show(Progress(1, 2, "", {"epoch": {**EPOCH, "epoch": 0, "phase": "head", "views": 2}}))
    shown.show(Progress(2, 2, "", {"epoch": {**EPOCH, "valid_loss": None}}))
    head, zero, one = err.getvalue().replace("\r", "\n").splitlines()[-3:]
    assert head.split() == ["epoch", "train_loss", "valid_loss", "error_rate", "time"]
    assert zero.split()[:5] == ["0", "0.500000", "0.250000", "0.125000", "01:15"]
    assert zero.endswith("the head alone, 2 views") and one.endswith("all layers")
    assert one.split()[2] == "-" and head.index("valid_loss") + 10 == zero.index("0.250000") + 8
