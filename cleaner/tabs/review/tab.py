"""Review: what the model gets wrong; every number can be clicked down to its images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import gradio as gr
import pandas as pd

from cleaner.review.chosen import UNSURE, WORST, Chosen, images_of
from cleaner.review.confusion import confusion, margins, pairs_in, seriated
from cleaner.review.review import judged, share_wrong
from cleaner.review.scores import BINS, RATES, Calibration, calibration, per_class
from cleaner.review.slices import QUERY, SIZE, SLICED_BY, SOURCE, slices
from cleaner.tabs.review.story import wire_viewer
from pipeline.errors import RunError
from pipeline.labels import in_words as label_in_words
from pipeline.labels import known
from pipeline.predict import NONE, Outputs
from pipeline.tabs.page import show
from pipeline.tabs.page.choose_run import LATEST, draw_run_list, find_run, refreshed_run_list
from pipeline.tabs.page.component import View, component
from pipeline.tabs.page.job_panel import QUIET
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.viewer import thumbnail, viewer
from pipeline.train.new_scenes import in_words, probably
from pipeline.workspace.runs import Run, baselines_in_words
from pipeline.workspace.workspace import Workspace

SPLIT_CHOICES = [
    ("valid", "valid"),
    ("train, out-of-fold", "train"),
    ("test, unlocked", "test"),
]
MATRIX_CLASSES = 25
MOST_SLICES = 40
PAGE = 12
EMPTY = "There are no images in this split."
ORDERS = [(WORST, "Top losses"), (UNSURE, "Most unsure")]
SLICE_TITLES = {SIZE: "Shorter side", SOURCE: "Source", QUERY: "Searched for"}
TITLES = {
    "missed": "{first}, answered wrongly",
    "invented": "Wrongly taken for {second}",
    "wrong": "Answered wrongly",
    "labelled": "{first}",
    "called": "Called {first}",
    "concerned": "{first}, or called it",
}


@dataclass(frozen=True)
class Page:
    """Which images a grid lists, and from which page on."""

    chosen: Chosen = field(default_factory=Chosen)
    page: int = 0


def headline(run: Run) -> str:
    """The error on the locked test split with its interval and what to hold it against, as HTML."""
    test, sentences = run.test, in_words(run.record)
    if not test.get("n"):
        nothing = show.empty("There is no test split to judge this run by", "Bring in more images, then train again.")
        return nothing + show.note(sentences)
    numbers = [
        (f"of the {test['n']:,} test images are wrong", show.percent(test["error_rate"])),
        ("is where it lies, 95% sure", f"{100 * test['low']:.1f}–{show.percent(test['high'])}"),
        *show.elsewhere(probably(run.record)),
        ("would be wrong by always saying the largest class", show.percent(test["baseline_error_rate"])),
    ]
    beside = baselines_in_words(run.record.get("baselines"))
    return show.facts(numbers) + show.note(sentences) + show.note([beside] if beside else [])


def everything(workspace: Workspace, run: Run, split: str) -> list[Any]:
    """What the tab shows of one split of ``run``: summary, matrix, pairs, classes, calibration, slices, no number's
    images, top losses.
    """
    then = run.predictions()
    seen = judged(workspace, run, then)
    part = seen[seen["split"] == split]
    gone = int((then["split"] == split).sum()) - len(part)
    counted, sources = confusion(part, run.answers), workspace.store.sources()
    return [
        summary(part, gone),
        matrix_view(part, run.answers, f"{workspace.name}|{run.id}|{split}", counted),
        pairs_view(counted),
        scores_view(part, run.answers),
        calibration_view(part, run.outputs),
        slices_view(part, sources),
        None,
        pictures_view(workspace, part, Page(), run.outputs, sources),
    ]


def summary(seen: pd.DataFrame, gone: int) -> str:
    """How many of a split's images are wrong, and what changed since the training, as HTML."""
    rate, low, high = share_wrong(seen)
    if rate is None or low is None or high is None:
        return ""
    wrong = int((seen["label"] != seen["predicted"]).sum())
    words = f"{wrong:,} of {show.count(len(seen), 'image')} wrong: {show.percent(rate)} "
    words += f"({100 * low:.1f} to {show.percent(high)})."
    if changed := int((seen["label"] != seen["trained_label"]).sum()):
        words += f" Judged by the labels of today; {show.count(changed, 'label')} changed since the training."
    if gone:
        words += f" {show.count(gone, 'image')} left out, taken out of use since."
    return f"<p>{show.escape(words)}</p>"


