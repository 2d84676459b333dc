"""One image in large with its story, and where the network looked; for the viewer of any tab that shows images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
import pandas as pd

from cleaner.review.review import SMALLEST_PROBABILITY, probability_of
from cleaner.review.story import prediction_of, story
from pipeline.ask.one import Models
from pipeline.ask.saliency import About
from pipeline.errors import RunError, StoreError
from pipeline.labels import in_words, named
from pipeline.predict import NONE, Unreadable
from pipeline.tabs.page import show
from pipeline.tabs.page.component import View, nonce
from pipeline.tabs.page.job_panel import QUIET
from pipeline.tabs.page.shared import Values, translate
from pipeline.tabs.page.viewer import large, thumbnail
from pipeline.workspace.runs import Run, list_runs
from pipeline.workspace.workspace import Workspace

ANSWERS = 5
DONE = {
    "keep": "kept",
    "remove": "removed",
    "relabel": "relabelled",
    "restore": "restored",
    "set_aside": "set aside",
    "label": "named on a sheet",
    "accept": "named by the model",
}
NO_RUN = "That is told by a run, of the train and valid pictures."
STATUS = {"removed": "removed", "set_aside": "set aside"}


def large_view(workspace: Workspace, run: Run, split: str, image_id: str) -> View:
    """What the viewer shows of one image: large, the run's likeliest classes, and its story.

    Images of the test split are shown only while that ``split`` is open; else the view is empty, as it is for an
    image that is not there.
    """
    if not _may_be_seen(workspace, split, image_id):
        return {"id": "", "nonce": nonce()}
    told = story(workspace, run, image_id)
    picture, trouble = large(workspace, image_id, told["file"])
    said = prediction_of(run, image_id)
    answers = [(name, float(said[f"p:{name}"])) for name in run.classes] if said else []
    return {
        "id": image_id,
        "large": picture,
        "trouble": trouble,
        "title": _title(run, said, told["label"]),
        "answers": sorted(answers, key=lambda answer: -answer[1])[:ANSWERS],
        "facts": [],
        "name": told["name"],
        "looks": said is not None and bool(picture),
        "story": story_view(workspace, told),
        "nonce": nonce(),
    }


def look_view(workspace: Workspace, run: Run, split: str, image_id: str, models: Models) -> View:
    """What the viewer lays over the image it shows: id, heat (a path, or None), words (what it tells, or why not)."""
    if not _may_be_seen(workspace, split, image_id):
        return {"id": "", "heat": None, "words": ""}
    try:
        path, about = models.look_at_image(workspace, run, image_id)
    except (RunError, Unreadable, OSError) as error:
        return {"id": image_id, "heat": None, "words": f"Where the network looked cannot be shown. {error}"}
    return {"id": image_id, "heat": str(path), "words": _told(run, about, prediction_of(run, image_id))}


def story_view(workspace: Workspace, told: View) -> View:
    """A story as the viewer draws it: sources, labels, runs, duplicates, neighbours, each a list of rows."""
    neighbours = [
        {**_tile(workspace, other), "note": f"{show.percent(other['similarity'])} alike"}
        for other in told["neighbours"]
    ]
    size = f"{told['width']} × {told['height']} pixels" if told["width"] else "not opened yet"
    about = [size, f"{told['bytes'] / 1024:,.0f} KB", told["format"], told["split"] and f"{told['split']} split"]
    return {
        "about": ", ".join(str(part) for part in about if part),
        "sources": [_source(source) for source in told["sources"]],
        "labels": _labels(told),
        "runs": [_run_row(row) for row in told["predictions"]],
        "duplicates": [_tile(workspace, other) for other in told["duplicates"]],
        "neighbours": neighbours,
        "no_neighbours": told["no_neighbours"],
    }


def story_alone(workspace: Workspace, image_id: str) -> View:
    """The story of an image where no run is open, as :func:`story_view` draws it, with the newest run's neighbours.

    What runs said of an image of the test split is left out: that split is locked.
    """
    row = workspace.store.image(image_id)
    runs = [] if row["split"] == "test" else list_runs(workspace)
    told = story(workspace, runs[0] if runs else None, image_id)
    return story_view(workspace, told if runs else {**told, "predictions": [], "no_neighbours": NO_RUN})


def wire_viewer(
    seen: gr.HTML,
    sources: Sequence[gr.HTML],
    inputs: set[Any],
    where: Callable[[Values], tuple[Workspace, Run, str]],
    view: Callable[[Values, str], View] | None = None,
) -> None:
    """Let a click on an image of ``sources`` open it in the viewer ``seen``, and let one walk on from there.

    ``where``: the workspace, the run and the split that are open, by the values of ``inputs``; ``view``: what is shown
    of an image, by them and its id (None: :func:`large_view`).
    """
    models = Models(1)

    @translate
    def enlarge(values: Values, event: gr.EventData) -> View:
        image_id = str(event._data["id"])
        return view(values, image_id) if view else large_view(*where(values), image_id)

    @translate
    def look(values: Values, event: gr.EventData) -> Any:
        return gr.HTML(look=look_view(*where(values), str(event._data["id"]), models))

    for source in (*sources, seen):  # of clicks in a row, the last one counts
        source.open(enlarge, inputs, seen, trigger_mode="always_last", **QUIET)
    seen.look(look, inputs, seen, trigger_mode="always_last", **QUIET)


def _may_be_seen(workspace: Workspace, split: str, image_id: str) -> bool:
    try:
        return bool(workspace.store.image(image_id)["split"] != "test" or split == "test")
    except StoreError:
        return False


def _title(run: Run, said: dict[str, str] | None, label: str | None) -> str:
    actual = in_words(label) if label else "without a label"
    if said is None:
        return f"actual {actual}; this run was not asked about it"
    row = pd.DataFrame({f"p:{name}": [float(said[f"p:{name}"])] for name in run.classes})
    likely = float(probability_of(row, pd.Series([label or ""]), run.outputs)[0])
    loss = f", loss {-math.log(max(likely, SMALLEST_PROBABILITY)):.2f}" if label else ""
    return f"actual {actual}, predicted {in_words(said['predicted'])}{loss}"


def _told(run: Run, about: About, said: dict[str, str] | None) -> str:
    words = about.in_words(run.classes)
    answer = {run.classes[number] for number in about.classes} if about.sure else {NONE}
    if said is not None and said["out_of_fold"] == "True" and named(said["predicted"]) != answer:
        words += " It has learnt from this picture since; the answer below is of a head that had not."
    return words


def _source(source: View) -> View:
    facts = [
        ("title", source["title"]),
        ("searched for", source["query"]),
        ("called", source["claimed_label"]),
        ("by", source["creator"]),
        ("licence", source["licence"] or "not stated"),
        ("came", _when(source["at"])),
    ]
    links = [("page", source["page_url"]), ("licence", source["licence_url"])]
    return {
        "title": f"{source['provider']}: {source['name']}",
        "facts": [(name, in_words(str(value))) for name, value in facts if value],
        "links": [(name, address) for name, address in links if address],
    }


def _labels(told: View) -> list[View]:
    first = in_words(told["original_label"]) if told["original_label"] else "no label"
    rows = [{"words": f"came as {first}", "at": _when(told["added_at"]), "undone": False}]
    for decision in told["decisions"]:
        words = DONE.get(decision["action"], decision["action"])
        if decision["before"]["label"] != decision["after"]["label"]:
            words += f": {_label(decision['before'])} → {_label(decision['after'])}"
        rows.append({"words": words, "at": _when(decision["at"]), "undone": decision["undone"]})
    status = STATUS.get(told["status"])
    now = in_words(told["label"]) if told["label"] else "no label"
    return [*rows, {"words": f"today {now}" + (f", {status}" if status else ""), "at": "", "undone": False}]


def _label(state: View) -> str:
    return in_words(state["label"]) if state["label"] else "no label"


def _run_row(row: View) -> View:
    part = {"train": "train, out-of-fold" if row["out_of_fold"] else "train"}.get(row["split"], row["split"])
    right = {True: "right", False: "wrong", None: ""}[row["right"]]
    predicted = None if row["predicted"] is None else in_words(row["predicted"])
    return {**row, "split": part, "predicted": predicted, "right": right}


def _tile(workspace: Workspace, other: View) -> View:
    label = in_words(other["label"]) if other["label"] else "no label"
    notes = (STATUS.get(other["status"]), other["split"])
    return {
        "id": other["id"],
        "thumbnail": thumbnail(workspace, other["id"]),
        "label": label,
        "note": ", ".join(note for note in notes if note),
        "name": other["name"],
    }


def _when(at: str) -> str:
    """A moment (ISO 8601) as its date and minute."""
    return str(at)[:16].replace("T", " ")
