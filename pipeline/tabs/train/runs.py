"""The runs of the Train tab: their table, one of them in full with what can be done with it, two side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeAlias

from pipeline.errors import RunError
from pipeline.tabs.page.component import NO_ANSWER
from pipeline.tabs.page.job_view import epoch_table
from pipeline.tabs.page.plot import Frame
from pipeline.tabs.page.show import ago, count, duration, error_rate, escape, facts, percent, table
from pipeline.tabs.train.fields import FIELDS, Recalled, recalled, shown, title_of
from pipeline.train.config import TrainConfig
from pipeline.workspace.runs import Run, discard, discarded, read_about, restore
from pipeline.workspace.workspace import Workspace

MOST = 2
UNSAID = "–"
FRAME = Frame(460, 210, left=46, right=12, top=12, bottom=26)
COLOURS = ("var(--color-accent)", "#d97706")
View: TypeAlias = dict[str, Any]

CLASS_FRAME = Frame(240, 130, left=30, right=6, top=8, bottom=18)
DRAWN = 12
LINES = (("w-f1", 3), ("w-precision", 1), ("w-recall", 2))


# --- the table -----------------------------------------------------------------------------------------------------


def runs_view(
    workspace: Workspace, runs: Sequence[Run], picked: Sequence[str], answer: Mapping[str, Any] = NO_ANSWER
) -> View:
    """What the table component shows: a row a run, newest first, and the ids of those that are picked. ``answer`` says
    which of a page's messages are done (page, number).
    """
    known = {run.id for run in runs}
    return {
        "workspace": workspace.name,
        "rows": [_row(run) for run in runs],
        "picked": [run_id for run_id in picked if run_id in known],
        "answer": dict(answer),
    }


def _row(run: Run) -> View:
    record = run.record
    return {
        "id": run.id,
        "name": run.name,
        "stopped": record.get("complete") is False,
        "cells": [
            ["test error", _rate(run, "test")],
            ["valid error", _rate(run, "valid")],
            ["backbone", str(_said(run, "backbone"))],
            ["epochs", _epochs(run)],
            ["took", duration(float(record["seconds"])) if isinstance(record.get("seconds"), (int, float)) else UNSAID],
            ["when", ago(run.created) or UNSAID],
            ["note", run.note or UNSAID],
        ],
    }


def _said(run: Run, name: str) -> Any:
    """A setting as the run has it; a dash where it says nothing about it."""
    return (run.record.get("config") or {}).get(name, UNSAID)


def _rate(run: Run, split: str) -> str:
    measured = run.record.get(split)
    known = isinstance(measured, Mapping) and {"error_rate", "low", "high"} <= measured.keys()
    return error_rate(measured) if known else UNSAID


def _epochs(run: Run) -> str:
    """How many passes with more than the head it made, of how many."""
    done = max((int(epoch["epoch"]) for epoch in _epoch_rows(run)), default=0)
    wanted = _said(run, "epochs")
    return f"{done} of {wanted}" if isinstance(wanted, int) and done < wanted else str(done)


def _epoch_rows(run: Run) -> list[dict[str, Any]]:
    rows = run.record.get("epochs") or []
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get("epoch"), int)]


def chosen(runs: Sequence[Run], picked: Sequence[str]) -> list[Run]:
    """The picked runs that are still there, in the order they were picked."""
    by_id = {run.id: run for run in runs}
    return [by_id[run_id] for run_id in picked if run_id in by_id][:MOST]


# --- one run -------------------------------------------------------------------------------------------------------


def latest(runs: Sequence[Run]) -> str:
    """What the newest run achieved, and its epochs, as HTML."""
    if not runs:
        return ""
    test = runs[0].record.get("test") or {}
    numbers = [("of the test pictures are wrong", percent(test["error_rate"]) if test.get("n") else UNSAID)]
    if test.get("n"):
        numbers += [("is where it lies, 95% sure", f"{100 * test['low']:.1f}–{percent(test['high'])}")]
    if test.get("n") and test.get("baseline_error_rate") is not None:
        rate = percent(test["baseline_error_rate"])
        numbers += [("would be wrong by always saying the largest class", rate)]
    return facts(numbers) + epoch_table(_epoch_rows(runs[0]))


def given_name(run: Run) -> str:
    """The name a person gave it; empty where it has none."""
    return read_about(run.folder).name or ""


def one_run(run: Run) -> str:
    """A run in full, as HTML: the settings that are not the defaults, what happened on the way, and its epochs."""
    here = recalled(run)
    lines = [f"<p class='w-hint'>{escape(words)}</p>" for words in _about(run, here)]
    return "".join(lines) + _changed(here) + epoch_curves([run]) + epoch_table(_epoch_rows(run)) + thresholds_view(run)


def _about(run: Run, here: Recalled) -> Iterator[str]:
    yield f"Run {run.id}, finished {ago(run.created) or run.created}. It {_knows(run)}."
    if run.record.get("decision"):
        yield str(run.record["decision"])
    yield from (str(note) for note in run.record.get("notes") or ())
    if here.left_out:
        names = ", ".join(f"{title_of(name)} ({shown(_said(run, name))})" for name in here.left_out)
        yield f"Another version of Winnow trained it; this one does not know or take: {names}."


def _knows(run: Run) -> str:
    names = ", ".join(run.classes)
    if run.outputs.kind == "softmax":
        return f"tells apart {names}"
    return f"finds {names}, {'several at once' if run.outputs.several else 'one of them'} or none of them"


def _changed(here: Recalled) -> str:
    defaults = {name: value for name, value in asdict(TrainConfig()).items() if name != "note"}
    rows = [
        (title_of(name), shown(here.values[name]), shown(default))
        for name, default in defaults.items()
        if here.values[name] != default
    ]
    if not rows:
        return "<p class='w-hint'>All its settings are the defaults.</p>"
    return table(("setting", "this run", "default"), rows)


# --- two runs ------------------------------------------------------------------------------------------------------


def side_by_side(first: Run, second: Run) -> str:
    """Two runs as HTML: results with intervals, the settings that differ, and both curves in one plot."""
    headers = ("", first.name, second.name)
    results = [(title, *(told(run) for run in (first, second))) for title, told in RESULTS.items()]
    settings = differences(first, second)
    parts = [table(headers, results), epoch_curves([first, second])]
    if settings:
        parts.append(table(("setting", *headers[1:]), [(title_of(name), *both) for name, *both in settings]))
    else:
        parts.append("<p class='w-hint'>Both have the same settings.</p>")
    return "".join(parts)


RESULTS: Mapping[str, Callable[[Run], str]] = {
    "test error (95% interval)": lambda run: _rate(run, "test"),
    "valid error (95% interval)": lambda run: _rate(run, "valid"),
    "epochs": _epochs,
    "took": lambda run: dict(_row(run)["cells"])["took"],
    "learnt from": lambda run: count((run.record.get("counts") or {}).get("train", 0), "picture"),
    "tells apart": lambda run: count(len(run.classes), "class", "classes"),
    "when": lambda run: ago(run.created) or UNSAID,
    "note": lambda run: run.note or UNSAID,
}


def differences(first: Run, second: Run) -> list[tuple[str, str, str]]:
    """(setting, first's value, second's) of the settings that differ; a dash for a run that does not know one."""
    configs = first.record.get("config") or {}, second.record.get("config") or {}
    names = [name for name in FIELDS if name in configs[0] or name in configs[1]]
    names += [name for name in {**configs[0], **configs[1]} if name not in FIELDS]
    pairs = [(name, *(shown(config.get(name, UNSAID)) for config in configs)) for name in names if name != "note"]
    return [(name, one, other) for name, one, other in pairs if one != other]


def epoch_curves(runs: Sequence[Run]) -> str:
    """An SVG of the losses of each epoch, the training loss dashed; each run has its colour. Empty without points."""
    series = [(number, kind, _points(run, kind)) for number, run in enumerate(runs) for kind in ("train", "valid")]
    every = [point for _, _, points in series for point in points]
    last = max((epoch for epoch, _ in every), default=0)
    top = max((loss for _, loss in every), default=0.0)
    if last < 1 or not top:
        return ""

    def place(epoch: float, loss: float) -> tuple[float, float]:
        return FRAME.place(epoch / last, loss / top)

    lines = "".join(
        _line([place(*point) for point in points], COLOURS[number], kind == "train") for number, kind, points in series
    )
    keys = "".join(
        f'<span><b style="color:{COLOURS[number]}">●</b> {escape(run.name)}</span>' for number, run in enumerate(runs)
    )
    return (
        f'<figure class="w-curve w-epochs"><svg viewBox="0 0 {FRAME.width} {FRAME.height}" role="img" '
        f'aria-label="Loss by epoch of {escape(" and ".join(run.name for run in runs))}">'
        f"{_grid(top, last)}{lines}</svg><figcaption>{keys}"
        "<span>loss by epoch: validation drawn through, training dashed</span></figcaption></figure>"
    )


def _points(run: Run, kind: str) -> list[tuple[float, float]]:
    pairs = [(row["epoch"], row.get(f"{kind}_loss")) for row in _epoch_rows(run)]
    return [(float(epoch), float(loss)) for epoch, loss in pairs if isinstance(loss, (int, float)) and loss == loss]


def _line(points: Sequence[tuple[float, float]], colour: str, dashed: bool) -> str:
    if not points:
        return ""
    where = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    style = f"stroke:{colour}" + (";stroke-dasharray:5 4;opacity:.7" if dashed else "")
    dots = [f'<circle style="fill:{colour}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in points if not dashed]
    return f'<polyline style="{style}" points="{where}"/>{"".join(dots)}'


def _grid(top: float, last: float) -> str:
    marks = FRAME.levels(top)
    every = max(1, round(last / 8))
    for epoch in range(0, int(last) + 1, every):
        x, _ = FRAME.place(epoch / last, 0.0)
        marks += f'<text x="{x:.1f}" y="{FRAME.height - 6}" text-anchor="middle">{epoch}</text>'
    return f'<g class="w-grid">{marks}</g>'


# --- to the trash and back -------------------------------------------------------------------------------------------


def to_trash(workspace: Workspace, run_id: str) -> str:
    """Move a run to the trash; returns what to tell."""
    return f"{discard(workspace, run_id).name} is in the trash. Nothing of it is lost."


def from_trash(workspace: Workspace, run_id: str) -> str:
    """Take a run back; returns what to tell."""
    if not run_id:
        raise RunError("Choose which run to take back.")
    return f"{restore(workspace, run_id).name} is back."


def trash_choices(workspace: Workspace) -> list[tuple[str, str]]:
    """(what to show, run id) of the runs in the trash, newest first."""
    return [(f"{run.name}, test error {_rate(run, 'test')}", run.id) for run in discarded(workspace)]


# --- The thresholds of a run with a sigmoid head: how each class does at every threshold, and which was chosen -------


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
    x, bottom = CLASS_FRAME.place(one["threshold"], 0.0)
    _, top = CLASS_FRAME.place(0.0, 1.0)
    lines = "".join(_threshold_line(one["curve"], name, column) for name, column in LINES)
    ends = "".join(
        f'<text x="{CLASS_FRAME.place(at, 0)[0]:.1f}" y="{CLASS_FRAME.height - 4}" text-anchor="middle">{at:g}</text>'
        for at in (0.0, 0.5, 1.0)
    )
    words = f"{one['name']}: from {one['threshold']:.2f} on, F1 {_f1(one)}, {count(one['n'], 'picture')}"
    plot = f'<svg viewBox="0 0 {CLASS_FRAME.width} {CLASS_FRAME.height}" role="img" aria-label="{escape(words)}">'
    plot += f'<g class="w-grid">{CLASS_FRAME.levels(1.0)}{ends}</g>'
    plot += f'<line class="w-chosen" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>{lines}</svg>'
    return f'<figure class="w-curve">{plot}<figcaption>{escape(words)}</figcaption></figure>'


def _threshold_line(curve: Sequence[Sequence[float]], name: str, column: int) -> str:
    where = " ".join(f"{x:.1f},{y:.1f}" for x, y in (CLASS_FRAME.place(point[0], point[column]) for point in curve))
    return f'<polyline class="{name}" points="{where}"/>'
