"""A training that is stopped, killed, short of memory or of disk loses nothing: it goes on and ends as if unbroken."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.errors import Cancelled, TrainingError
from pipeline.predict import Classifier, Opening, Preprocessing
from pipeline.stage import Progress, run
from pipeline.train.checkpoints import Checkpoints
from pipeline.train.data import Dataset
from pipeline.train.engine import Engine
from pipeline.train.fine_tune import new_optimizer
from pipeline.train.task import Task
from pipeline.train.train import TrainConfig, prepare, train
from pipeline.workspace.runs import Run, list_runs
from pipeline.workspace.workspace import Workspace
from tests.support.paths import ROOT

NUMBERS = ("train_loss", "valid_loss", "error_rate")


@pytest.fixture(scope="module")
def settings(small_network: dict[str, Any]) -> dict[str, Any]:
    """A training of three epochs, of all layers."""
    return {"epochs": 3, "layers": "all", "image_size": 64, "batch_size": 8, **small_network}


@pytest.fixture(scope="module")
def unbroken(fruit: Workspace, settings: dict[str, Any]) -> Run:
    return run(train(fruit, TrainConfig(**settings)))


def same(one: Run, other: Run) -> None:
    for name in NUMBERS:
        assert [e[name] for e in one.epochs] == pytest.approx([e[name] for e in other.epochs], abs=1e-5), name
    assert one.test == other.test and one.record["best_epoch"] == other.record["best_epoch"]
    both = one.predictions().sort_values("id"), other.predictions().sort_values("id")
    columns = [f"p:{name}" for name in one.classes]
    assert np.allclose(both[0][columns], both[1][columns], atol=1e-4)


def stop_at(epoch: int, batch: int) -> Any:
    """Stops in the middle of an epoch, after so many of its batches."""
    seen: list[int] = []

    def show(progress: Progress) -> None:
        if progress.note.startswith(f"Epoch {epoch} of") and "loss" in progress.metrics:
            seen.append(1)
            if len(seen) == batch:
                raise Cancelled("Stopped when asked to.")

    return show


@pytest.mark.slow
@pytest.mark.parametrize(("epoch", "batch"), [(1, 1), (2, 2)])
def test_a_training_that_was_stopped_ends_as_an_unbroken_one(
    fruit: Workspace, settings: dict[str, Any], unbroken: Run, epoch: int, batch: int
) -> None:
    before = {found.id for found in list_runs(fruit)}
    with pytest.raises(Cancelled):
        run(train(fruit, TrainConfig(**settings)), stop_at(epoch, batch))
    (kept,) = (found for found in list_runs(fruit) if found.id not in before)
    assert kept.record["complete"] is False and len(kept.epochs) == epoch
    assert kept.record["notes"] == [f"Stopped after epoch {epoch - 1} of 3."]
    assert len(kept.predictions()) == len(unbroken.predictions()) and kept.test["n"] == unbroken.test["n"]
    file = fruit.image_file(str(fruit.store.images("ok")["file"].iloc[0]))
    assert Classifier.load(kept.folder).predict([file])[0].label in kept.classes
    told: list[Progress] = []
    resumed = run(train(fruit, TrainConfig(**settings)), told.append)
    assert [p.note.split(",")[0] for p in told if p.note.startswith("Going on")] == (
        [f"Going on after epoch {epoch - 1}"] if epoch > 1 else []
    )
    assert not any(p.metrics.get("phase") == "features" for p in told)
    same(resumed, unbroken)
    assert resumed.record["complete"] is True and list(fruit.checkpoints.glob("*/*.pt")) == []


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
def test_a_training_that_is_killed_ends_as_an_unbroken_one(
    fruit: Workspace, settings: dict[str, Any], unbroken: Run
) -> None:
    script = (
        "import os, sys; from pipeline.stage import run; from pipeline.train.train import TrainConfig, train\n"
        "from pipeline.workspace.workspace import Workspace\n"
        "def show(progress):\n"
        "    if progress.note.startswith('Epoch 3 of') and 'loss' in progress.metrics: os.kill(os.getpid(), 9)\n"
        "if __name__ == '__main__':\n"
        f"    run(train(Workspace.open(sys.argv[1]), TrainConfig(**{settings!r})), show)"
    )
    runs = len(list_runs(fruit))
    done = subprocess.run([sys.executable, "-c", script, str(fruit.root)], check=False, cwd=ROOT)
    assert done.returncode == -signal.SIGKILL and len(list_runs(fruit)) == runs
    told: list[Progress] = []
    same(run(train(fruit, TrainConfig(**settings)), told.append), unbroken)
    assert any(p.note.startswith("Going on after epoch 2") for p in told)


def test_other_settings_or_other_labels_are_another_training(fruit: Workspace, settings: dict[str, Any]) -> None:
    task, _ = run(prepare(fruit, TrainConfig(**settings)))
    dataset = task.dataset

    def place(**others: Any) -> Path:
        return Checkpoints.of(fruit, replace(task, config=TrainConfig(**(settings | others))).identity).folder

    assert place() == place(note="the same, with a note")
    assert len({place(), place(seed=1), place(epochs=4)}) == 3
    first = dataset.rows["label"].copy()
    dataset.rows.loc[0, "label"] = "pear" if first[0] != "pear" else "apple"
    changed = place()
    dataset.rows["label"] = first
    assert changed != place()


@dataclass(frozen=True)
class Later(TrainConfig):
    """A version with one setting more."""

    mirrors: int = 3


def test_a_setting_that_comes_later_leaves_older_checkpoints_where_they_are(
    fruit: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pd.DataFrame({"id": ["1", "2"], "split": ["train", "valid"], "label": ["pear", "apple"]})
    nothing = np.zeros((2, 1, 1, 3), np.uint8)
    dataset = Dataset(rows, ("apple", "pear"), Preprocessing(), nothing, nothing, np.ones(2, np.float32))
    monkeypatch.setattr(torch, "__version__", "2.0")

    def place(config: TrainConfig) -> str:
        return Checkpoints.of(fruit, Task(config, dataset, torch.tensor([1, 0]), "cpu").identity).folder.name

    assert place(TrainConfig(sizes=(32, 64), epochs=2)) == "3e8153f73ef85926abf64bd3", "as version 0.1 called it"
    assert place(Later(sizes=(32, 64), epochs=2)) == place(TrainConfig(sizes=(32, 64), epochs=2))
    assert place(Later(mirrors=4)) != place(TrainConfig())


def test_pictures_scaled_otherwise_are_another_training() -> None:
    rows = pd.DataFrame({"id": ["1", "2"], "split": ["train", "valid"], "label": ["pear", "apple"]})
    nothing = np.zeros((2, 1, 1, 3), np.uint8)

    def identity(opening: Opening) -> str:
        how = Preprocessing(opening=opening)
        dataset = Dataset(rows, ("apple", "pear"), how, nothing, nothing, np.ones(2, np.float32))
        return json.dumps(Task(TrainConfig(), dataset, torch.tensor([1, 0]), "cpu").identity)

    openings = (Opening(), Opening(whole=(0.0, 4095.0)), Opening(real=(0.0, 4095.0)))
    assert len({identity(opening) for opening in openings}) == 3
    assert identity(Opening(megapixels=200)) == identity(Opening())


def checkpoints(folder: Path) -> Checkpoints:
    return Checkpoints(folder / "one")


def test_a_checkpoint_that_was_changed_is_not_gone_on_with(tmp_path: Path) -> None:
    kept = checkpoints(tmp_path)
    assert kept.load() is None
    kept.save({"epoch": 1, "model": {"weight": torch.ones(3)}})
    kept.save({"epoch": 2, "model": {"weight": torch.full((3,), 2.0)}})
    loaded = kept.load()
    assert loaded is not None and loaded["epoch"] == 2 and loaded["model"]["weight"].tolist() == [2.0] * 3
    (file,) = kept.folder.glob("*.pt")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert kept.load() is None


def test_a_full_disk_is_said_with_path_and_size_and_the_checkpoint_before_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = checkpoints(tmp_path)
    kept.save({"epoch": 1, "model": {}})

    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(
        TrainingError, match=r"No space left on device. It takes about [\d,]+ bytes, and [\d,]+ are free"
    ):
        kept.save({"epoch": 2, "model": {"weight": torch.zeros(1 << 20)}})
    monkeypatch.undo()
    loaded = kept.load()
    assert loaded is not None and loaded["epoch"] == 1


def test_only_the_newest_checkpoints_of_other_trainings_are_kept(tmp_path: Path) -> None:
    for number in range(5):
        other = Checkpoints(tmp_path / str(number))
        other.save({"epoch": 1})
        os.utime(other.folder, (number, number))
    Checkpoints(tmp_path / "0").make_room()
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["0", "3", "4"]


class Hungry(torch.nn.Module):
    """A model whose device has memory for so many pictures at once."""

    def __init__(self, model: Any, room: int) -> None:
        super().__init__()
        self.model, self.room, self.asked = model, room, []

    def forward_features(self, batch: torch.Tensor) -> torch.Tensor:
        self.asked.append(len(batch))
        if len(batch) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate more than there is.")
        found: torch.Tensor = self.model.forward_features(batch)
        return found

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("model"), name)


def one_step(fruit: Workspace, settings: dict[str, Any], room: int) -> tuple[float, torch.Tensor, Engine]:
    task, engine = run(prepare(fruit, TrainConfig(**settings)))
    weight = engine.model.get_classifier().weight
    engine.begin(new_optimizer(engine.model, task.config), seed=0)
    engine.model.eval()
    engine.model = Hungry(engine.model, room)
    some = task.dataset.positions("train")[:8]
    loss = engine.step(task.batch(some, task.load(some, engine.ranks), engine.ranks, engine.views))
    return loss, weight.detach().clone(), engine


def test_where_memory_runs_out_smaller_pieces_make_the_same_step(fruit: Workspace, settings: dict[str, Any]) -> None:
    loss, weight, _ = one_step(fruit, settings, room=8)
    again, smaller, engine = one_step(fruit, settings, room=3)
    assert engine.model.asked == [8, 4, 2, 2, 2, 2]
    assert again == pytest.approx(loss, abs=1e-5) and torch.allclose(weight, smaller, atol=1e-5)
    assert [note.split(":")[0] for note in engine.notes] == [
        "Memory ran out with 8 pictures at once",
        "Memory ran out with 4 pictures at once",
    ]
    assert engine.piece == 2


def test_where_not_even_one_picture_fits_it_stops_with_advice(fruit: Workspace, settings: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match=r"ran out with 1 pictures at once.*smaller image size"):
        one_step(fruit, settings, room=0)
