"""The thresholds of a run with a sigmoid head: how each class does at every threshold, and which was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.tabs.page.plot import Frame
from pipeline.tabs.page.show import count, escape, percent, table
from pipeline.workspace.runs import Run

FRAME = Frame(240, 130, left=30, right=6, top=8, bottom=18)
DRAWN = 12
LINES = (("w-f1", 3), ("w-precision", 1), ("w-recall", 2))


def thresholds_view(run: Run) -> str:
    """Plots of the DRAWN classes with the lowest F1 and a table of all, as HTML; empty for a softmax head."""
    found = sorted(run.record.get("thresholds") or (), key=lambda one: (one["f1"], one["name"]))
    if not found:
        return ""
    rows = [
        (one["name"], f"{one['threshold']:.2f}", percent(one["precision"]), percent(one["recall"]), _f1(one), one["n"])
        for one in found
    ]
    about = (
        "A class is named from its threshold on: the one with the best F1 on the valid split. F1 (the mean of "
        "precision and recall, nearer to the lower one) is drawn thick, precision thin, recall dotted."
    )
    if few := [one["name"] for one in found if not one["chosen"]]:
        about += f" Too few pictures to choose, so 0.5: {', '.join(few)}."
    figures = "".join(map(_figure, found[:DRAWN]))
    return f"<h4>Thresholds</h4><p class='w-hint'>{escape(about)}</p><div class='w-thresholds'>{figures}</div>" + table(
        ("class", "named from", "precision", "recall", "F1", "valid pictures"), rows, range(1, 6)
    )


def _f1(one: Mapping[str, Any]) -> str:
    return f"{one['f1']:.2f}"


def _figure(one: Mapping[str, Any]) -> str:
    """Precision, recall and F1 (up) of a class by the threshold (across), with a line at the one that was chosen."""
    x, bottom = FRAME.place(one["threshold"], 0.0)
    _, top = FRAME.place(0.0, 1.0)
    lines = "".join(_line(one["curve"], name, column) for name, column in LINES)
    ends = "".join(
        f'<text x="{FRAME.place(at, 0)[0]:.1f}" y="{FRAME.height - 4}" text-anchor="middle">{at:g}</text>'
        for at in (0.0, 0.5, 1.0)
    )
    words = f"{one['name']}: from {one['threshold']:.2f} on, F1 {_f1(one)}, {count(one['n'], 'picture')}"
    plot = f'<svg viewBox="0 0 {FRAME.width} {FRAME.height}" role="img" aria-label="{escape(words)}">'
    plot += f'<g class="w-grid">{FRAME.levels(1.0)}{ends}</g>'
    plot += f'<line class="w-chosen" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>{lines}</svg>'
    return f'<figure class="w-curve">{plot}<figcaption>{escape(words)}</figcaption></figure>'


def _line(curve: Sequence[Sequence[float]], name: str, column: int) -> str:
    where = " ".join(f"{x:.1f},{y:.1f}" for x, y in (FRAME.place(point[0], point[column]) for point in curve))
    return f'<polyline class="{name}" points="{where}"/>'
