"""The preview is what training does: the same pixels, the same views for the same seed, nothing decoded in the app."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.collect.importing import ImportConfig, import_images
from pipeline.errors import BackboneError, NotEnoughData
from pipeline.predict import Preprocessing, normalise, open_image, pixels
from pipeline.stage import run
from pipeline.train import preview as view_preview
from pipeline.train.config import TrainConfig
from pipeline.train.preview import fitting, kept_shares, preview
from pipeline.train.train import prepare
from pipeline.verify.verify import VerifyConfig, verify
from pipeline.workspace.workspace import Workspace
from tests.support.paths import ROOT

CONFIG = TrainConfig(image_size=64, device="cpu", seed=3)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"augmentation": "top-down", "resize": "pad", "padding": "border"},
        {"augmentation": "none"},
        {"resize": "squish", "min_scale": 0.1, "presize": 150},
    ],
)
def test_the_preview_is_what_training_feeds_the_network(trained: Workspace, changes: dict[str, Any]) -> None:
    config = replace(CONFIG, **changes)
    shown = preview(trained, config, pictures=5, views=3)
    task, _ = run(prepare(trained, config))
    rows = task.dataset.rows
    order = np.array([rows.index[rows["id"] == one.image][0] for one in shown.pictures])
    chance, loaded = torch.Generator().manual_seed(config.seed), task.dataset.load(order, config.random_views)
    for inputs in shown.inputs:
        assert torch.equal(inputs, task.dataset.random_views(loaded, order, config.random_views, chance))
    tested = np.stack([one.tested for one in shown.pictures])
    assert np.array_equal(tested, task.dataset.exact[order])
    again = preview(trained, config, pictures=5, views=3)  # now from the training cache
    assert torch.equal(again.inputs, shown.inputs)


def test_the_pictures_on_the_screen_are_the_networks_input(trained: Workspace) -> None:
    shown = preview(trained, CONFIG, pictures=4, views=2)
    geometry = Preprocessing((64, 64))
    for number, one in enumerate(shown.pictures):
        again = normalise(torch.from_numpy(one.learnt), geometry)
        assert torch.allclose(again, shown.inputs[:, number], atol=1.01 / 255)
        file = trained.image_file(str(trained.store.image(one.image)["file"]))
        assert np.array_equal(one.tested, pixels(open_image(file), geometry))
        assert one.learnt.shape == (2, 64, 64, 3) and not np.array_equal(*one.learnt)
    assert shown.size == (64, 64) and shown.unreadable == 0


def test_it_is_a_sample_over_the_classes_by_the_seed(trained: Workspace) -> None:
    def ids(seed: int) -> list[str]:
        shown = preview(trained, replace(CONFIG, seed=seed), pictures=6, views=1)
        assert sorted(one.label for one in shown.pictures) == ["apple", "apple", "melon", "melon", "pear", "pear"]
        return [one.image for one in shown.pictures]

    assert ids(1) == ids(1) != ids(2)
    images = trained.store.images().set_index("id")
    assert set(images.loc[ids(1), "split"]) == {"train"}


def test_no_picture_is_decoded_in_this_process(
    workspace: Workspace, photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(import_images(workspace, ImportConfig(str(photographs))))  # nothing was checked, and there is no cache
    monkeypatch.setattr(Image, "open", lambda *_: pytest.fail("decoded here"))
    monkeypatch.setattr(view_preview, "open_image", lambda *_: pytest.fail("decoded here"))
    shown = preview(workspace, CONFIG, pictures=3, views=1)
    assert len(shown.pictures) == 3 and not list(workspace.cache.glob("**/*.rows"))


def test_what_cannot_be_opened_is_left_out_and_counted(workspace: Workspace, photographs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in" / "apple"
    folder.mkdir(parents=True)
    good = next(photographs.rglob("*.jpg")).read_bytes()
    (folder / "good.jpg").write_bytes(good)
    (folder / "cut.jpg").write_bytes(good[:2000])
    run(import_images(workspace, ImportConfig(str(tmp_path / "in"))))
    shown = preview(workspace, CONFIG, pictures=6, views=1)
    assert len(shown.pictures) == 1 and shown.unreadable == 1


def test_without_pictures_or_with_an_unknown_backbone_it_says_so(workspace: Workspace) -> None:
    with pytest.raises(NotEnoughData, match="Go to Collect"):
        preview(workspace, CONFIG)
    with pytest.raises(BackboneError, match="no backbone 'bear'"):
        preview(workspace, replace(CONFIG, backbone="bear"))


@pytest.mark.parametrize("size", [(64, 64), (48, 96), (96, 48)])
def test_the_share_that_a_crop_keeps_is_that_of_the_crop_that_is_made(size: tuple[int, int]) -> None:
    geometry = Preprocessing(size, "crop", crop_pct=0.9)
    sides = [(100, 100), (400, 100), (90, 333), (200, 100)]
    for width, height in sides:
        across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
        ramp = np.stack([across, down, across], axis=-1)
        seen = pixels(Image.fromarray((255 * ramp).astype(np.uint8)), geometry) / 255
        measured = np.ptp(seen[..., 0]) * np.ptp(seen[..., 1])
        (share,) = kept_shares([width], [height], geometry)
        assert share == pytest.approx(measured, abs=0.04)


def test_all_pictures_that_lose_much_are_counted(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "in" / "apple"
    folder.mkdir(parents=True)
    for number, size in enumerate([(64, 64), (90, 64), (100, 64), (64, 200), (200, 64)]):
        Image.effect_noise(size, 90).save(folder / f"{number}.png")
    run(import_images(workspace, ImportConfig(str(tmp_path / "in"))))
    run(verify(workspace, VerifyConfig(workers=1)))
    words = fitting(workspace, Preprocessing((64, 64), "crop"))
    assert words == (
        "3 of 5 pictures lose more than a third of their area by cropping; 'keep all, add borders' loses nothing."
    )
    assert "3 of 5 pictures more than a third of what the model sees is border" in fitting(
        workspace, Preprocessing((64, 64), "pad")
    )
    assert "narrower or lower" in fitting(workspace, Preprocessing((64, 64), "squish"))
    assert fitting(workspace, Preprocessing((64, 64), "crop", crop_pct=0.8)).startswith("5 of 5")
    assert fitting(Workspace.create(tmp_path / "empty"), Preprocessing()) == ""


def test_a_worker_that_decodes_imports_no_torch() -> None:
    code = "import sys, pipeline.train.preview; print('torch' in sys.modules or 'pandas' in sys.modules)"
    root = ROOT
    told = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, env={**os.environ})
    assert told.stdout.strip() == "False", told.stderr
