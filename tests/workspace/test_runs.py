"""A run is a folder that is there whole or not at all, and says in words when it was damaged."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.errors import RunError
from pipeline.predict import Preprocessing, read_info
from pipeline.workspace.runs import (
    LARGEST_RECORD,
    MANIFEST,
    PREDICTIONS,
    describe,
    discard,
    discarded,
    list_runs,
    load_run,
    new_run_id,
    restore,
    runs_and_damaged,
    write_features,
    write_info,
)
from pipeline.workspace.workspace import Workspace


def made_up(workspace: Workspace, name: str, created: str, **more: Any) -> Path:
    """A run that nobody trained."""
    folder = workspace.runs / name
    folder.mkdir()
    record = {"id": name, "created": created, "classes": ["a", "b"], "config": {"note": "mine"}, "epochs": [], **more}
    (folder / MANIFEST).write_text(json.dumps(record))
    return folder


def test_runs_are_listed_newest_first(workspace: Workspace) -> None:
    for name, created in (("x", "2026-01-02"), ("z", "2026-01-01"), ("y", "2026-01-03")):
        made_up(workspace, name, created)
    assert [run.id for run in list_runs(workspace)] == ["y", "x", "z"]
    assert load_run(workspace).id == "y" and load_run(workspace, "z").created == "2026-01-01"


def test_a_run_says_what_its_record_says(workspace: Workspace) -> None:
    test = {"error_rate": 0.1, "low": 0.0, "high": 0.2, "n": 10, "baseline_error_rate": 0.5}
    epochs = [{"epoch": 0, "phase": "head"}]
    made_up(workspace, "r", "2026", test=test, valid=test, epochs=epochs)
    run = load_run(workspace, "r")
    assert (run.classes, run.note, run.test, run.valid, run.epochs) == (("a", "b"), "mine", test, test, epochs)
    assert run.config == {"note": "mine"} and run.folder == workspace.runs / "r"


def test_before_anything_was_trained_that_is_said(workspace: Workspace) -> None:
    assert list_runs(workspace) == []
    with pytest.raises(RunError, match="Nothing was trained in this workspace yet"):
        load_run(workspace)


@pytest.mark.parametrize("name", ["nothing", "", "..", "../../etc", "a/b"])
def test_an_unknown_run_is_refused_in_words(workspace: Workspace, name: str) -> None:
    made_up(workspace, "real", "2026")
    with pytest.raises(RunError, match="There is no run"):
        load_run(workspace, name)


def test_a_run_that_was_being_written_when_its_process_was_killed_is_not_listed(workspace: Workspace) -> None:
    made_up(workspace, "20260101-000000-abcd.12345678.part", "2026")
    (workspace.runs / "without a record").mkdir()
    assert list_runs(workspace) == []


@pytest.mark.parametrize("content", [b"", b'{"id": "r"', b"\xff\xfe", b"[]", b'{"id": "r"}', b"null"])
def test_a_damaged_record_is_explained_and_the_folder_named(workspace: Workspace, content: bytes) -> None:
    folder = made_up(workspace, "r", "2026")
    (folder / MANIFEST).write_bytes(content)
    with pytest.raises(RunError, match=r"run in .*/r is damaged .*Move its folder away"):
        load_run(workspace, "r")
    assert list_runs(workspace) == []
    [said] = runs_and_damaged(workspace)[1]
    assert f"{workspace.runs / 'r'} is damaged" in said


def test_a_damaged_run_hides_no_other_and_the_newest_is_never_another_in_silence(workspace: Workspace) -> None:
    for name, created in (("20260101-000000-aaaa", "2026-01-01"), ("20260102-000000-bbbb", "2026-01-02")):
        made_up(workspace, name, created)
    (made_up(workspace, "20260101-120000-cccc", "2026-01-01") / MANIFEST).write_text("{")
    assert [run.id for run in list_runs(workspace)] == ["20260102-000000-bbbb", "20260101-000000-aaaa"]
    assert load_run(workspace).id == "20260102-000000-bbbb" and len(runs_and_damaged(workspace)[1]) == 1
    (made_up(workspace, "20260103-000000-dddd", "2026-01-03") / MANIFEST).write_text("{")
    with pytest.raises(RunError, match="20260103-000000-dddd is damaged"):
        load_run(workspace)


def test_a_record_of_any_size_is_not_read(workspace: Workspace) -> None:
    with (made_up(workspace, "r", "2026") / MANIFEST).open("ab") as file:
        file.truncate(LARGEST_RECORD + 1)
    with pytest.raises(RunError, match="larger than 64 MiB"):
        load_run(workspace, "r")


def test_a_run_can_be_named_and_noted_later_and_its_record_stays_as_it_is(workspace: Workspace) -> None:
    folder = made_up(workspace, "r", "2026")
    before = (folder / MANIFEST).read_bytes()
    assert (load_run(workspace, "r").name, load_run(workspace, "r").note) == ("r", "mine")
    describe(workspace, "r", "Larger pictures", "learnt\nslowly")
    run = load_run(workspace, "r")
    assert (run.name, run.note, run.id) == ("Larger pictures", "learnt\nslowly", "r")
    describe(workspace, "r", " ", "")
    assert (run.name, run.note) == ("r", "")
    assert (folder / MANIFEST).read_bytes() == before
    with pytest.raises(RunError, match="no run"):
        describe(workspace, "..", "a", "b")


def test_a_run_in_the_trash_is_out_of_the_list_and_comes_back_whole(workspace: Workspace) -> None:
    for name in ("a", "b"):
        made_up(workspace, name, name)
    describe(workspace, "a", "kept", "as it was")
    gone = discard(workspace, "a")
    assert gone.folder == workspace.trash / "runs" / "a" and gone.name == "kept"
    assert [run.id for run in list_runs(workspace)] == ["b"] and [run.id for run in discarded(workspace)] == ["a"]
    with pytest.raises(RunError, match="no run"):
        discard(workspace, "a")
    back = restore(workspace, "a")
    assert back.folder == workspace.runs / "a" and back.note == "as it was" and discarded(workspace) == []
    with pytest.raises(RunError, match="in the trash"):
        restore(workspace, "a")


@pytest.mark.parametrize("name", ["", ".", "..", "../..", "a/.."])
def test_nothing_but_a_run_is_moved(workspace: Workspace, name: str) -> None:
    made_up(workspace, "a", "2026")
    for move in (discard, restore):
        with pytest.raises(RunError):
            move(workspace, name)
    assert [run.id for run in list_runs(workspace)] == ["a"]


def test_a_run_never_replaces_another_on_its_way_back(workspace: Workspace) -> None:
    made_up(workspace, "a", "2025")
    discard(workspace, "a")
    made_up(workspace, "a", "2026")
    for move in (discard, restore):
        with pytest.raises(RunError, match="already"):
            move(workspace, "a")
    assert list_runs(workspace)[0].created == "2026" and discarded(workspace)[0].created == "2025"


def test_names_of_runs_sort_by_time_and_are_never_shared() -> None:
    names = [new_run_id() for _ in range(50)]
    assert len(set(names)) == 50
    time.sleep(1.1)
    assert new_run_id() > max(names)


def test_predictions_come_back_as_they_were_written(workspace: Workspace) -> None:
    labels = ["nan", "None", "007", "1e3", "NA", 'a, "b"', "ü", "true"]
    table = pd.DataFrame(
        {
            "id": [f"{n:064d}" for n in range(len(labels))],
            "split": "train",
            "label": labels,
            "predicted": labels[::-1],
            "probability": [1 / (3 + n) for n in range(len(labels))],
            "loss": 0.5,
            "out_of_fold": [n % 2 == 0 for n in range(len(labels))],
        }
    )
    folder = made_up(workspace, "r", "2026")
    table.to_csv(folder / PREDICTIONS, index=False)
    read = load_run(workspace, "r").predictions()
    pd.testing.assert_frame_equal(read, table, check_dtype=False, rtol=1e-9)
    assert read["out_of_fold"].dtype == bool


def test_an_earlier_versions_run_has_no_features_and_its_own_answers_stand_in_for_those_out_of_fold(
    workspace: Workspace,
) -> None:
    folder = made_up(workspace, "r", "2026")
    table = pd.DataFrame({"id": ["a", "b", "c"], "split": ["train", "valid", "test"], "loss": 0.5})
    table.to_csv(folder / PREDICTIONS, index=False)
    found = load_run(workspace, "r")
    assert list(found.out_of_fold()["id"]) == ["a", "b"] and found.features() is None


@pytest.mark.parametrize("damage", ["cut off", "an image too many", "objects"])
def test_damaged_features_are_an_error_in_words(workspace: Workspace, damage: str) -> None:
    folder = made_up(workspace, "r", "2026")
    write_features(folder, ["a", "b"], torch.ones(2, 3))
    kept = load_run(workspace, "r").features()
    assert kept is not None and kept[0] == ["a", "b"] and kept[1].tolist() == [[1, 1, 1], [1, 1, 1]]
    if damage == "cut off":
        (folder / "features.npy").write_bytes((folder / "features.npy").read_bytes()[:-4])
    elif damage == "objects":
        np.save(folder / "features.npy", np.array([["a"], [None]], dtype=object))
    else:
        (folder / "features_ids.txt").write_text("a\nb\nc")
    with pytest.raises(RunError, match="Train again"):
        load_run(workspace, "r").features()


def test_changing_the_predictions_one_was_given_changes_nobody_elses(workspace: Workspace) -> None:
    folder = made_up(workspace, "r", "2026")
    pd.DataFrame({"id": ["a"], "loss": [1.0]}).to_csv(folder / PREDICTIONS, index=False)
    run = load_run(workspace, "r")
    mine = run.predictions()
    mine.loc[0, "loss"] = 9.0
    assert list(run.predictions()["loss"]) == [1.0]


def test_missing_or_empty_predictions_are_explained(workspace: Workspace) -> None:
    folder = made_up(workspace, "r", "2026")
    with pytest.raises(RunError, match=r"predictions of run r cannot be read.*Train again"):
        load_run(workspace, "r").predictions()
    (folder / PREDICTIONS).write_bytes(b"")
    with pytest.raises(RunError, match="cannot be read"):
        load_run(workspace, "r").predictions()


def test_the_models_description_is_sealed(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    as_preprocessed = {"preprocessing": Preprocessing().to_json()}
    write_info(tmp_path, {"architecture": "test_resnet", "label_names": ["ä"], "files": {}, **as_preprocessed})
    assert read_info(tmp_path)["label_names"] == ["ä"]
    text = (tmp_path / "config.json").read_text(encoding="utf-8")
    (tmp_path / "config.json").write_text(text.replace("ä", "ö"), encoding="utf-8")
    with pytest.raises(ValueError, match="changed after it was written"):
        read_info(tmp_path)
