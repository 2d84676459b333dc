"""What the Review tab shows of one split of a run: matrix, pairs, classes, calibration, slices, pages of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, TypeAlias

import pandas as pd

from cleaner.review.chosen import UNSURE, WORST, Chosen, images_of
from cleaner.review.confusion import confusion, margins, pairs_in, seriated
from cleaner.review.scores import BINS, RATES, Calibration, calibration, per_class
from cleaner.review.slices import KINDS, QUERY, SIZE, SOURCE, Slice, slices
from pipeline.labels import in_words, known
from pipeline.predict import NONE, Outputs
from pipeline.tabs.page import show
from pipeline.tabs.page.viewer import thumbnail
from pipeline.workspace.workspace import Workspace

View: TypeAlias = dict[str, Any]
MOST_CLASSES = 25
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


# --- the matrix ------------------------------------------------------------------------------------------------------


def matrix_view(seen: pd.DataFrame, names: Sequence[str], key: str, counted: pd.DataFrame | None = None) -> View:
    """What the matrix component shows of judged predictions: counts, and the margins of all classes. Of more than
    MOST_CLASSES classes it shows those with most mistakes, with those side by side that are mixed up with one another.

    ``counted``: the confusion matrix of ``seen``, if it is there already.
    """
    if seen.empty:
        return {"key": key, "classes": [], "counts": [], "note": "", "empty": EMPTY}
    counts = (confusion(seen, names) if counted is None else counted).to_numpy()
    kept = list(range(len(names)))
    if len(names) > MOST_CLASSES:
        mistakes = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
        worst = (-mistakes).argsort(kind="stable")[:MOST_CLASSES]
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


# --- classes, calibration, slices ------------------------------------------------------------------------------------


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
    for kind in KINDS:
        rows = [one for one in found if one.kind == kind]
        left_out = len(rows) - MOST_SLICES
        more = f"and {left_out:,} more with a lower error" if left_out > 0 else ""
        groups.append(
            {"kind": kind, "title": SLICE_TITLES[kind], "rows": list(map(_slice, rows[:MOST_SLICES])), "more": more}
        )
    hint = (
        "Marked: the interval lies wholly above the one of all other images, even when both are made wider because so "
        "many rows are looked at."
    )
    empty = "All images of this split are alike in size, source and what was searched for." if len(seen) else EMPTY
    return {"groups": [group for group in groups if group["rows"]], "hint": hint, "empty": empty}


def _slice(one: Slice) -> View:
    interval = f"{100 * one.low:.1f}–{show.percent(one.high)}"
    rate = show.percent(one.error_rate)
    return {"name": one.name, "n": one.n, "errors": one.errors, "rate": rate, "interval": interval, "worse": one.worse}


# --- pictures --------------------------------------------------------------------------------------------------------


def pictures_view(
    workspace: Workspace, seen: pd.DataFrame, page: Page, outputs: Outputs, sources: pd.DataFrame | None = None
) -> View:
    """What a grid of pictures shows: one page of the images that were chosen, of one split's judged predictions."""
    chosen = page.chosen
    known_sources = workspace.store.sources() if sources is None and chosen.kind == "slice" else sources
    found = images_of(seen, chosen, outputs, known_sources if known_sources is not None else pd.DataFrame())
    pages = -(-len(found) // PAGE)
    number = min(max(page.page, 0), max(pages - 1, 0))
    names = dict(zip(seen["id"], seen["source_name"], strict=True))
    rows = [
        {
            **row,
            **{key: in_words(str(row[key])) for key in ("actual", "predicted")},
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
