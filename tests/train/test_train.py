"""Fine-tuning on real photographs, small: it learns, repeats itself, and leaves nothing half done."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from cleaner.clean.decisions import relabel
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.errors import BackboneError, NotEnoughData, RunError, TrainingError, UsageError
from pipeline.predict import Classifier
from pipeline.stage import Progress, run
from pipeline.train.fine_tune import new_optimizer, train_mode
from pipeline.train.history import TrainingHistory
from pipeline.train.plan import LEARNING, plan
from pipeline.train.train import TrainConfig, prepare, train, training_lock
from pipeline.workspace.runs import Run, list_runs, load_run
from pipeline.workspace.workspace import Workspace

SMALL: dict[str, Any] = {"image_size": 64, "batch_size": 8}


@pytest.fixture(scope="module")
def told() -> list[Progress]:
    """What the training of ``trained`` told."""
    return []


@pytest.fixture(scope="module")
def trained(fruit: Workspace, told: list[Progress]) -> Run:
    return run(train(fruit, TrainConfig(epochs=1, **SMALL)), told.append)


def test_it_learns_more_than_the_most_frequent_class(trained: Run) -> None:
    both = trained.predictions()
    wrong = float((both["label"] != both["predicted"]).mean())
    assert wrong < 0.5 < trained.valid["baseline_error_rate"]
    assert [epoch["epoch"] for epoch in trained.epochs] == [0, 1]


@pytest.mark.slow
def test_each_epoch_is_validated_with_its_own_weights(
    fruit: Workspace, small_network: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the body is compiled, which is done for many pictures only."""
    said = []
    for worth in (1, 10**6):
        monkeypatch.setattr("pipeline.train.engine.WORTH_COMPILING", worth)
        made = run(train(fruit, TrainConfig(epochs=1, layers="all", base_lr=3e-3, **small_network, **SMALL)))
        said.append([epoch["valid_loss"] for epoch in made.epochs])
    assert said[0] == pytest.approx(said[1], rel=1e-3) and len(set(said[0])) == 2


def test_every_usable_image_has_one_prediction_and_train_rows_are_out_of_fold(fruit: Workspace, trained: Run) -> None:
    rows = trained.predictions()
    images = fruit.store.images("ok")
    assert sorted(rows["id"]) == sorted(images["id"])
    assert ((rows["split"] == "train") == rows["out_of_fold"]).all()
    columns = [f"p:{name}" for name in trained.classes]
    assert rows[columns].sum(axis=1).tolist() == pytest.approx([1.0] * len(rows), abs=1e-5)
    assert (rows[columns].idxmax(axis=1).str[2:] == rows["predicted"]).all()


def test_train_and_valid_rows_are_answered_out_of_fold_too_and_never_a_test_row(fruit: Workspace, trained: Run) -> None:
    rows, all_rows = trained.out_of_fold(), trained.predictions()
    assert sorted(rows["id"]) == sorted(all_rows.loc[all_rows["split"] != "test", "id"])
    assert rows["out_of_fold"].all()
    train, same = (table[table["split"] == "train"].reset_index(drop=True) for table in (rows, all_rows))
    pd.testing.assert_frame_equal(train, same.drop(columns="strangeness"))
    assert all_rows["strangeness"].abs().between(0, 100).all() and all_rows["strangeness"].nunique() > 10


def test_the_features_of_every_image_are_kept_and_the_head_on_them_gives_the_predictions(trained: Run) -> None:
    kept = trained.features()
    assert kept is not None
    ids, features = kept
    rows = trained.predictions().set_index("id")
    assert sorted(ids) == sorted(rows.index) and features.dtype == np.float16
    model = Classifier.load(trained.folder).model
    with torch.inference_mode():
        answers = model.get_classifier()(torch.from_numpy(features.astype(np.float32))).softmax(dim=1).numpy()
    held_out = [number for number, image in enumerate(ids) if not rows.loc[image, "out_of_fold"]]
    columns = [f"p:{name}" for name in trained.classes]
    expected = rows.loc[[ids[number] for number in held_out], columns].to_numpy(dtype=float)
    assert answers[held_out] == pytest.approx(expected, abs=5e-3)


