"""Review: what the model gets wrong; every number can be clicked down to its images."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeAlias

import gradio as gr
import pandas as pd

from cleaner.review import confusion, error_rate, images_in_cell, judged, most_confused, per_class, top_losses
from cleaner.tabs.component import component
from cleaner.tabs.show import find_run, refreshed, run_list
from pipeline.errors import RunError
from pipeline.labels import in_words
from pipeline.predict import NONE
from pipeline.runs import Run
from pipeline.tabs import show
from pipeline.tabs.shared import Shared, Values, translate
from pipeline.tabs.viewer import large, thumbnail, viewer
from pipeline.workspace import Workspace

View: TypeAlias = dict[str, Any]
SPLITS = [
    ("valid", "valid"),
    ("train, out-of-fold", "train"),
    ("test, unlocked", "test"),
]
MOST_CLASSES = 25
PAGE = 12


@dataclass(frozen=True)
class Page:
    """Which images a grid lists, and from which page on.

    ``actual`` and ``predicted`` name a cell of the confusion matrix; both empty: the top losses.
    """

    actual: str = ""
    predicted: str = ""
    page: int = 0


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
    """What the tab shows of one split of ``run``: summary, matrix, pairs, classes, no cell's images, top losses."""
    then = run.predictions()
    seen = judged(workspace, run, then)
    part = seen[seen["split"] == split]
    gone = int((then["split"] == split).sum()) - len(part)
    return [
        summary(part, gone),
        matrix_view(part, run.answers, f"{workspace.name}|{run.id}|{split}"),
        pairs_view(part, run.answers),
        classes_table(part, run.answers),
        None,
        pictures_view(workspace, part, Page()),
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


def matrix_view(seen: pd.DataFrame, names: Sequence[str], key: str) -> View:
    """What the matrix component shows of judged predictions: at most MOST_CLASSES classes, those with most mistakes."""
    if seen.empty:
        return {"key": key, "classes": [], "counts": [], "note": "", "empty": "There are no images in this split."}
    counts = confusion(seen, names).to_numpy()
    mistakes = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    kept = sorted((-mistakes).argsort(kind="stable")[:MOST_CLASSES].tolist())
    note = "Rows: what the label says. Columns: what the model says. Click a cell to see its images."
    if NONE in names:
        note += (
            f" Row '{NONE}': named although the label says nothing of it; column: missed, with nothing named instead."
        )
    if len(kept) < len(names):
        note += f" The {len(kept)} classes with the most mistakes, of {len(names):,}."
    part = counts[kept][:, kept].tolist()
    return {"key": key, "classes": [names[i] for i in kept], "counts": part, "note": note, "empty": ""}


def pairs_view(seen: pd.DataFrame, names: Sequence[str], most: int = 12) -> View:
    """What the component of confused pairs shows: the ``most`` frequent ones."""
    return {"pairs": most_confused(seen, names)[:most], "empty": "No two classes are mixed up in this split."}


def classes_table(seen: pd.DataFrame, names: Sequence[str]) -> str:
    """Precision and recall of every class that has images here, the worst recall first, as HTML."""
    table = per_class(seen, names).to_dict("records")
    rows = sorted((row for row in table if row["n"]), key=lambda row: (row["recall"], row["class"]))
    cells = [(row["class"], row["n"], _share(row["recall"]), _share(row["precision"])) for row in rows]
    return show.table(("class", "images", "recall", "precision"), cells, (1, 2, 3))


def pictures_view(workspace: Workspace, seen: pd.DataFrame, page: Page) -> View:
    """What a grid of pictures shows: one page of a cell's images or of the top losses."""
    cell = bool(page.actual or page.predicted)
    worst = images_in_cell(seen, page.actual, page.predicted) if cell else top_losses(seen, len(seen))
    pages = -(-len(worst) // PAGE)
    number = min(max(page.page, 0), max(pages - 1, 0))
    names = _names(workspace)
    rows = [
        {
            **row,
            **{key: in_words(str(row[key])) for key in ("actual", "predicted")},
            "thumbnail": thumbnail(workspace, row["id"]),
            "name": names.get(row["id"], ""),
        }
        for row in worst.iloc[number * PAGE : (number + 1) * PAGE].to_dict("records")
    ]
    empty = "There are no images in this cell." if cell else "There are no images in this split."
    here = {"actual": page.actual, "predicted": page.predicted, "page": number, "pages": pages}
    return {**here, "title": _title(page, len(worst)), "rows": rows, "empty": empty}


def large_view(workspace: Workspace, run: Run, split: str, image_id: str) -> View:
    """What the viewer shows of one image of the split: the large picture and the run's five likeliest classes.

    An image that is not in the split gives an empty view.
    """
    seen = judged(workspace, run)
    found = seen[(seen["split"] == split) & (seen["id"] == image_id)]
    if found.empty:
        return {"id": "", "nonce": uuid.uuid4().hex}
    row = found.iloc[0]
    picture, trouble = large(workspace, image_id, str(row["file"]))
    answers = sorted(((name, float(row[f"p:{name}"])) for name in run.classes), key=lambda answer: -answer[1])
    actual, predicted = in_words(str(row["label"])), in_words(str(row["predicted"]))
    title = f"actual {actual}, predicted {predicted}, loss {float(row['loss']):.2f}"
    name = _names(workspace).get(image_id, "")
    files = {"large": picture, "trouble": trouble, "name": name, "nonce": uuid.uuid4().hex}
    return {"id": image_id, "title": title, "answers": answers[:5], "facts": [], **files}


def _share(value: float | None) -> str:
    return "–" if value is None else show.percent(value)


def _names(workspace: Workspace) -> dict[str, str]:
    """What the place it came from calls each image."""
    images = workspace.store.images()
    return {i: PurePosixPath(str(name or file)).name for i, name, file in images[["id", "source_name", "file"]].values}


def _title(page: Page, number: int) -> str:
    if not (page.actual or page.predicted):
        return ""
    what = "recognised" if page.actual == page.predicted else f"taken for {page.predicted}"
    return f"{page.actual}, {what}: {show.count(number, 'image')}"


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
                self.matrix = component("matrix", "review-matrix")
            with gr.Column(min_width=320):
                show.heading("Most confused")
                self.pairs = component("pairs", "review-pairs")
                self.classes = gr.HTML(elem_id="review-classes")
        self.images = component("pictures", "review-images")
        show.heading("Top losses: where the model was most surely wrong")
        self.losses = component("pictures", "review-top-losses")
        self.viewer = viewer("review-viewer")


def build(tab: gr.Tab, shared: Shared) -> None:
    """Draw the tab, then wire it."""
    show.guide("See what the model gets wrong, and which images that is about.")
    _wire(tab, shared, _Widgets())


def _wire(tab: gr.Tab, shared: Shared, w: _Widgets) -> None:
    def fill(name: str, chosen: str, split: str) -> list[Any]:
        workspace = shared.open(name)
        try:
            run = find_run(workspace, chosen)
        except RunError as error:
            return [refreshed(workspace, chosen), show.empty(str(error)), "", None, None, "", None, None]
        return [refreshed(workspace, chosen), headline(run), *everything(workspace, run, split)]

    @translate
    def refill(values: Values) -> list[Any]:
        return fill(values[shared.picker], values[w.run], values[w.split])

    def pictures(values: Values, actual: object, predicted: object, page: object = 0) -> View:
        workspace = shared.open(values[shared.picker])
        run = find_run(workspace, values[w.run])
        seen = judged(workspace, run)
        number = page if isinstance(page, int) else 0
        return pictures_view(
            workspace, seen[seen["split"] == values[w.split]], Page(str(actual), str(predicted), number)
        )

    @translate
    def cell(values: Values, event: gr.EventData) -> View:
        return pictures(values, event._data["actual"], event._data["predicted"])

    @translate
    def turn(values: Values, event: gr.EventData) -> View:
        return pictures(values, event._data["actual"], event._data["predicted"], event._data["page"])

    @translate
    def enlarge(values: Values, event: gr.EventData) -> View:
        workspace = shared.open(values[shared.picker])
        return large_view(workspace, find_run(workspace, values[w.run]), values[w.split], str(event._data["id"]))

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    inputs = {shared.picker, w.run, w.split}
    outputs = [w.run, w.headline, w.summary, w.matrix, w.pairs, w.classes, w.images, w.losses]
    shared.watch(tab, fill, outputs, [w.run, w.split])
    gr.on([w.run.input, w.split.input], refill, inputs, outputs, **quiet)
    w.matrix.cell(cell, inputs, w.images, **quiet)
    w.pairs.pair(cell, inputs, w.images, **quiet)
    for grid in (w.images, w.losses):
        grid.turn(turn, inputs, grid, **quiet)
        grid.open(enlarge, inputs, w.viewer, **quiet)
