"""The model as deployed: a folder and pictures in, probabilities out; copied as it is into the Space.

    python predict.py MODEL_FOLDER IMAGE...

It imports nothing of Winnow's, so what is tried locally is the file that runs online. It needs Pillow and numpy, and
onnxruntime for a folder with model.onnx, or torch, timm and safetensors for any.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import sys
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib import import_module
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image
from PIL.Image import Transpose

if TYPE_CHECKING:
    import torch

MEGAPIXELS = 50
MAX_PIXELS = MEGAPIXELS * 1_000_000
# A JPEG of more than MAX_PIXELS is decoded at a half, a quarter or an eighth of its sides; above this it is refused.
REDUCED_MEGAPIXELS = 250
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "MPO")
# How a file of each format begins, as far as a damaged one still does.
BEGINNINGS: Mapping[str, bytes] = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG",
    "GIF": rb"GIF8",
    "WEBP": rb".{8}WEBP",
    "BMP": rb"BM",
    "TIFF": rb"II\*\0|MM\0\*",
    "AVIF": rb".{4}ftypavi[fs]",
    "HEIF": rb".{4}ftyp(hei[cxms]|hev[cxms]|m[is]f1)",
}
NO_HEIF = "It is a HEIC picture, which is not read here (that takes: pip install pi-heif). Or save it as JPEG or PNG."
RAW = "It is a camera's raw picture, which cannot be read here; save it as JPEG or PNG."
# In a TIFF: it is a smaller copy; where the others are; this is a DNG.
REDUCED_TAG, OTHERS_TAG, DNG_TAG = 254, 330, 50706
ORIENTATION_TAG = 0x0112
STRIPS = 16  # a picture of many bits is scaled in so many, for the memory's sake
Picture: TypeAlias = "Image.Image | bytes | str | Path"
Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]
CONFIG, WEIGHTS, ONNX, FAMILIAR = "config.json", "model.safetensors", "model.onnx", "familiar.safetensors"
MOST_THREADS = 4
NEARLY = 1e-3  # by which a probability may be off 0 and 1, for rounding's sake


class BadModel(ValueError):
    """A folder holds no model that can be asked; ``str()`` is a sentence."""


class Unreadable(ValueError):
    """These bytes are no picture we can use; ``verdict`` is the kind of trouble, ``str()`` the reason in words."""

    def __init__(self, verdict: str, reason: str) -> None:
        super().__init__(reason)
        self.verdict = verdict


@dataclass(frozen=True)
class Opening:
    """How the pictures of a set are opened, beyond what holds for all; saved with the model.

    ``whole``, ``real``: the (lowest, highest) value, black and white, of grey pictures of more than 8 bits, in whole or
    in real numbers; None: each picture has its own. Larger ones than ``megapixels`` are refused, but for JPEG.
    """

    whole: tuple[float, float] | None = None
    real: tuple[float, float] | None = None
    megapixels: int = MEGAPIXELS

    @classmethod
    def from_json(cls, raw: Mapping[str, Any] | None) -> Opening:
        """The opening written by ``asdict``; the usual one for a model that says nothing about it."""
        said = raw or {}
        whole, real = (tuple(scale) if (scale := said.get(name)) else None for name in ("whole", "real"))
        return cls(whole, real, said.get("megapixels", MEGAPIXELS))


def open_image(source: Picture, opening: Opening | None = None) -> Image.Image:
    """The canonical RGB image: upright, first frame, alpha over white, more than 8 bits scaled to 8. Raises Unreadable.

    A JPEG of more than MAX_PIXELS is smaller by a half, a quarter or an eighth of its sides.
    """
    opening = opening or Opening()
    if not isinstance(source, Image.Image):
        source = open_header(source if isinstance(source, bytes) else Path(source).read_bytes(), opening.megapixels)
    if source.info.get("compression") == "jpeg" and not isinstance(getattr(source, "tag_v2", {}).get(284, 1), int):
        # A TIFF whose colours are stored apart (says Pillow before 13) or together (says libtiff): read beyond its end.
        raise Unreadable("corrupt", "Its header contradicts itself about how its colours are stored.")
    try:
        if (part := reduction(source)) > 1:
            source.draft(None, (source.width // part, source.height // part))
        source.load()
        return to_rgb(source, opening=opening)
    except Exception as error:  # Pillow's decoders raise nearly every built-in exception
        raise Unreadable(*_decoding_trouble(error)) from error


def open_header(data: bytes, megapixels: int = MEGAPIXELS) -> Image.Image:
    """The picture with its header read and nothing decoded yet, if its size may be decoded. Raises Unreadable."""
    if not data:
        raise Unreadable("empty", "The file is empty.")
    try:
        opened = _opened(data)
    except Exception as error:
        raise Unreadable(*_header_trouble(data)) from error
    limit = max(megapixels, REDUCED_MEGAPIXELS) if opened.format in ("JPEG", "MPO") else megapixels
    if opened.width * opened.height > limit * 1_000_000:
        claim = f"{opened.width} x {opened.height} pixels"
        raise Unreadable("too_large", f"It claims to be {claim}; the limit is {limit} megapixels.")
    tags = getattr(opened, "tag_v2", {})
    if tags and (data[8:10] == b"CR" or DNG_TAG in tags or (tags.get(REDUCED_TAG) == 1 and OTHERS_TAG in tags)):
        raise Unreadable("unsupported", RAW)
    return opened


def _opened(data: bytes) -> Image.Image:
    kind = begins_like(data)
    if kind == "JPEG":  # however large it is: Image.open has a limit of its own
        Image.preinit()
        return Image.OPEN[kind][0](io.BytesIO(data), "")
    try:
        return Image.open(io.BytesIO(data), formats=_formats(data))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return Image.OPEN[kind][0](io.BytesIO(data), "")


def reduction(image: Image.Image) -> int:
    """By how much the sides of a picture that is not decoded yet are divided as it is: 1, for JPEG up to 8."""
    large = image.format in ("JPEG", "MPO") and bool(getattr(image, "tile", ()))
    return next((part for part in (1, 2, 4) if image.width * image.height <= MAX_PIXELS * part**2), 8) if large else 1


def to_rgb(image: Image.Image, orientation: int | None = None, opening: Opening | None = None) -> Image.Image:
    """A copy of ``image`` as RGB, upright, without metadata; ``orientation``: EXIF's number, if not in the image."""
    if getattr(image, "is_animated", False) and image.format != "HEIF":  # which opens at its primary picture
        image.seek(0)
    orientation = orientation or exif_orientation(image)
    if is_deep(image.mode):
        image = _to_eight_bits(image, opening or Opening())
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image.convert("RGBA"))
    rgb = turned_upright(image.convert("RGB"), orientation)
    rgb.info.clear()
    return rgb


