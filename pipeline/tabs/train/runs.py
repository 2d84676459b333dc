"""The runs of the Train tab: their table, one in full with what can be done with it, two side by side, the trash."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from pipeline.errors import RunError
from pipeline.settings import shown
from pipeline.tabs.page.component import NO_ANSWER, View, answer_to, component
from pipeline.tabs.page.job_panel import QUIET
from pipeline.tabs.page.job_view import epoch_table
from pipeline.tabs.page.plot import Frame
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.show import (
    ago,
    count,
    duration,
    elsewhere,
    error_rate,
    escape,
    facts,
    heading,
    note,
    percent,
    table,
)
from pipeline.tabs.train.fields import TOLD, command, title_of, train_job, widget_value
from pipeline.train.config import Recalled, TrainConfig, recalled
from pipeline.train.new_scenes import in_words, probably
from pipeline.workspace.runs import (
    Run,
    baselines_in_words,
    describe,
    discard,
    discarded,
    load_run,
    read_about,
    restore,
    runs_and_damaged,
    set_on_in_words,
)
from pipeline.workspace.workspace import Workspace

MOST = 2
MOST_DAMAGED = 3
UNSAID = "–"
FRAME = Frame(460, 210, left=46, right=12, top=12, bottom=26)
COLOURS = ("var(--color-accent)", "#d97706")

CLASS_FRAME = Frame(240, 130, left=30, right=6, top=8, bottom=18)
DRAWN = 12
LINES = (("w-f1", 3), ("w-precision", 1), ("w-recall", 2))
ABOUT = "Tick a run to name it, to train it again or to move it to the trash; tick two to see them side by side."
INTO_VIEW = "() => document.querySelector('#train-options')?.scrollIntoView({block: 'start'})"
Picked = tuple[str, ...]


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
            ["in a new place", probably(record) or UNSAID],
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
    numbers += elsewhere(probably(runs[0].record))
    if test.get("n") and test.get("baseline_error_rate") is not None:
        rate = percent(test["baseline_error_rate"])
        numbers += [("would be wrong by always saying the largest class", rate)]
    beside = baselines_in_words(runs[0].record.get("baselines"))
    return (
        facts(numbers)
        + note(in_words(runs[0].record))
        + note([beside] if beside else [])
        + epoch_table(_epoch_rows(runs[0]))
    )


def given_name(run: Run) -> str:
    """The name a person gave it; empty where it has none."""
    return read_about(run.folder).name or ""


def one_run(run: Run) -> str:
    """A run in full, as HTML: the settings that are not the defaults, what happened on the way, and its epochs."""
    here = recalled(run.config)
    lines = [f"<p class='w-hint'>{escape(words)}</p>" for words in _about(run, here) if words]
    return "".join(lines) + _changed(here) + epoch_curves([run]) + epoch_table(_epoch_rows(run)) + thresholds_view(run)


def _about(run: Run, here: Recalled) -> Iterator[str]:
    yield f"Run {run.id}, finished {ago(run.created) or run.created}. It {_knows(run)}."
    yield " ".join(in_words(run.record))
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
    "in a new place": lambda run: probably(run.record) or UNSAID,
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
    names = [name for name in TOLD if name in configs[0] or name in configs[1]]
    names += [name for name in {**configs[0], **configs[1]} if name not in TOLD]
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
    where = set_on_in_words((run.record.get("set_on") or {}).get("thresholds"))
    about = (
        f"A class is named from its threshold on: the one with the best F1 on {where}. F1 (the mean of "
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


# --- the widgets ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RunPanel:
    """The widgets; ``picked``: the ids a page has ticked; ``gone``: (workspace, id) it moved to the trash last."""

    newest: gr.Column
    result: gr.HTML
    about: gr.HTML
    table: gr.HTML
    told: gr.HTML
    undo: gr.Button
    one: gr.Column
    title: gr.HTML
    name: gr.Textbox
    note: gr.Textbox
    save: gr.Button
    again: gr.Button
    recall: gr.Button
    discard: gr.Button
    line: gr.Textbox
    details: gr.HTML
    two: gr.Column
    both: gr.HTML
    trash: gr.Accordion
    in_trash: gr.Dropdown
    take_back: gr.Button
    picked: gr.State
    gone: gr.State

    @property
    def outputs(self) -> list[Any]:
        """What :meth:`fill` fills."""
        return [
            *(self.newest, self.result, self.about, self.table, self.one, self.title, self.line, self.details),
            *(self.two, self.both, self.trash, self.in_trash),
        ]

    def fill(self, workspace: Workspace, picked: Picked, answer: Mapping[str, Any] = NO_ANSWER) -> list[Any]:
        """All but what a person is typing: the table, what is ticked, and the trash, as they are now."""
        runs, damaged = runs_and_damaged(workspace)
        here = chosen(runs, picked)
        one = here[0] if len(here) == 1 else None
        trash = trash_choices(workspace)
        hint = f"<p class='w-hint'>{ABOUT}</p>" if runs else ""
        hint += "".join(f"<p class='w-warn'>{escape(words)}</p>" for words in damaged[:MOST_DAMAGED])
        return [
            *(gr.Column(visible=bool(runs or damaged)), latest(runs), hint, runs_view(workspace, runs, picked, answer)),
            *(gr.Column(visible=one is not None), f"<h4>{escape(one.name)}</h4>" if one else ""),
            *(command(workspace, recalled(one.config).values) if one else "", one_run(one) if one else ""),
            *(gr.Column(visible=len(here) == MOST), side_by_side(*here) if len(here) == MOST else ""),
            gr.Accordion(label=f"In the trash: {len(trash)}", visible=bool(trash)),
            gr.Dropdown(choices=trash, value=trash[0][1] if trash else None),
        ]

    def refilled(self, shared: Shared, name: str, picked: Picked, gone: tuple[str, str]) -> list[Any]:
        """``fill``, and the last message taken away where it was about another workspace."""
        stale = bool(gone[0]) and gone[0] != name
        return [*(self.tell() if stale else (gr.skip(), gr.skip())), *self.fill(shared.open(name), picked)]

    def tell(self, words: str = "", undo: bool = False) -> tuple[Any, Any]:
        """Updates of ``told`` and ``undo``."""
        shown = f'<p role="status" class="w-good">{escape(words)}</p>' if words else ""
        return gr.HTML(shown, visible=bool(words)), gr.Button(visible=undo)

    def wire(self, shared: Shared, tab: gr.Tab, fields: Mapping[str, Component], options: gr.Accordion) -> None:
        """Make the table and the buttons work; ``fields`` are the widgets of the settings, inside ``options``."""
        shared.watch(
            tab,
            lambda name, picked, gone: self.refilled(shared, name, picked, gone),
            [self.told, self.undo, *self.outputs],
            [self.picked, self.gone],
        )
        self._wire_picking(shared)
        self._wire_naming(shared)
        self._wire_trash(shared)
        self._wire_settings(shared, fields, options)

    def _wire_picking(self, shared: Shared) -> None:
        @translate
        def pick(event: gr.EventData) -> list[Any]:
            workspace = shared.open(str(event._data["workspace"]))
            picked = tuple(str(run_id) for run_id in event._data["ids"][:MOST])
            run = load_run(workspace, picked[0]) if len(picked) == 1 else None
            typed = (given_name(run), run.note) if run else ("", "")
            answer = answer_to(event._data)
            return [picked, *typed, *self.tell(), *self.fill(workspace, picked, answer)]

        outputs = [self.picked, self.name, self.note, self.told, self.undo, *self.outputs]
        in_turn: dict[str, Any] = {**QUIET, "concurrency_id": "train-runs", "concurrency_limit": 1}
        self.table.pick(pick, None, outputs, trigger_mode="multiple", **in_turn)

    def _wire_naming(self, shared: Shared) -> None:
        @translate
        def save(values: Values) -> list[Any]:
            workspace = shared.open(values[shared.picker])
            run = describe(workspace, _ticked(values[self.picked]), values[self.name] or "", values[self.note] or "")
            return [given_name(run), run.note, *self.tell("Saved."), *self.fill(workspace, values[self.picked])]

        inputs: set[Any] = {shared.picker, self.picked, self.name, self.note}
        outputs = [self.name, self.note, self.told, self.undo, *self.outputs]
        gr.on([self.save.click, self.name.submit], save, inputs, outputs, **QUIET)

    def _wire_trash(self, shared: Shared) -> None:
        @translate
        def discard(values: Values) -> list[Any]:
            workspace, run_id = shared.open(values[shared.picker]), _ticked(values[self.picked])
            told = self.tell(to_trash(workspace, run_id), undo=True)
            return [(), (workspace.name, run_id), *told, *self.fill(workspace, ())]

        def back(run_id: Callable[[Values], tuple[str, str]]) -> Callable[[Values], list[Any]]:
            @translate
            def take_back(values: Values) -> list[Any]:
                name, which = run_id(values)
                workspace = shared.open(name)
                told = self.tell(from_trash(workspace, which))
                return [values[self.picked], ("", ""), *told, *self.fill(workspace, values[self.picked])]

            return take_back

        inputs: set[Any] = {shared.picker, self.picked, self.gone, self.in_trash}
        outputs = [self.picked, self.gone, self.told, self.undo, *self.outputs]
        self.discard.click(discard, inputs, outputs, **QUIET)
        self.undo.click(back(lambda values: values[self.gone]), inputs, outputs, **QUIET)
        chosen_one = back(lambda values: (values[shared.picker], values[self.in_trash] or ""))
        self.take_back.click(chosen_one, inputs, outputs, **QUIET)

    def _wire_settings(self, shared: Shared, fields: Mapping[str, Component], options: gr.Accordion) -> None:
        def of_the_run(values: Values) -> tuple[Workspace, dict[str, Any], str]:
            workspace = shared.open(values[shared.picker])
            here = recalled(load_run(workspace, _ticked(values[self.picked])).config)
            left = (
                f" Left out, as this version does not know them: {', '.join(here.left_out)}." if here.left_out else ""
            )
            return workspace, here.values, left

        @translate
        def recall(values: Values) -> list[Any]:
            _, settings, left = of_the_run(values)
            told = self.tell(f"Its settings are under More options now.{left}")
            return [gr.Accordion(open=True), *told, *(widget_value(settings, name) for name in fields)]

        inputs: set[Any] = {shared.picker, self.picked}
        filled = self.recall.click(recall, inputs, [options, self.told, self.undo, *fields.values()], **QUIET)
        filled.success(None, None, None, js=INTO_VIEW)
        shared.job.launch(self.again.click, lambda values: train_job(*of_the_run(values)[:2], shared.local), inputs)


def draw_run_panel() -> RunPanel:
    """Draw this part of the tab, still empty."""
    with gr.Column(visible=False) as newest:
        heading("The latest run")
        result = gr.HTML(elem_id="train-latest")
    heading("All runs")
    about = gr.HTML()
    table = component(Path(__file__).with_name("runs"), "train-runs")
    with gr.Row(elem_classes="w-buttons"):
        told = gr.HTML(visible=False, elem_id="train-told")
        undo = gr.Button("Undo", visible=False, size="sm", elem_id="train-undo")
    one = _draw_one()
    with gr.Column(visible=False, elem_classes="w-card", elem_id="train-both") as two:
        gr.HTML("<h4>Side by side</h4><p>Clean compares the two newest on the very same pictures.</p>")
        both = gr.HTML(elem_id="train-compare")
    with gr.Accordion("In the trash", visible=False, open=False, elem_id="train-trash") as trash, gr.Row():
        in_trash = gr.Dropdown([], label="Run", elem_id="train-trashed", allow_custom_value=True)
        take_back = gr.Button("Take it back", size="sm", elem_id="train-take-back")
    top: dict[str, Any] = {
        "newest": newest,
        "result": result,
        "about": about,
        "table": table,
        "told": told,
        "undo": undo,
    }
    below: dict[str, Any] = {"two": two, "both": both, "trash": trash, "in_trash": in_trash, "take_back": take_back}
    return RunPanel(**top, **one, **below, picked=gr.State(()), gone=gr.State(("", "")))


def _draw_one() -> dict[str, Any]:
    with gr.Column(visible=False, elem_classes="w-card", elem_id="train-one") as one:
        title = gr.HTML()
        with gr.Row(elem_classes="w-fields"):
            name = gr.Textbox(label="Name", placeholder="what you call it", elem_id="train-run-name")
            note = gr.Textbox(label="Note", placeholder="what you learnt from it", lines=1, elem_id="train-run-note")
        with gr.Row(elem_classes="w-buttons"):
            save = gr.Button("Save name and note", size="sm", elem_id="train-run-save")
            again = gr.Button("Train again", size="sm", elem_id="train-run-again")
            recall = gr.Button("Use its settings", size="sm", elem_id="train-run-recall")
            discard = gr.Button("Move to the trash", size="sm", elem_id="train-run-discard")
        line = gr.Textbox(
            label="The same on the command line", interactive=False, buttons=["copy"], elem_id="train-run-command"
        )
        details = gr.HTML(elem_id="train-run-details")
    buttons = {"save": save, "again": again, "recall": recall, "discard": discard}
    return {"one": one, "title": title, "name": name, "note": note, **buttons, "line": line, "details": details}


def _ticked(picked: Picked) -> str:
    """The one run that is ticked. Raises RunError where it is not one."""
    if len(picked) != 1:
        raise RunError("Tick one run in the table first.")
    return picked[0]
