"""Did it help? Train again, then two runs on the same images: the lower half of the Clean tab."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from cleaner.compare.compare import Comparison, Pairs, comparison, pairs
from cleaner.compare.ledger import Ledger, Row, ledger, write_ledger
from cleaner.compare.paired import MOST_IMAGES
from cleaner.tabs.review.story import large_view, wire_viewer
from pipeline.bounded import LastUsed
from pipeline.errors import PipelineError, RunError
from pipeline.jobs.job import Job
from pipeline.labels import in_words
from pipeline.settings import shown
from pipeline.tabs.page.choose_run import LATEST, PREVIOUS, draw_run_list, find_run, refreshed_run_list
from pipeline.tabs.page.component import View, component
from pipeline.tabs.page.downloads import place_of
from pipeline.tabs.page.job_panel import PRIVATE
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.show import ago, count, empty, error_rate, escape, facts, guide, heading, paged, percent
from pipeline.tabs.page.viewer import thumbnail, viewer
from pipeline.tabs.train.fields import title_of, train_job
from pipeline.train.config import TrainConfig, recalled
from pipeline.workspace.runs import Run, list_runs, load_run
from pipeline.workspace.workspace import Workspace, writing

PAGE = 12
REMEMBERED = 2
# What the answer to an image can do from one run to the next, in words.
CHANGES = {"fixed": "wrong before and right after", "broken": "right before and wrong after"}
UNSAID = "–"
VERSION_DIGITS = 8


@dataclass(frozen=True)
class Shown:
    """What a page shows: the workspace, its newest run, and the runs it compares (ids; empty where there is none)."""

    workspace: str = ""
    newest: str = ""
    before: str = ""
    after: str = ""
    every: bool = False


class Compared:
    """The pairs of runs that were looked at last, so that their pages are turned without reading both runs anew. One
    object for all pages; several threads may share it.
    """

    def __init__(self) -> None:
        self._pairs: LastUsed[tuple[str, Shown, str], Pairs] = LastUsed(REMEMBERED)

    def pairs(self, workspace: Workspace, now: Shown, anew: bool = False) -> Pairs:
        """The answers of the runs that a page shows; read again where something was decided since, or ``anew``."""
        key = (str(workspace.root), replace(now, newest=""), workspace.store.journal.mark())
        found = None if anew else self._pairs.get(key)
        if found is None:
            found = pairs(workspace, load_run(workspace, now.before), load_run(workspace, now.after), now.every)
            self._pairs.put(key, found)
        return found


def everything(
    workspace: Workspace, before: str | None, after: str | None, every: bool = False, compared: Compared | None = None
) -> list[Any]:
    """Run ``after`` against run ``before``: what is shown now, the words and numbers as HTML, the images fixed and the
    images broken; or why they cannot be compared. ``every``: whether on train and valid images, too.
    """
    runs = list_runs(workspace)
    newest = runs[0].id if runs else ""
    try:
        chosen = find_run(workspace, before), find_run(workspace, after)
        now = Shown(workspace.name, newest, chosen[0].id, chosen[1].id, every)
        found = (compared or Compared()).pairs(workspace, now, anew=True)
    except PipelineError as error:
        return [Shown(workspace.name, newest), empty("Nothing to compare yet", str(error)), None, None]
    return [now, comparison_html(found), *(pictures_view(workspace, found, kind) for kind in CHANGES)]


def comparison_html(found: Pairs) -> str:
    """The verdict, the numbers, and what to know before one believes them, as HTML."""
    said = comparison(found)
    title = {"better": "Better", "worse": "Worse"}.get(said.verdict, "Cannot be told apart")
    notes = "".join(f'<p class="w-hint">{escape(note)}</p>' for note in said.notes)
    return f'<p class="w-verdict"><strong>{title}</strong></p>{_numbers(said)}<p>{escape(said.summary)}</p>{notes}'


def _numbers(said: Comparison) -> str:
    return facts(
        [
            ("error rate before", percent(said.a.error_rate)),
            ("error rate after", percent(said.b.error_rate)),
            ("points, 95% interval", f"{100 * said.low:+.1f} to {100 * said.high:+.1f}"),
            ("fixed / broken", f"{said.fixed} / {said.broken}"),
        ]
    )


def pictures_view(workspace: Workspace, found: Pairs, kind: str, page: int = 0) -> View:
    """A page of the images that were ``fixed`` or ``broken``, those that the run after is surest of first, with the
    answers before and after.
    """
    images = (found.fixed if kind == "fixed" else found.broken).sort_values("probability", ascending=False)
    number, pages = paged(len(images), page, PAGE)
    rows = [
        {
            "id": row["id"],
            "thumbnail": thumbnail(workspace, row["id"]),
            "actual": in_words(str(row["label"])),
            "before": in_words(str(row["predicted_before"])),
            "predicted": in_words(str(row["predicted"])),
            "probability": float(row["probability"]),
            "loss": float(row["loss"]),
        }
        for row in images.iloc[number * PAGE : (number + 1) * PAGE].to_dict("records")
    ]
    title = f"{kind.capitalize()}: {count(len(images), 'image') if len(images) else 'no image'} {CHANGES[kind]}"
    where = {"kind": kind, "first": "", "second": "", "page": number, "pages": pages, "still": True}
    return {**where, "title": title, "orders": [], "rows": rows, "empty": ""}


def large_change(workspace: Workspace, found: Pairs, image_id: str) -> View:
    """What the viewer shows of a compared image: it in large, what each run said, the likeliest classes of the later.

    Of an image that is not compared (one walks on to those that look alike), what Review shows.
    """
    view = large_view(workspace, found.after.run, found.opened, image_id)
    rows = found.table[found.table["id"] == image_id]
    if not view["id"] or rows.empty:
        return view
    row = rows.iloc[0]
    before, after = (in_words(str(row[column])) for column in ("predicted_before", "predicted"))
    title = f"actual {in_words(str(row['label']))}, before {before}, after {after}"
    sure = [("before", float(row["probability_before"])), ("after", float(row["probability"]))]
    return {**view, "title": title, "facts": [(f"sure {when}", percent(share)) for when, share in sure]}


def settings_html(workspace: Workspace) -> str:
    """Which settings a training is given that is started here, as HTML; empty where nothing was trained yet."""
    try:
        run = find_run(workspace, LATEST)
    except RunError:
        return ""
    here = recalled(run.config)
    defaults = asdict(TrainConfig())
    given = {name: value for name, value in here.values.items() if name != "note" and value != defaults[name]}
    if "weights" in given:  # a file on the host is called by its run
        given["weights"] = f"run {Path(str(given['weights'])).parent.name}"
    said = ", ".join(f"{title_of(name)} {shown(value)}" for name, value in given.items())
    words = f"It takes the settings of run {run.name}: {said}, all others at their defaults."
    if not said:
        words = f"It takes the settings of run {run.name}: all at their defaults."
    if here.left_out:
        words += f" This version of Winnow does not know or take: {', '.join(map(title_of, here.left_out))}."
    return f'<p class="w-hint">{escape(words)}</p>'


def ledger_view(found: Ledger) -> View:
    """What the component shows: a row a run, oldest first, each of (title, words) cells; and notes."""
    return {
        "rows": [{"id": row.run, "name": row.name, "cells": _cells(row)} for row in found.runs],
        "notes": found.notes,
    }


def _cells(row: Row) -> list[tuple[str, str]]:
    images = [f"{number:,}" for number in (row.train, row.valid, row.test) if number is not None]
    then = {"n": row.error_rate is not None, "error_rate": row.error_rate, "low": row.low, "high": row.high}
    now = {"n": row.n_today, "error_rate": row.error_rate_today, "low": row.low_today, "high": row.high_today}
    changed = f", {count(row.labels_changed, 'label')} changed" if row.labels_changed else ""
    audited = [when for when, there in (("before", row.audited_before), ("since", row.audited_since)) if there]
    return [
        ("when", ago(row.created) or UNSAID),
        ("data version", (row.data_version or UNSAID)[:VERSION_DIGITS]),
        ("train, valid, test", ", ".join(images) or UNSAID),
        ("decisions", UNSAID if row.decisions is None else f"{row.decisions:,}"),
        ("test error then", error_rate(then)),
        ("by the labels of today", error_rate(now) + changed),
        ("in a new place", row.in_a_new_place or UNSAID),
        ("against the run before", _verdict(row)),
        ("test split audited", " and ".join(audited) or "no"),
    ]


def _verdict(row: Row) -> str:
    if row.verdict is None or row.difference is None:
        return UNSAID if row.against is None else "no image in common"
    if row.verdict != "cannot be told apart":
        return f"{row.verdict} ({100 * row.difference:+.1f} points)"
    if row.needed is None:
        return f"{row.verdict} (no difference seen)"
    return (
        f"{row.verdict} ({'more than' if row.needed >= MOST_IMAGES else 'about'} {row.needed:,} more images would tell)"
    )


def ledger_file(workspace: Workspace, found: Ledger, cache: Path) -> Path | None:
    """The ledger as a CSV file below ``cache``; None where there is no run."""
    if not found.runs:
        return None
    file = place_of(workspace.root, cache) / "ledger.csv"
    with writing(file, durable=False) as part:
        write_ledger(found, part)
    return file


class _Widgets:
    """Everything in this part of the tab, drawn in the order of reading."""

    def __init__(self) -> None:
        heading("Did it help?")
        guide("Train again with the settings of the latest run, then compare the two on the same images.")
        self.train = gr.Button("Train again", variant="primary", elem_id="clean-train", size="lg")
        self.settings = gr.HTML(elem_id="clean-settings")
        with gr.Row(elem_classes="w-fields"):
            self.before = draw_run_list("clean-before", "Before", PREVIOUS)
            self.after = draw_run_list("clean-after", "After", LATEST)
        self.every = gr.Checkbox(
            False,
            label="On train and valid images too",
            info="Heads that did not learn from them answered those. More images tell finer differences.",
            elem_id="clean-every",
        )
        self.button = gr.Button("Compare", elem_id="clean-compare", size="lg")
        self.compared = gr.HTML(elem_id="clean-compared")
        with gr.Row(elem_classes="w-split"):
            with gr.Column(min_width=320):
                self.fixed = component(Path(__file__).parents[1] / "review" / "pictures", "clean-fixed")
            with gr.Column(min_width=320):
                self.broken = component(Path(__file__).parents[1] / "review" / "pictures", "clean-broken")
        self.viewer = viewer("clean-viewer")
        self.shown = gr.State(Shown())
        heading("Every run so far")
        self.ledger = component(Path(__file__).with_name("ledger"), "clean-ledger")
        self.file = gr.DownloadButton("Download as CSV", visible=False, size="sm", elem_id="clean-ledger-file")


def build(tab: gr.Tab, shared: Shared) -> None:
    """Draw this part of ``tab``, then wire it."""
    _wire(tab, shared, _Widgets())


def _wire(tab: gr.Tab, shared: Shared, w: _Widgets) -> None:
    kept = Compared()

    def fill(name: str, before: str, after: str, seen: Shown, every: bool) -> list[Any]:
        workspace = shared.open(name)
        if news(workspace, seen):
            before, after = PREVIOUS, LATEST
        pair = [refreshed_run_list(workspace, before, PREVIOUS), refreshed_run_list(workspace, after, LATEST)]
        found = ledger(workspace)
        file = ledger_file(workspace, found, shared.workspaces.outgoing())
        button = gr.DownloadButton(value=str(file) if file else None, visible=file is not None)
        runs = [settings_html(workspace), ledger_view(found), button]
        return [*pair, *runs, *everything(workspace, before, after, every, kept)]

    @translate
    def compared(values: Values) -> list[Any]:
        return everything(shared.open(values[shared.picker]), values[w.before], values[w.after], values[w.every], kept)

    @translate
    def turn(values: Values, event: gr.EventData) -> View:
        workspace = shared.open(values[w.shown].workspace)
        page = event._data["page"]
        kind = "fixed" if event._data["kind"] == "fixed" else "broken"
        return pictures_view(
            workspace, kept.pairs(workspace, values[w.shown]), kind, page if isinstance(page, int) else 0
        )

    def change(values: Values, image_id: str) -> View:
        workspace = shared.open(values[w.shown].workspace)
        return large_change(workspace, kept.pairs(workspace, values[w.shown]), image_id)

    def where(values: Values) -> tuple[Workspace, Run, str]:
        workspace = shared.open(values[w.shown].workspace)
        found = kept.pairs(workspace, values[w.shown])
        return workspace, found.after.run, found.opened

    def train_again(values: Values) -> Job:
        workspace = shared.open(values[shared.picker])
        return train_job(workspace, recalled(find_run(workspace, LATEST).config).values)

    shows = [w.shown, w.compared, w.fixed, w.broken]
    runs = [w.before, w.after, w.settings, w.ledger, w.file]
    shared.watch(tab, fill, [*runs, *shows], [w.before, w.after, w.shown, w.every])
    w.button.click(compared, {shared.picker, w.before, w.after, w.every}, shows, **PRIVATE)
    for grid in (w.fixed, w.broken):
        grid.turn(turn, {w.shown}, grid, **PRIVATE)
    wire_viewer(w.viewer, [w.fixed, w.broken], {w.shown}, where, change)
    shared.job.launch(w.train.click, train_again, {shared.picker})


def news(workspace: Workspace, seen: Shown) -> bool:
    """Whether a run was made since the page saw this workspace last: then the two newest are what it shows."""
    runs = list_runs(workspace)
    return bool(runs) and seen.workspace == workspace.name and seen.newest not in ("", runs[0].id)