def test_the_runs_folder_is_a_model_that_gives_the_stored_probabilities(fruit: Workspace, trained: Run) -> None:
    rows = trained.predictions()
    files = fruit.store.images().set_index("id")["file"]
    held_out = rows[~rows["out_of_fold"]]
    answers = Classifier.load(trained.folder).predict([fruit.image_file(files[image]) for image in held_out["id"]])
    for answer, row in zip(answers, held_out.to_dict("records"), strict=True):
        assert answer.probabilities == pytest.approx({name: row[f"p:{name}"] for name in trained.classes}, abs=1e-5)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_run_and_another_seed_another(
    fruit: Workspace, small_network: dict[str, Any]
) -> None:
    settings = {"epochs": 1, "layers": "all", **small_network, **SMALL}
    one, again, other = (run(train(fruit, TrainConfig(seed=seed, **settings))) for seed in (0, 0, 1))
    for name in ("train_loss", "valid_loss", "error_rate"):
        assert [e[name] for e in again.epochs] == pytest.approx([e[name] for e in one.epochs], abs=1e-5)
    assert again.epochs[1]["train_loss"] != pytest.approx(other.epochs[1]["train_loss"], abs=1e-5)
    assert {again.id, other.id, one.id} <= {found.id for found in list_runs(fruit)}


@pytest.mark.usefixtures("trained")
def test_progress_tells_what_a_curve_needs(told: list[Progress]) -> None:
    steps = [p.metrics for p in told if p.metrics.get("phase") == "all" and "loss" in p.metrics]
    assert steps and all({"loss", "lr", "eta", "images_per_second"} <= step.keys() for step in steps)
    epochs = [p.metrics["epoch"] for p in told if "epoch" in p.metrics]
    assert [epoch["epoch"] for epoch in epochs] in ([0, 0, 1], [0, 1])  # the head of more views, where it is better


def test_batch_norm_keeps_the_statistics_of_the_pretrained_body() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4), torch.nn.Dropout())
    train_mode(model)
    assert [module.training for module in model] == [True, False, True]


def test_a_new_class_with_too_few_pictures_is_refused_by_name(photographs: Path, workspace: Workspace) -> None:
    run(import_images(workspace, ImportConfig(str(photographs))))
    first = str(workspace.store.images()["id"].iloc[0])
    relabel(workspace, first, "durian")
    with pytest.raises(NotEnoughData, match=r"'durian' has .* at least 2"):
        run(train(workspace, TrainConfig(epochs=0, **SMALL)))


def test_an_empty_workspace_and_a_single_class_are_refused_before_any_long_work(
    photographs: Path, workspace: Workspace
) -> None:
    with pytest.raises(NotEnoughData, match="Import some"):
        run(train(workspace, TrainConfig(**SMALL)))
    run(import_images(workspace, ImportConfig(str(photographs / "pear"), label="梨")))
    with pytest.raises(NotEnoughData, match="All 8 pictures are called '梨'"):
        run(train(workspace, TrainConfig(**SMALL)))


@pytest.mark.slow
def test_a_file_that_vanished_is_named(photographs: Path, small_network: dict[str, Any], workspace: Workspace) -> None:
    run(import_images(workspace, ImportConfig(str(photographs))))
    run(train(workspace, TrainConfig(epochs=0, **small_network, **SMALL)))
    row = workspace.store.images("ok").iloc[0]
    workspace.image_file(str(row["file"])).unlink()
    with pytest.raises(TrainingError, match="Its file is gone from the workspace"):
        run(train(workspace, TrainConfig(epochs=0, image_size=96)))


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"epochs": -1}, "0 or more"),
        ({"image_size": 7}, "from 32"),
        ({"resize": "stretch"}, "squish"),
        ({"base_lr": 0.0}, "above 0"),
        ({"augmentation": "wild"}, "photo"),
        ({"device": "abacus"}, "auto"),
    ],
)
def test_settings_out_of_range_are_refused_with_the_rule(wrong: dict[str, object], rule: str) -> None:
    with pytest.raises(UsageError, match=rule):
        TrainConfig(**wrong)  # type: ignore[arg-type]


