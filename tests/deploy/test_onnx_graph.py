"""The graph shows the network what Pillow would have made, to the last bit, and answers as torch does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import timm
import torch
from onnx import helper
from PIL import Image

from pipeline.deploy.onnx_export import OPSET, network, resizing, whole
from pipeline.deploy.parity import with_pixels
from pipeline.predict import (
    TURNS,
    VIEWS,
    Classifier,
    Familiar,
    OnnxClassifier,
    Outputs,
    Preprocessing,
    contained,
    ensemble,
    pixels,
)
from tests.support.sharing import Sample

# (width, height): smaller, larger, far larger, and narrower than anybody would send
SIZES = ((224, 224), (256, 256), (37, 51), (640, 480), (481, 1003), (1, 200), (300, 1), (1, 1), (2, 3), (5000, 3))
WAYS = {
    "squish": {"resize": "squish"},
    "crop": {"resize": "crop"},
    "crop to 7/8": {"resize": "crop", "crop_pct": 0.875},
    "black": {"resize": "pad"},
    "border": {"resize": "pad", "padding": "border"},
    "mirrored": {"resize": "pad", "padding": "reflection"},
}


def session(model: onnx.ModelProto | bytes) -> Any:
    data = model if isinstance(model, bytes) else model.SerializeToString()
    return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])


def resized(preprocessing: Preprocessing) -> Callable[[Image.Image], Any]:
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(resizing(preprocessing), opset_imports=opsets, ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    asked = session(model)
    return lambda image: asked.run(None, {"image": np.asarray(image)[None]})[0][0]


@pytest.fixture(scope="module")
def pictures(photographs: Path) -> list[Image.Image]:
    files = sorted(photographs.glob("*/*"))[::14]
    return [Image.open(file).convert("RGB") for file in files]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [(224, 224), (96, 160)], ids=["square", "wide"])
def test_every_pixel_is_the_one_that_pillow_makes(
    way: str, size: tuple[int, int], pictures: list[Image.Image], sampled: Sample
) -> None:
    preprocessing = Preprocessing(size=size, **WAYS[way])
    made = resized(preprocessing)
    for number, other in sampled.of([(number, other) for number in range(len(pictures)) for other in SIZES]):
        image = pictures[number].resize(other, Image.Resampling.LANCZOS)
        assert np.array_equal(made(image), pixels(image, preprocessing)), other


@pytest.mark.parametrize(
    "way", ["mirrored", *(pytest.param(way, marks=pytest.mark.exhaustive) for way in ("squish", "crop to 7/8"))]
)
def test_so_is_every_pixel_of_a_picture_of_twelve_megapixels(way: str, pictures: list[Image.Image]) -> None:
    preprocessing = Preprocessing(**WAYS[way])
    image = pictures[0].resize((4000, 3000), Image.Resampling.BICUBIC)
    assert np.array_equal(resized(preprocessing)(image), pixels(image, preprocessing))


@pytest.mark.parametrize("values", [(0, 255), (0, 1), (254, 255)], ids=str)
def test_noise_and_edges_are_rounded_as_pillow_rounds_them(values: tuple[int, int]) -> None:
    noise = np.random.default_rng(7).choice(values, (256, 299, 3)).astype(np.uint8)
    preprocessing = Preprocessing(resize="squish")
    assert np.array_equal(resized(preprocessing)(Image.fromarray(noise)), pixels(Image.fromarray(noise), preprocessing))


def test_a_picture_of_one_line_is_padded_and_none_vanishes() -> None:
    assert contained((1000, 1), 224, 224) == (224, 1) and contained((1, 3000), 224, 224) == (1, 224)
    for padding in ("zeros", "border", "reflection"):
        line = Image.new("RGB", (1000, 1), (9, 99, 199))
        made = pixels(line, Preprocessing(resize="pad", padding=padding))
        assert made.shape == (224, 224, 3) and [9, 99, 199] in made.reshape(-1, 3).tolist()


def test_a_picture_is_turned_as_the_network_would_see_it_turned() -> None:
    noise = np.random.default_rng(7).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    batch = torch.from_numpy(noise).permute(2, 0, 1)[None]
    for name, how in TURNS.items():
        turned = VIEWS[name](batch)[0].permute(1, 2, 0).numpy()
        assert np.array_equal(np.asarray(Image.fromarray(noise).transpose(how)), turned), name


# --- networks --------------------------------------------------------------------------------------------------------


def classifier(
    name: str = "test_efficientnet", kind: str = "softmax", members: int = 1, familiar: str = "neighbours", **ways: Any
) -> Classifier:
    """A model that nobody has trained; timm's ``test_*`` are its architectures with very few layers."""
    torch.manual_seed(7)
    outputs = Outputs(kind=kind, temperature=1.7)
    networks = [timm.create_model(name, pretrained=False, num_classes=4).eval() for _ in range(members)]
    model = networks[0] if members == 1 else ensemble(networks, outputs).eval()
    side = 160 if "vit" in name else 96
    preprocessing = Preprocessing(size=(side, side), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), **ways)
    with torch.inference_mode():
        size = model.forward_head(model.forward_features(torch.zeros(1, 3, side, side)), pre_logits=True).shape[1]
    usual = Familiar(known(size)[familiar]) if familiar else None
    info = {
        "label_names": ["a", "b", "c", "d"],
        "outputs": {"kind": kind, "several": False, "thresholds": [], "temperature": 1.7},
        "preprocessing": preprocessing.to_json(),
        "unfamiliar": {"threshold": 12.5 if familiar == "distance" else 0.4} if familiar else None,
    }
    return Classifier(model, info, usual, "cpu")


