"""Where a network looked: how much each part of a picture spoke for its answer, laid over that picture."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin

from pipeline.errors import RunError
from pipeline.images.decode import smaller
from pipeline.predict import Classifier, Preprocessing, central_box, forward, normalise, open_image, pixels
from pipeline.workspace.runs import Run
from pipeline.workspace.workspace import Workspace, writing

if TYPE_CHECKING:
    import torch

SIDE = 512
GRAD_CAM = "Grad-CAM (Selvaraju et al. 2017)"
ATTENTION = "attention weighted by its gradient, through all layers (Chefer et al. 2021)"
# From nothing to much: dark violet to light yellow, readable without telling red from green.
COLOURS = ((0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164))
STRONGEST, UNSEEN = 0.8, 0.6
Map: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class About:
    """What a map tells: which ``classes`` it speaks for, as numbers of the run's; ``sure``: whether the network named
    them (else it named none, and they are what it came closest to); the ``method``; ``flat``: nothing spoke for them;
    ``cropped``: a part of the picture is not seen by the network.
    """

    classes: tuple[int, ...]
    sure: bool
    method: str
    flat: bool = False
    cropped: bool = False

    def in_words(self, names: Sequence[str]) -> str:
        """What the map tells; ``names``: those of the run's classes."""
        seen = " and ".join(names[number] for number in self.classes)
        words = f"Where the network looked when it said {seen}."
        if not self.sure:
            words = f"It named no class. Where it saw most of what it takes for {seen}."
        if self.flat:
            words = f"Nothing in one place of this picture spoke for {seen}."
        words += f" By {self.method}. The lighter, the more it counted"
        return words + ("; what is grey, the network does not see." if self.cropped else ".")


def look(classifier: Classifier, picture: Image.Image, side: int = SIDE) -> tuple[Map, About]:
    """Where ``classifier`` looks when it answers about a canonical RGB ``picture``: a map [H, W] from 0 to 1 (most) of
    the picture, at most ``side`` pixels wide and high; NaN where the network does not see it (cropped away).

    What is explained is the class it answers with, or all of them. Raises RunError for a network whose features say
    nothing of where they come from.
    """
    import torch

    batch = torch.from_numpy(pixels(picture, classifier.preprocessing).copy())[None].to(classifier.device)
    inputs = normalise(batch, classifier.preprocessing)
    with torch.inference_mode():
        logits = forward(classifier.model, inputs)[1].float()
    probabilities = classifier.outputs.probabilities(logits).cpu().numpy()
    named = np.flatnonzero(classifier.outputs.chosen(probabilities)[0]).tolist()
    classes = named or [int(probabilities[0].argmax())]
    networks = list(getattr(classifier.model, "members", [classifier.model]))
    found = [_map_of(network, inputs, classes) for network in networks]
    grid = _to_one(np.mean([_to_one(one) for one, _ in found], axis=0))
    laid = over_picture(grid, picture.size, classifier.preprocessing, smaller(picture, side).size)
    return laid, About(tuple(classes), bool(named), found[0][1], not grid.any(), bool(np.isnan(laid).any()))


def _to_one(grid: Map) -> Map:
    return grid / max(float(grid.max()), 1e-12)


# --- a network's own grid --------------------------------------------------------------------------------------------


def _map_of(model: Any, inputs: torch.Tensor, classes: Sequence[int]) -> tuple[Map, str]:
    """([h, w] from 0 on, the method) of one timm model: what spoke for ``classes`` in each part of its ``inputs``."""
    import torch

    with torch.enable_grad(), _attention_in_sight(model) as attention:
        features = model.forward_features(inputs)
        if features.ndim == 4:
            method, grid = GRAD_CAM, _grad_cam(model, features, classes)
        elif features.ndim == 3 and all(one.shape[-1] == features.shape[1] for one in attention) and attention:
            method, grid = ATTENTION, _through_attention(model, features, attention, classes)
        elif features.ndim == 3 and not getattr(model, "num_prefix_tokens", 0):
            method, grid = GRAD_CAM, _square(_token_cam(model, features, classes), model)
        else:
            raise RunError("This network does not tell where it looks: its features have no place in the picture.")
    return grid.detach().float().cpu().numpy(), method


