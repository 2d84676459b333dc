"""The Predict tab: one picture, what is said of it, what lies nearest, where the network looked, and by its address."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from pipeline.ask.one import Models, about_model
from pipeline.errors import RunError, UsageError
from pipeline.predict import NONE, Prediction
from pipeline.tabs.page.choose_run import LATEST, refreshed_run_list, run_choices, run_or_newest
from pipeline.tabs.predict.tab import (
    UNFAMILIAR,
    _path,
    answer_view,
    calibration,
    closer_view,
    look_view,
    neighbour_view,
    remark,
    views_in_words,
)
from pipeline.workspace.runs import load_run
from pipeline.workspace.workspace import Workspace

APPLE = Prediction("apple", 0.9, {"apple": 0.9, "pear": 0.1}, False, 0.4)


@pytest.fixture
def apple(starter_folder: Path) -> str:
    return str(sorted((starter_folder / "apple").iterdir())[-1])


def test_several_views_are_asked_on_request_and_named(trained: Workspace, apple: str) -> None:
    run = load_run(trained)
    plain, several = Models().answer(run, apple), Models().answer(run, apple, tta=True)
    views = about_model(run)["tta"]
    assert plain.views == ("as it is",)
    assert several.views == ("as it is", *views)
    assert "views: as it is" in remark(several, {}) and "views" not in remark(plain, {})
    assert views_in_words(["mirrored", "enlarged"]) == "Also ask about it mirrored and enlarged"


def test_no_picture_no_answer(trained: Workspace) -> None:
    assert answer_view(None) is None
    assert closer_view(Models(), trained, None, None)["id"] == ""
    assert look_view(Models(), trained, None, None, "")["id"] == ""


@pytest.mark.slow  # each is opened in a process of its own
@pytest.mark.parametrize("data", [b"<!doctype html><html>", b"", b"\xff\xd8\xffno picture", b"GIF89a\xff\xff\xff\xff"])
def test_what_is_no_picture_is_refused_in_words(trained: Workspace, tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "page.jpg"
    file.write_bytes(data)
    models, run = Models(), load_run(trained)
    for ask in (
        lambda: models.answer(run, file),
        lambda: closer_view(models, trained, None, str(file)),
        lambda: models.look(trained, run, file),
    ):
        with pytest.raises(UsageError, match="This picture cannot be read"):
            ask()


def test_without_a_run_the_person_is_sent_to_train(workspace: Workspace, apple: str) -> None:
    with pytest.raises(RunError, match="Train a model first"):
        closer_view(Models(), workspace, None, apple)
    assert run_or_newest(workspace, None) is None


def test_a_run_of_another_name_is_not_opened(trained: Workspace, apple: str) -> None:
    with pytest.raises(RunError, match="no run"):
        closer_view(Models(), trained, "../../etc", apple)


# --- in words --------------------------------------------------------------------------------------------------------


def test_a_strange_picture_is_called_unfamiliar_instead_of_a_class() -> None:
    strange = Prediction("<b>apple", 0.99, {"<b>apple": 0.99, "pear": 0.01}, True, 1.84)
    view = answer_view(strange)
    assert view is not None and view["label"] == UNFAMILIAR and view["unfamiliar"]
    words = remark(strange, {"unfamiliar": {"test": {"rate": 0.0495, "images": 1010}}, "valid": 90})
    assert "1.8 times the limit" in words and "5.0 % of the 1,010 test pictures" in words and "do not rely" in words
    assert "<b>" not in words and "&lt;b&gt;apple" in words


def test_a_familiar_picture_says_how_near_it_is_and_brings_no_warning() -> None:
    assert "40 % of the way to the limit" in remark(APPLE) and "w-warn" not in remark(APPLE)
    assert remark(Prediction("apple", 0.9, {"apple": 0.9}, False, None)) == ""


def test_none_of_these_is_said() -> None:
    assert "shows none of them" in remark(Prediction(NONE, 0.8, {"apple": 0.2}, False, 0.5))


def test_all_classes_are_there_where_they_are_many() -> None:
    many = {f"class {number}": 0.1 for number in range(10)}
    assert "All 10 classes" in remark(Prediction("class 0", 0.1, many, False)) and "All" not in remark(APPLE)


@pytest.mark.parametrize(
    ("temperature", "words"), [(1.23, "surer than it should be"), (0.7, "less sure"), (1.0, "next to nothing")]
)
def test_the_temperature_is_said_in_words(temperature: float, words: str) -> None:
    said = calibration({"outputs": {"temperature": temperature}, "valid": 93})
    assert f"temperature {temperature:.2f}" in said and "93 pictures" in said and words in said
    assert "Not calibrated" in calibration({"outputs": {"temperature": temperature}, "valid": 4})


# --- a closer look ---------------------------------------------------------------------------------------------------


def test_the_nearest_pictures_and_a_clean_copy_are_shown(trained: Workspace, apple: str, tmp_path: Path) -> None:
    placed = tmp_path / "placed.jpg"
    with Image.open(apple) as picture:
        exif = picture.getexif()
        exif[0x8825] = {1: "N"}
        picture.save(placed, exif=exif)
    view = closer_view(Models(), trained, None, str(placed))
    assert Path(view["large"]).is_relative_to(trained.thumbnails)
    with Image.open(view["large"]) as copy:
        assert not copy.getexif()
    images = trained.store.images().set_index("id")
    assert len(view["neighbours"]) == 6 and view["neighbours"][0]["label"] == "apple"
    assert {images.at[tile["id"], "split"] for tile in view["neighbours"]} == {"train"}
    assert neighbour_view(trained, view["neighbours"][0]["id"])["large"]
    (locked,) = images.index[images["split"] == "test"][:1]
    assert neighbour_view(trained, locked)["id"] == ""


def test_where_it_looked_is_asked_for_the_picture_that_is_shown(trained: Workspace, apple: str) -> None:
    models = Models()
    view = closer_view(models, trained, None, apple)
    seen = look_view(models, trained, None, apple, view["id"])
    assert "said apple" in seen["words"] and Path(seen["heat"]).is_relative_to(trained.thumbnails)
    with Image.open(seen["heat"]) as laid, Image.open(view["large"]) as large:
        assert laid.mode == "RGBA" and laid.width / laid.height == pytest.approx(large.width / large.height, abs=0.02)
    assert look_view(models, trained, None, apple, "../../x") == {"id": "", "heat": None, "words": ""}


def test_copies_of_pictures_go_after_a_day(trained: Workspace, apple: str, starter_folder: Path) -> None:
    first = Path(closer_view(Models(), trained, None, apple)["large"])
    os.utime(first, (0, 0))
    second = closer_view(Models(), trained, None, str(next((starter_folder / "pear").iterdir())))["large"]
    assert not first.exists() and Path(second).exists()


# --- the list of runs, uploads ---------------------------------------------------------------------------------------


def test_the_list_of_runs_keeps_what_was_chosen(trained: Workspace) -> None:
    ((words, run_id),) = run_choices(trained)
    assert "test error" in words and run_id in words
    for asked in (run_id, "gone", None):
        found = run_or_newest(trained, asked)
        assert found is not None and found.id == run_id
        assert refreshed_run_list(trained, asked).value == run_id
    assert refreshed_run_list(trained, "gone", LATEST).value == LATEST
    assert refreshed_run_list(trained, run_id, LATEST).value == run_id


def test_a_picture_is_taken_as_it_was_uploaded(apple: str) -> None:
    assert _path(SimpleNamespace(path=apple, url=None)) == apple
    assert _path(None) is None and _path(SimpleNamespace(path=None, url=None)) is None
    data = "data:image/png;base64,AA=="
    assert _path(SimpleNamespace(path="", url=data)) == data
