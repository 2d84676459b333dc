"""A model over many files: rows in order, broken ones among them; the table survives a spreadsheet."""

from __future__ import annotations

import csv
import json
import os
import string
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cli
from pipeline.ask.many import (
    AT_ONCE,
    LISTS_KEPT,
    PredictConfig,
    forget_small,
    found,
    page_of,
    predict_many,
    predict_paths,
    rows,
    writing_answers,
)
from pipeline.errors import RunError, SourceError
from pipeline.predict import Classifier
from pipeline.safe_text import NUMBER, SIGNS, restored
from pipeline.stage import run
from pipeline.workspace.runs import Run
from pipeline.workspace.workspace import Workspace
from tests.support.paths import ROOT


def test_rows_are_in_order_and_as_the_model_answers_one_by_one(
    tiny_run: Run, starter_folder: Path, tmp_path: Path
) -> None:
    files = sorted((starter_folder / "pear").iterdir())[: AT_ONCE + 3]
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    asked = [(str(file), file) for file in (*files[:3], bad, *files[3:], tmp_path / "gone.jpg")]
    classifier = Classifier.load(tiny_run.folder)
    told = list(rows(classifier, asked))
    assert [row["path"] for row in told] == [name for name, _ in asked]
    assert told[3]["label"] is None and "damaged" in told[3]["reason"]
    assert told[-1]["label"] is None and "No such file" in told[-1]["reason"]
    for file, row in zip(files[:3], told, strict=False):
        alone = classifier.predict([file])[0]
        assert row["label"] == alone.label
        assert row["probabilities"] == pytest.approx(alone.probabilities, abs=1e-5)


def test_names_that_no_disk_can_hold_are_rows_too(tiny_run: Run) -> None:
    names = ["a\0b.jpg", "x" * 5000 + ".jpg", ""]
    said = run(predict_paths(tiny_run.folder, names, False, None))["predictions"]
    assert [row["path"] for row in said] == names and all(row["label"] is None and row["reason"] for row in said)


def test_folders_are_walked_without_hidden_files_and_links(starter_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "set" / ".cache").mkdir(parents=True)
    for name in ("b.jpg", "a.PNG", ".hidden.jpg", "notes.txt", ".cache/c.jpg"):
        (tmp_path / "set" / name).touch()
    (tmp_path / "set" / "link.jpg").symlink_to("/etc/passwd")
    assert [name for name, _ in found([str(tmp_path / "set")])] == ["a.PNG", "b.jpg"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="no pictures in the folder"):
        found([str(tmp_path / "empty")])


def test_a_folder_that_is_no_model_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a model folder"):
        run(predict_paths(tmp_path, ["a.jpg"], False, None))


def test_the_small_pictures_of_old_lists_go_and_their_tables_stay(trained: Workspace, starter_folder: Path) -> None:
    picture = str(next((starter_folder / "apple").iterdir()))
    done = run(predict_many(trained, PredictConfig((picture,))))
    for number in range(LISTS_KEPT):
        (trained.thumbnails / "answers" / f"30000101-{number}").mkdir()
    forget_small(trained, LISTS_KEPT)
    assert len(list((trained.thumbnails / "answers").iterdir())) == LISTS_KEPT
    assert Path(done.file).is_file() and Path(done.file).is_relative_to(trained.answers)


# --- the table -------------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=30)
TRICKY = st.one_of(TEXT, st.builds(lambda sign, rest: sign + rest, st.sampled_from([*SIGNS, "\t", ";=", "'="]), TEXT))
CLASSES = st.lists(TRICKY.filter(bool), min_size=1, max_size=4, unique=True)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CLASSES, st.lists(st.tuples(TRICKY, st.one_of(st.none(), TRICKY.filter(bool)), st.booleans()), max_size=6))
def test_whatever_is_said_comes_back_and_nothing_is_a_formula(
    tmp_path: Path, classes: list[str], said: list[tuple[str, str | None, bool]]
) -> None:
    target = tmp_path / "answers.csv"
    probabilities = dict.fromkeys(classes, 1 / len(classes))
    with writing_answers(target, classes) as write:
        for path, label, strange in said:
            nothing = {"label": None, "reason": path}
            row = {"label": label, "probability": 0.5, "probabilities": probabilities, "reason": ""}
            write({"path": path, "unfamiliar": strange, "distance": 1.5, **(nothing if label is None else row)})
    with target.open(encoding="utf-8-sig", newline="") as file:
        cells = list(csv.reader(file))
    assert [restored(name) for name in cells[0]][3:-3] == [f"p:{name}" for name in classes]
    assert all(len(line) == len(classes) + 6 for line in cells)
    for (path, label, _), line in zip(said, cells[1:], strict=True):
        assert restored(line[0]) == path and restored(line[1]) == (label or "")
        texts = [cell for cell in line if cell.strip() and not NUMBER.fullmatch(cell)]
        assert not any(text.lstrip()[0] in SIGNS for text in texts)
    assert [row["file"] for row in page_of(target, 0, 100)] == [path for path, _, _ in said]


def test_pages_are_pieces_of_the_table(tmp_path: Path) -> None:
    target = tmp_path / "answers.csv"
    row = {"label": "a", "probability": 1.0, "probabilities": {"a": 1.0}, "unfamiliar": False, "distance": None}
    with writing_answers(target, ["a"]) as write:
        for letter in string.ascii_lowercase:
            write({"path": letter, "reason": "", **row})
    assert [one["file"] for one in page_of(target, 2, 10)] == list("uvwxyz") and page_of(target, 3, 10) == []


# --- the terminal ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_terminal_takes_folders_and_writes_a_table(
    tiny_run: Run, starter_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "asked"
    folder.mkdir()
    for file in sorted((starter_folder / "melon").iterdir())[:3]:
        os.link(file, folder / file.name)
    (folder / "zero.jpg").touch()
    out = tmp_path / "out.csv"
    command = ["predict", str(tiny_run.folder), str(folder), "--json"]
    assert cli.main(command) == 0
    said = json.loads(capsys.readouterr().out)["predictions"]
    assert [row["path"] for row in said] == [str(file) for file in sorted(folder.iterdir())]
    assert said[-1]["label"] is None and said[-1]["reason"] == "The file is empty."
    done = subprocess.run(
        [sys.executable, "cli.py", *command, "--out", str(out)], cwd=ROOT, capture_output=True, check=True
    )
    summary = json.loads(done.stdout)  # nothing else is there, whatever a library writes
    assert summary["asked"] == 4 and summary["failed"] == 1 and summary["file"] == str(out)
    with out.open(encoding="utf-8-sig", newline="") as file_:
        table = list(csv.DictReader(file_))
    assert [row["label"] for row in table][:3] == [row["label"] for row in said][:3] and table[-1]["remark"]
