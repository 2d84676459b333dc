"""Review: what the model gets wrong; every number can be clicked down to its images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd

from cleaner.review.chosen import Chosen
from cleaner.review.confusion import confusion
from cleaner.review.review import error_rate, judged
from cleaner.tabs.review.figures import (
    Page,
    View,
    calibration_view,
    matrix_view,
    pairs_view,
    pictures_view,
    scores_view,
    slices_view,
)
from cleaner.tabs.review.story import wire_viewer
from pipeline.errors import RunError
from pipeline.tabs.page import show
from pipeline.tabs.page.choose_run import find_run, refreshed_run_list, run_list
from pipeline.tabs.page.component import component
from pipeline.tabs.page.job_panel import QUIET
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.viewer import viewer
from pipeline.workspace.runs import Run
from pipeline.workspace.workspace import Workspace

SPLITS = [
    ("valid", "valid"),
    ("train, out-of-fold", "train"),
    ("test, unlocked", "test"),
]


def headline(run: Run) -> str:
    """The error on the locked test split with its interval and what to hold it against, as HTML."""
    test = run.test
    if not test.get("n"):
        return show.empty("There is no test split to judge this run by", "Bring in more images, then train again.")
    return show.facts(
        [
            (f"of the {test['n']:,} test images are wrong", show.percent(test["error_rate"])),
            ("is where it lies, 95% sure", f"{100 * test['low']:.1f}–{show.percent(test['high'])}"),
            ("would be wrong by always saying the largest class", show.percent(test["baseline_error_rate"])),
        ]
    )


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
    rate, low, high = error_rate(seen)
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


# --- the tab -------------------------------------------------------------------------------------------------------


class _Widgets:
    """Everything on the tab, drawn in the order of reading."""

    def __init__(self) -> None:
        with gr.Row(elem_classes="w-fields"):
            self.run = run_list("review-run", "Run")
            self.split = gr.Dropdown(SPLITS, value="valid", label="Split", elem_id="review-split")
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
            return [refreshed_run_list(workspace, chosen), show.empty(str(error)), "", *[None] * 7]
        return [refreshed_run_list(workspace, chosen), headline(run), *everything(workspace, run, split)]

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