def matrix_view(seen: pd.DataFrame, names: Sequence[str], key: str, counted: pd.DataFrame | None = None) -> View:
    """What the matrix component shows of judged predictions: counts, and the margins of all classes. Of more than
    MATRIX_CLASSES it shows those with most mistakes, with those side by side that are mixed up with one another.

    ``counted``: the confusion matrix of ``seen``, if it is there already.
    """
    if seen.empty:
        return {"key": key, "classes": [], "counts": [], "note": "", "empty": EMPTY}
    counts = (confusion(seen, names) if counted is None else counted).to_numpy()
    kept = list(range(len(names)))
    if len(names) > MATRIX_CLASSES:
        mistakes = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
        worst = (-mistakes).argsort(kind="stable")[:MATRIX_CLASSES]
        kept = worst[seriated(counts[worst][:, worst])].tolist()
    beside = margins(seen, names)
    wrong = int((seen["label"] != seen["predicted"]).sum())
    return {
        "key": key,
        "classes": [names[i] for i in kept],
        "counts": counts[kept][:, kept].tolist(),
        "missed": [(beside.missed[i], beside.of_class[i]) for i in kept],
        "invented": [(beside.invented[i], beside.taken[i]) for i in kept],
        "wrong": (wrong, len(seen)),
        "note": _note(seen, names, len(kept)),
        "empty": "",
    }


def _note(seen: pd.DataFrame, names: Sequence[str], shown: int) -> str:
    note = "Rows: what the label says. Columns: what the model says. At the edges: how many of all are wrong."
    note += " Click any number to see its images."
    if NONE in names:
        note += (
            f" Row '{NONE}': named although the label says nothing of it; column: missed, with nothing named instead."
        )
    if shown < len(names):
        note += f" The {shown} classes with the most mistakes, of {len(names):,}; neighbours are mixed up most."
    if strangers := int((~known(seen["label"].astype(str), names)).sum()):
        note += f" {show.count(strangers, 'image')} with a label that this run does not know: not in the cells."
    return note


def pairs_view(counted: pd.DataFrame, most: int = 12) -> View:
    """What the component of confused pairs shows of a confusion matrix: the ``most`` frequent ones."""
    return {"pairs": pairs_in(counted)[:most], "empty": "No two classes are mixed up in this split."}


def scores_view(seen: pd.DataFrame, names: Sequence[str]) -> View:
    """What the table of classes shows: those that have images here or were named, the lowest F1 first."""
    rows = [row for row in per_class(seen, names).to_dict("records") if row["n"] or row["called"]]
    rows.sort(key=lambda row: (row["f1"], row["class"]))
    cells = [
        {
            "name": row["class"],
            "n": row["n"],
            **{rate: [row[rate], row[f"{rate}_low"], row[f"{rate}_high"]] for rate in RATES},
        }
        for row in rows
    ]
    return {"rows": cells}


def calibration_view(seen: pd.DataFrame, outputs: Outputs) -> View:
    """What the reliability curve shows, with the same in words."""
    found = calibration(seen, outputs)
    if not found.n:
        return {"bins": [], "words": "", "hint": "", "empty": EMPTY}
    bins = [
        {
            "number": number,
            "n": one.n,
            "said": one.said,
            "right": one.right,
            "low": one.right_low,
            "high": one.right_high,
        }
        | {"from": one.low, "to": one.high}
        for number, one in enumerate(found.bins)
    ]
    what = "answers" if outputs.kind == "softmax" else "answers, one for each class of each image,"
    hint = (
        f"All {found.n:,} {what} in {BINS} bins by how sure they were. On the diagonal, what was said with 80% came "
        "true in 80 of 100 cases; below it, the model is too sure. Lines up and down: 95% intervals. Expected "
        "calibration error: how far the two lie apart, on average over all answers."
    )
    return {"bins": bins, "words": _calibrated(found), "hint": hint, "empty": ""}