_TRANSPOSE: Mapping[int, Transpose] = {
    **{2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM},
    **{5: Transpose.TRANSPOSE, 6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90},
}


def turned_upright(image: Image.Image, orientation: int) -> Image.Image:
    """``image`` turned and mirrored as its EXIF orientation says."""
    method = _TRANSPOSE.get(orientation)
    return image if method is None else image.transpose(method)


def exif_orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none or the EXIF block itself cannot be read."""
    try:
        value = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # noqa: BLE001 - a picture with broken EXIF is still a good picture
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def is_deep(mode: str) -> bool:
    """Whether pictures of this mode of Pillow's are grey, of more than 8 bits."""
    return mode in ("I", "F") or mode.startswith("I;16")


def _to_eight_bits(image: Image.Image, opening: Opening) -> Image.Image:
    """Values up to the lowest become 0, those from the highest on 255, and what is no number the lowest."""
    values = np.asarray(image)
    low, high = (opening.real if image.mode == "F" else opening.whole) or (0.0, _own_highest(values))
    grey = np.empty(values.shape, np.uint8)
    for some, into in zip(np.array_split(values, STRIPS), np.array_split(grey, STRIPS), strict=True):
        some = np.nan_to_num(some.astype(np.float64), nan=low, posinf=low, neginf=low) - low
        into[:] = np.clip(np.rint(some * (255.0 / (high - low))), 0, 255)
    return Image.fromarray(grey)


def _own_highest(values: np.ndarray[Any, Any]) -> float:
    """What is white in a picture of which no more is known: the usual end of a scale, if there is one."""
    highest = float(np.max(values, initial=0, where=np.isfinite(values)))
    ends = (1.0, 255.0, 65535.0) if values.dtype.kind == "f" else (255.0, 65535.0)
    return next((end for end in ends if highest <= end), highest)


def _formats(data: bytes) -> tuple[str, ...]:
    """The formats to try: HEIF where the bytes say so and a reader for it is installed."""
    heif = begins_like(data) == "HEIF" and b"avif" not in data[16:64]
    for reader in filter(find_spec, ("pillow_heif", "pi_heif") if heif else ()):
        import_module(reader).register_heif_opener()
        return ("HEIF",)
    return FORMATS


def begins_like(data: bytes) -> str:
    """The format (as Pillow names it) whose files begin as these bytes do; empty where there is none."""
    return next((kind for kind, begins in BEGINNINGS.items() if re.match(begins, data, re.DOTALL)), "")


def _header_trouble(data: bytes) -> tuple[str, str]:
    kind = begins_like(data)
    if kind == "HEIF" and _formats(data) == FORMATS:
        return "unsupported", NO_HEIF
    if kind:
        return "corrupt", "It begins like a picture, but its header is damaged or cut off."
    if re.search(rb"(?i)<html|<!doctype html", data[:512]):
        return "not_an_image", "It is a web page, not a picture."
    return "not_an_image", "It is not a picture in a format that can be read here; save it as JPEG or PNG."


def _decoding_trouble(error: Exception) -> tuple[str, str]:
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError)):
        return "too_large", "It needs more memory than is allowed."
    words = str(error).lower()
    if isinstance(error, EOFError) or any(w in words for w in ("truncated", "not enough", "unexpected end", "eof")):
        return "truncated", "The file ends before the picture does."
    return "corrupt", f"It cannot be decoded ({type(error).__name__}: {str(error)[:120]})."


