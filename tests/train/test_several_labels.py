"""Training with several labels a picture, or none, from import to the exported model; on collages of photographs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cleaner.clean.decisions import relabel
from cleaner.clean.suspects import suspects
from cleaner.review.chosen import Chosen, images_of
from cleaner.review.confusion import confusion
from cleaner.review.review import judged, review
from cleaner.tabs.review.story import large_view, look_view
from cleaner.tabs.review.tab import everything
from pipeline.ask.one import Models
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.deploy.export import ExportConfig, export
from pipeline.errors import NotEnoughData, UsageError
from pipeline.predict import NONE, Classifier, Prediction
from pipeline.stage import run
from pipeline.tabs.predict.tab import answer_view
from pipeline.tabs.train.runs import one_run
from pipeline.train.train import TrainConfig, train
from pipeline.workspace.runs import Run
from pipeline.workspace.workspace import Workspace

SMALL: dict[str, Any] = {"image_size": 64, "batch_size": 8}


@pytest.fixture(scope="module")
def collages(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Photographs of apple, melon and pear, alone and two of them side by side, and of something else (oranges)."""
    folder = tmp_path_factory.mktemp("collages")
    files = {name: sorted((photographs / name).iterdir()) for name in ("apple", "melon", "pear", "orange")}
    rows = ["path,labels"]
    for number in range(8):
        for names in (("apple",), ("melon",), ("pear",), ("apple", "melon"), ("melon", "pear"), ("orange",)):
            pictures = [Image.open(files[name][number]).convert("RGB").resize((96, 96)) for name in names]
            wide = Image.fromarray(np.concatenate([np.asarray(picture) for picture in pictures], axis=1))
            wide.save(folder / f"{'-'.join(names)}-{number}.png")
            label = NONE if names == ("orange",) else ";".join(names)
            rows.append(f"{'-'.join(names)}-{number}.png,{label}")
    (folder / "labels.csv").write_text("\n".join(rows))
    workspace = Workspace.create(tmp_path_factory.mktemp("several") / "ws")
    run(import_images(workspace, ImportConfig(str(folder))))
    return workspace


@pytest.fixture(scope="module")
def trained(collages: Workspace) -> Run:
    return run(train(collages, TrainConfig(layers="all", epochs=1, resize="squish", **SMALL)))


def test_the_run_answers_with_several_labels_and_none(collages: Workspace, trained: Run) -> None:
    assert trained.classes == ("apple", "melon", "pear") and trained.answers == ("apple", "melon", "pear", NONE)
    assert trained.outputs.kind == "sigmoid" and trained.outputs.several and len(trained.outputs.thresholds) == 3
    table = trained.predictions()
    assert {"apple|melon", NONE} <= set(table["label"]) and table["predicted"].str.contains("|", regex=False).any()
    probabilities = table[["p:apple", "p:melon", "p:pear"]].to_numpy(dtype=float)
    flags = np.array([[name in label.split("|") for name in trained.classes] for label in table["label"]])
    losses = -np.log(np.where(flags, probabilities, 1 - probabilities)).sum(axis=1)
    np.testing.assert_allclose(table["loss"], losses, rtol=1e-3)
    per_class = ((probabilities >= 0.5) == flags).mean()
    assert per_class > 0.75, "much better than a coin"
    assert trained.record["epochs"][0]["phase"] == "head" and trained.record["best_epoch"] in (0, 1)


def test_thresholds_come_from_the_valid_split_with_their_curves(trained: Run) -> None:
    chosen = trained.record["thresholds"]
    assert trained.record["set_on"]["thresholds"] == trained.record["set_on"]["temperature"]
    assert [one["name"] for one in chosen] == ["apple", "melon", "pear"]
    assert tuple(one["threshold"] for one in chosen) == trained.outputs.thresholds
    valid = trained.predictions()
    valid = valid[valid["split"] == "valid"]
    for one in chosen:
        there = np.array([one["name"] in label.split("|") for label in valid["label"]])
        said = valid[f"p:{one['name']}"].to_numpy(dtype=float) >= one["threshold"]
        assert one["n"] == there.sum() and one["recall"] == pytest.approx((said & there).sum() / there.sum())
        assert len(one["curve"]) == 19


@pytest.mark.slow
def test_the_folder_and_an_export_give_the_same_answers(collages: Workspace, trained: Run, tmp_path: Path) -> None:
    rows = trained.predictions()
    rows = rows[~rows["out_of_fold"]]
    files = collages.store.images().set_index("id")["file"]
    paths = [collages.image_file(files[image]) for image in rows["id"]]
    answers = Classifier.load(trained.folder).predict(paths)
    assert [answer.label for answer in answers] == list(rows["predicted"])
    exported = run(export(collages, ExportConfig(trained.id, str(tmp_path / "space"), space=True)))
    assert exported.parity["images"] and exported.parity["max_difference"] < 1e-4
    info = json.loads((tmp_path / "space" / "config.json").read_text(encoding="utf-8"))
    assert info["outputs"]["kind"] == "sigmoid" and info["outputs"]["thresholds"]
    card = (tmp_path / "space" / "README.md").read_text(encoding="utf-8")
    labels = trained.predictions().query("split == 'valid'")["label"]
    assert "several classes or none of them" in card and "| none of these |" in card
    assert f"| {sum('melon' in label for label in labels)} |" in next(
        line for line in card.splitlines() if line.startswith("| melon |")
    )