def _calibrated(found: Calibration) -> str:
    if found.said is None or found.right is None or found.right_low is None or found.right_high is None:
        return ""
    fit = "as sure as it may be, as far as so many answers can tell"
    if found.said > found.right_high:
        fit = "too sure of itself"
    elif found.said < found.right_low:
        fit = "less sure than it could be"
    interval = f"{100 * found.right_low:.1f} to {show.percent(found.right_high)}"
    words = (
        f"It says {show.percent(found.said)} on average, and {show.percent(found.right)} came true ({interval}): {fit}."
    )
    return f"{words} Expected calibration error {show.percent(found.ece or 0.0)}."


def slices_view(seen: pd.DataFrame, sources: pd.DataFrame) -> View:
    """What the tables of slices show: one for each way to divide the images, at most MOST_SLICES rows each."""
    found = slices(seen, sources)
    groups = []
    for kind in SLICED_BY:
        rows = [one for one in found if one.kind == kind]
        left_out = len(rows) - MOST_SLICES
        more = f"and {left_out:,} more with a lower error" if left_out > 0 else ""
        groups.append(
            {
                "kind": kind,
                "title": SLICE_TITLES[kind],
                "rows": [
                    {
                        "name": one.name,
                        "n": one.n,
                        "errors": one.errors,
                        "rate": show.percent(one.error_rate),
                        "interval": f"{100 * one.low:.1f}–{show.percent(one.high)}",
                        "worse": one.worse,
                    }
                    for one in rows[:MOST_SLICES]
                ],
                "more": more,
            }
        )
    hint = (
        "Marked: the interval lies wholly above the one of all other images, even when both are made wider because so "
        "many rows are looked at."
    )
    empty = "All images of this split are alike in size, source and what was searched for." if len(seen) else EMPTY
    return {"groups": [group for group in groups if group["rows"]], "hint": hint, "empty": empty}


def pictures_view(
    workspace: Workspace, seen: pd.DataFrame, page: Page, outputs: Outputs, sources: pd.DataFrame | None = None
) -> View:
    """What a grid of pictures shows: one page of the images that were chosen, of one split's judged predictions."""
    chosen = page.chosen
    known_sources = workspace.store.sources() if sources is None and chosen.kind == "slice" else sources
    found = images_of(seen, chosen, outputs, known_sources if known_sources is not None else pd.DataFrame())
    number, pages = show.paged(len(found), page.page, PAGE)
    names = dict(zip(seen["id"], seen["source_name"], strict=True))
    rows = [
        {
            **row,
            **{key: label_in_words(str(row[key])) for key in ("actual", "predicted")},
            "thumbnail": thumbnail(workspace, row["id"]),
            "name": PurePosixPath(str(names[row["id"]] or row["file"])).name,
        }
        for row in found.iloc[number * PAGE : (number + 1) * PAGE].to_dict("records")
    ]
    orders = [] if chosen.kind not in dict(ORDERS) else ORDERS
    here = {"kind": chosen.kind, "first": chosen.first, "second": chosen.second, "page": number, "pages": pages}
    empty = EMPTY if orders else "There are no images behind this number."
    return {**here, "title": _title(chosen, len(found)), "orders": orders, "rows": rows, "empty": empty}


def _title(chosen: Chosen, number: int) -> str:
    """What a grid shows, with how many; nothing for the grid of all images."""
    if chosen.kind in dict(ORDERS):
        return ""
    return f"{_what(chosen)}: {show.count(number, 'image')}"


def _what(chosen: Chosen) -> str:
    if chosen.kind == "cell":
        same = chosen.first == chosen.second
        return f"{chosen.first}, " + ("recognised" if same else f"taken for {chosen.second}")
    if chosen.kind == "bin":
        low = int(chosen.first) if chosen.first.isdecimal() else 0
        return f"Said with {100 * low // BINS} to {100 * (low + 1) // BINS}%"
    if chosen.kind == "slice":
        return f"{SLICE_TITLES.get(chosen.first, chosen.first)} {chosen.second}"
    return TITLES.get(chosen.kind, "").format(first=chosen.first, second=chosen.second)


