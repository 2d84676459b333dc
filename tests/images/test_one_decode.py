"""One decode: trainer, Predict tab, terminal and Space see the same pixels of any odd picture."""

from __future__ import annotations

import csv
import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.ask.one import Models
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.images.in_workers import Wanted, see_one, seen
from pipeline.images.opening import opening_of
from pipeline.images.pixel_cache import PixelCache
from pipeline.predict import Preprocessing, Unreadable, open_image, pixels
from pipeline.stage import run
from pipeline.verify.verify import VerifyConfig, verify
from pipeline.workspace.runs import Run
from pipeline.workspace.workspace import Workspace
from tests.support.paths import SHARED
from tests.support.sharing import Sample

CORPUS = SHARED / "corpus"
EXIF_ORIENTATION = 0x0112


def odd(folder: Path) -> Path:
    """Rotated, CMYK, palette, 16-bit, animated, huge; and a broken and an empty file."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(5)
    noise = Image.fromarray(chance.integers(0, 256, (90, 160, 3), dtype=np.uint8))
    exif = Image.Exif()
    for orientation in range(1, 9):
        exif[EXIF_ORIENTATION] = orientation
        noise.resize((160 + orientation, 90)).save(folder / f"turned {orientation}.jpg", exif=exif)
    noise.convert("CMYK").save(folder / "cmyk.jpg")
    noise.convert("P").save(folder / "palette.png", transparency=3)
    Image.fromarray(chance.integers(0, 65536, (70, 50), dtype=np.uint16)).save(folder / "sixteen.png")
    noise.save(folder / "animated.gif", save_all=True, append_images=[noise.rotate(90), noise.rotate(180)])
    noise.convert("LA").save(folder / "grey and alpha.webp", lossless=True)
    Image.linear_gradient("L").resize((7000, 7000)).save(folder / "huge.png")
    whole = io.BytesIO()
    noise.save(whole, "JPEG")
    (folder / "cut off.jpg").write_bytes(whole.getvalue()[:900])
    (folder / "empty.png").touch()
    return folder


def compared(folder: Path, workspace: Workspace) -> int:
    """How many pictures of ``folder`` were compared: each is in the trainer's cache as it is asked about."""
    run(import_images(workspace, ImportConfig(str(folder), label="odd")))
    run(verify(workspace, VerifyConfig(accept_broken=True)))
    images = workspace.store.images("ok")
    cache = PixelCache.in_use(workspace.cache, opening_of(workspace))
    rows = cache.rows(images["id"])
    assert set(rows.places) == set(images["id"])
    trained = rows.column("exact", list(images["id"]))
    wanted = [Wanted(number, str(workspace.image_file(file))) for number, file in enumerate(images["file"])]
    asked = {one.number: found for one, found in seen(wanted, cache.geometry)}
    for number, want in enumerate(wanted):
        shown = asked[number].pixels
        assert shown is not None, f"{images['source_name'].iloc[number]}: {asked[number].reason}"
        assert np.array_equal(shown, np.asarray(trained[np.array([number])])[0]), images["source_name"].iloc[number]
        with warnings.catch_warnings():  # of what Pillow thinks of their metadata
            warnings.simplefilter("ignore")
            deployed = pixels(open_image(want.file, cache.geometry.opening), cache.geometry)
        assert np.array_equal(shown, deployed), images["source_name"].iloc[number]
    return len(wanted)


def test_odd_pictures_are_asked_about_as_they_were_learnt(workspace: Workspace, tmp_path: Path) -> None:
    assert compared(odd(tmp_path / "odd"), workspace) == 14


@pytest.mark.skipif(not (CORPUS / "truth_dev.csv").exists(), reason="the corpus of odd pictures is not here")
def test_the_corpus_of_odd_pictures_is_asked_about_as_it_would_be_learnt(
    workspace: Workspace, tmp_path: Path, sampled: Sample
) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    with (CORPUS / "truth_dev.csv").open(encoding="utf-8", newline="") as lines:
        good = sampled.of(row["file"] for row in csv.DictReader(lines) if row["verdict"] == "keep")
    for number, file in enumerate(good):
        (folder / f"{number} {Path(file).with_suffix('.jpg').name}").write_bytes((CORPUS / file).read_bytes())
    assert compared(folder, workspace) > 0.9 * len({(CORPUS / file).read_bytes() for file in good})


@pytest.mark.skipif(not (CORPUS / "truth_dev.csv").exists(), reason="the corpus of odd pictures is not here")
def test_what_cannot_be_decoded_is_a_reason_in_words_and_never_an_error(sampled: Sample) -> None:
    with (CORPUS / "truth_dev.csv").open(encoding="utf-8", newline="") as lines:
        bad = [row["file"] for row in csv.DictReader(lines) if row["verdict"] == "reject"]
    assert len(bad) > 100
    bad = sampled.of(bad)
    wanted = [Wanted(number, str(CORPUS / file)) for number, file in enumerate(bad)]
    told = {bad[one.number]: found for one, found in seen(wanted, Preprocessing((64, 64)))}
    assert len(told) == len(bad)
    assert [file for file, found in told.items() if found.pixels is None and not found.reason.endswith(".")] == []
    assert all("Traceback" not in found.reason and str(CORPUS) not in found.reason for found in told.values())


def test_broken_and_huge_uploads_are_refused_in_words(tiny_run: Run, tmp_path: Path) -> None:
    folder = odd(tmp_path / "odd")
    Image.new("1", (8000, 8000)).save(folder / "too large.png")
    for name, words in (("cut off.jpg", "ends before"), ("empty.png", "is empty"), ("too large.png", "50 megapixels")):
        with pytest.raises(Unreadable, match=words):
            see_one(str(folder / name), Preprocessing())
    workspace, models = Workspace.open(tiny_run.folder.parents[1]), Models()
    for name in ("huge.png", "animated.gif", "sixteen.png"):
        assert models.answer(tiny_run, folder / name).probabilities
    assert models.alike(workspace, tiny_run, folder / "animated.gif")[1]
