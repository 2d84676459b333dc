"""TrainConfig; fine-tune a backbone: the head on cached features, then all layers; write a run."""

from __future__ import annotations

import copy
import getpass
import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from timm.optim import create_optimizer_v2

from pipeline import backbones
from pipeline.augment import PRESETS, augment
from pipeline.data import Dataset, batches, load_dataset
from pipeline.database import now
from pipeline.errors import TrainingError, UsageError
from pipeline.evaluate import baseline_error_rate, error_rate, loss_and_error, outputs, predictions_table
from pipeline.head import fit_head, out_of_fold
from pipeline.predict import Preprocessing, distances, forward, normalise
from pipeline.runs import MANIFEST, PREDICTIONS, Run, new_run_id, write_model
from pipeline.split import assign_splits
from pipeline.stage import Progress, Stage, one_at_a_time
from pipeline.verify import verify
from pipeline.workspace import Workspace, writing

FALSE_ALARMS = 0.05


@dataclass(frozen=True)
class TrainConfig:
    """What to train and how; saved with the run.

    ``epochs`` counts the passes with all layers, after the head was fitted on the frozen body (0 = head alone).
    ``image_size`` in pixels (0 = the backbone's own). ``resize``: squish, crop or pad. ``base_lr``: the highest rate
    of the head; each layer group below gets ``layer_decay`` times the one above. ``augmentation``: photo, top-down,
    text or none. ``device``: auto, cpu, cuda or mps.
    """

    backbone: str = backbones.DEFAULT
    epochs: int = 3
    image_size: int = 0
    resize: str = "crop"
    batch_size: int = 32
    base_lr: float = 3e-5
    layer_decay: float = 0.75
    weight_decay: float = 0.05
    label_smoothing: float = 0.0
    augmentation: str = "photo"
    seed: int = 0
    device: str = "auto"
    note: str = ""

    def __post_init__(self) -> None:
        checks = (
            (self.epochs >= 0, "--epochs is 0 or more."),
            (
                self.image_size == 0 or 32 <= self.image_size <= 1024,
                "--image-size is from 32 to 1024 (0: the backbone's).",
            ),
            (self.resize in ("squish", "crop", "pad"), "--resize is squish, crop or pad."),
            (2 <= self.batch_size <= 4096, "--batch-size is from 2 to 4096."),
            (0 < self.base_lr <= 1, "--base-lr is above 0 and at most 1."),
            (self.augmentation in PRESETS, f"--augmentation is one of {', '.join(PRESETS)}."),
            (self.device in ("auto", "cpu", "cuda", "mps"), "--device is auto, cpu, cuda or mps."),
        )
        for holds, rule in checks:
            if not holds:
                raise UsageError(rule)


@dataclass
class Training:
    """What the steps of one training hand to each other. ``targets`` [N]: the class numbers of the dataset's rows."""

    config: TrainConfig
    dataset: Dataset
    model: Any
    device: str
    targets: torch.Tensor
    started: float = field(default_factory=time.monotonic)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    best: tuple[float, dict[str, torch.Tensor]] = (float("inf"), {})
    out_of_fold: list[pd.DataFrame] = field(default_factory=list)


def train(workspace: Workspace, config: TrainConfig | None = None) -> Stage[Run]:
    """Fine-tune on the workspace's pictures and return the run. One training at a time runs on a machine."""
    return (yield from one_at_a_time(training_lock(), _train(workspace, config or TrainConfig())))


def training_lock() -> Path:
    """The file that a training of this person on this machine holds."""
    try:
        who = getpass.getuser()
    except (KeyError, OSError):  # a container's user often has a number and no name
        who = str(os.getuid())
    return Path(tempfile.gettempdir()) / f"winnow-training-{who}.lock"


def _train(workspace: Workspace, config: TrainConfig) -> Stage[Run]:
    training = yield from prepare(workspace, config)
    yield from _fit_head(training)
    yield from _fit_all_layers(training)
    training.model.load_state_dict(training.best[1])
    return (yield from _finish(workspace, training))


