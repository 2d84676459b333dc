"""The pictures a run learnt from that look most alike: which ones count, and in which order."""

from __future__ import annotations

import numpy as np
import pytest

from cleaner.clean.decisions import relabel, remove
from pipeline.ask.neighbours import nearest, similarity
from pipeline.errors import RunError
from pipeline.workspace.runs import FEATURES, load_run, write_record
from pipeline.workspace.workspace import Workspace


def test_the_nearest_are_of_the_train_split_and_the_picture_itself_comes_first(trained: Workspace) -> None:
    run = load_run(trained)
    kept = run.features()
    assert kept is not None
    ids, features = kept
    images = trained.store.images().set_index("id")
    place = next(number for number, image in enumerate(ids) if images.at[image, "split"] == "train")
    found = nearest(trained, run, np.asarray(features[place]), count=8)
    assert found[0].id == ids[place] and found[0].similarity == pytest.approx(1, abs=1e-3)
    assert {images.at[one.id, "split"] for one in found} == {"train"}
    assert [one.similarity for one in found] == sorted((one.similarity for one in found), reverse=True)
    assert len({images.at[one.id, "group"] for one in found}) == len(found) == 8


def test_what_was_removed_since_is_not_shown_and_labels_are_those_of_today(trained: Workspace) -> None:
    run = load_run(trained)
    kept = run.features()
    assert kept is not None
    first, second = nearest(trained, run, np.asarray(kept[1][0]), count=2)
    remove(trained, first.id)
    relabel(trained, second.id, "quince")
    left = nearest(trained, run, np.asarray(kept[1][0]))
    assert first.id not in {one.id for one in left} and left[0].label == "quince"


def test_a_run_without_features_or_of_another_network_has_none(trained: Workspace) -> None:
    run = load_run(trained)
    assert nearest(trained, run, np.ones(3)) == []
    (run.folder / FEATURES).unlink()
    with pytest.raises(RunError, match="cannot be read"):
        nearest(trained, run, np.ones(1280))
    write_record(run.folder, run.record)  # as if it had kept none
    assert nearest(trained, load_run(trained), np.ones(1280)) == []


def test_zeros_are_like_nothing() -> None:
    rows = np.array([[2, 0], [0, 1], [-1, 0], [0, 0]], dtype=np.float16)
    assert similarity(rows, np.array([1, 0], dtype=np.float16)).tolist() == [1, 0, -1, 0]
