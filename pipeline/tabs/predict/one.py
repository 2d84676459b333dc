"""Asking a run about one picture: the answer, the nearest pictures it learnt from, and where it looked."""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pipeline.ask.many import loaded
from pipeline.ask.neighbours import nearest
from pipeline.ask.saliency import heat, look
from pipeline.bounded import LastUsed, forget_old
from pipeline.errors import RunError, UsageError
from pipeline.images.in_workers import Batch, see_one
from pipeline.labels import in_words
from pipeline.predict import CONFIG, Classifier, Prediction, Unreadable, forward, normalise, open_image
from pipeline.tabs.page.component import View, nonce
from pipeline.tabs.page.show import percent
from pipeline.tabs.page.viewer import large, thumbnail
from pipeline.workspace.runs import Run, load_run
from pipeline.workspace.workspace import Workspace, writing

MODELS_KEPT = 2
KEEP_SECONDS = 86_400


class Models:
    """The classifiers of the last few runs that were asked, so that a second picture is answered at once."""

    def __init__(self, size: int = MODELS_KEPT) -> None:
        self._kept: LastUsed[Path, Classifier] = LastUsed(size)
        self.looking = threading.Lock()  # a look changes the network for a moment

    def get(self, run: Run) -> Classifier:
        """The classifier of ``run``. Raises RunError where its files were changed."""
        return self._kept.get_or(run.folder, lambda: loaded(run.folder))


def about(run: Run) -> Mapping[str, Any]:
    """The config.json of a run (not checked: for showing), with ``valid``, how many pictures its valid split has."""
    try:
        info: dict[str, Any] = json.loads((run.folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        info = {}  # asking it will say what is wrong
    return {**info, "valid": run.record.get("counts", {}).get("valid", 0)}


def one(
    models: Models, workspace: Workspace, run_id: str | None, picture: str | None, tta: bool = False
) -> Prediction | None:
    """What a run (None: the newest) says about a picture; None without one. Raises UsageError if it is no picture."""
    run = load_run(workspace, run_id or None)
    if picture is None:
        return None
    classifier = models.get(run)
    return classifier.answers(_seen(classifier, picture)[None], tta)[0]


def _seen(classifier: Classifier, picture: str, large_file: Path | None = None) -> Batch:
    try:
        return see_one(picture, classifier.preprocessing, large_file)
    except Unreadable as trouble:
        raise UsageError(f"This picture cannot be read. {trouble}") from trouble


def closer(models: Models, workspace: Workspace, run_id: str | None, picture: str | None) -> View:
    """What is shown below the answer: id, large (a re-encoded copy of the picture), neighbours: id, thumbnail, label,
    note, name of each, and none: why there are none. An empty id without a picture.
    """
    if picture is None:
        return {"id": "", "nonce": nonce()}
    run = load_run(workspace, run_id or None)
    classifier, image_id = models.get(run), _id(picture)
    forget_old((workspace.thumbnails / "asked").glob("*"), KEEP_SECONDS)
    shown = _place(workspace, image_id, "jpg")
    batch = torch.from_numpy(_seen(classifier, picture, shown)[None])
    with torch.inference_mode():
        features = forward(classifier.model, normalise(batch.to(classifier.device), classifier.preprocessing))[0]
    found = nearest(workspace, run, features[0].float().cpu().numpy())
    tiles = [
        {
            **{"id": other.id, "label": in_words(other.label), "name": other.name},
            **{"thumbnail": thumbnail(workspace, other.id), "note": f"{percent(max(other.similarity, 0.0))} alike"},
        }
        for other in found
    ]
    none = "" if tiles else "This run kept no features to compare with. The next training will."
    return {"id": image_id, "large": str(shown), "neighbours": tiles, "none": none, "nonce": nonce()}


def look_at(models: Models, workspace: Workspace, run_id: str | None, picture: str | None, image_id: str) -> View:
    """What is laid over the picture: id, heat (a path, or None), words (what it tells, or why there is none)."""
    if picture is None or image_id != _id(picture):
        return {"id": "", "heat": None, "words": ""}
    run = load_run(workspace, run_id or None)
    classifier = models.get(run)
    _seen(classifier, picture)  # it can be opened, and that costs no more than it may
    target = _place(workspace, f"{image_id}-{uuid.uuid4().hex[:8]}", "png")
    try:
        with models.looking:
            values, told = look(classifier, open_image(picture))
    except (RunError, Unreadable, OSError) as error:
        return {"id": image_id, "heat": None, "words": f"Where the network looked cannot be shown. {error}"}
    with writing(target, durable=False) as part:
        heat(values).save(part, "PNG")
    return {"id": image_id, "heat": str(target), "words": told.in_words(run.classes)}


def neighbour_view(workspace: Workspace, image_id: str) -> View:
    """What the viewer shows of a picture of the train split; nothing of another."""
    row = workspace.store.image(image_id)
    if row["split"] != "train":
        return {"id": "", "nonce": nonce()}
    picture, trouble = large(workspace, image_id, str(row["file"]))
    label = in_words(str(row["label"])) if row["label"] else "no label"
    return {
        **{"id": image_id, "large": picture, "trouble": trouble, "title": f"{label}, a picture it learnt from"},
        **{"answers": [], "facts": [("size", f"{row['width']} × {row['height']} pixels")]},
        **{"name": str(row["source_name"] or row["file"]).rsplit("/", 1)[-1], "nonce": nonce()},
    }


def _id(picture: str) -> str:
    with Path(picture).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _place(workspace: Workspace, name: str, ending: str) -> Path:
    return workspace.thumbnails / "asked" / f"{name}.{ending}"
