"""Where a network looked lies over what is there in the picture, however the picture was fitted and turned."""

from __future__ import annotations

import io
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from pipeline.ask.saliency import ATTENTION, GRAD_CAM, covered, heat, look, over_picture
from pipeline.errors import RunError
from pipeline.images.decode import large_picture
from pipeline.predict import ORIENTATION_TAG, Classifier, Outputs, Preprocessing, ensemble, open_image, pixels
from pipeline.workspace.workspace import Workspace

SHAPES = ((320, 320), (480, 200), (150, 360))
FITS = [
    Preprocessing((96, 96), "squish"),
    Preprocessing((96, 96), "pad"),
    Preprocessing((96, 96), "crop", crop_pct=0.9),
    Preprocessing((64, 128), "squish"),
    Preprocessing((64, 128), "pad", padding="reflection"),
    Preprocessing((64, 128), "crop"),
]


class Bright(torch.nn.Module):
    """A network that sees one thing: its features [N, 1, H/8, W/8] are the brightness; class 1 is "bright"."""

    num_features = 1

    def __init__(self) -> None:
        super().__init__()
        self.head = torch.nn.Linear(1, 2)
        self.head.weight.data, self.head.bias.data = torch.tensor([[-1.0], [1.0]]), torch.tensor([0.0, 1.0])

    def forward_features(self, batch: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.avg_pool2d(batch.mean(dim=1, keepdim=True) + 1, 8)

    def forward_head(self, features: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        return features.mean(dim=(2, 3))

    def get_classifier(self) -> torch.nn.Module:
        return self.head


def asking(model: torch.nn.Module, fit: Preprocessing, outputs: Outputs | None = None, classes: int = 2) -> Classifier:
    told = {"kind": outputs.kind, "several": outputs.several, "thresholds": outputs.thresholds} if outputs else None
    info = {"label_names": [f"c{n}" for n in range(classes)], "preprocessing": fit.to_json(), "outputs": told}
    return Classifier(model.eval(), info, None, "cpu")


def spotted(size: tuple[int, int], at: tuple[float, float], spot: int = 30) -> Image.Image:
    """A black picture with a white square whose middle is ``at`` (shares of width and height)."""
    image = Image.new("RGB", size)
    left, top = round(size[0] * at[0] - spot / 2), round(size[1] * at[1] - spot / 2)
    image.paste("white", (left, top, left + spot, top + spot))
    return image


def middle(values: np.ndarray) -> tuple[float, float]:
    """Where the map is strongest, as shares of width and height: the centre of what is above half."""
    rows, columns = np.nonzero(np.nan_to_num(values) > 0.5)
    return float((columns.mean() + 0.5) / values.shape[1]), float((rows.mean() + 0.5) / values.shape[0])


@pytest.mark.parametrize("fit", FITS, ids=lambda fit: f"{fit.resize} {fit.size}")
@pytest.mark.parametrize("size", SHAPES)
@pytest.mark.parametrize("at", [(0.5, 0.5), (0.4, 0.6), (0.56, 0.42)])
def test_the_map_is_strongest_where_the_spot_is(fit: Preprocessing, size, at):
    values, about = look(asking(Bright(), fit), spotted(size, at))
    assert values.shape == (size[1], size[0]) and (about.classes, about.method) == ((1,), GRAD_CAM)
    across, down = middle(values)
    box = covered(size, fit)
    cell = (8 * (box[2] - box[0]) / fit.size[1] / size[0], 8 * (box[3] - box[1]) / fit.size[0] / size[1])
    assert abs(across - at[0]) < 0.75 * cell[0] and abs(down - at[1]) < 0.75 * cell[1]


def test_a_picture_that_its_exif_turns_is_explained_as_it_is_shown(tmp_path: Path):
    """The spot is left of the middle in the stored pixels; turned by a quarter it is seen at the right."""
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    stored = io.BytesIO()
    spotted((320, 160), (0.45, 0.3)).save(stored, "PNG", exif=exif)
    upright = open_image(stored.getvalue())
    assert upright.size == (160, 320)
    workspace = Workspace.create(tmp_path / "w")
    image_id, file = workspace.keep(stored.getvalue(), "png")
    shown = np.asarray(Image.open(large_picture(workspace, image_id, file)).convert("L")) / 255
    for fit in FITS:
        values, _ = look(asking(Bright(), fit), upright)
        assert np.hypot(*np.subtract(middle(values), (0.7, 0.45))) < 0.07
        assert np.hypot(*np.subtract(middle(shown), (0.7, 0.45))) < 0.02 and values.shape == shown.shape


@pytest.mark.parametrize("fit", FITS, ids=lambda fit: f"{fit.resize} {fit.size}")
@pytest.mark.parametrize("size", SHAPES)
def test_the_part_of_a_picture_that_is_said_to_be_seen_is_what_preprocessing_takes(fit: Preprocessing, size):
    """Each pixel of a picture holds its own place; what comes out of ``pixels`` says which place went where."""
    x, y = np.meshgrid(np.linspace(0, 255, size[0]), np.linspace(0, 255, size[1]))
    seen = pixels(Image.fromarray(np.stack([x, y, 0 * x + 255], axis=2).astype(np.uint8)), fit).astype(float)
    left, top, right, bottom = covered(size, fit)
    rows, columns = fit.size
    there = 0
    for row, column in product(range(4, rows, 9), range(4, columns, 9)):
        across = (left + (column + 0.5) / columns * (right - left)) / size[0]
        down = (top + (row + 0.5) / rows * (bottom - top)) / size[1]
        if 0.02 < across < 0.98 and 0.02 < down < 0.98:
            assert np.allclose(seen[row, column, :2], (255 * across, 255 * down), atol=3)
            there += 1
    assert there > 10


def test_what_is_cropped_away_is_no_number_and_shown_grey():
    values, about = look(asking(Bright(), Preprocessing((96, 96), "crop")), spotted((400, 200), (0.5, 0.5)))
    assert about.cropped and np.isnan(values[:, :99]).all() and np.isnan(values[:, 301:]).all()
    assert not np.isnan(values[:, 101:299]).any()
    shown = np.asarray(heat(values))
    assert shown[100, 10].tolist() == [32, 32, 32, 153] and shown[100, 200, 3] > 150 and shown[5, 150, 3] < 60
    assert not look(asking(Bright(), Preprocessing((96, 96), "pad")), spotted((400, 200), (0.5, 0.5)))[1].cropped


def test_a_large_picture_is_explained_in_small_and_in_its_shape():
    values, _ = look(asking(Bright(), FITS[0]), spotted((2000, 1000), (0.25, 0.5), 200), side=256)
    assert values.shape == (128, 256) and middle(values)[0] == pytest.approx(0.25, abs=0.05)


def test_an_even_map_stays_even_up_to_the_edges():
    values = over_picture(np.ones((7, 7), dtype=np.float32), (300, 200), Preprocessing((96, 96), "squish"), (300, 200))
    assert values.min() == values.max() == 1.0


# --- real networks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "method", "arguments"),
    [
        ("resnet10t", GRAD_CAM, {}),
        ("tf_efficientnet_lite0", GRAD_CAM, {}),
        ("vit_tiny_patch16_224", ATTENTION, {"img_size": 96}),
        ("vit_tiny_patch16_224", ATTENTION, {"img_size": 96, "global_pool": "avg"}),
        ("swin_tiny_patch4_window7_224", GRAD_CAM, {"img_size": 224}),
        ("mixer_s32_224", GRAD_CAM, {"img_size": 224}),
    ],
)
def test_networks_of_all_kinds_tell_where_they_look(name: str, method: str, arguments: dict):
    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False, num_classes=3, **arguments)
    side = arguments.get("img_size", 96)
    fused = [getattr(layer, "fused_attn", None) for layer in model.modules()]
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (120, 200, 3), dtype=np.uint8))
    values, about = look(asking(model, Preprocessing((side, side), "squish"), classes=3), noise)
    assert about.method == method and values.shape == (120, 200)
    assert about.flat or (values.max() > 0.9 and values.min() < values.max())
    assert [getattr(layer, "fused_attn", None) for layer in model.modules()] == fused
    assert all(parameter.grad is None for parameter in model.parameters())