@dataclass(frozen=True)
class Preprocessing:
    """How an RGB image becomes the network's input; saved with the model.

    ``size`` is (height, width) in pixels. ``resize``: ``squish`` ignores the aspect ratio, ``crop`` keeps the middle
    (``crop_pct`` of the shorter side, 0 to 1], ``pad`` keeps everything; ``padding``: around it is black (zeros), what
    is at its edge (border) or the picture mirrored (reflection). ``mean`` and ``std`` are per channel, for values from
    0 to 1. ``opening``: how the image came from its file.
    """

    size: tuple[int, int] = (224, 224)
    resize: str = "crop"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    crop_pct: float = 1.0
    padding: str = "zeros"
    opening: Opening = Opening()

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Preprocessing:
        """The preprocessing written by :meth:`to_json`."""
        size, mean, std = (tuple(raw[name]) for name in ("size", "mean", "std"))
        opening = Opening.from_json(raw.get("opening"))
        return cls(size, raw["resize"], mean, std, raw["crop_pct"], raw.get("padding", "zeros"), opening)

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON; the opening where it is not the usual one."""
        return {name: value for name, value in asdict(self).items() if name != "opening" or self.opening != Opening()}


def pixels(image: Image.Image, preprocessing: Preprocessing) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """uint8 array [height, width, 3] of a canonical RGB image: resized (antialiased bicubic), not normalised."""
    height, width = preprocessing.size
    if preprocessing.resize == "pad":
        return _padded(image, width, height, preprocessing.padding)
    box = (0.0, 0.0, float(image.width), float(image.height))
    if preprocessing.resize == "crop":
        box = central_box(image.size, width / height, preprocessing.crop_pct)
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC, box=box))


def _padded(image: Image.Image, width: int, height: int, padding: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    inside = contained(image.size, width, height)
    whole = np.asarray(image.resize(inside, Image.Resampling.BICUBIC))
    around = [(round(gap / 2), gap - round(gap / 2)) for gap in (height - whole.shape[0], width - whole.shape[1])]
    modes: Mapping[str, Any] = {"zeros": "constant", "border": "edge", "reflection": "symmetric"}
    return np.pad(whole, (*around, (0, 0)), mode=modes[padding])


def contained(size: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    """The largest (width, height) in pixels, each at least 1, within these that has the aspect ratio of ``size``."""
    if size[0] / size[1] > width / height:
        return width, max(1, round(size[1] / size[0] * width))
    return max(1, round(size[0] / size[1] * height)), height


def central_box(size: tuple[int, int], aspect: float, share: float) -> tuple[float, float, float, float]:
    """The part of a picture of ``size`` (width, height) that cropping keeps: (left, top, right, bottom) in pixels."""
    width = min(size[0], size[1] * aspect) * share
    height = width / aspect
    left, top = (size[0] - width) / 2, (size[1] - height) / 2
    return left, top, left + width, top + height


def normalise(batch: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """float [N, 3, H, W] (channels last in memory) of a uint8 [N, H, W, 3] tensor, on the same device."""
    import torch

    mean = torch.tensor(preprocessing.mean, device=batch.device).view(1, 3, 1, 1)
    std = torch.tensor(preprocessing.std, device=batch.device).view(1, 3, 1, 1)
    return (batch.permute(0, 3, 1, 2).float() / 255.0 - mean) / std


def forward(model: Any, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(features [N, F], logits [N, C]) of a timm model; the features are what its classifier sees."""
    features = model.forward_head(model.forward_features(batch), pre_logits=True)
    return features, model.get_classifier()(features)


# The tensors of familiar.safetensors, and their sizes, by what config.json calls the score.
SCORES: Mapping[str, Mapping[str, str]] = {
    "neighbours": {"bank": "MF", "weight": "CF", "bias": "C", "doubt": "", "reach": ""},
    "distance": {"mean": "F", "directions": "FK", "variances": "K", "floor": ""},
}


@dataclass(frozen=True)
class Familiar:
    """What is usual among the features of pictures a model learnt from: the tensors of one of SCORES. ``bank``: some of
    them, at length one; ``weight``, ``bias``: a head; ``doubt``: what its doubt counts beside the cosine missing to the
    nearest of the bank, and ``reach`` that cosine alone. Earlier models: parts of Mahalanobis' distance.
    """

    parts: Mapping[str, torch.Tensor]

    @classmethod
    def load(cls, file: Path, score: str, features: int, device: str) -> Familiar:
        """What ``file`` holds. Raises BadModel where that is no such score of so many features."""
        parts, wanted = _tensors(file, device), SCORES.get(score, {})
        sizes = {("F", features)}
        if fits := bool(wanted) and parts.keys() == wanted.keys():
            sizes.update(pair for name in wanted for pair in zip_longest(wanted[name], parts[name].shape))
        if not fits or len(sizes) != len(set("".join(wanted.values()))) or 0 in dict(sizes).values():
            raise BadModel(f"{file} does not hold what is familiar to the model beside it.")
        return cls(parts)

    def distances(self, features: torch.Tensor) -> torch.Tensor:
        """[N]: how strange each feature vector [N, F] is."""
        if "mean" in self.parts:
            mean, directions, variances, floor = (self.parts[name] for name in SCORES["distance"])
            along = ((features - mean) @ directions).square() @ (floor.reciprocal() - (variances + floor).reciprocal())
            return ((features - mean).square().sum(dim=1) / floor - along).clamp_min(0.0).sqrt()
        bank, weight, bias, doubt, reach = (self.parts[name] for name in SCORES["neighbours"])
        ways = features / features.norm(dim=1, keepdim=True).clamp_min(1e-12)
        missing: torch.Tensor = (1.0 - (ways @ bank.to(ways.dtype).T).amax(dim=1)).clamp_min(0.0)
        unsure = 1.0 - (features @ weight.T + bias).softmax(dim=1).amax(dim=1)
        return (missing + doubt * unsure).maximum(missing * reach)


