"""The flow end to end, as a library, on the messy starter: from broken files and wrong labels to a model folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from cleaner.clean.decisions import relabel, remove, undo
from cleaner.clean.suspects import suspects
from cleaner.compare.compare import compare
from pipeline.collect.starter_set import BROKEN
from pipeline.deploy.export import ExportConfig, export
from pipeline.predict import Classifier
from pipeline.stage import run
from pipeline.train.train import TrainConfig, train
from pipeline.workspace.runs import Run, load_run
from pipeline.workspace.workspace import Workspace

pytestmark = pytest.mark.slow


def test_the_planted_mistakes_are_found_cleaned_and_the_model_ships(messy_run: Run, tmp_path: Path) -> None:
    workspace = Workspace.open(Path(shutil.copytree(messy_run.folder.parents[1], tmp_path / "messy")))
    truth = pd.read_csv(workspace.root / "starter-messy-truth.csv", keep_default_na=False)
    names = workspace.store.sources().set_index("name")["image_id"]
    truth["id"] = truth["file"].map(names)
    assert truth["id"].notna().all(), "every planted file was imported, or is known as a copy"

    images = workspace.store.images()
    broken = set(truth[truth["kind"].isin(BROKEN)]["id"])
    assert set(images["id"][images["status"] == "set_aside"]) == broken, "every broken file is set aside, no good one"
    _assert_copies_are_grouped(workspace, truth)

    before = load_run(workspace, messy_run.id)
    found = _share_found(suspects(workspace, before), truth)
    print(f"\nplanted wrong labels found in the first N, 2N of the queue: {found[0]:.0%}, {found[1]:.0%}")
    assert found[0] >= 0.5 and found[1] >= 0.7

    splits = workspace.store.images().set_index("id")["split"]
    wrong = truth[truth["kind"] == "wrong_label"].set_index("id")["true_label"]
    for image, label in wrong.items():
        relabel(workspace, str(image), label)
    unwanted = str(truth[truth["kind"] == "near_duplicate"]["id"].iloc[0])
    file = workspace.image_file(str(workspace.store.image(unwanted)["file"]))
    remove(workspace, unwanted)
    assert not file.exists() and list(workspace.trash.rglob(file.name)), "a removed file moves to the trash"
    undo(workspace)
    assert file.exists()

    after = run(train(workspace, TrainConfig(epochs=0, image_size=160)))
    assert workspace.store.images().set_index("id")["split"].equals(splits), "no image changed sides"
    compared = compare(workspace, before, after)
    assert compared.n > 80 and compared.verdict in ("better", "cannot be told apart")
    assert after.test["error_rate"] < after.test["baseline_error_rate"] / 2

    exported = run(export(workspace, ExportConfig(after.id, str(tmp_path / "model"))))
    assert exported.parity["images"] >= 8 and exported.parity["max_difference"] <= 1e-4
    answer = Classifier.load(tmp_path / "model").predict([file])[0]
    assert answer.label in after.classes and sum(answer.probabilities.values()) == pytest.approx(1)


def _assert_copies_are_grouped(workspace: Workspace, truth: pd.DataFrame) -> None:
    groups = workspace.store.images().set_index("id")["group"]
    originals = truth.set_index("file")["id"]
    for row in truth[truth["kind"].isin(["same_bytes", "same_pixels"])].itertuples():
        assert groups[row.id] == groups[originals[row.of]], f"{row.file} is the same picture as {row.of}"


def _share_found(queue: pd.DataFrame, truth: pd.DataFrame) -> tuple[float, float]:
    """The share of the planted wrong labels, test split left out, among the first N and 2N of the queue."""
    planted = set(truth[truth["kind"] == "wrong_label"]["id"]) & set(queue["id"])
    first = [len(planted & set(queue["id"].head(k * len(planted)))) / len(planted) for k in (1, 2)]
    return first[0], first[1]
