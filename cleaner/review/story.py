"""The story of one image: where it came from, its labels, what every run said of it, its duplicates and neighbours."""

from __future__ import annotations

import csv
import mmap
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from pipeline.ask.neighbours import similarity
from pipeline.errors import RunError
from pipeline.workspace.records import IN_USE
from pipeline.workspace.runs import PREDICTIONS, Run, list_runs
from pipeline.workspace.workspace import Workspace

NEIGHBOURS = 6
NO_FEATURES = "This run kept no features. The next training will, and then the pictures most like this one are shown."
Row: TypeAlias = dict[str, Any]


def story(workspace: Workspace, run: Run | None, image_id: str) -> Row:
    """Everything there is to know about an image, as plain data (JSON can hold it):

    id, file, label, split, status, reason, group, width, height, format, bytes, added_at;
    sources: provider, name, page_url (None unless http or https), licence, licence_url, query, title, creator,
    claimed_label, at of each place it came from; original_label, and decisions: action, before, after (labels and
    status), at, undone of each, oldest first; predictions: run, name, split, predicted, probability, right (by the
    label of today; None without one), out_of_fold, current, trouble (why its predictions cannot be read: all else is
    None then) of each run that was asked about it, newest first;
    duplicates: id, label, split, status, name of the other images of its group; neighbours: the same and similarity
    (cosine, -1 to 1) of the NEIGHBOURS images in use that look most alike to ``run``, and why there are none.

    Neighbours are of other duplicate groups; those of an image that is not of the test split are not either. Raises
    StoreError for an unknown image.
    """
    images = workspace.store.images().set_index("id", drop=False)
    row = {str(key): _plain(value) for key, value in workspace.store.image(image_id).items()}
    neighbours, why = _neighbours(run, images, image_id)
    same = images[(images["group"] == row["group"]) & (images["id"] != image_id)]  # nothing equals a group of None
    return {
        **{key: row[key] for key in ("id", "file", "label", "original_label", "split", "status", "reason", "group")},
        **{key: row[key] for key in ("width", "height", "format", "bytes", "added_at")},
        "name": _name(row),
        "sources": _sources(workspace, image_id),
        "decisions": _decisions(workspace, image_id),
        "predictions": [*_predictions(workspace, run, image_id, row["label"])],
        "duplicates": [_other(one) for one in same.to_dict("records")],
        "neighbours": neighbours,
        "no_neighbours": why,
    }


def _sources(workspace: Workspace, image_id: str) -> list[Row]:
    table = workspace.store.sources(image_id)
    keys = (
        "provider",
        "name",
        "page_url",
        "licence",
        "licence_url",
        "query",
        "title",
        "creator",
        "claimed_label",
        "at",
    )
    plain = [{key: _plain(row[key]) for key in keys} for row in table.to_dict("records")]
    return [{**row, "page_url": _link(row["page_url"]), "licence_url": _link(row["licence_url"])} for row in plain]


def _link(address: str | None) -> str | None:
    """The address, if following it opens a web page and nothing else."""
    try:
        parts = urlsplit(address or "")
    except ValueError:
        return None
    return address if parts.scheme in ("http", "https") and parts.netloc else None


def _decisions(workspace: Workspace, image_id: str) -> list[Row]:
    return [
        {
            "action": decision.action,
            "before": {"label": "|".join(decision.before.labels) or None, "status": decision.before.status},
            "after": {"label": "|".join(decision.after.labels) or None, "status": decision.after.status},
            "at": decision.at,
            "undone": decision.undone,
        }
        for decision in workspace.store.journal.decisions()
        if decision.image == image_id
    ]


def _predictions(workspace: Workspace, current: Run | None, image_id: str, label: str | None) -> Iterable[Row]:
    for run in list_runs(workspace):
        about = {"run": run.id, "name": run.name, "current": current is not None and run.id == current.id}
        try:
            said = prediction_of(run, image_id)
        except RunError as error:
            yield {**about, **dict.fromkeys(("split", "predicted", "probability", "right", "out_of_fold"))} | {
                "trouble": str(error)
            }
            continue
        if said is not None:
            yield {
                **about,
                "split": said["split"],
                "predicted": said["predicted"],
                "probability": float(said["probability"]),
                "right": None if label is None else said["predicted"] == label,
                "out_of_fold": said["out_of_fold"] == "True",
                "trouble": "",
            }


def prediction_of(run: Run, image_id: str) -> dict[str, str] | None:
    """The image's row of the run's predictions, as text, without reading the others; None where it has none."""
    try:
        run.check(PREDICTIONS)
        with (
            (run.folder / PREDICTIONS).open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text,
        ):
            place = text.find(f"\n{image_id},".encode())
            if place < 0:
                return None
            text.seek(0)
            lines = [text.readline().decode()]
            text.seek(place + 1)
            lines.append(text.readline().decode())
        names, values = csv.reader(lines)
        return dict(zip(names, values, strict=True))
    except (OSError, ValueError) as error:
        raise RunError(f"The predictions of run {run.id} cannot be read ({error}). Train again.") from error


def _neighbours(run: Run | None, images: pd.DataFrame, image_id: str) -> tuple[list[Row], str]:
    kept = None if run is None else run.features()
    if kept is None:
        return [], NO_FEATURES
    ids, features = kept
    known = images.reindex(ids)
    if image_id not in ids:
        return [], "This run was not asked about this image."
    place = ids.index(image_id)
    here = known.iloc[place]
    fair = known["status"].isin(IN_USE) & (known["label"].notna()) & (known["id"] != image_id)
    fair &= known["group"].isna() | (known["group"] != here["group"])
    if here["split"] != "test":
        fair &= known["split"] != "test"
    places = np.flatnonzero(fair.to_numpy(dtype=bool))
    alike = similarity(features, features[place])[places]
    nearest = places[np.argsort(-alike, kind="stable")[:NEIGHBOURS]]
    found = zip(known.iloc[nearest].to_dict("records"), np.sort(alike)[::-1].tolist(), strict=False)
    rows = [{**_other(row), "similarity": round(value, 4)} for row, value in found]
    return rows, "" if rows else "There is no other image to compare it with."


def _other(row: Mapping[Any, Any]) -> Row:
    return {**{key: _plain(row[key]) for key in ("id", "label", "split", "status")}, "name": _name(row)}


def _name(row: Mapping[Any, Any]) -> str:
    """What the place it came from calls it, or else its file."""
    return str(_plain(row["source_name"]) or row["file"]).rstrip("/").split("/")[-1]


def _plain(value: Any) -> Any:
    """A cell of a table as JSON can hold it: whole numbers whole, nothing as None."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return int(value)
    return value.item() if isinstance(value, np.generic) else value