def test_through_attention_leads_to_the_patch_that_the_answer_hangs_on():
    """A ViT whose last layer's class token attends to the one bright patch: that patch is where it looked."""
    torch.manual_seed(1)
    model = timm.create_model("vit_tiny_patch16_224", pretrained=False, num_classes=2, img_size=96, depth=1).eval()
    attention = model.blocks[0].attn
    with torch.no_grad():
        model.pos_embed.zero_()
        model.cls_token.normal_()
        torch.nn.init.orthogonal_(model.patch_embed.proj.weight.view(192, -1))
        bright = model.patch_embed(torch.ones(1, 3, 96, 96))[0, 0]
        bright = bright - bright.mean()
        query = model.cls_token[0, 0] - model.cls_token[0, 0].mean()
        width, heads = 192, attention.num_heads
        attention.qkv.bias.zero_()
        turn = torch.outer(bright / bright.norm(), query / query.norm())  # the class token asks for what is bright
        attention.qkv.weight[:width] = 3 * turn
        attention.qkv.weight[width : 2 * width] = torch.eye(width)
        attention.proj.weight.copy_(torch.eye(width))
        attention.qkv.weight[2 * width :] = torch.eye(width)
        for layer in (model.blocks[0].mlp.fc2,):
            layer.weight.zero_()
        model.head.weight.zero_()
        model.head.weight[1] = bright / bright.norm()
        model.head.bias.copy_(torch.tensor([0.0, 1.0]))
    assert heads == 3
    picture = spotted((96, 96), (72 / 96, 24 / 96), 16)
    values, about = look(asking(model, Preprocessing((96, 96), "squish")), picture)
    assert about.method == ATTENTION and about.classes == (1,)
    row, column = np.unravel_index(values.argmax(), values.shape)
    assert 64 <= column < 80 and 16 <= row < 32