class _Widgets:
    """Everything on the tab, drawn in the order of reading."""

    def __init__(self) -> None:
        with gr.Row(elem_classes="w-fields"):
            self.run = draw_run_list("review-run", "Run", LATEST)
            self.split = gr.Dropdown(SPLIT_CHOICES, value="valid", label="Split", elem_id="review-split")
        self.headline = gr.HTML(elem_id="review-headline")
        with gr.Row(elem_classes="w-split"):
            with gr.Column(min_width=320):
                show.heading("Confusion matrix")
                self.summary = gr.HTML(elem_id="review-summary")
                self.matrix = component(Path(__file__).with_name("matrix"), "review-matrix")
            with gr.Column(min_width=320):
                show.heading("Most confused")
                self.pairs = component(Path(__file__).with_name("pairs"), "review-pairs")
                self.scores = component(Path(__file__).with_name("scores"), "review-classes")
        with gr.Accordion("How sure it is", open=False, elem_id="review-sure"):
            self.calibration = component(Path(__file__).with_name("calibration"), "review-calibration")
        with gr.Accordion("Where errors are", open=False, elem_id="review-where"):
            self.slices = component(Path(__file__).with_name("slices"), "review-slices")
        self.images = component(Path(__file__).with_name("pictures"), "review-images")
        show.heading("Pictures to look at first")
        self.losses = component(Path(__file__).with_name("pictures"), "review-top-losses")
        self.viewer = viewer("review-viewer")

    @property
    def figures(self) -> list[gr.HTML]:
        """Where a number can be clicked."""
        return [self.matrix, self.pairs, self.scores, self.calibration, self.slices]


class _Opened:
    """The run that was looked at last, with its predictions, so that they are not read again for every click."""

    def __init__(self) -> None:
        self._run: Run | None = None

    def run(self, workspace: Workspace, chosen: str | None) -> Run:
        """The run that is chosen. Raises RunError."""
        run = find_run(workspace, chosen)
        if self._run is None or self._run != run:
            self._run = run
        return self._run


def asked(data: Mapping[str, Any]) -> Page:
    """What a page's click asks for; what it should not send asks for nothing in particular."""
    kind, first, second = (str(data.get(name, "")) for name in ("kind", "first", "second"))
    page = data.get("page", 0)
    return Page(Chosen(kind, first, second), page if isinstance(page, int) else 0)


def build(tab: gr.Tab, shared: Shared) -> None:
    """Draw the tab, then wire it."""
    show.guide("See what the model gets wrong, and which images that is about.")
    _wire(tab, shared, _Widgets())


def _wire(tab: gr.Tab, shared: Shared, w: _Widgets) -> None:
    opened = _Opened()

    def fill(name: str, chosen: str, split: str) -> list[Any]:
        workspace = shared.open(name)
        try:
            run = opened.run(workspace, chosen)
        except RunError as error:
            return [refreshed_run_list(workspace, chosen, LATEST), show.empty(str(error)), "", *[None] * 7]
        return [refreshed_run_list(workspace, chosen, LATEST), headline(run), *everything(workspace, run, split)]

    @translate
    def refill(values: Values) -> list[Any]:
        return fill(values[shared.picker], values[w.run], values[w.split])

    @translate
    def pictures(values: Values, event: gr.EventData) -> View:
        workspace = shared.open(values[shared.picker])
        run = opened.run(workspace, values[w.run])
        seen = judged(workspace, run)
        return pictures_view(workspace, seen[seen["split"] == values[w.split]], asked(event._data), run.outputs)

    inputs = {shared.picker, w.run, w.split}
    outputs = [w.run, w.headline, w.summary, *w.figures, w.images, w.losses]
    shared.watch(tab, fill, outputs, [w.run, w.split])
    gr.on([w.run.input, w.split.input], refill, inputs, outputs, **QUIET)
    for figure in w.figures:
        figure.choose(pictures, inputs, w.images, **QUIET)
    for grid in (w.images, w.losses):
        grid.turn(pictures, inputs, grid, **QUIET)

    def where(values: Values) -> tuple[Workspace, Run, str]:
        workspace = shared.open(values[shared.picker])
        return workspace, opened.run(workspace, values[w.run]), str(values[w.split])

    wire_viewer(w.viewer, [w.images, w.losses], inputs, where)
