"""Random views of a batch, on the device: crop, flip, turn and light in one resampling."""

from __future__ import annotations

import math

import torch

from pipeline.images.pixel_cache import ROOM
from pipeline.predict import Preprocessing, normalise
from pipeline.train.config import Augmentation

# Pictures so much larger than the views that are cut from them are made smaller first.
FAR_LARGER = 1.5
EVERYTHING = slice(None)


def views_to_ask(found: Augmentation | None, size: tuple[int, int]) -> tuple[str, ...]:
    """Which other views of a picture mean the same (test-time augmentation): what training does to pictures.

    ``size`` is (height, width) of the network's input; only a square can be turned by a quarter.
    """
    if found is None or not found.flip:
        return ("enlarged",)
    if not found.flip_vertical:
        return ("mirrored",)
    turned = ("turned right", "turned left", "turned right, mirrored", "turned left, mirrored")
    return ("mirrored", "upside down", "turned by half", *(turned if size[0] == size[1] else ()))


def augment(
    batch: torch.Tensor,
    aspect: torch.Tensor,
    augmentation: Augmentation,
    preprocessing: Preprocessing,
    generator: torch.Generator,
    part: slice = EVERYTHING,
) -> torch.Tensor:
    """Normalised float [N, 3, H, W] of random views of squished uint8 pictures [N, S, S, 3].

    ``part``: which of the pictures that ``aspect`` tells of are in ``batch``; chance is drawn for all of them.
    ``aspect`` [N] is width / height of the pictures before they were squished. ``generator`` lives on the CPU, so that
    the same seed gives the same views on every device. The crop is that of RandomResizedCrop (Szegedy et al. 2014).
    """
    theta = _affine(aspect.cpu(), augmentation, preprocessing, generator)[part].to(batch.device)
    change = (torch.rand(2, len(aspect), 1, 1, 1, generator=generator) * 2 - 1)[:, part].to(batch.device)
    height, width = preprocessing.size
    images = _near_size(batch.permute(0, 3, 1, 2), max(height, width)).float()
    grid = torch.nn.functional.affine_grid(theta, [len(batch), 3, height, width], align_corners=False)
    views = torch.nn.functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    contrast, brightness = 1 + augmentation.light * change
    middle = views.mean(dim=(1, 2, 3), keepdim=True)
    lit = ((views - middle) * contrast + middle * brightness).clamp_(0.0, 255.0)
    return normalise(lit.permute(0, 2, 3, 1), preprocessing).contiguous(memory_format=torch.channels_last)


def _near_size(images: torch.Tensor, side: int) -> torch.Tensor:
    """uint8 [N, 3, S, S], antialiased to about ``side`` where it is much larger: bilinear samples would skip pixels."""
    if images.shape[-1] <= FAR_LARGER * side:
        return images
    wanted = round(ROOM * side)
    return torch.nn.functional.interpolate(images, (wanted, wanted), mode="bilinear", antialias=True)


def shrunk(views: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Normalised float [N, 3, H, W] at a smaller size, antialiased."""
    small = torch.nn.functional.interpolate(views, size, mode="bilinear", antialias=True)
    return small.contiguous(memory_format=torch.channels_last)


def _affine(
    aspect: torch.Tensor, augmentation: Augmentation, preprocessing: Preprocessing, generator: torch.Generator
) -> torch.Tensor:
    """[N, 2, 3]: where in the squished picture (from -1 to 1) each output pixel is taken from."""

    def uniform(low: float, high: float) -> torch.Tensor:
        return torch.rand(len(aspect), generator=generator) * (high - low) + low

    def coin(possible: bool) -> torch.Tensor:
        heads = torch.rand(len(aspect), generator=generator) < 0.5
        return torch.where(heads & possible, -1.0, 1.0)

    area = uniform(augmentation.min_scale, 1.0)
    ratio = torch.exp(uniform(-1.0, 1.0) * math.log(augmentation.stretch))
    ratio = ratio * preprocessing.size[1] / preprocessing.size[0] / aspect
    area = torch.minimum(area, torch.minimum(ratio, 1 / ratio))  # a crop of that shape has to fit in
    across, down = torch.sqrt(area * ratio), torch.sqrt(area / ratio)
    x, y = uniform(-1.0, 1.0) * (1 - across), uniform(-1.0, 1.0) * (1 - down)
    angle = torch.deg2rad(uniform(-augmentation.degrees, augmentation.degrees))
    if augmentation.quarter_turns:
        angle = angle + torch.randint(4, (len(aspect),), generator=generator) * (math.pi / 2)
    flips = coin(augmentation.flip), coin(augmentation.flip_vertical)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    rows = [
        across * cosine * flips[0],
        -across * sine * flips[1],
        x,
        down * sine * flips[0],
        down * cosine * flips[1],
        y,
    ]
    return torch.stack(rows, dim=1).view(-1, 2, 3)