def test_several_networks_asked_together_are_shown_together():
    outputs = Outputs()
    one, other = Bright(), Bright()
    values, about = look(asking(ensemble([one, other], outputs), FITS[0]), spotted((320, 320), (0.3, 0.6)))
    assert about.classes == (1,) and middle(values) == pytest.approx((0.3, 0.6), abs=0.06) and values.max() > 0.9


def test_with_a_sigmoid_head_all_that_was_named_is_explained_or_what_came_closest():
    outputs = Outputs("sigmoid", several=True, thresholds=(0.1, 0.1))
    _, about = look(asking(Bright(), FITS[0], outputs), spotted((320, 320), (0.5, 0.5)))
    assert about.classes == (0, 1) and about.sure
    nothing = Outputs("sigmoid", several=True, thresholds=(1.1, 1.1))
    _, about = look(asking(Bright(), FITS[0], nothing), spotted((320, 320), (0.5, 0.5)))
    assert about.classes == (1,) and not about.sure


def test_where_nothing_spoke_for_the_answer_the_map_is_empty_and_says_so():
    model = Bright()
    model.head.weight.data = torch.tensor([[-1.0], [-1.0]])
    values, about = look(asking(model, FITS[0]), spotted((320, 320), (0.5, 0.5)))
    assert about.flat and values.max() == 0


def test_a_network_without_places_says_so():
    class Flat(Bright):
        def forward_features(self, batch: torch.Tensor) -> torch.Tensor:
            return batch.mean(dim=(1, 2, 3))[:, None]

        def forward_head(self, features: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
            return features

    with pytest.raises(RunError, match="does not tell where it looks"):
        look(asking(Flat(), FITS[0]), spotted((320, 320), (0.5, 0.5)))
