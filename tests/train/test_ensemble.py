"""Several networks as one: the snapshots at the ends of the cycles, all of them asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch

from pipeline.deploy.export import ExportConfig, export
from pipeline.model.frozen_body import compiled
from pipeline.predict import Classifier, Outputs, ensemble, forward
from pipeline.stage import run
from pipeline.train.train import TrainConfig, train
from pipeline.workspace.workspace import Workspace

SMALL: dict[str, Any] = {"image_size": 64, "batch_size": 8}


@pytest.mark.parametrize("outputs", [Outputs(), Outputs("sigmoid", several=True)])
def test_its_probabilities_are_the_mean_of_those_of_its_members(outputs: Outputs) -> None:
    torch.manual_seed(0)
    members = [timm.create_model("test_resnet", pretrained=False, num_classes=3).eval() for _ in range(3)]
    for member in members:  # sure of themselves, one way and another
        member.get_classifier().weight.data *= 40
    whole, batch = ensemble(members, outputs), torch.randn(4, 3, 64, 64)
    with torch.inference_mode():
        features, logits = forward(whole, batch)
        alone = [outputs.probabilities(forward(member, batch)[1]) for member in members]
        torch.testing.assert_close(outputs.probabilities(logits), torch.stack(alone).mean(dim=0), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(whole(batch), logits)
    assert features.shape == (4, 3 * members[0].num_features)
    assert len(whole.state_dict()) == 3 * len(members[0].state_dict())
    torch.testing.assert_close(compiled(whole, batch)(batch), features, atol=1e-3, rtol=1e-3)


@pytest.mark.slow
def test_an_ensemble_of_snapshots_is_kept_where_it_is_better_and_predicts(
    fruit: Workspace, small_network: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = {"layers": "all", "epochs": 2, "schedule": "restarts", "cycle_factor": 1.0, "snapshots": "ensemble"}
    monkeypatch.setattr("pipeline.train.fine_tune.loss_and_error", lowest_last())
    finished = run(train(fruit, TrainConfig(**{**SMALL, **small_network, **settings})))
    assert [epoch["phase"] for epoch in finished.epochs] == ["head", "all", "all", "ensemble"]
    assert finished.record["best_epoch"] == 3
    classifier = Classifier.load(finished.folder)
    assert len(classifier.model.members) == 2
    rows = finished.predictions().query("not out_of_fold")
    files = fruit.store.images().set_index("id")["file"]
    pictures = [fruit.image_file(files[image]) for image in rows["id"]]
    mean = np.mean(
        [
            [list(one.probabilities.values()) for one in alone.predict(pictures)]
            for alone in (Classifier(member, classifier.info, None, "cpu") for member in classifier.model.members)
        ],
        axis=0,
    )
    np.testing.assert_allclose(rows.filter(like="p:").to_numpy(dtype=float), mean, atol=1e-4)
    exported = run(export(fruit, ExportConfig(finished.id, str(tmp_path / "model"))))
    assert exported.parity["max_difference"] < 1e-4


def lowest_last() -> Callable[..., tuple[float, float]]:
    """Losses that fall from one measurement to the next, whatever they are of."""
    left = iter(range(100, 0, -1))
    return lambda *measured: (next(left) / 100, 0.5)