def prepare(workspace: Workspace, config: TrainConfig) -> Stage[Training]:
    """The pictures decoded, the pretrained backbone with a fresh head on the device. New images are verified first."""
    if len(workspace.store.images("new")):
        yield from verify(workspace)
    assign_splits(workspace)
    device = choose_device(config.device)
    torch.manual_seed(config.seed)
    body = backbones.create(config.backbone, 2)  # says at once what is wrong with the name or the network
    dataset = yield from load_dataset(workspace, preprocessing_for(body, config))
    body.reset_classifier(len(dataset.classes))
    model = body.to(device).to(memory_format=torch.channels_last)
    return Training(config, dataset, model, device, torch.tensor(dataset.rows["target"].to_numpy(dtype=int)))


def choose_device(wanted: str) -> str:
    """``auto`` becomes the best device there is; a device that is not there is a UsageError."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if there[name])
    if not there[wanted]:
        raise UsageError(f"There is no {wanted} device on this machine; use --device cpu.")
    return wanted


def preprocessing_for(model: Any, config: TrainConfig) -> Preprocessing:
    """The preprocessing of a timm model, at the configured size and way of resizing."""
    cfg = model.pretrained_cfg
    height, width = (config.image_size, config.image_size) if config.image_size else cfg["input_size"][1:]
    return Preprocessing((height, width), config.resize, tuple(cfg["mean"]), tuple(cfg["std"]))


# --- the head, with the body frozen ---------------------------------------------------------------------------------


def _fit_head(training: Training) -> Stage[None]:
    """Fit the head on features of the train split, as they are and mirrored; then the same out of fold."""
    began = time.monotonic()
    dataset = training.dataset
    train, valid = dataset.positions("train"), dataset.positions("valid")
    plain = yield from _features(training, train, "Reading features")
    views = [plain]
    if (preset := PRESETS[training.config.augmentation]) and preset.flip:
        views.append((yield from _features(training, train, "Reading mirrored features", mirrored=True)))
    targets = training.targets[train]
    head = fit_head(torch.cat(views), targets.repeat(len(views)), len(dataset.classes))
    classifier = training.model.get_classifier()
    with torch.no_grad():
        classifier.weight.copy_(head.weight)
        classifier.bias.copy_(head.bias)
    train_loss, _ = loss_and_error(head(plain), targets)
    held_out = yield from _features(training, valid, "Reading features")
    yield _end_epoch(training, 0, "head", train_loss, head(held_out), time.monotonic() - began)
    groups = [str(group) for group in dataset.rows["group"].iloc[train]]
    for positions, logits in out_of_fold(plain, targets, groups, len(dataset.classes)):
        probabilities = logits.softmax(dim=1).numpy()
        training.out_of_fold.append(predictions_table(dataset, train[positions], probabilities, out_of_fold=True))


def _features(
    training: Training, positions: np.ndarray[Any, Any], note: str, mirrored: bool = False
) -> Stage[torch.Tensor]:
    began, parts, done = time.monotonic(), [], 0
    for features, _ in outputs(training.model, training.dataset, positions, training.device, mirrored):
        parts.append(features)
        done += len(features)
        yield _progress(done, len(positions), note, "features", began)
    return torch.cat(parts)


def _end_epoch(
    training: Training, epoch: int, phase: str, train_loss: float, logits: torch.Tensor, seconds: float
) -> Progress:
    """Put the epoch on record, keep the weights where they are the best so far, and say so."""
    valid_loss, wrong = loss_and_error(logits, training.targets[training.dataset.positions("valid")])
    row = {"epoch": epoch, "phase": phase, "train_loss": train_loss, "valid_loss": valid_loss, "error_rate": wrong}
    training.epochs.append({**row, "seconds": round(seconds, 2)})
    if valid_loss < training.best[0]:
        training.best = (valid_loss, copy.deepcopy(training.model.state_dict()))
    words = f"Epoch {epoch}: {100 * wrong:.1f} % of the valid split wrong"
    return Progress(epoch, training.config.epochs, words, {"phase": phase, "epoch": training.epochs[-1]})


# --- all layers ------------------------------------------------------------------------------------------------


def _fit_all_layers(training: Training) -> Stage[None]:
    """One-cycle AdamW over all layers (Smith 2018), lower layers at lower rates (ULMFiT's discriminative rates)."""
    config, dataset = training.config, training.dataset
    train, valid = dataset.positions("train"), dataset.positions("valid")
    steps = len(list(batches(train, config.batch_size)))
    if config.epochs == 0:
        return
    optimizer, schedule = _optimizer(training.model, config, steps)
    shuffle = np.random.default_rng(config.seed)
    views = torch.Generator().manual_seed(config.seed)
    run_began, done = time.monotonic(), 0
    for epoch in range(1, config.epochs + 1):
        began, losses = time.monotonic(), []
        train_mode(training.model)
        for positions in batches(shuffle.permutation(train), config.batch_size):
            losses.append(step(training, positions, optimizer, views))
            schedule.step()
            done += 1
            numbers = {"loss": losses[-1], "lr": schedule.get_last_lr()[-1], "step": done}
            seen, all_of_them = done * config.batch_size, steps * config.epochs * config.batch_size
            yield _progress(seen, all_of_them, f"Epoch {epoch} of {config.epochs}", "all", run_began, **numbers)
        logits = torch.cat([logits for _, logits in outputs(training.model, dataset, valid, training.device)])
        yield _end_epoch(training, epoch, "all", float(np.mean(losses)), logits, time.monotonic() - began)


def train_mode(model: Any) -> None:
    """Training mode, but for batch norm: its statistics stay those of the pretrained body, which the head was fitted
    to. (With batch statistics the head of the starter set goes from 1 % to 64 % wrong before the first step.)
    """
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()


def new_optimizer(model: Any, config: TrainConfig) -> Any:
    """AdamW; the rate of each parameter group is to be ``lr`` times its ``lr_scale``."""
    return create_optimizer_v2(
        model, "adamw", lr=config.base_lr, weight_decay=config.weight_decay, layer_decay=config.layer_decay
    )


def _optimizer(model: Any, config: TrainConfig, steps: int) -> tuple[Any, Any]:
    optimizer = new_optimizer(model, config)
    rates = [config.base_lr * group.get("lr_scale", 1.0) for group in optimizer.param_groups]
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rates, total_steps=steps * config.epochs + 1, pct_start=0.3, div_factor=5, final_div_factor=1e4
    )
    return optimizer, schedule


