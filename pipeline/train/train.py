"""Fine-tune a backbone on the workspace's pictures, head first, then all layers; the result is a run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from pipeline.errors import UsageError
from pipeline.images.opening import about_scales, opening_of
from pipeline.jobs.turns import lock_of_this_person, one_at_a_time
from pipeline.model import backbones
from pipeline.model.losses import targets_of
from pipeline.predict import Preprocessing
from pipeline.stage import Stage, run
from pipeline.train.checkpoints import Checkpoints
from pipeline.train.config import TrainConfig
from pipeline.train.data import check_classes, load_dataset, usable_rows
from pipeline.train.distributed import Ranks, joined
from pipeline.train.engine import Engine
from pipeline.train.fine_tune import fine_tune, fit_the_head
from pipeline.train.history import TrainingHistory
from pipeline.train.task import Task
from pipeline.train.write_run import write_run
from pipeline.verify.scenes import known_scenes
from pipeline.verify.split import assign_splits
from pipeline.verify.verify import verify
from pipeline.workspace.runs import Run
from pipeline.workspace.workspace import Workspace

__all__ = ["TrainConfig", "train"]
# Pictures of a batch that go through the network at once; their gradients add up to the batch's. What they leave for
# the way back is nearly all of a training's memory (tf_efficientnet_lite0 at 224 px: 80 MiB each), and so few of it
# stay in the processor's caches. A GPU wants the whole batch.
PIECE_ON_CPU = 8


def train(workspace: Workspace, config: TrainConfig | None = None) -> Stage[Run]:
    """Fine-tune on the workspace's pictures and return the run. One training at a time runs on a machine; under
    torchrun, its processes train one run together.

    >>> trained = w.run(w.train(ws, w.TrainConfig(layers="head", image_size=64)))
    >>> trained.classes, sorted(trained.test)
    (('apple', 'melon', 'pear'), ['baseline_error_rate', 'error_rate', 'high', 'low', 'n'])
    """
    config, ranks = config or TrainConfig(), Ranks.of_this_process()
    with joined(ranks, choose_device(config.device)):
        trained = _train(workspace, config, ranks)
        if ranks.first:
            yield from check_first(workspace, config)
            trained = one_at_a_time(training_lock(), trained, workspace.owner)
        return (yield from trained)


def training_lock() -> Path:
    """The file that a training of this person on this machine holds."""
    return lock_of_this_person("training", os.environ)


def check_first(workspace: Workspace, config: TrainConfig) -> Stage[None]:
    """Check new images and give splits, so that a training that cannot succeed is refused before it waits for its turn.

    Raises NotEnoughData, UsageError and BackboneError as the training would.
    """
    choose_device(config.device)
    backbones.check_known(config.backbone, config.weights)
    waiting = workspace.store.images()
    check_classes(waiting[waiting["status"].isin(["new", "ok"])], config.head)
    if (waiting["status"] == "new").any():
        yield from verify(workspace)
    assign_splits(workspace)
    usable_rows(workspace, config.head)


def _train(workspace: Workspace, config: TrainConfig, ranks: Ranks) -> Stage[Run]:
    if not ranks.first:
        ranks.wait()  # until the pictures are decoded
    task, engine = yield from prepare(workspace, config)
    history, engine.ranks = TrainingHistory(engine.notes), ranks
    if ranks.first:
        ranks.wait()
    checkpoints = Checkpoints.of(workspace, task.identity)
    try:
        if ranks.first:
            checkpoints.make_room()
        state = checkpoints.load()
        ranks.wait()  # until all have read it
        if state:
            history.restore(state)
            engine.restore(state)
        else:
            yield from fit_the_head(task, engine, history)
            if ranks.first:
                checkpoints.save({"epoch": 0, **history.state(), **engine.state()})
        yield from fine_tune(task, engine, history, checkpoints, state)
    except (GeneratorExit, KeyboardInterrupt):
        # Somebody stopped it: the best model so far becomes a run, as quickly as may be. The checkpoint stays.
        if history.best[1] and ranks.world == 1:
            history.notes.append(f"Stopped after epoch {history.epochs[-1]['epoch']} of {config.epochs}.")
            engine.model.load_state_dict(history.best[1])
            run(write_run(workspace, task, engine, history, complete=False))
        raise
    engine.model.load_state_dict(history.best[1])
    finished = yield from write_run(workspace, task, engine, history)
    if ranks.first:
        checkpoints.remove()
    return finished


def prepare(workspace: Workspace, config: TrainConfig) -> Stage[tuple[Task, Engine]]:
    """The pictures decoded, and the pretrained backbone with a fresh head on the device. New images are verified first.

    What the person should know of how the pictures are kept is the first of the engine's notes.
    """
    yield from check_first(workspace, config)  # again: pictures may have come or gone while it waited
    device = choose_device(config.device)
    torch.manual_seed(config.seed)
    # The backbone first: it says at once what is wrong with the name or the network.
    arguments = backbones.sized(config.backbone, config.image_size, config.image_width)
    dropping = {name: rate for name in ("drop_rate", "drop_path_rate") if (rate := getattr(config, name))}
    body = backbones.create(config.backbone, 2, {**arguments, **dropping}, config.weights)
    preprocessing = replace(preprocessing_for(body.pretrained_cfg, config), opening=opening_of(workspace))
    dataset = yield from load_dataset(workspace, preprocessing, config.presize, config.head)
    body.reset_classifier(len(dataset.classes))
    model = body.to(device).to(memory_format=torch.channels_last)
    targets = targets_of([str(label) for label in dataset.rows["label"]], dataset.classes, dataset.outputs)
    half = device == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False)
    engine = Engine(
        model,
        device,
        dataset.outputs,
        config.batch_size,
        config.label_smoothing,
        config.clip,
        torch.amp.GradScaler(device, enabled=half),
        piece=PIECE_ON_CPU if device == "cpu" else 0,
        notes=[note for note in (dataset.note, about_scales(workspace)) if note],
    )
    return Task(config, dataset, targets, device, known_scenes(workspace)), engine


def choose_device(wanted: str) -> str:
    """``auto`` becomes the best device there is; a device that is not there is a UsageError."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if there[name])
    if not there[wanted]:
        raise UsageError(f"There is no {wanted} device on this machine; use --device cpu.")
    return wanted


def preprocessing_for(cfg: Mapping[str, Any], config: TrainConfig) -> Preprocessing:
    """The preprocessing of a timm model (``cfg``: its pretrained_cfg), at the configured size and way of resizing."""
    height, width = backbones.input_size(cfg["input_size"], config.image_size, config.image_width)
    mean, std = tuple(cfg["mean"]), tuple(cfg["std"])
    return Preprocessing((height, width), config.resize, mean, std, padding=config.padding)
