"""One scale for all pictures of a set that have more than 8 bits: how it is chosen, and that everybody uses it."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from pipeline.collect.arrivals import judge
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.deploy.model_card import scales_in_words
from pipeline.deploy.space import write_app
from pipeline.images.decode import Checked, examine, large_picture
from pipeline.images.in_workers import Wanted, seen
from pipeline.images.opening import Values, about_scales, opening_of, scale, seen_values
from pipeline.images.pixel_cache import PixelCache
from pipeline.predict import Opening, Preprocessing, open_image, pixels
from pipeline.stage import run
from pipeline.train.data import load_dataset
from pipeline.verify.findings import verified
from pipeline.verify.verify import VerifyConfig, verify
from pipeline.workspace.workspace import Workspace

FEWEST_GREYS = 64


def tiff(values: np.ndarray, sample_format: int = 0, order: str = "<", more: tuple[tuple[int, int], ...] = ()) -> bytes:
    """A grey TIFF without compression. ``sample_format``: 1 unsigned, 2 signed, 3 real (0: that of ``values``);
    ``more``: further tags, each a SHORT.
    """
    height, width = values.shape
    kind = sample_format or {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    data = values.astype(values.dtype.newbyteorder("<" if order == "<" else ">")).tobytes()
    entries = sorted(
        [
            *((tag, 4, number) for tag, number in ((256, width), (257, height), (273, 8), (278, height))),
            (279, 4, len(data)),
            *((tag, 3, number) for tag, number in ((258, values.itemsize * 8), (259, 1), (262, 1), (277, 1))),
            (339, 3, kind),
            *((tag, 3, number) for tag, number in more),
        ]
    )
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + len(data))
    directory = struct.pack(f"{order}H", len(entries))
    for tag, width_of, number in entries:
        value = struct.pack(f"{order}{'I' if width_of == 4 else 'H'}", number).ljust(4, b"\0")
        directory += struct.pack(f"{order}HHI", tag, width_of, 1) + value
    return head + data + directory + bytes(4)


def png(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values.astype(np.uint16)).save(file, "PNG")
    return file.getvalue()


def with_significant_bits(data: bytes, bits: int) -> bytes:
    chunk = b"sBIT" + bytes([bits])
    return data[:33] + struct.pack(">I", 1) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]


def ramp(low: float, high: float, kind: str = "u2", side: int = 30) -> np.ndarray:
    return np.linspace(low, high, side * side).reshape(side, side).astype(kind)


def values_of(data: bytes) -> Values:
    found = examine(data)[0].values
    assert found is not None
    return found


# --- the rule ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 260, (0, 511)),
        (3, 200, (0, 255)),  # 8 bits in 16
        (0, 1023, (0, 1023)),
        (5, 4000, (0, 4095)),
        (100, 16383, (0, 16383)),
        (0, 60000, (0, 65535)),
        (-1024, 3071, (-1024, 4095)),  # Hounsfield units
        (29000, 31500, (28928, 31744)),
        (0, 9, (0, 9)),
        (1000, 1000, (0, 1000)),
        (0, 0, (0, 1)),
    ],
)
def test_whole_numbers_get_the_scale_that_they_fill(low: int, high: int, expected: tuple[float, float]) -> None:
    found = scale([Values(True, low, high)])
    assert found is not None and found[0] <= low and high <= found[1]
    if (low, high) != (29000, 31500):
        assert found == expected
    assert low == high or (high - low) / (found[1] - found[0]) >= 1 / 4


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.1, 0.9, (0, 1)),
        (0, 250.5, (0, 255)),
        (12, 40000, (0, 65535)),
        (-0.8, 0.7, (-1, 1)),
        (0, 2, (0, 2)),
        (0, 1e-6, None),
        (-1e30, 1e30, None),
    ],
)
def test_real_numbers_get_a_usual_scale_or_one_of_their_own(
    low: float, high: float, expected: tuple[float, float] | None
) -> None:
    found = scale([Values(False, low, high)])
    assert found is not None and found[0] <= low and high <= found[1]
    assert expected is None or found == expected
    assert (high - low) / (found[1] - found[0]) >= 1 / 4


def test_the_largest_value_that_files_name_is_taken_where_they_come_near_it() -> None:
    assert scale([Values(True, 0, 1500, top=4095)]) == (0, 4095)
    assert scale([Values(True, 0, 300, top=65535)]) == (0, 511)
    assert scale([Values(True, 0, 5000, top=4095)]) == (0, 8191)


def test_a_scale_stays_as_long_as_it_fits() -> None:
    assert scale([Values(True, 0, 300)], before=(0, 1023)) == (0, 1023)
    assert scale([Values(True, 0, 1500)], before=(0, 1023)) == (0, 2047)
    assert scale([Values(True, 0, 200)], before=(0, 1023)) == (0, 255)
    assert scale([], before=(0, 1023)) is None


ends = st.integers(-(2**31), 2**31 - 1)
numbers = st.floats(-(2.0**99), 2.0**99, allow_nan=False, width=32)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.one_of(ends), ends), min_size=1, max_size=5), st.booleans())
def test_no_set_of_whole_numbers_loses_its_greys(spans: list[tuple[int, int]], small: bool) -> None:
    spans = [(low >> 20, high >> 20) for low, high in spans] if small else spans
    keeps_its_greys([np.linspace(low, high, 400).round().astype("i4").reshape(20, 20) for low, high in spans])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=5))
def test_no_set_of_real_numbers_loses_its_greys(spans: list[tuple[float, float]]) -> None:
    keeps_its_greys([np.linspace(low, high, 400).astype("f4").reshape(20, 20) for low, high in spans])


def keeps_its_greys(pictures: list[np.ndarray]) -> None:
    """By the set's scale every brighter value is at least as bright, nothing is clipped, and there are greys enough."""
    images = [Image.fromarray(values) for values in pictures]
    seen_of_each = [found for image in images if (found := seen_values(image, b""))]
    found = scale(seen_of_each)
    opening = Opening(real=found) if images[0].mode == "F" else Opening(whole=found)
    before = np.concatenate([values.ravel() for values in pictures]).astype(float)
    after = np.concatenate([np.asarray(open_image(image, opening))[:, :, 0].ravel() for image in images]).astype(int)
    order = np.argsort(before, kind="stable")
    assert (np.diff(after[order]) >= 0).all()
    distinct = len(np.unique(before))
    span = before.max() - before.min()
    evenly = len(np.unique(np.rint((before - before.min()) / span * 255))) if span else 1
    assert len(np.unique(after)) >= min(FEWEST_GREYS, distinct, evenly / 4)
    assert found is not None and found[0] <= before.min() and before.max() <= found[1]


