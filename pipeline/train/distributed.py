"""Several processes, one training (torchrun): who this one is, its part of the work, and putting the parts together.

    torchrun --nproc-per-node 2 cli.py train WORKSPACE

trains the run that ``python cli.py train WORKSPACE`` trains: the same batches, each process with its part of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
from torch import distributed

from pipeline.predict import forward

T = TypeVar("T")
# Another training may go first, and the first process decodes for all.
PATIENCE = timedelta(days=1)


@dataclass(frozen=True)
class Ranks:
    """Process ``rank`` (from 0) of ``world``. The first one writes; the others take part."""

    rank: int = 0
    world: int = 1

    @classmethod
    def of_this_process(cls) -> Ranks:
        """As torchrun says in the environment."""
        return cls(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def part(self, count: int) -> slice:
        """This process's part of ``count`` things; of fewer than there are processes, every one does all."""
        if count < self.world:
            return slice(0, count)
        ends = np.linspace(0, count, self.world + 1).astype(int)
        return slice(int(ends[self.rank]), int(ends[self.rank + 1]))

    def copies(self, count: int) -> int:
        """How many processes do the same part."""
        return self.world if count < self.world else 1

    def gathered(self, part: torch.Tensor, count: int) -> torch.Tensor:
        """The parts [n, ...] of all processes as one [``count``, ...], on the CPU."""
        if self.world == 1 or count < self.world:
            return part
        parts: list[Any] = [None] * self.world
        distributed.all_gather_object(parts, part)
        return torch.cat(parts)

    def summed(self, value: float) -> float:
        """The sum of a number over all processes."""
        if self.world == 1:
            return value
        values: list[Any] = [None] * self.world
        distributed.all_gather_object(values, value)
        return float(sum(values))

    def said(self, value: T) -> T:
        """What the first process says."""
        if self.world == 1:
            return value
        words: list[Any] = [value]
        distributed.broadcast_object_list(words)
        said: T = words[0]
        return said

    def wait(self) -> None:
        """Until all processes are here."""
        if self.world > 1:
            distributed.barrier()

    def network(self, model: Any) -> Any:
        """``model`` as a function from inputs to logits, whose gradients are the mean over all processes."""
        whole = _Logits(model)
        if self.world == 1:
            return whole
        return torch.nn.parallel.DistributedDataParallel(whole, broadcast_buffers=False)


class _Logits(torch.nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return forward(self.model, batch)[1]


@contextmanager
def joined(ranks: Ranks, device: str) -> Iterator[None]:
    """The processes know each other. Each has a GPU of its own where ``device`` is cuda."""
    if ranks.world == 1:
        yield
        return
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    distributed.init_process_group("nccl" if device == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield
    finally:
        distributed.destroy_process_group()