def test_an_unknown_backbone_is_refused_before_decoding(fruit: Workspace) -> None:
    with pytest.raises(BackboneError, match="no backbone"):
        run(train(fruit, TrainConfig(backbone="resnet-18")))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there_is_said(fruit: Workspace) -> None:
    with pytest.raises(UsageError, match="no cuda device"):
        run(train(fruit, TrainConfig(device="cuda")))


def test_runs_are_listed_newest_first_and_an_unknown_one_is_explained(fruit: Workspace, trained: Run) -> None:
    found = list_runs(fruit)
    assert [r.created for r in found] == sorted((r.created for r in found), reverse=True)
    assert load_run(fruit, trained.id).record == trained.record
    assert load_run(fruit).id == found[0].id
    for name in ("nothing", "../" + trained.id, ""):
        if name != "../" + trained.id:
            with pytest.raises(RunError, match="no run"):
                load_run(fruit, name)
    (fruit.runs / "half").mkdir()
    assert [r.id for r in list_runs(fruit)] == [r.id for r in found]


def test_predictions_are_a_file_that_pandas_reads(trained: Run) -> None:
    table = pd.read_csv(trained.folder / "predictions.csv")
    assert list(table.columns[:7]) == ["id", "split", "label", "predicted", "probability", "loss", "out_of_fold"]


def test_a_loss_that_is_no_number_stops_with_advice(fruit: Workspace) -> None:
    task, engine = run(prepare(fruit, TrainConfig(**SMALL)))
    with torch.no_grad():
        engine.model.get_classifier().weight.fill_(float("nan"))
    before = engine.model.conv_stem.weight.clone()
    engine.begin(new_optimizer(engine.model, task.config), seed=0)
    some = task.dataset.positions("train")[:4]
    batch = task.batch(some, task.load(some, engine.ranks), engine.ranks, engine.views)
    with pytest.raises(TrainingError, match=rf"no longer a number.*lower rate than {task.config.base_lr:g}\."):
        engine.step(batch)
    assert torch.equal(engine.model.conv_stem.weight, before)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="users have numbers on Unix only")
def test_a_user_without_a_name_can_train_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 987_654)
    assert training_lock().name == "winnow-training-987654.lock"


