from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.errors import RunError, UsageError
from pipeline.predict import Prediction
from pipeline.runs import Run, load_run
from pipeline.tabs.choose_run import refreshed, run_choices
from pipeline.tabs.predict import MANY, Models, _path, many, one, remark
from pipeline.workspace import Workspace
from tests.fixtures_run import tiny_run, trained

__all__ = ["tiny_run", "trained"]


@pytest.fixture
def apple(starter_folder: Path) -> str:
    return str(sorted((starter_folder / "apple").iterdir())[-1])


def test_a_picture_gets_a_probability_for_every_class(trained: Workspace, apple: str) -> None:
    found = one(Models(), trained, None, apple)
    assert found is not None and list(found.probabilities) == ["apple", "melon", "pear"]
    assert sum(found.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert found.label == "apple"


def test_no_picture_no_answer(trained: Workspace) -> None:
    assert one(Models(), trained, None, None) is None


def test_what_is_no_picture_is_refused_in_words(trained: Workspace, tmp_path: Path) -> None:
    (tmp_path / "page.jpg").write_text("<!doctype html><html>")
    with pytest.raises(UsageError, match="web page"):
        one(Models(), trained, None, str(tmp_path / "page.jpg"))


def test_without_a_run_the_person_is_sent_to_train(workspace: Workspace, apple: str) -> None:
    with pytest.raises(RunError, match="Train a model first"):
        one(Models(), workspace, None, apple)
    assert refreshed(workspace, None) is None


def test_a_run_of_another_name_is_not_opened(trained: Workspace, apple: str) -> None:
    with pytest.raises(RunError, match="no run"):
        one(Models(), trained, "../../etc", apple)


def test_a_changed_model_is_not_used(trained: Workspace, apple: str) -> None:
    weights = load_run(trained).folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(RunError, match="was changed"):
        one(Models(), trained, None, apple)


def test_only_the_last_few_models_are_kept(tiny_run: Run) -> None:
    models = Models(size=1)
    first = models.get(tiny_run)
    assert models.get(tiny_run) is first
    other = Run(tiny_run.folder.parent / ".." / "runs" / tiny_run.id, tiny_run.record)
    assert models.get(other) is not first
    assert models.get(tiny_run) is not first


def test_a_strange_picture_brings_a_warning() -> None:
    assert "do not rely" in remark(Prediction("apple", 0.9, {"apple": 0.9}, unfamiliar=True))
    assert remark(Prediction("apple", 0.9, {"apple": 0.9}, unfamiliar=False)) == ""


def test_many_pictures_become_a_table_and_a_bad_one_is_a_row(trained: Workspace, apple: str, tmp_path: Path) -> None:
    bad = tmp_path / "<i>bad.jpg"
    bad.write_bytes(b"")
    html = many(Models(), trained, None, [apple, str(bad)])
    assert html.count("<tr>") == 3 and "The file is empty." in html
    assert "&lt;i&gt;bad.jpg" in html and "<i>" not in html


def test_only_bad_pictures_are_a_table_too(trained: Workspace, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"")
    assert "The file is empty." in many(Models(), trained, None, [str(tmp_path / "bad.jpg")])


def test_too_many_pictures_are_sent_to_the_command_line(trained: Workspace, apple: str) -> None:
    with pytest.raises(UsageError, match=r"cli\.py predict"):
        many(Models(), trained, None, [apple] * (MANY + 1))


def test_the_list_of_runs_keeps_what_was_chosen(trained: Workspace) -> None:
    ((shown, run_id),) = run_choices(trained)
    assert "test error" in shown and run_id in shown
    kept = refreshed(trained, run_id)
    fallen_back = refreshed(trained, "gone")
    assert kept is not None and fallen_back is not None and kept[1] == fallen_back[1] == run_id


def test_a_picture_is_taken_as_it_was_uploaded(apple: str) -> None:
    assert _path(SimpleNamespace(path=apple)) == apple
    assert _path(None) is None and _path(SimpleNamespace(path=None)) is None


def test_the_answer_is_plain_data(trained: Workspace, apple: str) -> None:
    found = one(Models(), trained, None, apple)
    assert found is not None and json.loads(json.dumps(found.probabilities)) == found.probabilities
