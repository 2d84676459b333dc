"""A workspace with real small pictures and a run made by hand: what the cleaner reads, without training."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from pipeline.images.decode import save_thumbnail
from pipeline.train.evaluate import errors_on
from pipeline.train.train import TrainConfig
from pipeline.workspace.database import now
from pipeline.workspace.runs import MANIFEST, PREDICTIONS, Run
from pipeline.workspace.store import NewImage, Verdict
from pipeline.workspace.workspace import Workspace, writing

CLASSES = ("ant", "bee", "cat")


@dataclass(frozen=True)
class Shot:
    """One picture and what the run is to say of it: ``answer`` holds one probability a class."""

    name: str
    label: str
    split: str
    answer: tuple[float, ...]
    group: str | None = None


def workspace_with(root: Path, shots: Sequence[Shot], pictures: bool = True) -> tuple[Workspace, dict[str, str]]:
    """The workspace of ``shots`` with their files, verified and split; and the id of each by its name."""
    workspace = Workspace.create(root)
    ids: dict[str, str] = {}
    new = []
    for number, shot in enumerate(shots):
        image = picture(shot.name, number)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=80)
        data = buffer.getvalue()
        ids[shot.name] = image_id = hashlib.sha256(data).hexdigest()
        file = f"{image_id[:2]}/{image_id}.jpg"
        if pictures:
            (workspace.images / file).parent.mkdir(parents=True, exist_ok=True)
            (workspace.images / file).write_bytes(data)
            save_thumbnail(image, workspace.thumbnail(image_id))
        new.append(NewImage(image_id, file, len(data), shot.label, "folder", f"{shot.label}/{shot.name}.jpg"))
    workspace.store.add_images(new)
    workspace.store.record_verdicts([Verdict(image, "ok", "ok", "", 320, 240, "JPEG") for image in ids.values()])
    workspace.store.set_groups({ids[shot.name]: ids.get(shot.group or "", ids[shot.name]) for shot in shots})
    workspace.store.set_splits({ids[shot.name]: shot.split for shot in shots})
    return workspace, ids


def picture(name: str, number: int) -> Image.Image:
    """A picture that a person can tell from the others: a gradient of its own, with its name on it."""
    hue = np.array([(97 * number) % 256, (151 * number + 80) % 256, (211 * number + 160) % 256])
    ramp = np.linspace(0.5, 1.0, 320)[None, :, None] * np.linspace(1.0, 0.7, 240)[:, None, None]
    image = Image.fromarray((ramp * hue).astype(np.uint8))
    ImageDraw.Draw(image).text((16, 100), name, fill="white", font_size=36)
    return image


def run_with(
    workspace: Workspace,
    ids: Mapping[str, str],
    shots: Sequence[Shot],
    classes: Sequence[str] = CLASSES,
    name: str = "run-a",
) -> Run:
    """A run whose predictions are the shots' answers, written as the trainer writes them (without weights)."""
    answers = np.array([shot.answer for shot in shots], dtype=float).reshape(len(shots), len(classes))
    own = np.array([answers[i, classes.index(shot.label)] for i, shot in enumerate(shots)])
    table = pd.DataFrame(
        {
            "id": [ids[shot.name] for shot in shots],
            "split": [shot.split for shot in shots],
            "label": [shot.label for shot in shots],
            "predicted": [classes[i] for i in answers.argmax(axis=1)],
            "probability": answers.max(axis=1),
            "loss": -np.log(np.maximum(own, 1e-12)),
            "out_of_fold": [shot.split == "train" for shot in shots],
        }
    )
    table = pd.concat([table, pd.DataFrame(answers, columns=[f"p:{name}" for name in classes])], axis=1)
    record = {
        "id": name,
        "created": now(),
        "config": asdict(TrainConfig(epochs=0)),
        "classes": list(classes),
        "epochs": [],
        "valid": {**errors_on(table, "valid"), "baseline_error_rate": 0.6},
        "test": {**errors_on(table, "test"), "baseline_error_rate": 0.6},
        "seconds": 0.0,
    }
    with writing(workspace.runs / name) as part:
        part.mkdir()
        table.to_csv(part / PREDICTIONS, index=False)
        (part / MANIFEST).write_text(json.dumps(record), encoding="utf-8")
    return Run(workspace.runs / name, record)
