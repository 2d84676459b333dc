"""The catalogue, the bundled weights, and what is said when weights cannot be had."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
import timm
import torch
from huggingface_hub.constants import HF_HUB_CACHE
from safetensors.torch import save_file

from pipeline.errors import BackboneError
from pipeline.model.backbones import BUNDLED, DEFAULT, Backbone, bundled_weights, create, list_backbones


def test_the_default_is_bundled_and_comes_first() -> None:
    first = list_backbones()[0]
    assert first == Backbone(DEFAULT, 4.65, 224, "bundled", "fast") and first.offline


def test_the_list_is_long_and_every_size_is_known() -> None:
    found = list_backbones()
    assert len(found) > 800
    assert [backbone.name for backbone in found if not backbone.params_m] == []
    assert all(backbone.weights == "hub" for backbone in found if backbone.name not in BUNDLED)


def test_a_part_of_the_name_filters() -> None:
    names = [backbone.name for backbone in list_backbones("ConvNeXt_tiny ")]
    assert names and all("convnext_tiny" in name for name in names)
    assert list_backbones("no such thing") == []


def test_the_bundled_weights_are_imagenet_and_the_head_is_fresh() -> None:
    torch.manual_seed(0)
    model = create(DEFAULT, 7)
    assert model.get_classifier().out_features == 7
    weights = bundled_weights(DEFAULT)
    assert weights is not None
    theirs = list(torch.load(weights, map_location="cpu", weights_only=True).values())
    assert torch.equal(model.conv_stem.weight, theirs[0])


def test_an_unknown_name_suggests_what_is_near() -> None:
    with pytest.raises(BackboneError, match=r"Did you mean .*resnet18"):
        create("resnet-18", 2)


def test_weights_that_cannot_be_fetched_are_explained_with_what_works_offline() -> None:
    with pytest.raises(BackboneError, match=f"(?s)resnet18 are not on this machine.*{DEFAULT}"):
        create("resnet18", 2)


def test_the_refusal_without_a_network_is_quick() -> None:
    began = time.monotonic()
    with pytest.raises(BackboneError):
        create("convnext_tiny", 2)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("name", ["", "   ", "../../etc/passwd", "hf-hub:somebody/model", "local-dir:/tmp", "a" * 500])
def test_a_name_that_is_no_name_is_refused_in_words(name: str) -> None:
    with pytest.raises(BackboneError, match="There is no backbone"):
        create(name, 2)


def test_weights_in_the_cache_of_the_hub_need_no_network() -> None:
    name, repository = "mobilenetv3_small_050", "timm/mobilenetv3_small_050.lamb_in1k"
    torch.manual_seed(0)
    theirs = timm.create_model(name, pretrained=False)
    folder = Path(HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    try:
        assert [found.weights for found in list_backbones(name)] == ["hub"]
        save_file(theirs.state_dict(), folder / "snapshots" / "abc" / "model.safetensors")
        assert [(found.weights, found.offline) for found in list_backbones(name)] == [("cached", True)]
        ours = create(name, 3)
    finally:
        shutil.rmtree(folder)
    assert torch.equal(ours.conv_stem.weight, theirs.conv_stem.weight)
    assert ours.get_classifier().out_features == 3