def _score(model: Any, features: torch.Tensor, classes: Sequence[int]) -> torch.Tensor:
    """The sum of the logits of ``classes``."""
    logits: torch.Tensor = model.get_classifier()(model.forward_head(features, pre_logits=True))
    return logits[0, list(classes)].sum()


def _grad_cam(model: Any, features: torch.Tensor, classes: Sequence[int]) -> torch.Tensor:
    """[h, w]: the channels of the last feature map, weighted by their mean gradient, where positive."""
    features = features.detach().requires_grad_()
    gradient = _gradients(_score(model, features, classes), [features])[0]
    if features.shape[1] != model.num_features and features.shape[3] == model.num_features:  # channels last
        features, gradient = features.permute(0, 3, 1, 2), gradient.permute(0, 3, 1, 2)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return (weights * features).sum(dim=1)[0].clamp_min(0)


def _token_cam(model: Any, features: torch.Tensor, classes: Sequence[int]) -> torch.Tensor:
    """[T]: Grad-CAM for features [1, T, F]."""
    features = features.detach().requires_grad_()
    gradient = _gradients(_score(model, features, classes), [features])[0]
    return (gradient.mean(dim=1, keepdim=True) * features).sum(dim=2)[0].clamp_min(0)


def _through_attention(
    model: Any, features: torch.Tensor, attention: Sequence[torch.Tensor], classes: Sequence[int]
) -> torch.Tensor:
    """[h, w]: how much of each patch reaches the answer, layer by layer: R <- R + mean over heads of (gradient x
    attention, where positive) R. Read at the class token; without one, at the patches, as Grad-CAM weighs them.
    """
    import torch

    gradients = _gradients(_score(model, features, classes), attention)
    relevance = torch.eye(features.shape[1], device=features.device)
    for one, gradient in zip(attention, gradients, strict=True):
        relevance = relevance + (gradient * one).clamp_min(0).mean(dim=1)[0].detach() @ relevance
    prefix = getattr(model, "num_prefix_tokens", 0)
    if prefix and model.global_pool == "token":
        return _square(relevance[0, prefix:], model)
    weights = _token_cam(model, features, classes)
    weights[:prefix] = 0
    return _square((weights @ relevance)[prefix:], model)


