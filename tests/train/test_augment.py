"""Random views: within their limits, the same for the same seed, and the plain picture where nothing may change."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.predict import Preprocessing
from pipeline.train.augment import augment, views_to_ask
from pipeline.train.config import PRESETS, Augmentation, TrainConfig

STILL = Augmentation(min_scale=1.0, degrees=0.0, flip=False, light=0.0, stretch=1.0)
PREPROCESSING = Preprocessing(size=(32, 32))


def pictures(count: int = 4, side: int = 32) -> torch.Tensor:
    """Smooth uint8 pictures [count, side, side, 3] without any symmetry."""
    rows, columns = np.mgrid[0:side, 0:side] / side
    one = np.stack([rows * 200, columns * 150 + 50, (rows * columns) * 255], axis=2)
    return torch.from_numpy(np.repeat(one[None].astype(np.uint8), count, axis=0))


def views(augmentation: Augmentation, seed: int = 0, batch: torch.Tensor | None = None) -> torch.Tensor:
    batch = pictures() if batch is None else batch
    return augment(batch, torch.ones(len(batch)), augmentation, PREPROCESSING, torch.Generator().manual_seed(seed))


def plain(batch: torch.Tensor) -> torch.Tensor:
    return (batch.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5


def test_a_preset_is_adjusted_only_where_that_was_asked_for() -> None:
    photo = PRESETS["photo"]
    assert photo is not None and TrainConfig().random_views == photo
    adjusted = TrainConfig(augmentation="none", min_scale=0.3, max_rotate=5.0, max_lighting=0.1, flip="sideways")
    assert adjusted.random_views is None
    own = TrainConfig(min_scale=0.3, max_rotate=0.0, max_lighting=0.0, flip="every-way").random_views
    assert own == replace(photo, min_scale=0.3, degrees=0.0, light=0.0, flip_vertical=True, quarter_turns=True)
    assert TrainConfig(augmentation="top-down", flip="none").random_views == replace(photo, degrees=15.0, flip=False)
    assert views_to_ask(own, (32, 32))[-1] == "turned left, mirrored" and views_to_ask(None, (32, 32)) == ("enlarged",)


def test_where_nothing_may_change_the_view_is_the_picture() -> None:
    assert torch.allclose(views(STILL), plain(pictures()), atol=1e-4)


def test_a_flip_is_a_flip_and_happens_to_about_half() -> None:
    many = pictures(200)
    flipped = views(Augmentation(min_scale=1.0, degrees=0.0, flip=True, light=0.0, stretch=1.0), batch=many)
    as_is = (flipped - plain(many)).abs().amax(dim=(1, 2, 3)) < 1e-3
    mirrored = (flipped - plain(many).flip(3)).abs().amax(dim=(1, 2, 3)) < 1e-3
    assert bool((as_is ^ mirrored).all()) and 70 < int(mirrored.sum()) < 130


def test_the_same_seed_gives_the_same_views_and_another_gives_others() -> None:
    preset = PRESETS["photo"]
    assert preset is not None
    assert torch.equal(views(preset, 1), views(preset, 1))
    assert not torch.allclose(views(preset, 1), views(preset, 2), atol=1e-2)


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if preset])
def test_views_of_every_preset_are_pictures_of_the_right_size(name: str) -> None:
    preset = PRESETS[name]
    assert preset is not None
    made = views(preset)
    assert made.shape == (4, 3, 32, 32) and made.is_contiguous(memory_format=torch.channels_last)
    assert float(made.min()) >= -1.001 and float(made.max()) <= 1.001


def test_a_wide_picture_is_seen_undistorted() -> None:
    """A circle in a picture twice as wide as high is an ellipse once squished; the view has to show a circle again."""
    rows, columns = np.mgrid[0:64, 0:64]
    squished = (((columns - 32) / 8) ** 2 + ((rows - 32) / 16) ** 2 <= 1) * 255
    batch = torch.from_numpy(np.repeat(squished[None, :, :, None].astype(np.uint8), 3, axis=3))
    half = Augmentation(min_scale=0.5, degrees=0.0, flip=False, light=0.0, stretch=1.0)
    many = batch.repeat(50, 1, 1, 1)
    seed = torch.Generator().manual_seed(0)
    views = augment(many, torch.full((50,), 2.0), half, Preprocessing(size=(64, 64)), seed)[:, 0] > 0
    whole = [view for view in views if not (view[0].any() or view[-1].any() or view[:, 0].any() or view[:, -1].any())]
    assert len(whole) > 10
    for view in whole:
        width, height = int(view.any(dim=0).sum()), int(view.any(dim=1).sum())
        assert height > 10 and abs(width - height) <= 2


@given(st.floats(0.1, 10.0), st.integers(0, 1000))
def test_no_aspect_ratio_breaks_it(aspect: float, seed: int) -> None:
    preset = PRESETS["top-down"]
    assert preset is not None
    generator = torch.Generator().manual_seed(seed)
    made = augment(pictures(2), torch.full((2,), aspect), preset, PREPROCESSING, generator)
    assert bool(torch.isfinite(made).all())


def slowly(batch: torch.Tensor, aspect: float, preset: Augmentation, size: tuple[int, int], seed: int) -> torch.Tensor:
    """What ``augment`` makes, pixel by pixel in plain Python: where each comes from, by crop, turn and flip in turn."""
    generator, count, side = torch.Generator().manual_seed(seed), len(batch), batch.shape[1]
    draws = [torch.rand(count, generator=generator) for _ in range(5)]
    turns = torch.randint(4, (count,), generator=generator) if preset.quarter_turns else torch.zeros(count)
    coins = [torch.rand(count, generator=generator) < 0.5 for _ in range(2)]
    light = (torch.rand(2, count, generator=generator) * 2 - 1) * preset.light
    height, width = size
    views = torch.zeros(count, 3, height, width)
    for n in range(count):
        area = float(draws[0][n]) * (1 - preset.min_scale) + preset.min_scale
        shape = preset.stretch ** (float(draws[1][n]) * 2 - 1) * width / height / aspect
        area = min(area, shape, 1 / shape)
        wide, high = math.sqrt(area * shape), math.sqrt(area / shape)
        middle = (float(draws[2][n]) * 2 - 1) * (1 - wide), (float(draws[3][n]) * 2 - 1) * (1 - high)
        angle = math.radians((float(draws[4][n]) * 2 - 1) * preset.degrees) + float(turns[n]) * math.pi / 2
        for i in range(height):
            for j in range(width):
                across, down = (j + 0.5) / width * 2 - 1, (i + 0.5) / height * 2 - 1
                across = -across if preset.flip and coins[0][n] else across
                down = -down if preset.flip_vertical and coins[1][n] else down
                x = middle[0] + wide * (across * math.cos(angle) - down * math.sin(angle))
                y = middle[1] + high * (across * math.sin(angle) + down * math.cos(angle))
                views[n, :, i, j] = sampled(batch[n], ((x + 1) * side - 1) / 2, ((y + 1) * side - 1) / 2)
        mean = views[n].mean()
        views[n] = ((views[n] - mean) * (1 + light[0, n]) + mean * (1 + light[1, n])).clamp(0, 255)
    return (views / 255 - 0.5) / 0.5


def sampled(picture: torch.Tensor, x: float, y: float) -> torch.Tensor:
    """The colour between four pixels; beyond its edges the picture is mirrored."""
    side = picture.shape[0]

    def inside(place: float) -> float:
        place = abs(place + 0.5) % (2 * side)
        return min(max((2 * side - place if place > side else place) - 0.5, 0.0), side - 1.0)

    x, y = inside(x), inside(y)
    left, top = int(x), int(y)
    right, bottom = min(left + 1, side - 1), min(top + 1, side - 1)
    upper = picture[top, left].float() * (left + 1 - x) + picture[top, right].float() * (x - left)
    lower = picture[bottom, left].float() * (left + 1 - x) + picture[bottom, right].float() * (x - left)
    return upper * (top + 1 - y) + lower * (y - top)


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if preset])
@pytest.mark.parametrize("aspect", [1.0, 2.5])
def test_the_views_are_those_of_a_slow_plain_version(name: str, aspect: float) -> None:
    preset = PRESETS[name]
    assert preset is not None
    noise = np.random.default_rng(1).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    batch, size = torch.from_numpy(noise), (12, 15)
    generator = torch.Generator().manual_seed(7)
    made = augment(batch, torch.full((5,), aspect), preset, Preprocessing(size=size), generator)
    assert torch.allclose(made, slowly(batch, aspect, preset, size, 7), atol=2e-3)