def ensemble(members: Sequence[Any], outputs: Outputs) -> Any:
    """Several timm models as one, for :func:`forward`: its features are theirs side by side [N, F x M], and its logits
    those of the mean of their probabilities.
    """
    import torch
    from torch import nn
    from torch.nn.functional import logsigmoid

    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.heads = nn.ModuleList([member.get_classifier() for member in members])

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            parts = features.chunk(len(self.heads), dim=1)
            every = torch.stack([head(part) for head, part in zip(self.heads, parts, strict=True)])
            if outputs.kind == "softmax":
                return every.log_softmax(dim=2).logsumexp(dim=0)
            return logsigmoid(every).logsumexp(dim=0) - logsigmoid(-every).logsumexp(dim=0)

    class Ensemble(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.members = nn.ModuleList(members)

        def forward_features(self, batch: torch.Tensor) -> torch.Tensor:
            return torch.cat([forward(member, batch)[0] for member in self.members], dim=1)

        def forward_head(self, features: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
            return features if pre_logits else self.get_classifier()(features)

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return self.forward_head(self.forward_features(batch))

        def get_classifier(self) -> nn.Module:
            return Heads()

    return Ensemble()


# The other views of a picture that a model may be asked about; which of them, its config.json says.
VIEWS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "mirrored": lambda batch: batch.flip(3),
    "upside down": lambda batch: batch.flip(2),
    "turned by half": lambda batch: batch.flip((2, 3)),
    "turned right": lambda batch: batch.rot90(-1, (2, 3)),
    "turned left": lambda batch: batch.rot90(1, (2, 3)),
    "turned right, mirrored": lambda batch: batch.rot90(-1, (2, 3)).flip(3),
    "turned left, mirrored": lambda batch: batch.rot90(1, (2, 3)).flip(3),
    "enlarged": lambda batch: _enlarged(batch),
}


def _enlarged(batch: torch.Tensor, share: float = 1 / 16) -> torch.Tensor:
    """The middle of [N, 3, H, W], without ``share`` of it at each edge, at the size of the whole."""
    from torch.nn.functional import interpolate

    height, width = batch.shape[2:]
    top, left = round(height * share), round(width * share)
    middle = batch[:, :, top : height - top, left : width - left]
    return interpolate(middle, (height, width), mode="bilinear", align_corners=False)


NONE, SEVERAL = "none of these", "|"


@dataclass(frozen=True)
class Outputs:
    """What a network's outputs mean. ``softmax``: exactly one class; ``sigmoid``: each class by itself, so a picture
    may be none of them, and, where ``several``, more than one. ``thresholds`` [C]: from which probability on a class is
    said to be there (sigmoid; empty: from 0.5 on). ``temperature``: what logits are divided by, so that of answers
    given with 80 % about 80 % are right (Guo et al. 2017).
    """

    kind: str = "softmax"
    several: bool = False
    thresholds: tuple[float, ...] = ()
    temperature: float = 1.0

    @classmethod
    def from_json(cls, raw: Mapping[str, Any] | None) -> Outputs:
        """The outputs written by ``asdict``; those of a model that says nothing about them are softmax."""
        return cls(**{**raw, "thresholds": tuple(raw["thresholds"])}) if raw else cls()

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """[N, C], from 0 to 1, of logits [N, C]; with softmax they add up to 1."""
        logits = logits / self.temperature
        return logits.sigmoid() if self.kind == "sigmoid" else logits.softmax(dim=1)

    def chosen(self, probabilities: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """[N, C]: which classes the answer names; one, where not ``several``, or (sigmoid) none."""
        least = 0.0 if self.kind == "softmax" else np.array(self.thresholds or 0.5)
        there: np.ndarray[Any, np.dtype[np.bool_]] = probabilities >= least
        if not self.several:
            likeliest = np.where(there, probabilities, -1.0).argmax(axis=1)
            there &= np.arange(probabilities.shape[1]) == likeliest[:, None]
        return there

    def answer(self, row: Sequence[float], chosen: Sequence[bool], classes: Sequence[str]) -> tuple[str, float]:
        """(label, probability) of one picture: its classes joined by ``|``, and the probability of the least sure one;
        NONE where none is chosen, and how unlikely the likeliest one is.
        """
        named = [(name, p) for name, p, there in zip(classes, row, chosen, strict=True) if there]
        if not named:
            return NONE, 1.0 - max(row)
        return SEVERAL.join(name for name, _ in named), min(p for _, p in named)


@dataclass(frozen=True)
class Prediction:
    """What the model says about one picture; ``label``: one class, several joined by ``|``, or NONE (see Outputs).
    ``unfamiliar`` when it is unlike everything it was trained on: its ``distance`` is above 1, which so many pictures
    of the kind it was trained on reach as the model folder says; None where the model cannot tell. ``views``: which
    views of it the probabilities are the mean of.
    """

    label: str
    probability: float
    probabilities: dict[str, float]
    unfamiliar: bool
    distance: float | None = None
    views: tuple[str, ...] = ("as it is",)


class Answering:
    """What every model folder answers in the same way: ``classes`` in the order of the ``outputs``, ``info`` is its
    config.json.
    """

    def __init__(self, info: dict[str, Any], possible: Container[str]) -> None:
        self.info = info
        self.views: tuple[str, ...] = tuple(view for view in info.get("tta", ["mirrored"]) if view in possible)
        self.classes: tuple[str, ...] = tuple(info["label_names"])
        self.outputs = Outputs.from_json(info.get("outputs"))
        self.preprocessing = Preprocessing.from_json(info["preprocessing"])

    def _said(self, probabilities: Floats, distances: Floats | None, views: Sequence[str] = ()) -> list[Prediction]:
        """The answers as they are given, of probabilities [N, C] and distances [N] (1: the threshold). Raises BadModel
        where they are none.
        """
        shapes = [probabilities.shape[1:], *([] if distances is None else [distances.shape[1:]])]
        if shapes != [(len(self.classes),), ()][: len(shapes)]:
            raise BadModel("The model does not give a probability for each of its classes, and a distance.")
        if not ((probabilities > -NEARLY) & (probabilities < 1 + NEARLY)).all():
            raise BadModel("The model gives probabilities that are not from 0 to 1: it is damaged.")
        if distances is not None and not np.isfinite(distances).all():
            raise BadModel("The model gives distances that are no numbers: it is damaged.")
        probabilities = probabilities.clip(0, 1)
        chosen = self.outputs.chosen(probabilities)
        far = [None] * len(chosen) if distances is None else distances.tolist()
        said = []
        for row, named, distance in zip(probabilities.tolist(), chosen.tolist(), far, strict=True):
            label, probability = self.outputs.answer(row, named, self.classes)
            by_class = dict(zip(self.classes, row, strict=True))
            strange = (distance or 0.0) > 1.0
            said.append(Prediction(label, probability, by_class, strange, distance, ("as it is", *views)))
        return said


class Classifier(Answering):
    """A model folder, loaded into torch. ``views``: those of VIEWS that are asked about besides a picture as it is,
    where several are wanted (test-time augmentation).
    """

    def __init__(self, model: Any, info: dict[str, Any], familiar: Familiar | None, device: str) -> None:
        super().__init__(info, VIEWS)
        self.model, self.familiar, self.device = model, familiar, device

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> Classifier:
        """The model in ``folder``, every checksum compared. Raises BadModel with a sentence where it cannot be used."""
        import torch

        folder = Path(folder)
        info = read_info(folder, WEIGHTS)
        state = _tensors(folder / WEIGHTS)
        models = _networks(info, state)
        model = models[0] if len(models) == 1 else ensemble(models, Outputs.from_json(info.get("outputs")))
        model.load_state_dict(state)
        model = model.eval().to(device).to(memory_format=torch.channels_last)
        width = next(model.get_classifier().parameters()).shape[1] * len(models)
        score = str(info["unfamiliar"].get("score", "distance")) if info.get("unfamiliar") else ""
        return cls(model, info, Familiar.load(folder / FAMILIAR, score, width, device) if score else None, device)

    def predict(self, images: Sequence[Picture], tta: bool = False, batch_size: int = 32) -> list[Prediction]:
        """One Prediction per picture, in order. ``tta`` averages over the picture and the model's other ``views``.

        Raises Unreadable for the first picture that cannot be opened.
        """
        predictions, how = list[Prediction](), self.preprocessing
        for start in range(0, len(images), batch_size):
            opened = (open_image(image, how.opening) for image in images[start : start + batch_size])
            predictions.extend(self.answers(np.stack([pixels(one, how) for one in opened]), tta))
        return predictions

    def answers(self, batch: np.ndarray[Any, np.dtype[np.uint8]], tta: bool = False) -> list[Prediction]:
        """One Prediction for each of uint8 [N, H, W, 3], as :func:`pixels` makes them."""
        import torch

        views = self.views if tta else ()
        try:
            with torch.inference_mode():
                probabilities, distances = self.ask(torch.from_numpy(batch).to(self.device), views)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, AssertionError) as error:  # timm asserts the size of pictures
            raise BadModel(f"The model does not fit the pictures it is given: {_first_line(error)}.") from error
        far = None if distances is None else distances.cpu().numpy()
        return self._said(probabilities.cpu().numpy(), far, views)

    def ask(self, batch: torch.Tensor, views: Sequence[str] = ()) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(probabilities [N, C], distances [N] or None: 1 is the threshold) for uint8 [N, H, W, 3], as :func:`pixels`
        makes them; the probabilities are the mean over a picture and these ``views`` of it.
        """
        import torch

        inputs = normalise(batch, self.preprocessing)
        features, logits = forward(self.model, inputs)
        asked = [logits, *(forward(self.model, VIEWS[view](inputs))[1] for view in views)]
        probabilities = torch.stack([self.outputs.probabilities(one.float()) for one in asked]).mean(dim=0)
        far = None if self.familiar is None else self.familiar.distances(features.float())
        return probabilities, None if far is None else far / self.info["unfamiliar"]["threshold"]


def _tensors(file: Path, device: str = "cpu") -> dict[str, Any]:
    """The tensors in a safetensors file, by name. Raises BadModel where it cannot be read, or they hold no numbers."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state: dict[str, Any] = load_file(file, device=device)
    except (OSError, SafetensorError) as error:
        raise BadModel(f"{file} cannot be read: {_first_line(error)}.") from error
    if not all(bool(tensor.isfinite().all()) for tensor in state.values()):
        raise BadModel(f"{file} holds values that are no numbers (NaN or infinity): the model is damaged.")
    return state


def _networks(info: Mapping[str, Any], state: Mapping[str, Any]) -> list[Any]:
    """The networks that config.json describes, untrained. Raises BadModel where there are none, or the tensors of
    ``state`` do not fit them; that is seen before anything of their size is made.
    """
    import timm
    import torch

    name, members = info["architecture"], info.get("members", 1)
    settings = {"num_classes": len(info["label_names"]), **info.get("model_args", {})}
    if not timm.is_model(name):
        raise BadModel(f"There is no network called {name} in the timm that is installed here.")
    try:
        with torch.device("meta"):
            shapes = {key: one.shape for key, one in timm.create_model(name, **settings).state_dict().items()}
        if members > 1:
            shapes = {f"members.{one}.{key}": shape for one in range(members) for key, shape in shapes.items()}
        if shapes == {key: one.shape for key, one in state.items()}:
            return [timm.create_model(name, **settings) for _ in range(members)]
    except (RuntimeError, TypeError, ValueError, AssertionError, NotImplementedError) as error:
        raise BadModel(f"{name} cannot be made as {CONFIG} says: {_first_line(error)}.") from error
    raise BadModel(f"The weights do not fit {name} with {len(info['label_names']):,} classes.")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:200]


