"""A network at work: it answers pictures, and learns from a batch of them, one step of the optimiser at a time."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psutil
import torch
from timm.utils import ModelEmaV3

from pipeline.errors import TrainingError
from pipeline.model.frozen_body import WORTH_COMPILING, Body, NotCompiled, compiled, plain, weights_of_body
from pipeline.model.losses import losses_of
from pipeline.predict import Outputs, normalise
from pipeline.stage import Progress, Stage
from pipeline.train.data import Dataset
from pipeline.train.distributed import Ranks
from pipeline.train.task import Batch

# How often the pieces of a batch are halved when memory runs out.
HALVINGS = 5


@dataclass
class Engine:
    """What learns: a network on its ``device``, its optimiser, and all that changes from one step to the next.

    ``outputs``: what the network says. ``batch_size``: pictures a step; ``piece``: so many of them at once, 0 for all;
    it is halved when memory runs out. ``label_smoothing``, ``clip``: as in TrainConfig. ``scaler``: keeps the gradients
    of half floats in range. ``ranks``: the processes that train together, and ``network`` the model as they do.
    ``notes``: what happened to it, for the person and the run.

    From :meth:`begin` on: the ``optimizer``, the steps that are ``done``, what draws the order of the pictures
    (``shuffle``) and their ``views``, the ``average`` of the weights (None: there is none), and the weights at the ends
    of the cycles, where they are wanted (``snapshots``).
    """

    model: Any
    device: str
    outputs: Outputs
    batch_size: int
    label_smoothing: float = 0.0
    clip: float = 0.0
    scaler: Any = field(default_factory=lambda: torch.amp.GradScaler("cpu", enabled=False))
    notes: list[str] = field(default_factory=list)
    ranks: Ranks = field(default_factory=Ranks)
    network: Any = None
    piece: int = 0
    halvings: int = 0
    optimizer: Any = None
    done: int = 0
    shuffle: np.random.Generator = field(default_factory=np.random.default_rng)
    views: torch.Generator = field(default_factory=torch.Generator)
    average: Any = None
    snapshots: list[dict[str, torch.Tensor]] = field(default_factory=list)
    _compiled: tuple[Any, Body] | None = None

    # --- answering -----------------------------------------------------------------------------------------------

    def answers(
        self, dataset: Dataset, positions: np.ndarray[Any, Any], note: str, phase: str, mirrored: bool = False
    ) -> Stage[tuple[torch.Tensor, torch.Tensor]]:
        """(features [N, F], logits [N, C]) of the pictures at ``positions`` as the deployed model sees them, on the
        CPU.
        """
        began, mine = time.monotonic(), positions[self.ranks.part(len(positions))]
        features, logits = Filled(len(mine)), Filled(len(mine))
        body = self.body(dataset.preprocessing.size, len(mine))
        for both in features_and_logits(self.model, dataset, mine, self.device, mirrored, body=body):
            features.add(both[0])
            logits.add(both[1])
            yield progress(logits.done, len(mine), note, phase, began)
        gathered = [self.ranks.gathered(part.rows, len(positions)) for part in (features, logits)]
        return gathered[0], gathered[1]

    def body(self, size: tuple[int, int], pictures: int) -> Body:
        """What turns pictures of that ``size`` (height, width) into features, with the weights as they are now; so many
        are to be asked about.
        """
        if self.device != "cpu" or pictures < WORTH_COMPILING:
            return plain(self.model)
        known = weights_of_body(self.model)
        if self._compiled is None or self._compiled[0] != known:
            self._compiled = None  # never two at once
            noise = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
            try:
                self._compiled = known, compiled(self.model, noise)
            except NotCompiled as error:
                words = f"Pictures go through the network in torch, which is slower than OpenVINO: {error}."
                if words not in self.notes:
                    self.notes.append(words)
                self._compiled = known, plain(self.model)
        return self._compiled[1]

    # --- learning ------------------------------------------------------------------------------------------------

    def begin(self, optimizer: Any, seed: int, ema: float = 0.0, taken_up: Mapping[str, Any] | None = None) -> None:
        """Get ready for the first step, with an average of the weights where ``ema``, its decay, is not 0.

        ``taken_up``: what a checkpoint holds under ``loop``; it goes on from there.
        """
        self.optimizer, self.done, self.snapshots = optimizer, 0, []
        self.shuffle, self.views = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
        np.random.seed(seed % 2**32)
        self.average = ModelEmaV3(self.model, decay=ema, use_warmup=True) if ema else None
        if taken_up:
            self._restore_loop(taken_up)

    def step(self, batch: Batch) -> float:
        """One optimiser step on a batch; returns its loss. Raises TrainingError when the loss is not a number.

        Where memory runs out, the batch goes through in smaller pieces whose gradients add up to the same step; after
        HALVINGS of that, or with one picture a piece, it is a TrainingError.
        """
        while True:
            try:
                loss = self._accumulate(batch)
                break
            except (RuntimeError, MemoryError) as error:
                words = str(error)
                memory = isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "DefaultCPUAllocator" in words
                if not memory:
                    raise
                self.optimizer.zero_grad(set_to_none=True)
                self._halve(len(batch.inputs), error)
        self.scaler.unscale_(self.optimizer)
        if self.clip:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.done += 1
        if self.average:
            self.average.update(self.model, self.done)
        return loss

    def _accumulate(self, batch: Batch) -> float:
        """The gradients of the loss over the whole batch, piece by piece; returns that loss."""
        self._compiled = None  # of weights that are others after this
        network = self.network or self.ranks.network(self.model)
        precision = torch.float16 if self.scaler.is_enabled() else torch.bfloat16
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        size = self.piece or len(batch.targets)
        for start in range(0, len(batch.targets), size):
            inputs, targets, shares = (part[start : start + size] for part in batch)
            with torch.autocast(self.device, dtype=precision, enabled=self.device == "cuda"):
                losses = losses_of(network(inputs), targets, self.outputs, self.label_smoothing)
            loss = (losses * shares).sum()
            averaged = loss * self.ranks.world  # as the gradients are divided by the number of processes
            self.scaler.scale(averaged).backward()
            total += float(loss.detach())
        total = self.ranks.summed(total)
        if not math.isfinite(total):
            rate = self.optimizer.defaults["lr"]
            raise TrainingError(f"The loss is no longer a number. Train again with a lower rate than {rate:g}.")
        return total

    def _halve(self, batch: int, error: BaseException) -> None:
        """Smaller pieces from now on. Raises TrainingError where they cannot be smaller, or did not help before."""
        piece = self.piece or batch
        if piece == 1 or self.ranks.world > 1 or self.halvings == HALVINGS:
            raise TrainingError(
                f"Memory ran out with {piece} pictures at once ({str(error)[:120]}). Choose a smaller image size or "
                "backbone, or close what else uses the memory."
            ) from error
        self.piece, self.halvings = piece // 2, self.halvings + 1
        self.notes.append(
            f"Memory ran out with {piece} pictures at once: from now on {self.piece} at once, and their gradients "
            f"added up to batches of {self.batch_size} as before."
        )
        if self.device == "cuda":
            torch.cuda.empty_cache()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The average of the weights stands in for the model, where there is one."""
        model = self.model
        self.model = self.average.module if self.average else model
        try:
            yield
        finally:
            self.model = model

    # --- broken off and taken up again ---------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All of it, for a checkpoint; ``loop`` is what there is from :meth:`begin` on, None before."""
        loop = None if self.optimizer is None else self._loop()
        return {"model": self.model.state_dict(), "scaler": self.scaler.state_dict(), "loop": loop}

    def restore(self, state: Mapping[str, Any]) -> None:
        """The network as it was when ``state`` was taken; :meth:`begin` is given its ``loop``."""
        self.model.load_state_dict(state["model"])
        self.scaler.load_state_dict(state["scaler"])

    def _loop(self) -> dict[str, Any]:
        kind, keys, place, *gauss = np.random.get_state(legacy=True)
        return {
            "optimizer": self.optimizer.state_dict(),
            "done": self.done,
            "shuffle": json.dumps(self.shuffle.bit_generator.state),
            "views": self.views.get_state(),
            "average": self.average.state_dict() if self.average else None,
            "snapshots": self.snapshots,
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all(),
            "random_numpy": json.dumps([kind, np.asarray(keys).tolist(), place, *gauss]),
        }

    def _restore_loop(self, loop: Mapping[str, Any]) -> None:
        self.optimizer.load_state_dict(loop["optimizer"])
        self.done, self.snapshots = int(loop["done"]), list(loop["snapshots"])
        self.shuffle.bit_generator.state = json.loads(loop["shuffle"])
        self.views.set_state(loop["views"])
        if self.average:
            self.average.load_state_dict(loop["average"])
        torch.set_rng_state(loop["random"])
        np.random.set_state(tuple(json.loads(loop["random_numpy"])))
        if len(loop["random_cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(loop["random_cuda"])


@dataclass
class Filled:
    """The rows of batches in one tensor that is made at once: many small ones that stay leave holes in the memory."""

    count: int
    done: int = 0
    rows: torch.Tensor = field(default_factory=lambda: torch.empty(0))

    def add(self, batch: torch.Tensor) -> None:
        """Put the rows of ``batch`` [n, ...] behind those before; ``count`` in all."""
        if not self.done:
            self.rows = torch.empty(self.count, *batch.shape[1:], dtype=batch.dtype)
        self.rows[self.done : self.done + len(batch)] = batch
        self.done += len(batch)


def features_and_logits(
    model: Any,
    dataset: Dataset,
    positions: np.ndarray[Any, Any],
    device: str,
    mirrored: bool = False,
    size: int = 32,
    body: Body | None = None,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """(features, logits) batch by batch, on the CPU in float32, of the pictures as the deployed model sees them.

    ``body``: what the model's body is asked through (None: torch).
    """
    model.eval()
    body = body or plain(model)
    for start in range(0, len(positions), size):
        batch = torch.from_numpy(dataset.exact[positions[start : start + size]]).to(device)
        with torch.inference_mode():
            inputs = normalise(batch, dataset.preprocessing)
            features = body(inputs.flip(3) if mirrored else inputs)
            logits = model.get_classifier()(features)
        yield features.float().cpu(), logits.float().cpu()


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
