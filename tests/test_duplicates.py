"""The same picture is grouped whatever was done to its file; different pictures are left apart."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image, ImageEnhance

from pipeline.duplicates import group_duplicates
from pipeline.images import fingerprint
from pipeline.predict import open_image

Change = Callable[[Image.Image], Image.Image]


def table(images: Iterable[tuple[str, Image.Image]]) -> pd.DataFrame:
    rows = [(name, *vars(fingerprint(image)).values()) for name, image in images]
    return pd.DataFrame(rows, columns=["id", "pixels", "phash", "tiny"])


def jpeg(image: Image.Image, quality: int = 85) -> Image.Image:
    target = io.BytesIO()
    image.save(target, "JPEG", quality=quality)
    return open_image(target.getvalue())


def resized(image: Image.Image, factor: float) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC)


def cropped(image: Image.Image, share: float) -> Image.Image:
    x, y = round(image.width * share / 2), round(image.height * share / 2)
    return image.crop((x, y, image.width - x, image.height - y))


COPIES: dict[str, tuple[Change, float]] = {  # how it is changed, and the least share that must be grouped
    "quality 70": (lambda image: jpeg(image, 70), 1.0),
    "quality 30": (lambda image: jpeg(image, 30), 1.0),
    "half the size": (lambda image: jpeg(resized(image, 0.5)), 1.0),
    "a quarter of the size": (lambda image: jpeg(resized(image, 0.25)), 0.95),
    "twice the size": (lambda image: jpeg(resized(image, 2.0)), 1.0),
    "10 % brighter": (lambda image: jpeg(ImageEnhance.Brightness(image).enhance(1.1)), 1.0),
    "25 % brighter": (lambda image: jpeg(ImageEnhance.Brightness(image).enhance(1.25)), 0.95),
    "20 % darker": (lambda image: jpeg(ImageEnhance.Brightness(image).enhance(0.8)), 1.0),
    "more contrast": (lambda image: jpeg(ImageEnhance.Contrast(image).enhance(1.2)), 1.0),
    "less colour": (lambda image: jpeg(ImageEnhance.Color(image).enhance(0.8)), 0.8),
    "cropped by 1 %": (lambda image: jpeg(cropped(image, 0.01)), 0.9),
    "cropped by 2 %": (lambda image: jpeg(cropped(image, 0.02)), 0.5),
    "cropped by 5 %": (lambda image: jpeg(cropped(image, 0.05)), 0.0),
}


@pytest.fixture(scope="module")
def starter(starter_folder: Path) -> dict[str, Image.Image]:
    return {path.name: open_image(path) for path in sorted(starter_folder.rglob("*.jpg"))}


@pytest.fixture(scope="module")
def starter_table(starter: dict[str, Image.Image]) -> pd.DataFrame:
    return table(starter.items())


def test_no_two_pictures_of_the_clean_starter_are_called_the_same(starter_table: pd.DataFrame) -> None:
    groups = group_duplicates(starter_table, {})
    assert groups == {name: name for name in starter_table["id"]}


@pytest.mark.parametrize("kind", COPIES)
def test_changed_copies_are_grouped_with_their_original_and_nothing_else(
    starter: dict[str, Image.Image], starter_table: pd.DataFrame, kind: str
) -> None:
    change, least = COPIES[kind]
    originals = list(starter)[::12]
    copies = table((f"{name} copy", change(starter[name])) for name in originals)
    groups = group_duplicates(pd.concat([starter_table, copies], ignore_index=True), {})
    found = [groups[f"{name} copy"] == groups[name] for name in originals]
    share = sum(found) / len(found)
    print(f"{kind}: {100 * share:.0f} % of {len(found)} copies grouped")
    assert share >= least
    strangers = [group for image, group in groups.items() if image.removesuffix(" copy") != group.removesuffix(" copy")]
    assert strangers == []


def test_equal_pixels_are_one_group_whatever_they_look_like() -> None:
    flat = Image.new("RGB", (40, 30), "grey")
    groups = group_duplicates(table([("a", flat), ("b", flat.copy()), ("c", Image.new("RGB", (30, 40), "grey"))]), {})
    assert groups["a"] == groups["b"]


def test_black_white_and_coloured_sheets_are_not_the_same_picture() -> None:
    sheets = [(colour, Image.new("RGB", (60, 40), colour)) for colour in ("black", "white", "red", "blue")]
    assert len(set(group_duplicates(table(sheets), {}).values())) == 4


@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_near_copies_are_found_in_small_sets_too(starter: dict[str, Image.Image], count: int) -> None:
    pictures = list(starter.items())[:count]
    copies = [(f"{name} copy", jpeg(image, 50)) for name, image in pictures]
    groups = group_duplicates(table([*pictures, *copies]), {})
    assert all(groups[f"{name} copy"] == groups[name] for name, _ in pictures)
    assert len(set(groups.values())) == count


def test_a_mirrored_or_turned_picture_is_another_picture(starter: dict[str, Image.Image]) -> None:
    image = next(iter(starter.values()))
    turned = [("a", image), ("b", image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)), ("c", image.rotate(180))]
    assert len(set(group_duplicates(table(turned), {}).values())) == 3


def test_no_pictures_make_no_groups() -> None:
    assert group_duplicates(table([]), {}) == {}


def test_a_group_keeps_its_name_when_others_join(starter: dict[str, Image.Image]) -> None:
    image = next(iter(starter.values()))
    first = group_duplicates(table([("m", image), ("n", jpeg(image, 70))]), {})
    assert first == {"m": "m", "n": "m"}
    more = group_duplicates(table([("a", jpeg(image, 60)), ("m", image), ("n", jpeg(image, 70))]), first)
    assert more == {"a": "m", "m": "m", "n": "m"}


def test_a_group_keeps_its_members_even_if_they_would_not_be_grouped_today(starter: dict[str, Image.Image]) -> None:
    pictures = list(starter.items())[:3]
    names = [name for name, _ in pictures]
    known = {names[0]: names[0], names[1]: names[0], names[2]: names[2]}
    assert group_duplicates(table(pictures), known) == known


def test_a_picture_that_ties_two_groups_together_makes_them_one(starter: dict[str, Image.Image]) -> None:
    image = next(iter(starter.values()))
    tying = group_duplicates(table([("a", image), ("b", image.copy()), ("c", image.copy())]), {"b": "b", "c": "c"})
    assert tying == {"a": "b", "b": "b", "c": "b"}


def test_the_order_of_the_pictures_does_not_matter(starter_table: pd.DataFrame) -> None:
    some = pd.concat([starter_table[:40], starter_table[:40].assign(id=lambda rows: rows["id"] + " copy")])
    mixed = some.sample(frac=1, random_state=1).reset_index(drop=True)
    assert group_duplicates(some.reset_index(drop=True), {}) == group_duplicates(mixed, {})
