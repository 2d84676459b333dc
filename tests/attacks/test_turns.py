"""Trainings of one person take turns on a machine; what cannot succeed does not wait, and nobody meets another."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

import cli
from pipeline.errors import BackboneError, NotEnoughData, PipelineError
from pipeline.jobs.turns import lock_of_this_person
from pipeline.stage import run
from pipeline.train.config import LrFindConfig
from pipeline.train.lr_finder import find_lr
from pipeline.train.train import TrainConfig, train, training_lock
from pipeline.workspace.workspace import Workspace
from tests.support.importing import picture


def of_one_class(workspace: Workspace, tmp_path: Path) -> Workspace:
    for number in range(8):
        (tmp_path / "in" / "bear").mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / "bear" / f"{number}.png").write_bytes(picture(number))
    assert cli.main(["import", str(workspace.root), str(tmp_path / "in"), "--json"]) == 0
    return workspace


@pytest.mark.parametrize("stage", [(train, TrainConfig), (find_lr, LrFindConfig)], ids=["train", "find_lr"])
def test_what_cannot_succeed_is_refused_at_once_while_another_trains(
    workspace: Workspace, tmp_path: Path, stage: tuple[type, type]
) -> None:
    work, config = stage
    wrong: list[tuple[type[PipelineError], dict[str, str]]] = [
        (NotEnoughData, {}),
        (BackboneError, {"backbone": "resnet5"}),
        (BackboneError, {"weights": str(tmp_path / "none.safetensors")}),
    ]
    with FileLock(training_lock()):
        for kind, settings in wrong:
            with pytest.raises(kind):
                next(work(workspace, config(**settings)))
        of_one_class(workspace, tmp_path)
        with pytest.raises(NotEnoughData, match="at least 2 classes"):
            next(work(workspace, config()))


def test_the_command_line_says_so_at_once(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of_one_class(workspace, tmp_path)
    capsys.readouterr()
    with FileLock(training_lock()):
        assert cli.main(["train", str(workspace.root), "--json"]) == 1
    told = capsys.readouterr().err
    assert "at least 2 classes" in told and "Waiting" not in told


def test_no_valid_picture_is_said_before_the_turn(workspace: Workspace, tmp_path: Path) -> None:
    for split, names in {"train": "ab", "test": "cd"}.items():
        for label in ("bear", "fox"):
            (tmp_path / "in" / split / label).mkdir(parents=True)
            for name in names:
                data = picture(hash((split, label, name)) % 10_000)
                (tmp_path / "in" / split / label / f"{name}.png").write_bytes(data)
    assert cli.main(["import", str(workspace.root), str(tmp_path / "in"), "--split-from", "folders", "--json"]) == 0
    with FileLock(training_lock()), pytest.raises(NotEnoughData):
        run(
            train(workspace, TrainConfig(epochs=0)),
            lambda step: pytest.fail("waits") if "Waiting" in step.note else None,
        )


def test_the_lock_is_one_for_a_person_on_a_machine_wherever_temporary_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    found = set()
    for place in ("one", "two"):
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / place))
        found.add(lock_of_this_person("training", state))
    assert len(found) == 1 and found.pop().is_relative_to(tmp_path / "state")
    assert lock_of_this_person("training", {"XDG_STATE_HOME": str(tmp_path / "other")}).is_relative_to(
        tmp_path / "other"
    )
    for machine in ("first/../..", "second", ""):
        monkeypatch.setattr("platform.node", lambda machine=machine: machine)
        found.add(lock_of_this_person("training", state))
    assert len(found) == 3 and all(lock.resolve().is_relative_to(tmp_path / "state") for lock in found)


def test_without_a_home_the_lock_lies_in_a_folder_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever others have put at its place."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "file").touch()
    nowhere = {"XDG_STATE_HOME": str(tmp_path / "file")}
    lock = lock_of_this_person("training", nowhere)
    assert lock.parent.parent == tmp_path and lock == lock_of_this_person("training", nowhere)
    assert lock.parent.stat().st_mode & 0o077 == 0
    lock.parent.rmdir()
    (tmp_path / "elsewhere").mkdir()
    lock.parent.symlink_to(tmp_path / "elsewhere")  # a trap
    trapped = lock_of_this_person("training", nowhere)
    assert trapped.parent != lock.parent and trapped.parent.resolve() != tmp_path / "elsewhere"
    with FileLock(trapped):
        assert list((tmp_path / "elsewhere").iterdir()) == []