def _gradients(score: torch.Tensor, of: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    import torch

    found = torch.autograd.grad(score, list(of), allow_unused=True)
    return tuple(torch.zeros_like(one) if it is None else it for one, it in zip(of, found, strict=True))


def _square(tokens: torch.Tensor, model: Any) -> torch.Tensor:
    """The patches [T] as they lie in the picture, [h, w]."""
    height, width = getattr(getattr(model, "patch_embed", None), "grid_size", None) or (round(len(tokens) ** 0.5),) * 2
    if height * width != len(tokens):
        raise RunError("This network does not tell where it looks: its patches do not form a rectangle.")
    return tokens.reshape(height, width)


@contextmanager
def _attention_in_sight(model: Any) -> Iterator[list[torch.Tensor]]:
    """The attention [1, heads, T, T] of each layer, in order, as ``model`` runs; unfused meanwhile, to be seen."""
    seen: list[torch.Tensor] = []
    layers = [layer for layer in model.modules() if hasattr(layer, "fused_attn") and hasattr(layer, "attn_drop")]
    fused = [layer.fused_attn for layer in layers]
    hooks = [layer.attn_drop.register_forward_hook(lambda _, __, output: seen.append(output)) for layer in layers]
    try:
        for layer in layers:
            layer.fused_attn = False
        yield seen
    finally:
        for layer, was in zip(layers, fused, strict=True):
            layer.fused_attn = was
        for hook in hooks:
            hook.remove()


# --- from the network's input to the picture -------------------------------------------------------------------------


def covered(size: tuple[int, int], preprocessing: Preprocessing) -> tuple[float, float, float, float]:
    """The part (left, top, right, bottom) of a picture of ``size`` (width, height) that fills the network's input, in
    pixels of the picture; with borders around it (pad), the part is larger than the picture.
    """
    height, width = preprocessing.size
    if preprocessing.resize == "crop":
        return central_box(size, width / height, preprocessing.crop_pct)
    if preprocessing.resize == "pad":
        inside = ImageOps.contain(Image.new("1", size), (width, height), Image.Resampling.NEAREST).size
        across, down = size[0] / inside[0], size[1] / inside[1]
        left, top = round((width - inside[0]) / 2), round((height - inside[1]) / 2)
        return -left * across, -top * down, (width - left) * across, (height - top) * down
    return 0.0, 0.0, float(size[0]), float(size[1])


def over_picture(grid: Map, size: tuple[int, int], preprocessing: Preprocessing, shown: tuple[int, int]) -> Map:
    """A map [h, w] of the network's input as one of the picture, float32 [H, W] for ``shown`` (W, H), values from 0 to
    1; NaN where the network does not see the picture, whose size is ``size`` (width, height).
    """
    left, top, right, bottom = covered(size, preprocessing)
    across, down = grid.shape[1] / (right - left), grid.shape[0] / (bottom - top)
    box = (-left * across, -top * down, (size[0] - left) * across, (size[1] - top) * down)
    raw = Image.fromarray(np.ascontiguousarray(grid, dtype=np.float32))
    laid = raw.transform(shown, Image.Transform.EXTENT, box, Image.Resampling.BICUBIC)
    values: Map = np.clip(np.asarray(laid, dtype=np.float32), 0.0, 1.0)
    x = (np.arange(shown[0]) + 0.5) * size[0] / shown[0]
    y = (np.arange(shown[1]) + 0.5) * size[1] / shown[1]
    seen = ((y >= top) & (y <= bottom))[:, None] & ((x >= left) & (x <= right))[None, :]
    return np.where(seen, values, np.float32(np.nan))


# --- kept as a picture -----------------------------------------------------------------------------------------------


def kept_look(workspace: Workspace, run: Run, classifier: Classifier, image_id: str, file: str) -> tuple[Path, About]:
    """The map of one image as a PNG to lay over it, made when first asked for; and what it tells.

    Raises RunError as :func:`look` does, Unreadable where the picture cannot be opened.
    """
    target = workspace.thumbnails / "looks" / run.id / f"{image_id}.png"
    if not target.exists():
        opened = open_image(workspace.image_file(file), classifier.preprocessing.opening)
        values, about = look(classifier, opened)
        note = PngImagePlugin.PngInfo()
        note.add_text("about", json.dumps(asdict(about)))
        with writing(target, durable=False) as part:
            heat(values).save(part, "PNG", pnginfo=note)
    with Image.open(target) as kept:
        raw = json.loads(kept.text["about"])  # type: ignore[attr-defined]
    return target, About(**{**raw, "classes": tuple(raw["classes"])})


def heat(values: Map) -> Image.Image:
    """A map [H, W] as an RGBA picture: the more, the lighter and the less transparent; grey where it is NaN."""
    known = np.nan_to_num(values)
    steps = np.linspace(0, 1, len(COLOURS))
    channels = [np.interp(known, steps, [colour[channel] for colour in COLOURS]) for channel in range(3)]
    seen = np.isfinite(values)
    layers = [np.where(seen, channel, 32.0) for channel in channels]
    layers.append(255 * np.where(seen, STRONGEST * known, UNSEEN))
    return Image.fromarray(np.rint(np.stack(layers, axis=2)).astype(np.uint8))
