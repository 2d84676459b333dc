"""One training at work: the model, its data, and a step of the optimiser on a batch."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import psutil
import torch

from pipeline.model.frozen_body import WORTH_COMPILING, Body, NotCompiled, compiled, plain, weights_of_body
from pipeline.model.losses import loss_and_error, shares_of
from pipeline.stage import Progress, Stage
from pipeline.train.augment import EVERYTHING
from pipeline.train.config import TrainConfig
from pipeline.train.data import Dataset
from pipeline.train.distributed import Ranks
from pipeline.train.evaluate import Filled, outputs


@dataclass(frozen=True)
class Epoch:
    """One pass over the train split: views of ``size`` (height, width) in pixels; the top ``share`` of layers learn."""

    size: tuple[int, int]
    share: float = 1.0


@dataclass
class Training:
    """What the steps of one training hand to each other. ``targets``: what the dataset's rows show, class numbers [N]
    or, with sigmoid outputs, 0 and 1 [N, C].

    ``best``: the lowest validation loss and the weights that had it. ``out_of_fold``: (positions, probabilities) of
    the train and the valid split. ``spent``: seconds before it was broken off. ``piece``: so many pictures of a batch
    at once, 0 for all; it is halved when memory runs out. ``plan``: the epochs after the head was fitted; ``ranks``:
    the processes that train together, and ``network`` the model as they do. ``scaler``: keeps the gradients of half
    floats in range.
    ``notes``: what happened on the way, for the person and the run; ``decision``: whether fine-tuning paid.
    """

    config: TrainConfig
    dataset: Dataset
    model: Any
    device: str
    targets: torch.Tensor
    started: float = field(default_factory=time.monotonic)
    spent: float = 0.0
    epochs: list[dict[str, Any]] = field(default_factory=list)
    best: tuple[float, dict[str, torch.Tensor]] = (float("inf"), {})
    out_of_fold: list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]] = field(default_factory=list)
    piece: int = 0
    halvings: int = 0
    plan: list[Epoch] = field(default_factory=list)
    ranks: Ranks = field(default_factory=Ranks)
    network: Any = None
    scaler: Any = field(default_factory=lambda: torch.amp.GradScaler("cpu", enabled=False))
    notes: list[str] = field(default_factory=list)
    decision: str = ""
    _compiled: tuple[Any, Body] | None = None

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return self.spent + time.monotonic() - self.started

    @property
    def precision(self) -> torch.dtype:
        """What a CUDA device computes in where that does no harm; with float16, ``scaler`` keeps gradients in range."""
        return torch.float16 if self.scaler.is_enabled() else torch.bfloat16

    @cached_property
    def class_weights(self) -> torch.Tensor:
        """[C]: what a picture of each class counts for. With ``balance`` the classes of the train split count alike."""
        counts = shares_of(self.targets[self.dataset.positions("train")], len(self.dataset.classes)).sum(dim=0)
        if self.config.balance == "none":
            return torch.ones_like(counts)
        return counts.sum() / (len(counts) * counts.clamp_min(1))

    def picture_weights(self, targets: torch.Tensor) -> torch.Tensor:
        """[N]: what each picture counts for, the mean over its classes; 1 where it has none."""
        shares = shares_of(targets, len(self.dataset.classes))
        named = shares.sum(dim=1)
        weighted = shares @ self.class_weights.to(shares.device) / named.clamp_min(1e-9)
        return torch.where(named > 0, weighted, torch.ones_like(weighted))

    def mixes(self, count: int) -> bool:
        """Whether so many pictures of a batch are mixed with one another."""
        return count > 1 and bool(self.config.mixup or self.config.cutmix)

    def load(self, positions: np.ndarray[Any, Any]) -> torch.Tensor:
        """uint8 [N, S, S, 3]: on the device, the pixels that :func:`step` needs of a batch in this process."""
        part = EVERYTHING if self.mixes(len(positions)) else self.ranks.part(len(positions))
        return self.pixels(np.sort(positions)[part])  # sorted: the mapped file is read forwards

    def pixels(self, order: np.ndarray[Any, Any]) -> torch.Tensor:
        """uint8 [N, S, S, 3]: on the device, what the views of these pictures are made of."""
        source = self.dataset.squished if self.config.random_views else self.dataset.exact
        found = torch.from_numpy(source[order])
        return found.pin_memory().to(self.device, non_blocking=True) if self.device == "cuda" else found.to(self.device)

    def body(self, pictures: int) -> Body:
        """What turns pictures into features, with the weights as they are now; so many are to be asked about."""
        if self.device != "cpu" or pictures < WORTH_COMPILING:
            return plain(self.model)
        known = weights_of_body(self.model)
        if self._compiled is None or self._compiled[0] != known:
            self._compiled = known, self._compile()
        return self._compiled[1]

    def _compile(self) -> Body:
        noise = torch.randn(2, 3, *self.dataset.preprocessing.size, generator=torch.Generator().manual_seed(0))
        try:
            return compiled(self.model, noise)
        except NotCompiled as error:
            words = f"Pictures go through the network in torch, which is slower than OpenVINO: {error}."
            if words not in self.notes:
                self.notes.append(words)
            return plain(self.model)


# --- one step ------------------------------------------------------------------------------------------------------


def answers(
    training: Training, positions: np.ndarray[Any, Any], note: str, phase: str, mirrored: bool = False
) -> Stage[tuple[torch.Tensor, torch.Tensor]]:
    """(features [N, F], logits [N, C]) of the pictures at ``positions`` as the deployed model sees them, on the CPU."""
    began, mine = time.monotonic(), positions[training.ranks.part(len(positions))]
    features, logits = Filled(len(mine)), Filled(len(mine))
    body = training.body(len(mine))
    for some_features, some_logits in outputs(
        training.model, training.dataset, mine, training.device, mirrored, body=body
    ):
        features.add(some_features)
        logits.add(some_logits)
        yield progress(logits.done, len(mine), note, phase, began)
    gathered = [training.ranks.gathered(part.rows, len(positions)) for part in (features, logits)]
    return gathered[0], gathered[1]


def progress(done: int, total: int, note: str, phase: str, began: float, before: int = 0, **numbers: float) -> Progress:
    """``done`` of ``total`` images in ``phase``, with pace and time left; ``began`` on the monotonic clock, when
    ``before`` of them were done.
    """
    pace = (done - before) / max(time.monotonic() - began, 1e-9)
    numbers |= {"images_per_second": round(pace, 1), "eta": round(max(0, total - done) / max(pace, 1e-9), 1)}
    numbers["memory_mb"] = psutil.Process().memory_info().rss >> 20
    if torch.cuda.is_available():
        numbers["gpu_memory_mb"] = torch.cuda.max_memory_allocated() >> 20
    return Progress(done, total, note, {"phase": phase, **numbers})


def _end_epoch(
    training: Training, epoch: int, phase: str, train_loss: float, logits: torch.Tensor, seconds: float, **more: Any
) -> Progress:
    """Put the epoch on record, keep the weights where they are the best so far, and say so."""
    held_out = training.targets[training.dataset.positions("valid")]
    valid_loss, wrong = loss_and_error(logits, held_out, training.dataset.outputs)
    row = {"epoch": epoch, "phase": phase, "train_loss": train_loss, "valid_loss": valid_loss, "error_rate": wrong}
    training.epochs.append({**row, "seconds": round(seconds, 2), **more})
    if valid_loss < training.best[0]:
        training.best = (valid_loss, copy.deepcopy(training.model.state_dict()))
    words = f"Epoch {epoch}: {100 * wrong:.1f} % of the valid split wrong"
    return Progress(epoch, len(training.plan), words, {"phase": phase, "epoch": training.epochs[-1]})