# --- what is seen of a picture ----------------------------------------------------------------------------------------


def test_dead_and_hot_pixels_do_not_count() -> None:
    values = ramp(100, 3000, side=100)
    values[50, 50], values[3, 4] = 65535, 0
    found = values_of(png(values))
    assert 90 < found.low < 110 and 2990 < found.high < 3010


def test_what_is_no_number_and_what_stands_for_nothing_do_not_count() -> None:
    values = ramp(0.25, 0.75, "f4")
    values[0, :8] = (np.nan, np.inf, -np.inf, -3.4e38, 3.4e38, np.nan, np.nan, np.nan)
    found = values_of(tiff(values))
    assert (round(found.low, 2), round(found.high, 2), found.whole) == (0.25, 0.75, False)
    assert np.asarray(open_image(tiff(values), Opening(real=(0, 1)))).ndim == 3
    everything = np.full((8, 8), np.nan, "f4")
    checked, image = examine(tiff(everything))
    assert image is not None and checked.values is None
    heights = ramp(200, 900, "f4")
    heights[:4] = -9999
    file = io.BytesIO()
    Image.fromarray(heights).save(file, "TIFF", tiffinfo={42113: "-9999"})
    assert values_of(file.getvalue()).low > 199


@pytest.mark.parametrize("order", "<>")
def test_signed_and_long_whole_numbers_are_seen_as_they_are(order: str) -> None:
    found = values_of(tiff(ramp(-1000, 3000, "i2"), order=order))
    assert (found.whole, found.low, found.high) == (True, -1000, 3000)
    if order == "<":  # Pillow knows no others
        assert values_of(tiff(ramp(-100000, 300000, "i4"))).high == 300000
    unsigned = values_of(tiff(ramp(0, 4095), order=order))
    assert (unsigned.low, unsigned.high) == (0, 4095)


