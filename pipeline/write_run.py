"""A trained model -> a run: the model is asked about every picture, and all of it is written, whole or not at all."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import torch

from pipeline.database import now
from pipeline.evaluate import baseline_error_rate, error_rate, outputs, predictions_table
from pipeline.predict import distances
from pipeline.runs import MANIFEST, PREDICTIONS, Run, new_run_id, write_model
from pipeline.stage import Stage
from pipeline.training import Training, progress
from pipeline.workspace import Workspace, writing

FALSE_ALARMS = 0.05


def write_run(workspace: Workspace, training: Training) -> Stage[Run]:
    """Ask the best model about every picture, and write the run: whole or not at all."""
    dataset = training.dataset
    held_out, train = dataset.positions("valid", "test"), dataset.positions("train")
    features, logits = yield from _answers(training, held_out, "Testing")
    seen, _ = yield from _answers(training, train, "Learning what is familiar")
    own = predictions_table(dataset, held_out, logits.softmax(dim=1).numpy(), out_of_fold=False)
    predictions = pd.concat([*training.out_of_fold, own], ignore_index=True)
    centroids = torch.stack([seen[training.targets[train] == c].mean(dim=0) for c in range(len(dataset.classes))])
    threshold = float(torch.quantile(distances(features, centroids), 1 - FALSE_ALARMS))
    record = _record(training, predictions)
    folder = workspace.runs / record["id"]
    with writing(folder) as part:
        part.mkdir()
        write_model(part, training.model, _info(training, record["id"], threshold), centroids)
        predictions.to_csv(part / PREDICTIONS, index=False)
        with writing(part / MANIFEST) as manifest:
            manifest.write_text(json.dumps(record, indent=2, ensure_ascii=False), encoding="utf-8")
    return Run(folder, record)


def _answers(
    training: Training, positions: np.ndarray[Any, Any], note: str
) -> Stage[tuple[torch.Tensor, torch.Tensor]]:
    began, features, logits, done = time.monotonic(), [], [], 0
    for some_features, some_logits in outputs(training.model, training.dataset, positions, training.device):
        features.append(some_features)
        logits.append(some_logits)
        done += len(some_logits)
        yield progress(done, len(positions), note, "evaluate", began)
    return torch.cat(features), torch.cat(logits)


def _info(training: Training, run_id: str, threshold: float) -> dict[str, Any]:
    return {
        "architecture": training.config.backbone,
        "classes": list(training.dataset.classes),
        "preprocessing": training.dataset.preprocessing.to_json(),
        "unfamiliar": {"threshold": threshold, "false_alarm_rate": FALSE_ALARMS},
        "run": run_id,
    }


def _record(training: Training, predictions: pd.DataFrame) -> dict[str, Any]:
    dataset = training.dataset

    def on(split: str) -> dict[str, Any]:
        return {**error_rate(predictions, split), "baseline_error_rate": baseline_error_rate(dataset, split)}

    best = min(training.epochs, key=lambda epoch: epoch["valid_loss"])
    return {
        "id": new_run_id(),
        "created": now(),
        "config": asdict(training.config),
        "classes": list(dataset.classes),
        "counts": {name: int((dataset.rows["split"] == name).sum()) for name in ("train", "valid", "test")},
        "epochs": training.epochs,
        "best_epoch": best["epoch"],
        "valid": on("valid"),
        "test": on("test"),
        "device": training.device,
        "seconds": round(time.monotonic() - training.started, 1),
    }
