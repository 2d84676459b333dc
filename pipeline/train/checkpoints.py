"""What it takes to go on with a training that was broken off, written whole after each epoch and found again by itself.

A checkpoint belongs to a training's settings and data: the same seed on the same pictures gives the same numbers, so
going on after epoch 3 ends where an unbroken training ends. It is removed when the run is written.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from pipeline.bounded import forget_all_but
from pipeline.errors import TrainingError
from pipeline.machine import free_bytes
from pipeline.predict import file_sha256
from pipeline.workspace.workspace import Workspace, writing

FORMAT = 1
MANIFEST = "checkpoint.json"
# Beside the state itself: the run that is written at the end, and some room to breathe.
SPARE_BYTES = 64 << 20
OTHERS_KEPT = 2


class Checkpoints:
    """The one checkpoint of a training, in a folder of its own: a state file, and a manifest written after it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, workspace: Workspace, identity: Sequence[Any]) -> Checkpoints:
        """Where the checkpoint of the training with this :attr:`Task.identity` is, or will be."""
        about = [FORMAT, torch.__version__, *identity]
        return cls(workspace.checkpoints / hashlib.sha256(json.dumps(about).encode()).hexdigest()[:24])

    def save(self, state: Mapping[str, Any]) -> None:
        """Write ``state`` (tensors and plain values; ``epoch`` among them) in place of the one before.

        Raises TrainingError where there is no room, saying how much it takes; the checkpoint before stays.
        """
        file = self.folder / f"epoch-{state['epoch']}.pt"
        try:
            with writing(file) as part:
                torch.save(dict(state), part)
            with writing(self.folder / MANIFEST) as part:
                part.write_text(json.dumps({"file": file.name, "sha256": file_sha256(file)}), encoding="utf-8")
            for old in self.folder.glob("epoch-*.pt"):
                if old != file:
                    old.unlink(missing_ok=True)
        except (OSError, RuntimeError) as error:  # torch tells of a full disk by RuntimeError
            raise self._no_room(state, error) from error

    def _no_room(self, state: Mapping[str, Any], error: Exception) -> TrainingError:
        needed, free = size_of(state) + SPARE_BYTES, free_bytes(self.folder)
        room = "an unknown number" if free is None else f"{free:,}"
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        return TrainingError(
            f"The state of the training cannot be written to {self.folder}: {reason}. It takes about {needed:,} bytes, "
            f"and {room} are free. Free some room and train again with the same settings: it goes on from the last "
            "epoch that was written."
        )

    def load(self) -> dict[str, Any] | None:
        """The state that was saved last, on the CPU; None where there is none, or where it was changed since."""
        try:
            manifest = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
            file = self.folder / Path(manifest["file"]).name
            if file_sha256(file) != manifest["sha256"]:
                return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        return state

    def make_room(self) -> None:
        """Remove the checkpoints of other trainings but the newest ones: nobody has gone on with them."""
        others = [folder for folder in self.folder.parent.glob("*") if folder != self.folder]
        forget_all_but(others, OTHERS_KEPT)

    def remove(self) -> None:
        """The run is written: nothing of this is needed any more."""
        shutil.rmtree(self.folder, ignore_errors=True)


def size_of(state: Any) -> int:
    """Bytes of the tensors in a state."""
    if isinstance(state, torch.Tensor):
        return state.numel() * state.element_size()
    if isinstance(state, Mapping):
        return sum(size_of(value) for value in state.values())
    if isinstance(state, (list, tuple)):
        return sum(size_of(value) for value in state)
    return 0