# Those of VIEWS that a picture of any size can be turned to, before it is resized.
TURNS: Mapping[str, Transpose] = {
    **{"mirrored": Transpose.FLIP_LEFT_RIGHT, "upside down": Transpose.FLIP_TOP_BOTTOM},
    **{"turned right": Transpose.ROTATE_270, "turned left": Transpose.ROTATE_90},
    **{"turned by half": Transpose.ROTATE_180},
    **{"turned right, mirrored": Transpose.TRANSPOSE, "turned left, mirrored": Transpose.TRANSVERSE},
}


class OnnxClassifier(Answering):
    """A model folder's model.onnx, in onnxruntime, without torch. ``views``: those of the model's that are in TURNS."""

    def __init__(self, session: Any, info: dict[str, Any]) -> None:
        super().__init__(info, TURNS)
        self.session = session

    @classmethod
    def load(cls, folder: str | Path, threads: int = 0, file: str = ONNX) -> OnnxClassifier:
        """The model in ``folder``, every checksum compared. Raises BadModel with a sentence, as for no such file."""
        info = read_info(Path(folder), file)
        return cls(_checked_session(Path(folder) / file, threads), info)

    def predict(self, images: Sequence[Picture], tta: bool = False) -> list[Prediction]:
        """As :meth:`Classifier.predict`."""
        views = self.views if tta else ()
        said: list[Prediction] = []
        for image in images:
            opened = open_image(image, self.preprocessing.opening)
            every = (opened, *(opened.transpose(TURNS[view]) for view in views))
            try:
                answers = [self.session.run(None, {"image": np.asarray(one)[None]}) for one in every]
            except Exception as error:  # onnxruntime's have no common class
                raise BadModel(f"The model cannot be asked: {_first_line(error)}.") from error
            far = answers[0][1] if len(answers[0]) > 1 else None
            said.extend(self._said(np.mean([answer[0] for answer in answers], axis=0), far, views))
        return said


