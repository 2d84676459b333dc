"""A trained model -> a run: the model is asked about every picture, and all of it is written, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import torch

from pipeline.labels import Floats, as_flags
from pipeline.model import backbones
from pipeline.model.calibrate import choose, fit_temperature
from pipeline.model.familiar import learn, limit
from pipeline.model.out_of_fold import strangeness
from pipeline.predict import SEVERAL, Outputs
from pipeline.stage import Stage
from pipeline.train.augment import views_to_ask
from pipeline.train.data import Dataset
from pipeline.train.evaluate import baseline_error_rate, error_rate, predictions_table
from pipeline.train.state import Training, answers
from pipeline.workspace.database import now
from pipeline.workspace.records import Decision
from pipeline.workspace.runs import MANIFEST, OUT_OF_FOLD, PREDICTIONS, Run, new_run_id, write_features, write_model
from pipeline.workspace.workspace import Workspace, writing

FAMILIAR_WHEN_STOPPED = 50


def write_run(workspace: Workspace, training: Training, complete: bool = True) -> Stage[Run]:
    """Ask the best model about every picture, and write the run: whole or not at all.

    Where the training was stopped (not ``complete``), what is familiar is learnt from some of the train split only.
    """
    dataset = training.dataset
    held_out, train = dataset.positions("valid", "test"), dataset.positions("train")
    features, logits = yield from answers(training, held_out, "Testing", "evaluate")
    if not complete:
        train = _some_of_each_class(training, train)
    seen, _ = yield from answers(training, train, "Learning what is familiar", "evaluate")
    outputs = _with_temperature(training, held_out, logits)
    probabilities = outputs.probabilities(logits).numpy()
    outputs, thresholds = _with_thresholds(dataset, outputs, held_out, probabilities)
    own = predictions_table(dataset, held_out, probabilities, outputs, out_of_fold=False)
    folds = [predictions_table(dataset, *fold, outputs, out_of_fold=True) for fold in training.out_of_fold]
    unseen = pd.concat([own.head(0), *folds], ignore_index=True)
    predictions = pd.concat([unseen[unseen["split"] == "train"], own], ignore_index=True)
    features, rows = torch.cat([seen, features]), dataset.rows.iloc[np.concatenate([train, held_out])]
    del seen
    strange = dict(zip(rows["id"], strangeness(features, [str(group) for group in rows["group"]]), strict=True))
    predictions.insert(7, "strangeness", predictions["id"].map(strange).fillna(0.0))
    familiar = learn(features[: len(train)])
    unfamiliar = limit(familiar, *(features[np.flatnonzero(rows["split"] == split)] for split in ("valid", "test")))
    record = {**_record(training, predictions, complete), "outputs": asdict(outputs), "thresholds": thresholds}
    record |= learnt_from(workspace, dataset.rows, time.monotonic() - training.started)
    record = training.ranks.said(json.loads(json.dumps(record)))  # as it will be read
    folder = workspace.runs / record["id"]
    if not training.ranks.first:
        training.ranks.wait()
        return Run(folder, record)
    with writing(folder) as part:
        part.mkdir()
        write_model(part, training.model, _info(training, record, unfamiliar, outputs), familiar)
        predictions.to_csv(part / PREDICTIONS, index=False)
        unseen.to_csv(part / OUT_OF_FOLD, index=False)
        write_features(part, rows["id"], features)
        with writing(part / MANIFEST) as manifest:
            manifest.write_text(json.dumps(record, indent=2, ensure_ascii=False), encoding="utf-8")
    training.ranks.wait()
    return Run(folder, record)


def _some_of_each_class(training: Training, positions: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    numbers = training.dataset.rows["label"].iloc[positions].reset_index(drop=True)
    some: np.ndarray[Any, Any] = positions[(numbers.groupby(numbers).cumcount() < FAMILIAR_WHEN_STOPPED).to_numpy()]
    return some


def _with_temperature(training: Training, positions: np.ndarray[Any, Any], logits: torch.Tensor) -> Outputs:
    """The outputs with the temperature that fits the valid split, among the pictures at ``positions``."""
    dataset = training.dataset
    valid = np.flatnonzero(dataset.rows["split"].iloc[positions] == "valid")
    fitted = fit_temperature(logits[valid], training.targets[positions[valid]], dataset.outputs)
    return replace(dataset.outputs, temperature=fitted)


def _with_thresholds(
    dataset: Dataset, outputs: Outputs, positions: np.ndarray[Any, Any], probabilities: Floats
) -> tuple[Outputs, list[dict[str, Any]]]:
    """The outputs with thresholds chosen on the valid split, and how they were chosen; neither with softmax."""
    if outputs.kind == "softmax":
        return outputs, []
    rows = dataset.rows.iloc[positions]
    valid = (rows["split"] == "valid").to_numpy()
    found = choose(as_flags(rows["label"][valid], dataset.classes), probabilities[valid], dataset.classes)
    thresholds = tuple(one.threshold for one in found)
    return replace(outputs, thresholds=thresholds), [asdict(one) for one in found]


def _info(training: Training, record: dict[str, Any], unfamiliar: dict[str, Any], outputs: Outputs) -> dict[str, Any]:
    """What config.json says of the model: what timm reads, then what predict.py needs besides."""
    config, dataset = training.config, training.dataset
    return {
        "architecture": backbones.resolve(config.backbone).partition(".")[0],
        "num_classes": len(dataset.classes),
        "label_names": list(dataset.classes),
        "model_args": backbones.sized(config.backbone, config.image_size, config.image_width),
        "pretrained_cfg": backbones.described(config.backbone, dataset.preprocessing, len(dataset.classes)),
        "members": len(getattr(training.model, "members", [0])),
        "outputs": asdict(outputs),
        "preprocessing": dataset.preprocessing.to_json(),
        "tta": list(views_to_ask(config.random_views, dataset.preprocessing.size)),
        "unfamiliar": unfamiliar,
        "run": record["id"],
        "data_version": record["data_version"],
    }


def _record(training: Training, predictions: pd.DataFrame, complete: bool) -> dict[str, Any]:
    dataset = training.dataset

    def on(split: str) -> dict[str, Any]:
        return {**error_rate(predictions, split), "baseline_error_rate": baseline_error_rate(dataset, split)}

    best = min(training.epochs, key=lambda epoch: epoch["valid_loss"])
    return {
        "id": new_run_id(),
        "created": now(),
        "config": {**asdict(training.config), "sizes": list(training.config.sizes)},
        "classes": list(dataset.classes),
        "counts": {name: int((dataset.rows["split"] == name).sum()) for name in ("train", "valid", "test")},
        "epochs": training.epochs,
        "best_epoch": best["epoch"],
        "valid": on("valid"),
        "test": on("test"),
        "device": training.device,
        "seconds": round(training.seconds, 1),
        "complete": complete,
        "notes": training.notes,
        "decision": training.decision,
    }


# --- Which data a run was trained on: a version of the images, labels and splits, and the decisions made until then


def learnt_from(workspace: Workspace, rows: pd.DataFrame, seconds: float) -> dict[str, Any]:
    """{data_version, decisions} of a run on ``rows`` (:func:`data_version`) that were read ``seconds`` ago."""
    read = datetime.now(UTC) - timedelta(seconds=seconds)
    return {"data_version": data_version(rows), "decisions": standing(workspace.store.decisions(), read)}


def data_version(rows: pd.DataFrame) -> str:
    """64 hex digits that change when an image comes or goes, or gets another label or split; not with the order.

    ``rows``: id, label (several joined by ``|``, in any order), split of every image that is trained or judged on.
    """
    lines = (
        "\t".join((str(image), SEVERAL.join(sorted(str(label).split(SEVERAL))), str(split)))
        for image, label, split in zip(rows["id"], rows["label"], rows["split"], strict=True)
    )
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def standing(journal: Iterable[Decision], until: datetime) -> int:
    """How many decisions of the journal were made until then and are not undone."""
    return sum(not decision.undone and datetime.fromisoformat(decision.at) <= until for decision in journal)
