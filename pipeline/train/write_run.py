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
from pipeline.train.baselines import baselines, by_heart
from pipeline.train.data import Dataset
from pipeline.train.engine import Engine
from pipeline.train.evaluate import baseline_error_rate, errors_on, predictions_table
from pipeline.train.history import TrainingHistory
from pipeline.train.new_scenes import SERIES
from pipeline.train.set_on import Mask, apart
from pipeline.train.task import Task
from pipeline.workspace.database import now
from pipeline.workspace.records import Decision
from pipeline.workspace.runs import (
    OUT_OF_FOLD,
    PREDICTIONS,
    Run,
    new_run_id,
    write_features,
    write_model,
    write_record,
)
from pipeline.workspace.workspace import Workspace, writing

FAMILIAR_WHEN_STOPPED = 50


def write_run(
    workspace: Workspace, task: Task, engine: Engine, history: TrainingHistory, complete: bool = True
) -> Stage[Run]:
    """Ask the best model about every picture, and write the run: whole or not at all.

    Where the training was stopped (not ``complete``), what is familiar is learnt from some of the train split only.
    """
    dataset = task.dataset
    held_out, train = dataset.positions("valid", "test"), dataset.positions("train")
    features, logits = yield from engine.answers(dataset, held_out, "Testing", "evaluate")
    if not complete:
        labels = dataset.rows["label"].iloc[train].reset_index(drop=True)
        train = train[(labels.groupby(labels).cumcount() < FAMILIAR_WHEN_STOPPED).to_numpy()]
    seen, _ = yield from engine.answers(dataset, train, "Learning what is familiar", "evaluate")
    chosen, set_on = apart(list(dataset.rows["split"]), *task.known_scenes(np.arange(len(dataset.rows))))
    outputs, probabilities, thresholds = _calibrated(dataset, task.targets, held_out, logits, chosen[held_out])
    own = predictions_table(dataset, held_out, probabilities, outputs, out_of_fold=False)
    folds = [predictions_table(dataset, *fold, outputs, out_of_fold=True) for fold in history.out_of_fold]
    unseen = pd.concat([own.head(0), *folds], ignore_index=True)
    predictions = pd.concat([unseen[unseen["split"] == "train"], own], ignore_index=True)
    asked = np.concatenate([train, held_out])
    features, rows = torch.cat([seen, features]), dataset.rows.iloc[asked]
    del seen
    strange = dict(zip(rows["id"], strangeness(features, [str(group) for group in rows["group"]]), strict=True))
    predictions.insert(7, "strangeness", predictions["id"].map(strange).fillna(0.0))
    shown, (scenes, by) = task.targets[asked], task.known_scenes(asked)
    told = [None] * len(asked) if by == SERIES else scenes  # series are only looks: nobody and no file tells them
    familiar = learn(features[: len(train)], shown[: len(train)], len(dataset.classes))
    familiar, unfamiliar = limit(familiar, features, shown, list(rows["split"]), told)
    record = _record(task, history, predictions, complete)
    record |= {"outputs": asdict(outputs), "thresholds": thresholds, "baselines": baselines(features, rows)}
    record["set_on"] = {**record.get("set_on", {}), "temperature": set_on}
    if thresholds:
        record["set_on"]["thresholds"] = set_on
    record |= learnt_from(workspace, dataset.rows, time.monotonic() - history.started)
    record = engine.ranks.said(json.loads(json.dumps(record)))  # as it will be read
    folder = workspace.runs / record["id"]
    if not engine.ranks.first:
        engine.ranks.wait()
        return Run(folder, record)
    workspace.sweep()
    with writing(folder) as part:
        part.mkdir()
        write_model(part, engine.model, _info(task, engine.model, record, unfamiliar), familiar)
        predictions.to_csv(part / PREDICTIONS, index=False)
        unseen.to_csv(part / OUT_OF_FOLD, index=False)
        write_features(part, rows["id"], features)
        record = write_record(part, record)
    engine.ranks.wait()
    return Run(folder, record)


def _calibrated(
    dataset: Dataset, targets: torch.Tensor, positions: np.ndarray[Any, Any], logits: torch.Tensor, chosen: Mask
) -> tuple[Outputs, Floats, list[dict[str, Any]]]:
    """What logits [N, C] of the pictures at ``positions`` mean: the outputs with the temperature that fits the
    ``chosen`` ones [N] of the valid split, the probabilities, and how thresholds were chosen on those (with sigmoid
    outputs).
    """
    rows, valid = dataset.rows.iloc[positions], np.flatnonzero(chosen)
    fitted = fit_temperature(logits[valid], targets[positions[valid]], dataset.outputs)
    outputs = replace(dataset.outputs, temperature=fitted)
    probabilities: Floats = outputs.probabilities(logits).numpy()
    if outputs.kind == "softmax":
        return outputs, probabilities, []
    flags = as_flags(rows["label"].iloc[valid], dataset.classes)
    found = choose(flags, probabilities[valid], dataset.classes)
    outputs = replace(outputs, thresholds=tuple(one.threshold for one in found))
    return outputs, probabilities, [asdict(one) for one in found]


def _info(task: Task, model: Any, record: dict[str, Any], unfamiliar: dict[str, Any]) -> dict[str, Any]:
    """What config.json says of the model: what timm reads, then what predict.py needs besides."""
    config, dataset = task.config, task.dataset
    return {
        "architecture": backbones.resolve(config.backbone).partition(".")[0],
        "num_classes": len(dataset.classes),
        "label_names": list(dataset.classes),
        "model_args": backbones.sized(config.backbone, config.image_size, config.image_width),
        "pretrained_cfg": backbones.described(config.backbone, dataset.preprocessing, len(dataset.classes)),
        "members": len(getattr(model, "members", [0])),
        "outputs": record["outputs"],
        "preprocessing": dataset.preprocessing.to_json(),
        "tta": list(views_to_ask(config.random_views, dataset.preprocessing.size)),
        "unfamiliar": unfamiliar,
        "run": record["id"],
        "data_version": record["data_version"],
    }


def _record(task: Task, history: TrainingHistory, predictions: pd.DataFrame, complete: bool) -> dict[str, Any]:
    dataset = task.dataset

    def on(split: str) -> dict[str, Any]:
        return {**errors_on(predictions, split), "baseline_error_rate": baseline_error_rate(dataset, split)}

    best = min(history.epochs, key=lambda epoch: epoch["valid_loss"])
    return {
        "id": new_run_id(),
        "created": now(),
        "config": {**asdict(task.config), "sizes": list(task.config.sizes)},
        "classes": list(dataset.classes),
        "counts": {name: int((dataset.rows["split"] == name).sum()) for name in ("train", "valid", "test")},
        "epochs": history.epochs,
        "best_epoch": best["epoch"],
        "valid": on("valid"),
        "test": on("test"),
        **history.held_out,
        "device": task.device,
        "seconds": round(history.seconds, 1),
        "complete": complete,
        "notes": [*history.notes, *filter(None, [by_heart(history.epochs)])],
        "decision": history.decision,
    }


# --- Which data a run was trained on: a version of the images, labels and splits, and the decisions made until then


def learnt_from(workspace: Workspace, rows: pd.DataFrame, seconds: float) -> dict[str, Any]:
    """{data_version, decisions} of a run on ``rows`` (:func:`data_version`) that were read ``seconds`` ago."""
    read = datetime.now(UTC) - timedelta(seconds=seconds)
    return {"data_version": data_version(rows), "decisions": standing(workspace.store.journal.decisions(), read)}


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