def known(size: int) -> dict[str, dict[str, torch.Tensor]]:
    """What may be familiar among so many features, by every score."""
    directions, _ = torch.linalg.qr(torch.randn(size, 8))
    bank = torch.nn.functional.normalize(torch.randn(40, size), dim=1).half()
    head = {"weight": torch.randn(4, size) / 9, "bias": torch.randn(4)}
    return {
        "distance": {
            "mean": torch.randn(size),
            "directions": directions,
            "variances": torch.rand(8) + 1.0,
            "floor": torch.tensor(0.5),
        },
        "neighbours": {"bank": bank, **head, "doubt": torch.tensor(0.4), "reach": torch.tensor(1.3)},
    }


def differences(one: Classifier, pictures: list[Image.Image], tta: bool = False) -> tuple[float, float]:
    """The largest difference between torch and the graph: of a probability, and of a distance."""
    graph = OnnxClassifier(session(whole(one, network(one), {"classes": one.classes})), one.info)
    pairs = list(zip(one.predict(pictures, tta), graph.predict(pictures, tta), strict=True))
    assert all(a.views == b.views and a.label == b.label and a.unfamiliar == b.unfamiliar for a, b in pairs)
    far = [abs(a.distance - b.distance) for a, b in pairs if a.distance is not None and b.distance is not None]
    assert len(far) == (len(pairs) if one.familiar else 0)
    every = [abs(a.probabilities[name] - b.probabilities[name]) for a, b in pairs for name in one.classes]
    return max(every), max(far, default=0.0)


@pytest.mark.slow
def test_a_small_network_answers_as_in_torch(pictures: list[Image.Image]) -> None:
    assert max(differences(classifier(), pictures)) < 1e-4


@pytest.mark.slow
def test_it_is_asked_about_a_picture_turned_every_way(pictures: list[Image.Image]) -> None:
    one = classifier(resize="squish")
    one.views = one.info["tta"] = tuple(TURNS)
    assert max(differences(one, pictures, tta=True)) < 1e-3, "Pillow rounds a turned picture otherwise here and there"


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "options",
    [
        {"name": "tf_efficientnet_lite0", "resize": "squish"},
        {"name": "mobilenetv3_small_050"},
        {"familiar": "distance"},
        {"name": "test_resnet", "kind": "sigmoid"},
        {"name": "test_vit", "crop_pct": 0.9},
        {"name": "test_convnext", "resize": "pad"},
        {"members": 2},
        {"members": 2, "kind": "sigmoid", "familiar": ""},
        {"familiar": ""},
    ],
    ids=lambda options: " ".join(map(str, options.values())),
)
def test_so_do_others(options: dict[str, Any], pictures: list[Image.Image]) -> None:
    assert max(differences(classifier(**options), pictures)) < 1e-4


@pytest.mark.slow
def test_the_file_says_what_it_is_and_not_where_it_was_made(tmp_path: Path, pictures: list[Image.Image]) -> None:
    one = classifier(familiar="")
    model = whole(one, network(one), {"title": "Äpfel?", "classes": ["a", 'b"']})
    data = model.SerializeToString()
    assert {prop.key: prop.value for prop in model.metadata_props} == {"title": "Äpfel?", "classes": '["a", "b\\""]'}
    assert not any(place in data for place in (b"site-packages", b".py", str(Path.home()).encode()))
    asked = session(data)
    assert [(given.name, given.type) for given in asked.get_inputs()] == [("image", "tensor(uint8)")]
    assert [made.name for made in asked.get_outputs()] == ["probabilities"]
    batch = np.stack([np.asarray(picture.resize((70, 90))) for picture in pictures])
    together = asked.run(None, {"image": batch})[0]
    apart = [asked.run(None, {"image": row[None]})[0][0] for row in batch]
    assert together.shape == (len(batch), 4) and np.allclose(together, apart, atol=1e-6)
    onnx.save(model, tmp_path / "model.onnx")
    seen = session(with_pixels(tmp_path / "model.onnx")).run(["pixels"], {"image": batch[:1]})[0][0]
    assert np.array_equal(seen, pixels(Image.fromarray(batch[0]), one.preprocessing))