def test_depths_that_files_name_are_read() -> None:
    assert values_of(with_significant_bits(png(ramp(0, 4000)), 12)).top == 4095
    assert values_of(tiff(ramp(0, 4000), more=((281, 4095),))).top == 4095
    assert values_of(png(ramp(0, 4000))).top == 0
    for nonsense in ("abc", "", "nan", "inf", "-5"):
        file = io.BytesIO()
        odd = TiffImagePlugin.ImageFileDirectory_v2()
        odd.tagtype[281] = odd.tagtype[42113] = 2  # text
        odd[281] = odd[42113] = nonsense
        Image.fromarray(ramp(0, 4000)).save(file, "TIFF", tiffinfo=odd)
        assert values_of(file.getvalue()).top == 0


def test_pictures_of_eight_bits_have_no_values() -> None:
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "PNG")
    assert examine(file.getvalue())[0] == Checked("ok", "", "PNG", "L", 8, 8, 1, 1)


# --- without a set, nothing has changed -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (ramp(0, 65535), lambda v: v * (255 / 65535)),
        (ramp(0, 4095), lambda v: v * (255 / 65535)),
        (ramp(0, 200), lambda v: v),
        (ramp(0, 1, "f4"), lambda v: v * 255.0),
        (ramp(0, 200, "f4"), lambda v: v),
        (ramp(0, 1e6, "f4"), lambda v: v * (255.0 / 1e6)),
        (ramp(-500, 300000, "i4"), lambda v: v * (255.0 / 300000)),
    ],
)
def test_a_picture_by_itself_is_scaled_as_ever(values: np.ndarray, expected: object) -> None:
    assert callable(expected)
    wanted = np.clip(np.rint(expected(values.astype(np.float64))), 0, 255).astype(np.uint8)
    assert np.array_equal(np.asarray(open_image(tiff(values)))[:, :, 0], wanted)


def test_what_is_written_of_a_model_without_a_scale_is_as_ever() -> None:
    plain = Preprocessing()
    assert "opening" not in plain.to_json()
    scaled = Preprocessing(opening=Opening((-1024.0, 4095.0), (0.0, 1.0), 200))
    for one in (plain, scaled):
        assert Preprocessing.from_json(json.loads(json.dumps(one.to_json()))) == one


# --- a workspace ------------------------------------------------------------------------------------------------------


def folder_of(folder: Path, **pictures: bytes) -> Path:
    folder.mkdir(parents=True)
    for name, data in pictures.items():
        (folder / name.replace("_", ".")).write_bytes(data)
    return folder


def bring(workspace: Workspace, folder: Path) -> None:
    run(import_images(workspace, ImportConfig(str(folder), label="scan")))
    run(verify(workspace, VerifyConfig(workers=1)))


def as_learnt(workspace: Workspace) -> dict[str, np.ndarray]:
    """Name -> the row of the training cache, uint8 [H, W, 3]."""
    images = workspace.store.images("ok")
    rows = PixelCache.in_use(workspace.cache, opening_of(workspace)).rows(images["id"])
    found = np.asarray(rows.column("exact", list(images["id"])))
    return {Path(name).name: row for name, row in zip(images["source_name"], found, strict=True)}


def test_train_and_predict_open_a_set_by_one_scale(workspace: Workspace, tmp_path: Path) -> None:
    eight_bits = io.BytesIO()
    Image.linear_gradient("L").save(eight_bits, "PNG")
    bring(
        workspace,
        folder_of(
            tmp_path / "first",
            dim_png=png(ramp(0, 260)),
            bright_png=png(ramp(0, 3900)),
            signed_tif=tiff(ramp(-40, 2000, "i2")),
            long_tif=tiff(ramp(0, 3000, "i4")),
            backwards_tif=tiff(ramp(7, 1000), order=">"),
            real_tif=tiff(ramp(0, 0.9, "f4")),
            plain_png=eight_bits.getvalue(),
        ),
    )
    opening = opening_of(workspace)
    assert opening == Opening(whole=(-64.0, 4095.0), real=(0.0, 1.0))
    learnt = as_learnt(workspace)
    assert len(learnt) == 7
    geometry = Preprocessing(opening=opening)
    files = [str(tmp_path / "first" / name) for name in learnt]
    for want, answer in seen([Wanted(number, file) for number, file in enumerate(files)], geometry, workers=1):
        name = Path(want.file).name
        assert answer.pixels is not None and np.array_equal(answer.pixels, learnt[name])
        assert np.array_equal(pixels(open_image(want.file, opening), geometry), learnt[name])
    assert 14 < learnt["dim.png"].max() < 22 and learnt["bright.png"].max() > 240
    assert np.array_equal(learnt["plain.png"], pixels(open_image(eight_bits.getvalue()), geometry))
    told = verified(workspace).scales
    assert "5 pictures have more than 8 bits: values from -64 to 4,095" in told and "from 0 to 1" in told
    dim = workspace.store.images().set_index("source_name").loc["dim.png"]
    with Image.open(workspace.thumbnail(str(dim["id"]))) as small:
        assert max(small.convert("L").getextrema()) < 25

    # Brighter ones come: all are scaled anew, thumbnails, fingerprints and cache.
    before = workspace.store.fingerprints().set_index("id")["pixels"]
    with Image.open(large_picture(workspace, str(dim["id"]), str(dim["file"]))) as shown:
        assert max(shown.convert("L").getextrema()) < 25
    bring(workspace, folder_of(tmp_path / "second", brightest_png=png(ramp(0, 16000))))
    assert opening_of(workspace).whole == (-64.0, 16383.0)
    assert len(as_learnt(workspace)) == 8 and as_learnt(workspace)["bright.png"].max() < 70
    after = workspace.store.fingerprints().set_index("id")["pixels"]
    changed = {image for image in before.index if before[image] != after[image]}
    assert len(changed) == 5  # not the one of real numbers, nor that of 8 bits
    with Image.open(large_picture(workspace, str(dim["id"]), str(dim["file"]))) as shown:
        assert max(shown.convert("L").getextrema()) < 10
    assert "16,383" in about_scales(workspace)