def step(training: Training, positions: np.ndarray[Any, Any], optimizer: Any, views: torch.Generator) -> float:
    """One optimiser step on a batch; returns its loss. Raises TrainingError when the loss is not a number."""
    dataset, config, device = training.dataset, training.config, training.device
    preset = PRESETS[config.augmentation]
    order = np.sort(positions)  # reads the memory-mapped file forwards
    targets = training.targets[order].to(device)
    if preset is None:
        inputs = normalise(torch.from_numpy(dataset.exact[order]).to(device), dataset.preprocessing)
    else:
        batch = torch.from_numpy(dataset.squished[order]).to(device)
        inputs = augment(batch, torch.from_numpy(dataset.aspect[order]), preset, dataset.preprocessing, views)
    with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
        logits = forward(training.model, inputs)[1]
        loss = torch.nn.functional.cross_entropy(logits, targets, label_smoothing=config.label_smoothing)
    if not torch.isfinite(loss):
        raise TrainingError(f"The loss is no longer a number. Train again with a lower rate than {config.base_lr:g}.")
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(training.model.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def _progress(done: int, total: int, note: str, phase: str, began: float, **numbers: float) -> Progress:
    pace = done / max(time.monotonic() - began, 1e-9)
    numbers |= {"images_per_second": round(pace, 1), "eta": round(max(0, total - done) / max(pace, 1e-9), 1)}
    return Progress(done, total, note, {"phase": phase, **numbers})


# --- the run ---------------------------------------------------------------------------------------------------


def _finish(workspace: Workspace, training: Training) -> Stage[Run]:
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
        yield _progress(done, len(positions), note, "evaluate", began)
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
