"""A trained model -> a run: the model is asked about every picture, and all of it is written, whole or not at all."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import torch

from pipeline import backbones
from pipeline.augment import views_to_ask
from pipeline.database import now
from pipeline.evaluate import baseline_error_rate, error_rate, predictions_table
from pipeline.predict import distances
from pipeline.runs import MANIFEST, PREDICTIONS, Run, new_run_id, write_model
from pipeline.stage import Stage
from pipeline.training import Training, answers
from pipeline.workspace import Workspace, writing

FALSE_ALARMS = 0.05
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
    own = predictions_table(dataset, held_out, logits.softmax(dim=1).numpy(), out_of_fold=False)
    folds = (predictions_table(dataset, *fold, out_of_fold=True) for fold in training.out_of_fold)
    predictions = pd.concat([*folds, own], ignore_index=True)
    centroids = torch.stack([seen[training.targets[train] == c].mean(dim=0) for c in range(len(dataset.classes))])
    threshold = float(torch.quantile(distances(features, centroids), 1 - FALSE_ALARMS))
    record = training.ranks.said(_record(training, predictions, complete))
    folder = workspace.runs / record["id"]
    if not training.ranks.first:
        training.ranks.wait()
        return Run(folder, record)
    with writing(folder) as part:
        part.mkdir()
        write_model(part, training.model, _info(training, record["id"], threshold), centroids)
        predictions.to_csv(part / PREDICTIONS, index=False)
        with writing(part / MANIFEST) as manifest:
            manifest.write_text(json.dumps(record, indent=2, ensure_ascii=False), encoding="utf-8")
    training.ranks.wait()
    return Run(folder, record)


def _some_of_each_class(training: Training, positions: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    numbers = pd.Series(training.targets[positions].numpy())
    some: np.ndarray[Any, Any] = positions[(numbers.groupby(numbers).cumcount() < FAMILIAR_WHEN_STOPPED).to_numpy()]
    return some


def _info(training: Training, run_id: str, threshold: float) -> dict[str, Any]:
    return {
        "architecture": backbones.resolve(training.config.backbone),
        "model_arguments": backbones.sized(
            training.config.backbone, training.config.image_size, training.config.image_width
        ),
        "classes": list(training.dataset.classes),
        "preprocessing": training.dataset.preprocessing.to_json(),
        "tta": list(views_to_ask(training.config.augmentation, training.dataset.preprocessing.size)),
        "unfamiliar": {"threshold": threshold, "false_alarm_rate": FALSE_ALARMS},
        "run": run_id,
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
