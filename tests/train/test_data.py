"""Every picture is decoded once, as the deployed model will see it, and not again until something changes."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import NotEnoughData, TrainingError
from pipeline.images.pixel_cache import ROOM
from pipeline.predict import Outputs, Preprocessing, open_image, pixels
from pipeline.stage import Progress, run
from pipeline.train.data import Dataset, ahead, batches, load_dataset, usable_rows
from pipeline.workspace.records import NewImage, State, Verdict, Wish
from pipeline.workspace.workspace import Workspace

SMALL = Preprocessing(size=(48, 48))


def put(workspace: Workspace, folder: Path, per_class: int = 4) -> list[str]:
    """``per_class`` pictures of each class, verified, two in train, then one in valid and test by turns."""
    ids = []
    for pictures in sorted(path for path in folder.iterdir() if path.is_dir()):
        for number, path in enumerate(sorted(pictures.iterdir())[:per_class]):
            data = path.read_bytes()
            image, file = workspace.keep(data, "jpg")
            workspace.store.add_images([NewImage(image, file, len(data), pictures.name, "file", path.name)])
            width, height = open_image(data).size
            workspace.store.record_verdicts([Verdict(image, "ok", "ok", "", width, height)])
            workspace.store.set_splits({image: ("train", "train", "valid", "test")[number % 4]})
            ids.append(image)
    return ids


def load(workspace: Workspace, preprocessing: Preprocessing = SMALL) -> tuple[Dataset, list[Progress]]:
    shown: list[Progress] = []
    return run(load_dataset(workspace, preprocessing), shown.append), shown


@pytest.fixture
def filled(workspace: Workspace, photographs: Path) -> Workspace:
    put(workspace, photographs)
    return workspace


# --- what may be trained on


def test_the_rows_are_the_usable_pictures_and_the_classes_are_in_order(filled: Workspace) -> None:
    rows, classes, outputs = usable_rows(filled)
    assert classes == ("apple", "melon", "orange", "pear", "satsuma")
    assert outputs == Outputs() and set(rows["label"]) == set(classes)
    assert Counter(rows["split"]) == {"train": 10, "valid": 5, "test": 5}


def test_what_is_removed_set_aside_unlabelled_or_without_a_split_is_left_out(filled: Workspace) -> None:
    ids = list(filled.store.images()["id"])
    filled.store.journal.decide([Wish(ids[3], "remove", lambda state: State(state.labels, "removed"))])
    filled.store.journal.decide([Wish(ids[7], "set aside", lambda state: State(state.labels, "set_aside"))])
    filled.store.journal.decide([Wish(ids[11], "unlabel", lambda state: State((), state.status))])
    filled.store.add_images([NewImage("ff", "ff/ff.jpg", 1, "apple", "file", "new.jpg")])
    left = set(ids) - {ids[3], ids[7], ids[11]}
    assert set(usable_rows(filled)[0]["id"]) == left


def test_what_is_missing_is_named_with_what_to_do(workspace: Workspace, photographs: Path) -> None:
    with pytest.raises(NotEnoughData, match="no labelled pictures that passed Verify"):
        usable_rows(workspace)
    ids = put(workspace, photographs, per_class=2)
    with pytest.raises(NotEnoughData, match=r"None of the 10 pictures is in the valid split"):
        usable_rows(workspace)
    workspace.store.journal.decide([Wish(ids[0], "relabel", lambda state: State(("kiwi",), state.status))])
    with pytest.raises(NotEnoughData, match=r"'apple' has 1 .*every class needs at least 2"):
        usable_rows(workspace)
    for image in ids:
        workspace.store.journal.decide([Wish(image, "relabel", lambda state: State(("kiwi",), state.status))])
    with pytest.raises(NotEnoughData, match=r"All 10 pictures are called 'kiwi'.*at least 2 classes"):
        usable_rows(workspace)


# --- arrays


def test_the_next_one_is_loaded_while_one_is_at_work() -> None:
    loaded: list[int] = []

    def load(number: int) -> int:
        loaded.append(number)
        return 10 * number

    several = ahead(range(4), load)
    assert next(several) == (0, 0)
    assert list(several) == [(1, 10), (2, 20), (3, 30)] and loaded == [0, 1, 2, 3]
    assert list(ahead([], load)) == []


def test_what_goes_wrong_while_loading_ahead_is_raised_and_closing_ends_it() -> None:
    with pytest.raises(ZeroDivisionError):
        list(ahead([1, 0], lambda number: 1 // number))
    several = ahead(range(100), str)
    next(several)
    several.close()  # type: ignore[attr-defined]
    assert next(several, None) is None


@pytest.mark.parametrize("resize", ["crop", "squish", "pad"])
def test_the_arrays_are_what_the_deployed_model_will_see(filled: Workspace, resize: str) -> None:
    preprocessing = Preprocessing(size=(40, 48), resize=resize)
    dataset, _ = load(filled, preprocessing)
    side = round(48 * ROOM)
    assert np.shape(dataset.exact) == (20, 40, 48, 3) and np.shape(dataset.squished) == (20, side, side, 3)
    for number in (0, 9, 19):
        image = open_image(filled.image_file(str(dataset.rows["file"][number])))
        assert np.array_equal(dataset.exact[number], pixels(image, preprocessing))
        assert dataset.aspect[number] == pytest.approx(image.width / image.height)


def test_presized_pictures_have_the_side_that_was_asked_for_and_rows_of_their_own(filled: Workspace) -> None:
    dataset = run(load_dataset(filled, Preprocessing(size=(40, 40)), presize=90))
    assert np.shape(dataset.squished) == (20, 90, 90, 3) and np.shape(dataset.exact) == (20, 40, 40, 3)
    assert np.shape(run(load_dataset(filled, Preprocessing(size=(40, 40)))).squished)[1] == round(40 * ROOM)


def test_without_room_for_the_cache_the_pictures_are_the_same_and_nothing_is_written(
    filled: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached, _ = load(filled, Preprocessing(size=(40, 48)))
    order = np.array([7, 3, 19])
    wanted = cached.exact[order], cached.squished[order], np.asarray(cached.aspect)
    monkeypatch.setattr("pipeline.images.pixel_cache.DISK_SHARE", 0.0)
    dataset = run(load_dataset(filled, Preprocessing(size=(40, 48)), presize=round(48 * ROOM)))
    assert "decoded anew each time" in dataset.note and len(dataset.exact) == 20
    assert np.array_equal(dataset.exact[order], wanted[0]) and np.array_equal(dataset.squished[order], wanted[1])
    assert dataset.aspect == pytest.approx(wanted[2])
    assert not list(filled.cache.glob("pixels-*/*.rows"))


def test_positions_are_those_of_the_splits(filled: Workspace) -> None:
    dataset, _ = load(filled)
    assert list(dataset.rows["split"].iloc[dataset.positions("valid", "test")].unique()) == ["valid", "test"]
    assert len(dataset.positions("train")) == 10 and len(dataset.positions("train", "valid", "test")) == 20


def test_nothing_is_decoded_twice_and_a_relabel_decodes_nothing(filled: Workspace) -> None:
    first, shown = load(filled)
    assert [(p.done, p.total) for p in shown] == [(n, 20) for n in range(1, 21)]
    again, shown = load(filled)
    assert shown == [] and np.array_equal(first.exact, again.exact)
    number = int(first.positions("valid")[0])
    image = str(first.rows["id"][number])
    filled.store.journal.decide([Wish(image, "relabel", lambda state: State(("pear",), state.status))])
    relabelled, shown = load(filled)
    assert shown == [] and relabelled.rows["label"][number] == "pear" and first.rows["label"][number] == "apple"


def test_only_new_pictures_are_decoded_and_another_size_takes_the_place_of_the_old(filled: Workspace) -> None:
    load(filled)
    (before,) = filled.cache.iterdir()
    filled.store.journal.decide(
        [Wish(str(filled.store.images()["id"][3]), "remove", lambda state: State(state.labels, "removed"))]
    )
    dataset, shown = load(filled)
    assert shown == [] and len(dataset.exact) == 19
    filled.store.journal.undo()
    assert len(load(filled)[0].exact) == 20
    _, shown = load(filled, Preprocessing(size=(32, 32)))
    assert len(shown) == 20
    (after,) = filled.cache.iterdir()
    assert after != before


def test_mean_and_std_need_no_other_pixels(filled: Workspace) -> None:
    load(filled)
    _, shown = load(filled, Preprocessing(size=(48, 48), mean=(0.1, 0.2, 0.3), std=(1.0, 1.0, 1.0)))
    assert shown == []


def test_stopping_in_the_middle_is_quick_and_keeps_what_was_decoded(filled: Workspace) -> None:
    stage = load_dataset(filled, SMALL)
    next(stage), next(stage)
    began = time.monotonic()
    stage.close()
    assert time.monotonic() - began < 5
    _, shown = load(filled)
    assert len(shown) == 18


def test_a_picture_that_was_damaged_after_verify_is_named(filled: Workspace) -> None:
    file = filled.image_file(str(filled.store.images()["file"][2]))
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(TrainingError, match=f"{file.name}: Its file was changed .*500 bytes now"):
        load(filled)


# --- batches


@given(st.integers(0, 200), st.integers(2, 64))
def test_batches_are_every_position_once_and_never_a_single_one(count: int, size: int) -> None:
    positions = np.random.default_rng(count).permutation(count)
    pieces = list(batches(positions, size))
    assert [int(p) for piece in pieces for p in piece] == [int(p) for p in positions]
    assert all(len(piece) <= size + 1 for piece in pieces)
    assert all(len(piece) > 1 for piece in pieces) or count == 1