def test_the_page_shows_the_answer_in_words_and_how_the_thresholds_were_chosen(
    collages: Workspace, trained: Run
) -> None:
    html = one_run(trained)
    assert "finds apple, melon, pear, several at once or none of them" in html
    assert html.count("<figure") == 4 and html.count('class="w-chosen"') == 3 and "named from" in html
    seen = answer_view(Prediction("apple|pear", 0.6, {"apple": 0.7, "melon": 0.1, "pear": 0.6}, False))
    assert seen is not None and seen["label"] == "apple, pear"
    assert [one["label"] for one in seen["confidences"]] == ["apple", "pear", "melon"]
    none = answer_view(Prediction(NONE, 0.6, {"apple": 0.4, "melon": 0.1}, False))
    assert none is not None and none["label"] == NONE
    assert answer_view(None) is None


def test_review_counts_what_was_missed_and_what_was_invented(collages: Workspace, trained: Run) -> None:
    found = review(collages, trained, "train")
    assert found.classes == ["apple", "melon", "pear", NONE]
    seen = judged(collages, trained)
    part = seen[seen["split"] == "train"]
    table, sources = confusion(part, trained.answers), collages.store.sources()
    for actual in table.index:
        for predicted in table.columns:
            cell = images_of(part, Chosen("cell", str(actual), str(predicted)), trained.outputs, sources)
            assert len(cell) == table.loc[actual, predicted], (actual, predicted)
    support = {row["class"]: row["n"] for row in found.per_class}
    assert support["melon"] == sum("melon" in label.split("|") for label in part["label"])
    assert found.calibration["n"] == 3 * len(part) and found.most_unsure[0]["margin"] <= found.most_unsure[1]["margin"]


def test_every_view_of_the_review_tab_holds_several_labels(collages: Workspace, trained: Run) -> None:
    views = json.loads(json.dumps(everything(collages, trained, "valid")))
    assert views[1]["classes"][-1] == NONE and "one for each class of each image" in views[4]["hint"]
    image = views[-1]["rows"][0]["id"]
    opened = large_view(collages, trained, "valid", image)
    assert len(opened["answers"]) == 3 and json.dumps(opened)
    told = look_view(collages, trained, "valid", image, Models(1))
    assert told["heat"] and ("when it said" in told["words"] or "named no class" in told["words"])


def test_a_wrong_set_of_labels_is_suspected_and_can_be_changed(collages: Workspace, trained: Run) -> None:
    rows = trained.predictions()
    sure = rows[rows["split"] == "train"].sort_values("loss").iloc[0]
    image, label = str(sure["id"]), str(sure["label"])
    queue = suspects(collages, trained).set_index("id")
    assert queue.loc[image, "score"] == queue.loc[queue["split"] == "train", "score"].min()
    other = "pear" if "pear" not in label else "apple|melon"
    relabel(collages, image, other)
    assert collages.store.image(image)["label"] == other
    changed = judged(collages, trained).set_index("id").loc[image]
    assert changed["trained_label"] == label and changed["loss"] > sure["loss"] + 0.5
    collages.store.journal.undo()
    assert collages.store.image(image)["label"] == label


def test_one_label_each_or_none_of_these(small_network: dict[str, Any], photographs: Path, tmp_path: Path) -> None:
    """A sigmoid head on pictures with one label each answers with one class, or with none of them."""
    workspace = Workspace.create(tmp_path / "ws")
    for name, label in (("apple", "apple"), ("pear", "pear"), ("orange", NONE)):
        run(import_images(workspace, ImportConfig(str(photographs / name), label=label)))
    done = run(train(workspace, TrainConfig(head="sigmoid", layers="head", **small_network, **SMALL)))
    assert done.classes == ("apple", "pear") and not done.outputs.several
    assert set(done.predictions()["predicted"]) <= {"apple", "pear", NONE}
    ordinary = run(train(workspace, TrainConfig(layers="head", **small_network, **SMALL)))
    assert ordinary.classes == ("apple", NONE, "pear") and ordinary.outputs.kind == "softmax"


@pytest.mark.slow
def test_mixing_weighing_and_drawing_take_several_labels(collages: Workspace, small_network: dict[str, Any]) -> None:
    for settings in ({"mixup": 0.2, "balance": "weights"}, {"cutmix": 1.0, "balance": "sampling"}):
        settings = {"layers": "all", "epochs": 1, "label_smoothing": 0.1, **settings, **small_network, **SMALL}
        done = run(train(collages, TrainConfig(**settings)))
        assert np.isfinite([epoch["train_loss"] for epoch in done.epochs]).all()


def test_what_does_not_fit_is_said(collages: Workspace, workspace: Workspace, photographs: Path) -> None:
    with pytest.raises(UsageError, match="--head sigmoid"):
        run(train(collages, TrainConfig(head="softmax", **SMALL)))
    run(import_images(workspace, ImportConfig(str(photographs / "apple"), label="apple")))
    with pytest.raises(NotEnoughData, match=r"All 8 pictures are called 'apple'.*or of 'none of these'"):
        run(train(workspace, TrainConfig(head="sigmoid", **SMALL)))