# What no graph of ours holds: tensors in other files, and loops, which may have no end. As protobuf writes them.
OUTSIDE, LOOPS = rb"\n(\x08|\x88\x80*\x00)location", rb"\"(\x04|\x84\x80*\x00)(Loop|Scan)"


def _checked_session(file: Path, threads: int) -> Any:
    """The session of a model of anybody's. Raises BadModel where it is no model that takes a picture."""
    data = file.read_bytes()
    if re.search(OUTSIDE, data) or re.search(LOOPS, data):
        raise BadModel(f"{file} has loops, or takes values from other files; a model of Winnow's has neither.")
    try:
        session = onnx_session(data, threads)
        takes = [(one.name, one.type, len(one.shape)) for one in session.get_inputs()]
        gives = [one.type for one in session.get_outputs()]
    except Exception as error:  # onnxruntime's have no common class
        raise BadModel(f"{file} cannot be read as an ONNX model: {_first_line(error)}.") from error
    if takes != [("image", "tensor(uint8)", 4)] or gives not in (["tensor(float)"], ["tensor(float)"] * 2):
        raise BadModel(f"{file} does not take a picture and give probabilities, as a model of Winnow's does.")
    return session


def onnx_session(model: Path | bytes, threads: int = 0) -> Any:
    """An onnxruntime session; ``threads``: 0 for as many as this process may have processors, up to MOST_THREADS."""
    import onnxruntime

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or min(usable, MOST_THREADS)
    options.enable_cpu_mem_arena = False  # it would keep what the largest picture so far needed
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])