def test_the_trainer_decodes_what_its_cache_lacks_by_the_same_scale(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    for label, top in (("dark", 1200), ("light", 4000)):
        folder_of(folder / label, **{f"{number}_png": png(ramp(number, top - number)) for number in range(8)})
    run(import_images(workspace, ImportConfig(str(folder))))
    run(verify(workspace, VerifyConfig(workers=1, cache=False)))
    opening = opening_of(workspace)
    assert opening.whole == (0.0, 4095.0)
    geometry = Preprocessing((32, 32), opening=opening)
    dataset = run(load_dataset(workspace, geometry))
    for number, file in enumerate(dataset.rows["file"]):
        opened = open_image(workspace.image_file(str(file)), opening)
        assert np.array_equal(np.asarray(dataset.exact[np.array([number])])[0], pixels(opened, geometry))
    dark, light = (dataset.exact[np.flatnonzero(dataset.rows["label"] == name)].max() for name in ("dark", "light"))
    assert dark < 80 and light > 240


def test_what_leaves_with_a_model_knows_its_scale(tmp_path: Path) -> None:
    source = tmp_path / "scan.png"
    source.write_bytes(png(ramp(0, 4000)))
    opening = Opening(whole=(0.0, 4095.0))
    info = {"preprocessing": Preprocessing(opening=opening).to_json()}
    examples = pd.DataFrame({"path": [str(source)], "label": ["scan"], "source_provider": ["folder"]})
    (tmp_path / "space").mkdir()
    info |= {"versions": {"torch": "2", "timm": "1", "safetensors": "0", "pillow": "12", "numpy": "2"}}
    write_app("gradio", info, tmp_path / "space", examples, "Scans")
    with Image.open(tmp_path / "space" / "examples" / "01.jpg") as shown:
        assert max(shown.convert("L").getextrema()) > 240
    assert "from 0 (black) to 4,095 (white)" in scales_in_words(info)
    assert scales_in_words({"preprocessing": Preprocessing().to_json()}) == ""


def test_a_download_that_is_made_smaller_leaves_deep_pictures_alone(workspace: Workspace) -> None:
    deep = png(ramp(0, 4000, side=64))
    plain = io.BytesIO()
    Image.new("L", (64, 64), 9).save(plain, "PNG")
    kept = [judged.kept for judged in judge([deep, plain.getvalue()], workspace, max_side=16)]
    assert kept[0] is not None and workspace.image_file(kept[0].file).read_bytes() == deep
    assert kept[1] is not None and kept[1].original_bytes


@pytest.mark.parametrize(("top", "told"), [(4095, True), (65535, False)])
def test_colours_of_sixteen_bits_that_hold_twelve_are_told_of(top: int, told: bool) -> None:
    values = np.stack([ramp(0, top)] * 3, axis=2)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    data = b"\x89PNG\r\n\x1a\n"
    size = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, 2, 0, 0, 0)
    for kind, content in ((b"IHDR", size), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        data += struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    checked = examine(data)[0]
    assert checked.verdict == "ok" and ("upper 8" in checked.reason) == told
