"""What a run gets wrong, from a handful of predictions whose truth is known."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

import pytest

from cleaner.clean.decisions import relabel, remove
from cleaner.review.confusion import confusion, most_confused
from cleaner.review.review import judged, review, top_losses
from pipeline.errors import UsageError
from tests.cleaner.fabricate import CLASSES, Shot, run_with, workspace_with

SHOTS = [
    Shot("a1", "ant", "valid", (0.9, 0.05, 0.05)),
    Shot("a2", "ant", "valid", (0.2, 0.7, 0.1)),
    Shot("a3", "ant", "valid", (0.1, 0.85, 0.05)),
    Shot("b1", "bee", "valid", (0.1, 0.8, 0.1)),
    Shot("b2", "bee", "valid", (0.3, 0.3, 0.4)),
    Shot("c1", "cat", "valid", (0.01, 0.01, 0.98)),
    Shot("c2", "cat", "train", (0.5, 0.3, 0.2)),
    Shot("t1", "cat", "test", (0.6, 0.2, 0.2)),
]


@pytest.fixture
def made(tmp_path: Path):
    workspace, ids = workspace_with(tmp_path / "w", SHOTS)
    return workspace, ids, run_with(workspace, ids, SHOTS)


def test_the_confusion_matrix_counts_every_image_of_the_split_once(made):
    workspace, _, run = made
    found = review(workspace, run)
    assert found.classes == list(CLASSES)
    assert found.confusion == [[1, 2, 0], [0, 1, 1], [0, 0, 1]]
    assert found.n == 6 and found.error_rate == 0.5
    assert found.low < 0.5 < found.high


def test_the_most_confused_pairs_come_most_often_first(made):
    workspace, _, run = made
    seen = judged(workspace, run)
    valid = seen[seen["split"] == "valid"]
    assert most_confused(valid, CLASSES) == [("ant", "bee", 2), ("bee", "cat", 1)]
    assert most_confused(valid, CLASSES, minimum=2) == [("ant", "bee", 2)]


def test_the_top_losses_come_worst_first_with_what_the_command_promises(made):
    workspace, ids, run = made
    worst = review(workspace, run, count=2).top_losses
    assert [row["id"] for row in worst] == [ids["a3"], ids["a2"]]
    assert list(worst[0]) == ["id", "file", "actual", "predicted", "loss", "probability"]
    assert worst[0]["loss"] == pytest.approx(-math.log(0.1))
    assert worst[0]["actual"] == "ant" and worst[0]["predicted"] == "bee" and worst[0]["probability"] == 0.85
    assert len(top_losses(judged(workspace, run), 100)) == len(SHOTS)


def test_the_command_tells_the_least_sure_the_classes_the_calibration_and_the_slices_too(made):
    workspace, ids, run = made
    found = json.loads(json.dumps(asdict(review(workspace, run, count=2))))
    assert [row["id"] for row in found["most_unsure"]] == [ids["b2"], ids["a2"]]
    assert found["most_unsure"][0]["margin"] == pytest.approx(0.1)
    assert found["per_class"][0]["class"] == "ant" and found["per_class"][0]["recall"] == pytest.approx(1 / 3)
    assert found["calibration"]["n"] == 6 and len(found["calibration"]["bins"]) == 10 and found["slices"] == []


def test_a_label_corrected_since_the_training_is_judged_as_it_is_now(made):
    workspace, ids, run = made
    relabel(workspace, ids["a3"], "bee")
    remove(workspace, ids["a2"])
    found = review(workspace, run)
    assert found.confusion == [[1, 0, 0], [0, 2, 1], [0, 0, 1]]
    assert (found.n, found.changed, found.gone) == (5, 1, 1)
    again = judged(workspace, run).set_index("id").loc[ids["a3"]]
    assert again["loss"] == pytest.approx(-math.log(0.85)) and again["trained_label"] == "ant"


def test_an_image_of_a_class_the_run_does_not_know_is_counted_as_wrong(made):
    workspace, ids, run = made
    relabel(workspace, ids["a1"], "dog")
    found = review(workspace, run)
    assert found.n == 6 and found.error_rate == pytest.approx(4 / 6)
    assert sum(map(sum, found.confusion)) == 5
    assert found.top_losses[0]["actual"] == "dog" and math.isfinite(found.top_losses[0]["loss"])


def test_train_and_test_are_reviewed_only_by_name(made):
    workspace, ids, run = made
    everything = {row["id"] for row in review(workspace, run).top_losses}
    assert everything.isdisjoint({ids["t1"], ids["c2"]})
    assert [row["id"] for row in review(workspace, run, "test").top_losses] == [ids["t1"]]
    assert [row["id"] for row in review(workspace, run, "train").top_losses] == [ids["c2"]]
    with pytest.raises(UsageError, match="train, valid, test"):
        review(workspace, run, "holdout")


def test_a_split_without_images_gives_empty_answers(tmp_path: Path):
    shots = [Shot("a1", "ant", "train", (0.9, 0.05, 0.05))]
    workspace, ids = workspace_with(tmp_path / "w", shots)
    found = review(workspace, run_with(workspace, ids, shots), "test")
    assert (found.n, found.error_rate, found.low, found.high) == (0, None, None, None)
    assert found.confusion == [[0, 0, 0]] * 3 and found.top_losses == [] and found.most_confused == []


def test_a_run_with_a_thousand_classes_is_reviewed_without_a_table_of_names(tmp_path: Path):
    classes = tuple(f"class {n:04}" for n in range(1000))
    answers = [tuple(0.9 if c == n else 0.1 / 999 for c in range(1000)) for n in range(20)]
    shots = [Shot(f"s{n}", classes[n], "valid", answers[n]) for n in range(20)]
    workspace, ids = workspace_with(tmp_path / "w", shots, pictures=False)
    run = run_with(workspace, ids, shots, classes)
    counts = confusion(judged(workspace, run), classes)
    assert counts.shape == (1000, 1000) and counts.to_numpy().trace() == 20