AnyClassifier: TypeAlias = Classifier | OnnxClassifier


def load(folder: str | Path) -> AnyClassifier:
    """The model in ``folder``: by onnxruntime where there is a model.onnx and that is installed, else by torch.

    >>> model = load("fruit-model")
    >>> [answer.label for answer in model.predict(["photos/apple/1.jpg", "photos/pear/1.jpg"])]
    ['apple', 'pear']
    """
    onnx = (Path(folder) / ONNX).is_file() and find_spec("onnxruntime")
    return OnnxClassifier.load(folder) if onnx else Classifier.load(folder)


def describe(classifier: AnyClassifier, paths: Sequence[str], tta: bool = False) -> Iterator[dict[str, Any]]:
    """One {path, label, probability, probabilities, unfamiliar, views, reason} per file, in order; only a path and a
    reason in words, and None for the rest, for a file that cannot be used.
    """
    for path in paths:
        try:
            yield {"path": path, **asdict(classifier.predict([path], tta)[0]), "reason": ""}
        except (OSError, Unreadable) as error:
            nothing = dict.fromkeys(field.name for field in fields(Prediction))
            yield {"path": path, **nothing, "reason": getattr(error, "strerror", None) or str(error)}


def read_info(folder: Path, needed: str = "") -> dict[str, Any]:
    """config.json of a model folder, after comparing every checksum. Raises BadModel with a sentence, also where the
    file ``needed`` is none of those it vouches for.
    """
    info = said_in(folder)
    files: dict[str, str] = info["files"]
    if info.get("checksum") != checksum(info):
        raise BadModel(f"{folder}/{CONFIG} was changed after it was written; export the model again.")
    for name, expected in files.items():
        if file_sha256(folder / name) != expected:
            raise BadModel(f"{folder / name} was changed after it was written; export the model again.")
    if needed and needed not in files:
        raise BadModel(f"{folder} has no {needed}; it holds {', '.join(files)}. Export the model again, with it.")
    return info


def said_in(folder: Path) -> dict[str, Any]:
    """config.json of a model folder, of which each part is of the kind it has to be; no checksum is compared. Raises
    BadModel with a sentence.
    """
    file = folder / CONFIG
    try:
        with file.open("rb") as opened:
            text = opened.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES >> 20} MiB")
        info = json.loads(text.decode(), parse_constant=_no_number)
    except FileNotFoundError as error:
        earlier = " It was made by an earlier version: train again." if (folder / "model.json").exists() else ""
        raise BadModel(f"{folder} is not a model folder: it has no {CONFIG}.{earlier}") from error
    except OSError as error:
        raise BadModel(f"{file} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise BadModel(f"{file} is damaged: {_first_line(error)}.") from error
    if wrong := next(_wrong(info), ""):
        raise BadModel(f"{file} is damaged: {wrong}.")
    whole: dict[str, Any] = info
    return whole


# --- what config.json may say ---------------------------------------------------------------------------------------

Fits: TypeAlias = Callable[[Any], bool]
MOST_BYTES = 16 << 20


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _text(pattern: str) -> Fits:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value, re.DOTALL) is not None


def _number(low: float, high: float, kind: type = float) -> Fits:
    """A number in these bounds; a whole one where ``kind`` is int."""
    kinds = (int,) if kind is int else (int, float)
    return lambda value: isinstance(value, kinds) and not isinstance(value, bool) and low <= value <= high


def _list(fits: Fits, fewest: int, most: int) -> Fits:
    return lambda value: isinstance(value, list) and fewest <= len(value) <= most and all(map(fits, value))


def _names(keys: str, values: str) -> Fits:
    """An object whose keys and values are such texts."""
    key, text = _text(keys), _text(values)
    return lambda value: isinstance(value, dict) and all(key(one) and text(value[one]) for one in value)


def _scale(value: Any) -> bool:
    """(black, white) of deep pictures, or nothing."""
    return value is None or (_list(_number(-1e300, 1e300), 2, 2)(value) and value[0] < value[1])


def _dict(value: Any) -> bool:
    return isinstance(value, dict)


