"""One step of the optimiser and what goes into it: layers, rates, weights, mixed pictures, smaller views."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.models import create_model

from pipeline.model.frozen_body import WORTH_COMPILING
from pipeline.stage import run
from pipeline.train.data import ahead
from pipeline.train.engine import Engine
from pipeline.train.fine_tune import new_optimizer, open_layers, set_rates, train_mode
from pipeline.train.task import Task
from pipeline.train.train import TrainConfig, prepare
from pipeline.workspace.workspace import Workspace

SMALL: dict[str, Any] = {"image_size": 64, "batch_size": 8}


def ready(workspace: Workspace, **settings: Any) -> tuple[Task, Engine]:
    task, engine = run(prepare(workspace, TrainConfig(**SMALL, **settings)))
    engine.begin(new_optimizer(engine.model, task.config), seed=0)
    return task, engine


def step(task: Task, engine: Engine, positions: np.ndarray[Any, Any], seed: int = 0) -> float:
    loaded, chance = task.load(positions, engine.ranks), torch.Generator().manual_seed(seed)
    return engine.step(task.batch(positions, loaded, engine.ranks, chance))


@pytest.fixture(scope="module")
def networks() -> dict[str, Any]:
    names = ("tf_efficientnet_lite0", "resnet18", "vit_tiny_patch16_224", "convnext_atto", "mobilenetv2_100")
    return {name: create_model(name, pretrained=False, num_classes=3) for name in names}


@settings(max_examples=40)
@given(st.sampled_from(("tf_efficientnet_lite0", "resnet18", "vit_tiny_patch16_224", "convnext_atto")), st.data())
def test_layers_open_from_the_top_and_the_head_always_learns(
    networks: dict[str, Any], name: str, data: st.DataObject
) -> None:
    model = networks[name]
    few, many = sorted((data.draw(st.floats(0.01, 1.0)), data.draw(st.floats(0.01, 1.0))))
    learning = []
    for share in (few, many):
        open_layers(model, share)
        learning.append({key for key, parameter in model.named_parameters() if parameter.requires_grad})
    assert learning[0] <= learning[1]
    head = {id(parameter) for parameter in model.get_classifier().parameters()}
    assert all(p.requires_grad for p in model.parameters() if id(p) in head)
    open_layers(model, 1.0)
    assert all(parameter.requires_grad for parameter in model.parameters())


@settings(max_examples=30)
@given(
    st.sampled_from(("tf_efficientnet_lite0", "resnet18", "vit_tiny_patch16_224", "convnext_atto")),
    st.floats(0.1, 1.0),
    st.sampled_from(("adamw", "sgd")),
)
def test_every_parameter_is_in_one_group_and_lower_layers_are_slower(
    networks: dict[str, Any], name: str, decay: float, kind: str
) -> None:
    model = networks[name]
    optimizer = new_optimizer(model, TrainConfig(layer_decay=decay, optimizer=kind))
    grouped = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in model.parameters())
    set_rates(optimizer, 0.1, 0.9)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert max(rates.values()) == pytest.approx(0.1)
    first, *_ = model.parameters()
    head = next(model.get_classifier().parameters())
    assert rates[id(first)] <= rates[id(head)] == pytest.approx(0.1)
    assert all(0.9 in (group.get("momentum"), *group.get("betas", ())) for group in optimizer.param_groups)


def test_weights_make_a_rare_class_count_as_much_as_the_others(fruit: Workspace) -> None:
    task, _ = ready(fruit, balance="weights")
    targets = task.targets[task.dataset.positions("train")]
    weights = task.class_weights
    totals = [float(weights[targets[targets == number]].sum()) for number in range(len(task.dataset.classes))]
    assert totals == pytest.approx([totals[0]] * len(totals))
    assert float(weights[targets].mean()) == pytest.approx(1.0)
    assert ready(fruit)[0].class_weights.tolist() == [1.0] * len(totals)


def test_a_class_that_is_drawn_more_often_does_not_count_more_as_well(
    fruit: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = {}
    monkeypatch.setattr(Task, "class_weights", torch.tensor([1.0, 9.0, 1.0, 9.0, 1.0]))
    for balance in ("none", "sampling", "weights"):
        task, engine = ready(fruit, balance=balance, augmentation="none")
        order = task.dataset.positions("train")[::3][:8]
        assert len(set(task.targets[order].tolist())) > 1
        engine.model.eval()
        losses[balance] = step(task, engine, order)
    assert losses["sampling"] == pytest.approx(losses["none"], rel=1e-5)
    assert losses["weights"] != pytest.approx(losses["none"], rel=1e-3)


def test_a_step_with_pieces_is_that_of_the_whole_batch_with_weights_too(
    fruit: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown = []
    for piece in (0, 3):
        task, engine = ready(fruit, balance="weights", augmentation="none", clip=0.0)
        weights = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0][: len(task.dataset.classes)])
        monkeypatch.setattr(Task, "class_weights", weights)
        engine.piece = piece
        set_rates(engine.optimizer, 0.0)
        engine.model.eval()
        loss = step(task, engine, task.dataset.positions("train")[:8])
        grown.append((loss, engine.model.get_classifier().weight.grad.clone()))
    assert grown[0][0] == pytest.approx(grown[1][0], rel=1e-4)
    assert torch.allclose(grown[0][1], grown[1][1], atol=1e-5)


def test_scaled_losses_make_the_same_step(fruit: Workspace) -> None:
    """As on a GPU that computes in float16: gradients of a loss times 65,536, divided again before they are used."""
    weights = []
    for enabled in (False, True):
        task, engine = ready(fruit)
        engine.scaler = torch.amp.GradScaler("cpu", enabled=enabled)
        train_mode(engine.model)
        step(task, engine, task.dataset.positions("train")[:8])
        weights.append(engine.model.get_classifier().weight.detach().clone())
    torch.testing.assert_close(weights[0], weights[1], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("kind", [{}, {"augmentation": "none"}, {"mixup": 0.2}], ids=str)
def test_pixels_loaded_ahead_make_the_same_step(fruit: Workspace, kind: dict[str, Any]) -> None:
    losses = []
    for beforehand in (False, True):
        task, engine = ready(fruit, **kind)
        train_mode(engine.model)
        positions = task.dataset.positions("train")[:8][::-1].copy()
        if beforehand:
            ((_, loaded),) = ahead([positions], lambda some: task.load(some, engine.ranks))  # noqa: B023 - used at once
            losses.append(engine.step(task.batch(positions, loaded, engine.ranks, engine.views)))
        else:
            losses.append(step(task, engine, positions))
    assert losses[0] == losses[1]


@pytest.mark.parametrize("mixing", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.2, "cutmix": 1.0}])
def test_mixed_pictures_are_learnt_from_odd_batches_too(fruit: Workspace, mixing: dict[str, float]) -> None:
    task, engine = ready(fruit, **mixing)
    set_rates(engine.optimizer, 1e-3, 0.9)
    before = engine.model.get_classifier().weight.detach().clone()
    for size in (7, 2, 1):
        loss = step(task, engine, task.dataset.positions("train")[:size])
        assert 0 < loss < 50
    assert not torch.equal(before, engine.model.get_classifier().weight)


@pytest.mark.parametrize("augmentation", ["photo", "none"])
def test_smaller_views_show_the_same_as_the_large_ones(fruit: Workspace, augmentation: str) -> None:
    task, engine = ready(fruit, augmentation=augmentation)
    order = task.dataset.positions("train")[:6]
    loaded = task.load(order, engine.ranks)
    large, small = (
        task.batch(order, loaded, engine.ranks, torch.Generator().manual_seed(3), size).inputs
        for size in ((64, 64), (32, 32))
    )
    assert large.shape == (6, 3, 64, 64) and small.shape == (6, 3, 32, 32)
    shrunk = torch.nn.functional.interpolate(large, (32, 32), mode="bilinear", antialias=True)
    agreement = np.corrcoef(shrunk.numpy().ravel(), small.numpy().ravel())[0, 1]
    assert agreement > 0.97, agreement


def test_a_network_that_learns_keeps_no_compiled_copy_of_its_old_weights(fruit: Workspace) -> None:
    task, engine = ready(fruit)
    size = task.dataset.preprocessing.size
    asked = engine.body(size, WORTH_COMPILING)
    assert engine.body(size, WORTH_COMPILING) is asked
    held = weakref.ref(asked)
    del asked
    step(task, engine, np.arange(8))
    assert held() is None
