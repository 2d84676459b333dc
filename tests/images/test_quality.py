"""What is wrong with pictures that decode: planted in photographs, found in them, and not in good ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageFilter

from pipeline.collect.importing import ImportConfig, import_images
from pipeline.images.decode import squished, unsquished
from pipeline.images.quality import quality
from pipeline.stage import run
from pipeline.verify.findings import PROBLEMS, problems
from pipeline.verify.verify import VerifyConfig, verify
from pipeline.workspace.workspace import Workspace

Harm = Callable[[Image.Image], Image.Image]


def faded(share: float) -> Harm:
    return lambda image: Image.blend(image, Image.new("RGB", image.size, "white"), share)


HARMS: dict[str, Harm] = {
    "dark": lambda image: ImageEnhance.Brightness(image).enhance(0.2),
    "bright": faded(0.95),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(image.width / 100)),
    "little_detail": lambda image: Image.effect_noise(image.size, 1).convert("RGB"),
    "odd_shape": lambda image: image.resize((image.width, image.height // 4)),
    "odd_size": lambda image: image.resize((image.width // 10, image.height // 10)),
    "grey": lambda image: image.convert("L").convert("RGB"),
}


@pytest.fixture(scope="module")
def pictures(starter_folder: Path) -> list[Image.Image]:
    files = sorted(starter_folder.rglob("*.jpg"))[::4]
    return [Image.open(file).convert("RGB") for file in files]


def table(images: list[Image.Image]) -> pd.DataFrame:
    rows = [
        (str(n), i.width, i.height, json.dumps(quality(unsquished(squished(i), i)).rounded()))
        for n, i in enumerate(images)
    ]
    return pd.DataFrame(rows, columns=["id", "width", "height", "quality"])


def test_hardly_any_good_photograph_is_pointed_out(pictures: list[Image.Image]) -> None:
    found = problems(table(pictures))
    assert set(found) == set(PROBLEMS)
    assert sum(map(len, found.values())) <= len(pictures) / 50


@pytest.mark.parametrize("kind", HARMS)
def test_what_was_planted_is_found_and_called_by_its_name(pictures: list[Image.Image], kind: str) -> None:
    harmed = {str(number) for number in range(0, len(pictures), 10)}
    mixed = [HARMS[kind](image) if str(n) in harmed else image for n, image in enumerate(pictures)]
    found = {name: set(ids) for name, ids in problems(table(mixed)).items()}
    assert len(found[kind] & harmed) >= 0.9 * len(harmed)
    others = {name: ids & harmed for name, ids in found.items() if name not in (kind, "grey", "odd_size")}
    assert sum(map(len, others.values())) <= 0.1 * len(harmed)


def test_the_worst_comes_first(pictures: list[Image.Image]) -> None:
    darker = [ImageEnhance.Brightness(pictures[0]).enhance(share) for share in (0.2, 0.05, 0.1)]
    assert problems(table([*darker, *pictures[1:9]]))["dark"] == ("1", "2", "0")


def test_in_a_set_of_grey_pictures_grey_is_no_problem(pictures: list[Image.Image]) -> None:
    assert problems(table([image.convert("L").convert("RGB") for image in pictures[:8]]))["grey"] == ()


@given(width=st.integers(1, 12), height=st.integers(1, 12), colour=st.tuples(*[st.integers(0, 255)] * 3))
def test_any_picture_has_scores_in_their_ranges(width: int, height: int, colour: tuple[int, int, int]) -> None:
    scores = quality(Image.new("RGB", (width, height), colour))
    assert 0 <= scores.bright_end <= scores.dark_end <= 1 and scores.detail == 0
    assert scores.sharpness >= 0 and 0 <= scores.colour <= 1


def test_verify_tells_the_problems_and_measures_what_an_earlier_version_did_not(
    workspace: Workspace, tmp_path: Path, pictures: list[Image.Image]
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number, image in enumerate(pictures[:12]):
        (HARMS["dark"](image) if number == 3 else image).save(source / f"{number:02}.png")
    run(import_images(workspace, ImportConfig(str(source), label="fruit")))
    found = run(verify(workspace, VerifyConfig(workers=1)))
    (dark,) = found.problems["dark"]
    by_id = {row["id"]: row for row in workspace.store.records()}
    assert by_id[dark]["source"]["name"] == "03.png" and by_id[dark]["quality"]["dark_end"] < 0.25
    with workspace.store.database.transaction() as db:
        db.execute("UPDATE images SET quality = NULL")
    again = run(verify(workspace, VerifyConfig(workers=1)))
    assert again.problems == found.problems and again.new == 12
    assert run(verify(workspace, VerifyConfig(workers=1))).new == 0