MOST_CLASSES, MOST_MEMBERS, MOST_SIDE = 100_000, 64, 4096
# What config.json may say where it says so, by the path of the key; and what has to be there.
KEYS: Mapping[str, tuple[Fits, str]] = {
    "architecture": (_text(r"[A-Za-z0-9_]{1,100}"), "the plain name of a network"),
    "label_names": (_list(_text(".{1,1000}"), 1, MOST_CLASSES), f"a list of 1 to {MOST_CLASSES:,} class names"),
    "num_classes": (_number(1, MOST_CLASSES, int), "how many classes there are"),
    "model_args": (_dict, "an object"),
    "model_args.img_size": (_list(_number(1, MOST_SIDE, int), 2, 2), f"two numbers of pixels, up to {MOST_SIDE:,}"),
    "members": (_number(1, MOST_MEMBERS, int), f"a whole number from 1 to {MOST_MEMBERS}"),
    "outputs": (_dict, "an object"),
    "outputs.kind": (_text("softmax|sigmoid"), "softmax or sigmoid"),
    "outputs.several": (lambda value: isinstance(value, bool), "true or false"),
    "outputs.thresholds": (_list(_number(0, 1), 0, MOST_CLASSES), "a list of numbers from 0 to 1"),
    "outputs.temperature": (_number(1e-9, 1e9), "a number above 0"),
    "preprocessing": (lambda value: isinstance(value, dict) and bool(value), "an object that says how"),
    "preprocessing.size": (_list(_number(1, MOST_SIDE, int), 2, 2), f"two numbers of pixels, up to {MOST_SIDE:,}"),
    "preprocessing.resize": (_text("squish|crop|pad"), "squish, crop or pad"),
    "preprocessing.mean": (_list(_number(-1e3, 1e3), 3, 3), "three numbers"),
    "preprocessing.std": (_list(_number(1e-6, 1e3), 3, 3), "three numbers above 0"),
    "preprocessing.crop_pct": (_number(1e-3, 1), "a number above 0, at most 1"),
    "preprocessing.padding": (_text("zeros|border|reflection"), "zeros, border or reflection"),
    "preprocessing.opening": (_dict, "an object"),
    "preprocessing.opening.whole": (_scale, "two numbers, the lower one first"),
    "preprocessing.opening.real": (_scale, "two numbers, the lower one first"),
    "preprocessing.opening.megapixels": (_number(1, 1000, int), "a whole number from 1 to 1000"),
    "tta": (_list(_text(".{1,100}"), 0, 100), "a list of views"),
    "unfamiliar": (_dict, "an object"),
    "unfamiliar.threshold": (_number(1e-300, 1e300), "a number above 0"),
    "title": (_text(".{0,10000}"), "text"),
    "versions": (_names(".{1,100}", r"[\w.+!-]{1,100}"), "packages with their versions"),
    "files": (_names(r"\w[\w.-]{0,99}", "[0-9a-f]{64}"), "names of files in that folder, each with its SHA-256"),
    "checksum": (_text("[0-9a-f]{64}"), "a SHA-256"),
}
# What has to be there, where the part that it belongs to is not empty.
NEEDED = (
    *("architecture", "label_names", "preprocessing", "files", "checksum", "outputs.thresholds"),
    *(f"preprocessing.{key}" for key in ("size", "resize", "mean", "std", "crop_pct")),
    "unfamiliar.threshold",
)
MAY_BE_NULL = ("outputs", "unfamiliar", "preprocessing.opening")
# Parts that are handed on whole, so that nothing else may be in them.
CLOSED = ("model_args", "outputs")


def _wrong(info: Any) -> Iterator[str]:
    """What config.json says and may not, in words."""
    if not isinstance(info, dict):
        yield "it is no object of JSON"
        return
    for path, (fits, words) in KEYS.items():
        *above, key = path.split(".")
        part: Any = info
        for one in above:
            part = part.get(one) or {}
        if key not in part:
            yield from [f"{path} is missing"] if path in NEEDED and (part or not above) else []
        elif not (fits(part[key]) or (part[key] is None and path in MAY_BE_NULL)):
            yield f"{path} is not {words}"
        if path in CLOSED and (more := sorted({f"{path}.{one}" for one in part.get(key) or ()} - KEYS.keys())):
            yield f"{more[0][:100]} is nothing that it may say"
    classes = info["label_names"]
    if len(set(classes)) < len(classes) or info.get("num_classes", len(classes)) != len(classes):
        yield "its classes are not as many different ones as it says"
    if len((info.get("outputs") or {}).get("thresholds", ())) not in (0, len(classes)):
        yield "outputs.thresholds is not a threshold for each class"


def checksum(info: Mapping[str, Any]) -> str:
    """SHA-256 over everything in config.json but the checksum itself."""
    content = {key: value for key, value in info.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, as hex; of nothing where the file is missing."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main(arguments: Sequence[str]) -> int:
    """Print one line of JSON per picture. Returns the exit code."""
    if len(arguments) < 2:
        sys.stderr.write("usage: python predict.py MODEL_FOLDER IMAGE...\n")
        return 2
    try:
        classifier = load(arguments[0])
        for row in describe(classifier, arguments[1:]):
            sys.stdout.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
    except ImportError as error:
        sys.stderr.write(f"{error}. See {Path(arguments[0]) / 'README.md'} for what has to be installed.\n")
        return 1
    except (BadModel, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
