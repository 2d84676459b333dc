"""What happened in a training so far: its epochs, the best weights, and what the person is told of it."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from pipeline.stage import Progress


@dataclass
class TrainingHistory:
    """One training until now.

    ``notes``: what happened on the way, for the person and the run; ``decision``: whether fine-tuning paid.
    ``epochs``: a row each, as the run will hold them. ``best``: the lowest loss on the valid split and the weights that
    had it. ``out_of_fold``: (positions, probabilities) of the train and the valid split; ``held_out``: what heads say
    of scenes they did not learn from, as the run will hold it. ``spent``: seconds before it was broken off.
    """

    notes: list[str] = field(default_factory=list)
    decision: str = ""
    epochs: list[dict[str, Any]] = field(default_factory=list)
    best: tuple[float, dict[str, torch.Tensor]] = (float("inf"), {})
    out_of_fold: list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]] = field(default_factory=list)
    held_out: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    spent: float = 0.0

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return self.spent + time.monotonic() - self.started

    def end_epoch(
        self,
        epoch: int,
        phase: str,
        train_loss: float,
        measured: tuple[float, float],
        model: Any,
        seconds: float,
        **more: Any,
    ) -> dict[str, Any]:
        """Put an epoch on record, and keep the weights of ``model`` where they are the best so far; returns its row.

        ``measured``: (loss, share of wrong answers) on the valid split.
        """
        valid_loss, wrong = measured
        row = {"epoch": epoch, "phase": phase, "train_loss": train_loss, "valid_loss": valid_loss, "error_rate": wrong}
        self.epochs.append({**row, "seconds": round(seconds, 2), **more})
        if valid_loss < self.best[0]:
            self.best = (valid_loss, copy.deepcopy(model.state_dict()))
        return self.epochs[-1]

    def told(self, planned: int) -> Progress:
        """The last epoch, of so many that are ``planned``, as progress."""
        last = self.epochs[-1]
        words = f"Epoch {last['epoch']}: {100 * last['error_rate']:.1f} % of the valid split wrong"
        return Progress(last["epoch"], planned, words, {"phase": last["phase"], "epoch": last})

    def state(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""
        best_loss, best = self.best
        return {
            "best": {"loss": best_loss, "model": best},
            "epochs": self.epochs,
            "seconds": self.seconds,
            "notes": self.notes,
            "decision": self.decision,
            "held_out": self.held_out,
            "out_of_fold": [
                {"positions": torch.from_numpy(positions), "probabilities": torch.from_numpy(probabilities)}
                for positions, probabilities in self.out_of_fold
            ],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """As it was when ``state`` was taken."""
        self.best = (float(state["best"]["loss"]), dict(state["best"]["model"]))
        self.epochs, self.spent = list(state["epochs"]), float(state["seconds"])
        self.notes[:] = state["notes"]  # the list that others write into, too
        self.decision = str(state["decision"])
        self.held_out = dict(state.get("held_out") or {})  # an earlier version's checkpoint has none
        self.out_of_fold = [(fold["positions"].numpy(), fold["probabilities"].numpy()) for fold in state["out_of_fold"]]