@pytest.mark.slow
@pytest.mark.parametrize("network", ["small", pytest.param("lite0", marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize(
    "settings",
    [
        {"layers": "head", "epochs": 5},
        {"layers": "gradual", "epochs": 2, "schedule": "cosine", "ema": 0.9},
        {"layers": "all", "epochs": 2, "sizes": (32, 64), "optimizer": "sgd", "balance": "sampling"},
        {
            "layers": "all",
            "epochs": 3,
            "schedule": "restarts",
            "snapshots": "average",
            "cycle_factor": 1.0,
            "mixup": 0.2,
        },
        {"layers": "all", "epochs": 1, "freeze_epochs": 0, "drop_rate": 0.2, "drop_path_rate": 0.1, "cutmix": 1.0},
        {"layers": "auto", "epochs": 1, "freeze_epochs": 4, "image_width": 96, "balance": "weights"},
    ],
    ids=lambda settings: settings["layers"] + "-" + "-".join(settings),
)
def test_every_way_to_train_ends_in_a_run_that_predicts(
    fruit: Workspace, settings: dict[str, Any], network: str, small_network: dict[str, Any]
) -> None:
    settings = {**settings, **(small_network if network == "small" else {})}
    finished = run(train(fruit, TrainConfig(**{**SMALL, **settings})))
    done = [epoch for epoch in finished.epochs if epoch["phase"] == "all"]
    assert len(done) == (0 if settings["layers"] == "head" else settings["epochs"])
    assert (finished.epochs[0]["phase"] == "head") == (settings.get("freeze_epochs") != 0)
    assert any(epoch["phase"] == "average" for epoch in finished.epochs) == ("snapshots" in settings)
    if "sizes" in settings:
        assert [epoch["size"] for epoch in done] == [[32, 32], [64, 64]]
    both = finished.predictions()
    if network != "small":
        assert float((both["label"] != both["predicted"]).mean()) < 0.6
    rows = both[~both["out_of_fold"]]
    files = fruit.store.images().set_index("id")["file"]
    classifier = Classifier.load(finished.folder)
    assert classifier.preprocessing.size == (64, settings.get("image_width", 64))
    answers = classifier.predict([fruit.image_file(files[image]) for image in rows["id"]])
    assert [answer.label for answer in answers] == list(rows["predicted"])
    assert TrainConfig(**finished.config) == TrainConfig(**{**SMALL, **settings})


def test_auto_leaves_the_body_alone_where_the_head_is_right_already_or_time_is_short(
    fruit: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, engine = run(prepare(fruit, TrainConfig(epochs=3, minutes=1.0, **SMALL)))
    history = TrainingHistory(epochs=[{"epoch": 0, "phase": "head", "valid_loss": 0.1, "error_rate": 0.0}])
    assert plan(task, engine, history) == [] and "The head alone gets 0.0 % wrong" in history.decision
    history.epochs[0]["error_rate"] = 0.2
    pictures = len(task.dataset.positions("train"))
    monkeypatch.setattr("pipeline.train.plan._pace", lambda *_: 25 / LEARNING / pictures)
    assert len(plan(task, engine, history)) == 2 and "2 of 3 epochs" in history.decision
    monkeypatch.setattr("pipeline.train.plan._pace", lambda *_: 80 / LEARNING / pictures)
    assert plan(task, engine, history) == [] and "about 80 seconds" in history.decision
    monkeypatch.undo()
    assert [epoch.size for epoch in plan(task, engine, history)] == [(64, 64)] * 3


@pytest.mark.slow
def test_it_stops_early_where_the_loss_does_not_fall_and_the_model_is_that_of_the_best_epoch(fruit: Workspace) -> None:
    finished = run(train(fruit, TrainConfig(layers="all", epochs=4, patience=1, base_lr=0.3, **SMALL)))
    assert finished.epochs[-1]["epoch"] < 4 and finished.record["best_epoch"] < finished.epochs[-1]["epoch"]
    assert "Stopped early" in " ".join(finished.record["notes"])
    losses = [epoch["valid_loss"] for epoch in finished.epochs]
    best = finished.epochs[losses.index(min(losses))]
    assert finished.record["best_epoch"] == best["epoch"]
    assert finished.valid["error_rate"] == pytest.approx(best["error_rate"], abs=1e-6)
    assert "did not pay" in finished.record["decision"]


@pytest.mark.slow
def test_auto_gives_up_after_an_epoch_that_made_it_much_worse(
    fruit: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.train.plan.FEW_WRONG", -1.0)
    finished = run(train(fruit, TrainConfig(layers="auto", epochs=4, base_lr=0.3, **SMALL)))
    assert [epoch["phase"] for epoch in finished.epochs] == ["head", "all"]
    assert "much worse than the head alone" in " ".join(finished.record["notes"])
    assert "did not pay" in finished.record["decision"] and finished.record["best_epoch"] == 0


def test_own_weights_are_started_from_and_unfitting_ones_are_explained(
    fruit: Workspace, trained: Run, tmp_path: Path
) -> None:
    _, own = run(prepare(fruit, TrainConfig(weights=str(trained.folder / "model.safetensors"), **SMALL)))
    theirs = Classifier.load(trained.folder).model.state_dict()
    mine = own.model.state_dict()
    assert all(torch.equal(mine[key], theirs[key]) for key in mine if not key.startswith("classifier"))
    with pytest.raises(BackboneError, match="do not fit"):
        run(
            prepare(
                fruit,
                TrainConfig(
                    backbone="tf_efficientnet_lite1", weights=str(trained.folder / "model.safetensors"), **SMALL
                ),
            )
        )
    with pytest.raises(BackboneError, match="cannot be read"):
        run(prepare(fruit, TrainConfig(weights=str(tmp_path / "none.safetensors"), **SMALL)))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"layers": "some"}, "--layers is auto, head, gradual or all"),
        ({"freeze_epochs": 0, "epochs": 0}, "Nothing would learn"),
        ({"snapshots": "average"}, "--snapshots needs --schedule restarts"),
        ({"sizes": (16,)}, "--sizes are from 32"),
        ({"ema": 1.0}, "--ema is from 0 to below 1"),
        ({"image_width": 9}, "--image-width is from 32"),
        ({"minutes": 0}, "--minutes is above 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_words(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        TrainConfig(**wrong)
