"""Fine-tuning: the head on cached features of the frozen body, then more layers; after each epoch the best is kept."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import torch
from timm.models import group_parameters
from timm.optim import create_optimizer_v2

from pipeline.model.head import Head, fit_head
from pipeline.model.losses import loss_and_error, shares_of
from pipeline.model.out_of_fold import out_of_fold
from pipeline.predict import ensemble
from pipeline.stage import Progress, Stage, run
from pipeline.train.checkpoints import Checkpoints
from pipeline.train.config import Augmentation, TrainConfig
from pipeline.train.data import Dataset, ahead, batches
from pipeline.train.engine import Engine, Filled, progress
from pipeline.train.history import TrainingHistory
from pipeline.train.new_scenes import measure
from pipeline.train.plan import Epoch, Schedule, decided, plan, stops
from pipeline.train.set_on import kept_together
from pipeline.train.task import Task

# --- the head ------------------------------------------------------------------------------------------------------


def fit_the_head(task: Task, engine: Engine, history: TrainingHistory) -> Stage[None]:
    """Fit the head on features of the train split: as they are, then with them mirrored, then with random views; of
    these heads the best is kept. Then out of fold: the train and the valid split for what comes after, and all
    pictures for how a model does on scenes it did not learn from.
    """
    began, config, dataset = time.monotonic(), task.config, task.dataset
    train, valid = dataset.positions("train"), dataset.positions("valid")
    targets, classes = task.targets[train], len(dataset.classes)
    weights = task.picture_weights(targets) if config.balance != "none" else None
    views = [(yield from _features(engine, dataset, train))]
    held_out = yield from _features(engine, dataset, valid)
    head: Head | None = None
    for number in range(config.freeze_epochs):
        if number:
            chance = torch.Generator().manual_seed(config.seed + number)
            views.append((yield from _features_of_view(engine, dataset, train, number, config.random_views, chance)))
        head = fit_head(views, targets, classes, weights=weights)
        measured = loss_and_error(head(held_out), task.targets[valid], dataset.outputs)
        if measured[0] >= history.best[0]:
            wrong = f"{100 * measured[1]:.1f} % of the valid split wrong"
            yield Progress(0, 0, f"Not better with {len(views)} views of each picture: {wrong}", {"phase": "head"})
            continue
        classifier = engine.model.get_classifier()
        with torch.no_grad():
            classifier.weight.copy_(head.weight)
            classifier.bias.copy_(head.bias)
        train_loss, _ = loss_and_error(head(views[0]), targets, dataset.outputs)
        history.epochs.clear()
        history.end_epoch(0, "head", train_loss, measured, engine.model, time.monotonic() - began, views=len(views))
        yield history.told(0)
    both, features = np.concatenate([train, valid]), torch.cat([views[0], held_out])
    del views, held_out
    groups = [str(group) for group in dataset.rows["group"].iloc[both]]
    scenes, by = task.known_scenes(both)
    shows = shares_of(task.targets[both], classes).numpy() > 0
    together, told = kept_together(groups, scenes, shows, by)
    for positions, likely in out_of_fold(features, task.targets[both], together, classes):
        history.out_of_fold.append((both[positions], likely))
    yield Progress(0, 0, "Measuring on scenes that were held out", {"phase": "scenes"})
    test = dataset.positions("test")
    everything = np.concatenate([both, test])
    if len(test):
        features = torch.cat([features, (yield from _features(engine, dataset, test))])
    groups += [str(group) for group in dataset.rows["group"].iloc[test]]
    known, by = task.known_scenes(everything)
    of_scenes = measure(features, task.targets[everything], dataset.outputs, classes, groups, known, by, head)
    history.held_out = {**asdict(of_scenes), "set_on": {"out_of_fold": told}}


def _features(
    engine: Engine, dataset: Dataset, positions: np.ndarray[Any, Any], mirrored: bool = False
) -> Stage[torch.Tensor]:
    note = "Reading mirrored features" if mirrored else "Reading features"
    features, _ = yield from engine.answers(dataset, positions, note, "features", mirrored)
    return features


def _features_of_view(
    engine: Engine,
    dataset: Dataset,
    positions: np.ndarray[Any, Any],
    number: int,
    augmentation: Augmentation | None,
    chance: torch.Generator,
) -> Stage[torch.Tensor]:
    """Features of the pictures in one view: number 1 mirrored where that may be, then random ones."""
    if augmentation is None:
        return (yield from _features(engine, dataset, positions))
    if number == 1 and augmentation.flip:
        return (yield from _features(engine, dataset, positions, mirrored=True))
    began, found = time.monotonic(), Filled(len(positions))
    engine.model.eval()
    body = engine.body(dataset.preprocessing.size, len(positions))
    for some in batches(positions, engine.batch_size):
        part = engine.ranks.part(len(some))
        with torch.inference_mode():
            loaded = dataset.load(some[part], augmentation, engine.device)
            features = body(dataset.random_views(loaded, some, augmentation, chance, part=part))
        found.add(engine.ranks.gathered(features.float().cpu(), len(some)))
        yield progress(found.done, len(positions), "Reading features of random views", "features", began)
    return found.rows


# --- more layers ---------------------------------------------------------------------------------------------------


def fine_tune(
    task: Task,
    engine: Engine,
    history: TrainingHistory,
    checkpoints: Checkpoints,
    state: Mapping[str, Any] | None = None,
) -> Stage[None]:
    """The epochs of the plan: lower layers at lower rates (ULMFiT's discriminative rates), the best one kept.

    Each epoch ends with a checkpoint; where ``state`` is one, it goes on from there.
    """
    taken_up = state if state and state.get("loop") is not None else None
    if taken_up:
        planned = [Epoch(tuple(epoch["size"]), epoch["share"]) for epoch in taken_up["plan"]]
    else:
        planned = plan(task, engine, history)
    if planned:
        yield from _epochs(task, engine, history, planned, checkpoints, taken_up)
    history.decision = decided(history)
    yield Progress(len(planned), len(planned), history.decision, {"phase": "decided"})


def _epochs(
    task: Task,
    engine: Engine,
    history: TrainingHistory,
    planned: Sequence[Epoch],
    checkpoints: Checkpoints,
    taken_up: Mapping[str, Any] | None,
) -> Stage[None]:
    config, dataset, first = task.config, task.dataset, 1
    steps = len(list(batches(dataset.positions("train"), config.batch_size)))
    schedule = Schedule.of(config, steps * len(planned), steps)
    engine.begin(new_optimizer(engine.model, config), config.seed, config.ema, taken_up["loop"] if taken_up else None)
    if taken_up:
        first = int(taken_up["epoch"]) + 1
        yield Progress(first - 1, len(planned), f"Going on after epoch {first - 1}, as that was written down")
    pace = (time.monotonic(), first - 1)
    for number in range(first, len(planned) + 1):
        if stopped := stops(history, config.patience, config.layers == "auto"):
            history.notes.append(stopped)
            break
        began = time.monotonic()
        train_loss = yield from _epoch(task, engine, planned, number, schedule, pace)
        with engine.averaged():
            measured = _validated(engine, dataset, task.targets)
            seconds, size = time.monotonic() - began, list(planned[number - 1].size)
            history.end_epoch(number, "all", train_loss, measured, engine.model, seconds, size=size)
        if engine.ranks.first:
            shown = [asdict(epoch) for epoch in planned]
            checkpoints.save({"epoch": number, **history.state(), **engine.state(), "plan": shown})
        yield history.told(len(planned))
    if len(engine.snapshots) > 1:
        began, before, best = time.monotonic(), engine.model, history.best[0]
        engine.model = _all_snapshots(engine, config.snapshots)
        measured, train_loss = _validated(engine, dataset, task.targets), float(history.epochs[-1]["train_loss"])
        seconds = time.monotonic() - began
        history.end_epoch(len(planned) + 1, config.snapshots, train_loss, measured, engine.model, seconds)
        if history.best[0] == best:
            engine.model = before
        yield history.told(len(planned))


def _epoch(
    task: Task,
    engine: Engine,
    planned: Sequence[Epoch],
    number: int,
    schedule: Schedule,
    pace: tuple[float, int],
) -> Stage[float]:
    """One pass over the train split, the one of that ``number`` (from 1); returns the mean loss. ``pace``: a time, and
    the epochs that were done by then.
    """
    config, train, size, losses = task.config, task.dataset.positions("train"), planned[number - 1].size, list[float]()
    ends = {end for _, end in schedule.cycles()} if config.snapshots != "none" else ()
    train_mode(engine.model)
    open_layers(engine.model, planned[number - 1].share)
    engine.network = engine.ranks.network(engine.model)
    if config.balance == "sampling":  # every class is as likely as the others
        weights = task.picture_weights(task.targets[train]).double().numpy()
        order = engine.shuffle.choice(train, len(train), p=weights / weights.sum())
    else:
        order = engine.shuffle.permutation(train)
    drawn = batches(order, config.batch_size)
    for positions, loaded in ahead(drawn, partial(task.load, ranks=engine.ranks)):
        told, rate = len(engine.notes), config.base_lr * schedule.factor(engine.done)
        set_rates(engine.optimizer, rate, schedule.momentum(engine.done))
        losses.append(engine.step(task.batch(positions, loaded, engine.ranks, engine.views, size)))
        if engine.done in ends:
            engine.snapshots.append(copy.deepcopy(engine.model.state_dict()))
        note = " ".join(engine.notes[told:]) or f"Epoch {number} of {len(planned)}"
        seen = (number - 1) * len(train) + min(len(losses) * config.batch_size, len(train))
        numbers = {"loss": losses[-1], "lr": rate, "step": engine.done}
        yield progress(seen, len(planned) * len(train), note, "all", pace[0], pace[1] * len(train), **numbers)
    return float(np.mean(losses))


def _validated(engine: Engine, dataset: Dataset, targets: torch.Tensor) -> tuple[float, float]:
    """(loss, share of wrong answers) on the valid split. How far that is, is not told: an epoch is, with it."""
    valid = dataset.positions("valid")
    _, logits = run(engine.answers(dataset, valid, "Validating", "validate"))
    return loss_and_error(logits, targets[valid], dataset.outputs)


def _all_snapshots(engine: Engine, way: str) -> Any:
    """The network with the mean of the weights at the ends of the cycles (Izmailov et al. 2018), or an ensemble of
    these networks (Huang et al. 2017).
    """
    if way == "ensemble":
        members = [copy.deepcopy(engine.model) for _ in engine.snapshots]
        for member, state in zip(members, engine.snapshots, strict=True):
            member.load_state_dict(state)
        return ensemble(members, engine.outputs)
    weights = dict(engine.snapshots[-1])  # what is no weight (a counter) is as it was last
    for name in [name for name, last in weights.items() if last.is_floating_point()]:
        weights[name] = torch.stack([state[name] for state in engine.snapshots]).mean(dim=0)
    engine.model.load_state_dict(weights)
    return engine.model


# --- layers and their rates ----------------------------------------------------------------------------------------


def train_mode(model: Any) -> None:
    """Training mode, but for batch norm: its statistics stay those of the pretrained body, which the head was fitted
    to. (With batch statistics the head of the starter set goes from 1 % to 64 % wrong before the first step.)
    """
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()


def open_layers(model: Any, share: float) -> None:
    """Let only the top ``share`` (0 to 1] of the layers learn, by timm's layer groups; the head is one of them."""
    layers = group_parameters(model, model.group_matcher(coarse=False), reverse=True)
    highest = max(layers.values())
    lowest = min(highest, round((1 - share) * (highest + 1)))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(layers.get(name, highest) >= lowest)


def new_optimizer(model: Any, config: TrainConfig) -> Any:
    """The optimiser over all parameters; the rate of each parameter group is to be ``lr`` times its ``lr_scale``."""
    return create_optimizer_v2(
        model,
        config.optimizer,
        lr=config.base_lr,
        weight_decay=config.weight_decay,
        layer_decay=config.layer_decay,
        fused=True,
    )


def set_rates(optimizer: Any, rate: float, momentum: float | None = None) -> None:
    """``rate`` for the head, its share for each layer group below; and the momentum (Adam's first beta)."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("lr_scale", 1.0)
        if momentum is not None and "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        elif momentum is not None and "momentum" in group:
            group["momentum"] = momentum
