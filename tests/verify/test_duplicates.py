"""The same picture is grouped whatever was done to its file; different pictures are left apart."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance

from pipeline.images.decode import fingerprint, squished, unsquished
from pipeline.predict import open_image
from pipeline.verify import duplicates
from pipeline.verify.close_look import VIEW, CloseLook
from pipeline.verify.duplicates import Grouping, best_copy, near_blocks

Change = Callable[[Image.Image], Image.Image]
TOLD = ["pixels", "phash", "width", "height", "verdict", "bytes", "added_at"]


def view(image: Image.Image) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """What Verify compares closely: the thumbnail, squished."""
    target = io.BytesIO()
    unsquished(squished(image), image).save(target, "JPEG", quality=85)
    return np.asarray(open_image(target.getvalue()).resize((VIEW, VIEW), Image.Resampling.BOX))


def table(images: Iterable[tuple[str, Image.Image]]) -> pd.DataFrame:
    rows = [
        (name, *vars(fingerprint(image)).values(), *image.size, "ok", 1000, "2026-01-01", view(image))
        for name, image in images
    ]
    return pd.DataFrame(rows, columns=["id", "pixels", "phash", "tiny", *TOLD[2:], "view"], dtype=object)


class Miniatures:
    """What the store does: the miniatures of the ids asked for, and how many were asked for."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self.of = dict(zip(rows["id"], rows["tiny"], strict=True))
        self.asked = 0

    def of_one(self, image: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return np.frombuffer(self.of[image], dtype=np.uint8)

    def __call__(self, ids: Sequence[str]) -> np.ndarray[Any, np.dtype[np.uint8]]:
        self.asked += len(ids)
        return np.frombuffer(b"".join(self.of[image] for image in ids), dtype=np.uint8).reshape(len(ids), -1)


def grouped(
    rows: pd.DataFrame,
    known: Mapping[str, str] | None = None,
    apart: Sequence[set[str]] = (),
    miniatures: Miniatures | None = None,
) -> Grouping:
    """``rows`` grouped; without a view, the miniature stands in for it."""
    asked = miniatures or Miniatures(rows)
    seen = dict(zip(rows["id"], rows["view"], strict=True)) if "view" in rows else {}
    sides = dict(zip(rows["id"], rows[["width", "height"]].min(axis=1), strict=True))

    def views(ids: Sequence[str]) -> tuple[Any, Any]:
        step = VIEW // 32
        coarse = [asked.of_one(image).reshape(32, 32, 3).repeat(step, 0).repeat(step, 1) for image in ids if not seen]
        return np.stack([seen[image] for image in ids] if seen else coarse), np.array([sides[image] for image in ids])

    return duplicates.group_duplicates(rows[["id", *TOLD]], asked, views, known or {}, apart)


def group_duplicates(rows: pd.DataFrame, known: Mapping[str, str]) -> dict[str, str]:
    return grouped(rows, known).groups


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
    "cropped by 2 %": (lambda image: jpeg(cropped(image, 0.02)), 0.95),
    "cropped by 5 %": (lambda image: jpeg(cropped(image, 0.05)), 0.95),
    "cropped by 7 %": (lambda image: jpeg(cropped(image, 0.07)), 0.8),
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


# --- all pairs, quickly

FACTS: dict[str, Any] = {"width": 32, "height": 32, "verdict": "ok", "bytes": 1000, "added_at": "2026-01-01"}


def clumped(seed: int, count: int, flips: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Hashes as those of real pictures: around a few, some of them equal, others some bits away."""
    chance = np.random.default_rng(seed)
    around = chance.integers(0, 2**64, size=5, dtype=np.uint64)[chance.integers(0, 5, size=count)]
    for _ in range(flips):
        around ^= np.uint64(1) << chance.integers(0, 64, size=count, dtype=np.uint64)
    return around


@given(seed=st.integers(0, 2**32), count=st.integers(0, 120), flips=st.integers(0, 12), rows=st.integers(1, 40))
def test_the_quick_search_finds_the_pairs_that_comparing_one_by_one_finds(
    seed: int, count: int, flips: int, rows: int
) -> None:
    hashes = clumped(seed, count, flips)
    found = [
        (start + a, across + b)
        for start, across, close in near_blocks(hashes, 10, rows, rows * 2)
        for a, b in np.argwhere(close).tolist()
    ]
    numbers = [int(value) for value in hashes]
    close = {(i, j) for j in range(count) for i in range(j) if (numbers[i] ^ numbers[j]).bit_count() <= 10}
    assert len(found) == len(set(found))
    assert set(found) == close


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), count=st.integers(2, 40), flips=st.integers(0, 8), noise=st.integers(0, 40))
def test_the_groups_are_those_of_looking_at_every_pair(seed: int, count: int, flips: int, noise: int) -> None:
    chance = np.random.default_rng(seed)
    scenes = chance.integers(0, 256, size=(4, 3072))[chance.integers(0, 4, size=count)]
    tiny = np.clip(scenes + chance.integers(-noise, noise + 1, size=scenes.shape), 0, 255).astype(np.uint8)
    hashes = clumped(seed, count, flips)
    rows = pd.DataFrame(
        {
            "id": [f"{k:03}" for k in range(count)],
            "pixels": [f"{k % 50}" for k in range(count)],
            "phash": [value.tobytes() for value in hashes],
            "tiny": [row.tobytes() for row in tiny],
        }
    ).assign(**FACTS)
    assert group_duplicates(rows, {}) == one_by_one(rows, hashes, tiny)


def one_by_one(
    rows: pd.DataFrame, hashes: np.ndarray[Any, np.dtype[np.uint64]], tiny: np.ndarray[Any, np.dtype[np.uint8]]
) -> dict[str, str]:
    """The rule as it is written: the best copy, here the first id, and all that are the same as it; then the next."""
    count = len(rows)
    values = tiny.astype(np.float64)
    standard = values - values.mean(axis=1, keepdims=True)
    standard /= np.linalg.norm(standard, axis=1, keepdims=True)
    standard -= min(0.9, count / (count + 50)) * standard.mean(axis=0)
    standard /= np.linalg.norm(standard, axis=1, keepdims=True)
    # Pictures of equal pixels have one hash and miniature; here, the first one's count.
    close = np.bitwise_count(hashes[:, None] ^ hashes[None, :]) <= 10
    alike = close & (standard @ standard.T >= 0.97)
    alike &= np.abs(values[:, None] - values[None, :]).mean(axis=2) <= 64
    alike |= rows["pixels"].to_numpy()[:, None] == rows["pixels"].to_numpy()[None, :]
    views = tiny.reshape(-1, 32, 32, 3).repeat(VIEW // 32, 1).repeat(VIEW // 32, 2)
    look = CloseLook(list(rows["id"]), lambda ids: (views[[int(image) for image in ids]], np.full(len(ids), 32)))
    series = np.arange(count)  # what hangs together by being alike is looked at closely
    for _ in range(count):
        series = np.where(alike, series[None, :], count).min(axis=1)
    i, j = np.nonzero(np.triu(series[:, None] == series[None, :], 1))
    alike[i, j] = alike[j, i] = look.same(i, j)
    first = {pixels: k for k, pixels in reversed(list(enumerate(rows["pixels"])))}
    centre: dict[int, int] = {}
    for k in sorted(first.values()):
        if k not in centre:
            centre |= {other: k for other in first.values() if other not in centre and (other == k or alike[k, other])}
    return {rows["id"][k]: rows["id"][centre[first[rows["pixels"][k]]]] for k in range(count)}


@pytest.mark.slow
@pytest.mark.parametrize(("scenes", "groups"), [(1, 1), (3, 3), (1_500, 1_500)])
def test_thousands_of_pictures_with_one_hash_do_not_take_their_square(scenes: int, groups: int) -> None:
    chance = np.random.default_rng(0)
    tiny = [chance.integers(0, 256, 3072, dtype=np.uint8).tobytes() for _ in range(scenes)]
    rows = pd.DataFrame({"id": [f"{k:04}" for k in range(1_500)], "pixels": [f"{k}" for k in range(1_500)]})
    rows = rows.assign(phash=bytes(8), tiny=[tiny[k % scenes] for k in range(1_500)], **FACTS)
    miniatures = Miniatures(rows)
    assert len(set(grouped(rows, miniatures=miniatures).groups.values())) == groups
    assert miniatures.asked < 15 * len(rows)


def test_no_miniature_is_asked_for_where_no_two_hashes_are_close() -> None:
    chance = np.random.default_rng(0)
    hashes = [value.tobytes() for value in chance.integers(0, 2**64, size=500, dtype=np.uint64)]
    rows = pd.DataFrame({"id": [f"{k:03}" for k in range(500)], "pixels": [f"{k}" for k in range(500)]})
    rows = rows.assign(phash=hashes, tiny=bytes(3072), **FACTS)
    miniatures = Miniatures(rows)
    grouped(rows, miniatures=miniatures)
    assert miniatures.asked == 0


# --- the best copy


def copies(**changed: object) -> pd.DataFrame:
    """The rows of a group as the store gives them: "a" as below, "b" with something changed."""
    row = {"id": "a", "width": 640, "height": 480, "verdict": "ok", "bytes": 90_000, "added_at": "2026-01-02T00:00:00"}
    return pd.DataFrame([row, {**row, "id": "b", **changed}], dtype=object)


@pytest.mark.parametrize(
    ("changed", "best"),
    [
        ({"width": 1280, "height": 960, "verdict": "suspect", "bytes": 50_000}, "b"),
        ({"width": 320, "bytes": 900_000}, "a"),
        ({"verdict": "suspect", "bytes": 100_000}, "a"),
        ({"bytes": 100_000, "added_at": "2026-01-03T00:00:00"}, "b"),
        ({"bytes": 80_000, "added_at": "2026-01-01T00:00:00"}, "a"),
        ({"added_at": "2026-01-01T00:00:00"}, "b"),
        ({}, "a"),
    ],
)
def test_the_best_copy_is_the_largest_then_the_soundest_then_the_least_compressed_then_the_first(
    changed: dict[str, object], best: str
) -> None:
    assert best_copy(copies(**changed)) == best
    assert best_copy(copies(**changed)[::-1]) == best


def test_the_only_copy_is_the_best() -> None:
    assert best_copy(copies()[:1]) == "a"


# --- a group is around its best copy; what is only alike is a series


def part(number: int, still: bool = False) -> Image.Image:
    """A part under a lamp, one of many: a little elsewhere, turned, of another grey, with a spot of its own."""
    chance = np.random.default_rng(0 if still else number)
    down, right = np.mgrid[0:240, 0:320]
    ground = 150 - 0.35 * np.hypot(right - 110, down - 70)
    dx, dy, turn, grey = (
        chance.uniform(-4, 4),
        chance.uniform(-4, 4),
        chance.uniform(-0.05, 0.05),
        chance.uniform(-8, 8),
    )
    x, y = right - 160 - dx, down - 120 - dy
    x, y = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    bar = (np.abs(x) < 80) & (np.abs(y) < 12) | (np.abs(x - 70) < 16) & (np.abs(y) < 32)
    grooves = bar & (x < 50) & (np.sin(x * 0.8) > 0.3)
    spot = np.hypot(x - chance.uniform(-60, 60), y) < 5
    lit = np.where(bar, np.where(spot, 90, 185 + grey - 30 * grooves), ground)
    lit = lit + np.random.default_rng(1000 + number).normal(0, 1.5, lit.shape)
    return jpeg(Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8)).convert("RGB"), 90)


def shirt(colour: tuple[int, int, int], ground: int = 255) -> Image.Image:
    image = Image.new("RGB", (150, 200), (ground,) * 3)
    outline = [
        (45, 30),
        (65, 22),
        (75, 30),
        (85, 22),
        (105, 30),
        (135, 65),
        (118, 80),
        (107, 65),
        (107, 175),
        (43, 175),
    ]
    ImageDraw.Draw(image).polygon([*outline, (43, 65), (32, 80), (15, 65)], fill=colour)
    return jpeg(image, 92)


def test_forty_parts_under_one_lamp_are_a_series_and_their_copies_are_copies() -> None:
    parts = {f"part {number:02}": part(number) for number in range(40)}
    found = grouped(table([*parts.items(), *((f"{name} copy", jpeg(parts[name], 60)) for name in list(parts)[::8])]))
    assert len(set(found.series.values())) == 1 and len(found.series) >= 25
    assert max(Counter(found.groups.values()).values()) <= 5 and len(set(found.groups.values())) >= 30
    assert all(found.groups[f"{name} copy"] == found.groups[name] for name in list(parts)[::8])


def test_one_part_that_lay_still_is_one_picture() -> None:
    found = grouped(table((f"{number}", part(number, still=True)) for number in range(8)))
    assert len(set(found.groups.values())) == 1 and found.series == {}


@pytest.mark.parametrize("ground", [255, 200])
def test_a_black_shirt_is_no_grey_one_and_a_brighter_copy_is_still_the_shirt(ground: int) -> None:
    greys = [(15,) * 3, (45,) * 3, (80,) * 3, (120,) * 3, (60, 20, 20), (20, 20, 60), (20, 60, 20)]
    shirts = {f"{grey}": shirt(grey, ground) for grey in greys}
    assert len(set(grouped(table(shirts.items())).groups.values())) == len(shirts)
    for name, image in shirts.items():
        brighter = jpeg(ImageEnhance.Brightness(image).enhance(1.1))
        assert len(set(grouped(table([(name, image), ("brighter", brighter)])).groups.values())) == 1


def test_what_a_person_said_is_not_the_same_is_never_grouped_again_but_by_equal_pixels() -> None:
    image = part(1)
    rows = table([("a", image), ("b", jpeg(image, 80)), ("c", jpeg(image, 60)), ("b again", jpeg(image, 80))])
    assert len(set(grouped(rows).groups.values())) == 1
    apart = grouped(rows, apart=[{"a", "b", "b again"}]).groups
    assert apart["a"] != apart["b"] == apart["b again"]


def test_a_new_and_larger_copy_joins_the_group_that_it_is_a_copy_of() -> None:
    image = part(1)
    known = {"m": "m", "n": "m"}
    large = [("m", image), ("n", jpeg(image, 70)), ("z", resized(image, 2.0)), ("other", part(2))]
    assert group_duplicates(table(large), known) == {"m": "m", "n": "m", "z": "m", "other": "other"}
