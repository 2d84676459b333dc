"""Golden pictures: what a Space has to answer, and how answers are compared with that."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.deploy.trial import Golden, agreement, golden_pictures
from pipeline.errors import ExportError
from pipeline.predict import Classifier
from pipeline.workspace.runs import Run

CAT, DOG = Golden(Path("a.jpg"), {"cat": 0.7, "dog": 0.3}), Golden(Path("b.jpg"), {"cat": 0.2, "dog": 0.8})


def test_the_largest_difference_and_its_picture_are_found() -> None:
    same = agreement([CAT, DOG], [CAT.expected, DOG.expected], 1e-3)
    assert (same.images, same.max_difference, same.same_top) == (2, 0.0, True)
    off = agreement([CAT, DOG], [{"cat": 0.7, "dog": 0.3}, {"cat": 0.25, "dog": 0.75}], 1e-3)
    assert off.max_difference == pytest.approx(0.05) and off.worst == "b.jpg" and off.same_top


def test_another_class_on_top_is_told_unless_two_are_as_good_as_equal() -> None:
    assert not agreement([CAT], [{"cat": 0.4, "dog": 0.6}], 1e-3).same_top
    even = Golden(Path("c.jpg"), {"cat": 0.5001, "dog": 0.4999})
    assert agreement([even], [{"cat": 0.4999, "dog": 0.5001}], 1e-3).same_top


def test_a_class_it_does_not_know_a_missing_answer_and_nan_never_agree() -> None:
    for answer in ({"bird": 0.7}, {}, {"cat": 0.7, "dog": float("nan")}):
        assert not agreement([CAT], [answer], 1e-3).max_difference <= 1.0


def test_only_some_classes_may_be_given() -> None:
    assert agreement([DOG], [{"dog": 0.8}], 1e-3).max_difference == 0.0


def test_the_made_pictures_are_always_the_same_and_answered_by_the_model(tiny_run: Run, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    first = golden_pictures(tiny_run.folder, tmp_path / "one")
    again = golden_pictures(tiny_run.folder, tmp_path / "two")
    assert [one.path.read_bytes() for one in first] == [one.path.read_bytes() for one in again]
    assert len(first) == 3 and [one.expected for one in first] == [one.expected for one in again]
    alone = Classifier.load(tiny_run.folder).predict([first[0].path])[0].probabilities
    assert first[0].expected == pytest.approx(alone, abs=1e-5)


def test_a_folder_without_a_model_says_so(tiny_run: Run, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_run.folder, tmp_path / "copy"))
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(ExportError, match="cannot be asked"):
        golden_pictures(folder, tmp_path)
