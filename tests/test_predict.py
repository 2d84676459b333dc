"""The model as deployed: one way to open a picture, the trainer's very pixels, a folder that vouches for itself."""

from __future__ import annotations

import io
import json
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from pipeline import predict
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.predict import (
    MAX_PIXELS,
    VIEWS,
    Classifier,
    Preprocessing,
    Unreadable,
    checksum,
    open_image,
    pixels,
)
from pipeline.stage import run
from pipeline.train.augment import views_to_ask
from pipeline.train.config import PRESETS
from pipeline.train.data import load_dataset
from pipeline.verify.verify import VerifyConfig, verify
from pipeline.workspace.runs import Run
from pipeline.workspace.workspace import Workspace
from tests.support.paths import DATA

ORIENTATION = 0x0112
WHITE = (255, 255, 255)


def quarters() -> Image.Image:
    """60 x 40: red, green above blue, yellow; no two corners alike."""
    image = Image.new("RGB", (60, 40), "red")
    image.paste("lime", (30, 0, 60, 20))
    image.paste("blue", (0, 20, 30, 40))
    image.paste("yellow", (30, 20, 60, 40))
    return image


def saved(image: Image.Image, encoding: str = "PNG", **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, encoding, **options)
    return target.getvalue()


def noise(seed: int, mode: str = "RGB", size: tuple[int, int] = (90, 70)) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (size[1] // 10, size[0] // 10, 4), dtype=np.uint8)
    return Image.fromarray(values).resize(size, Image.Resampling.BICUBIC).convert(mode)


# --- opening -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("encoding", ["PNG", "WEBP", "JPEG", "TIFF"])
def test_a_picture_that_says_how_it_was_held_is_turned_upright(orientation: int, encoding: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = saved(quarters(), encoding, exif=exif)
    opened = open_image(data)
    with Image.open(io.BytesIO(data)) as again:
        expected = ImageOps.exif_transpose(again).convert("RGB")
    assert opened.size == ((60, 40) if orientation < 5 else (40, 60))
    assert np.array_equal(opened, expected)
    assert not opened.getexif() and not opened.info


def test_broken_exif_does_not_spoil_a_good_picture() -> None:
    data = saved(quarters(), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert np.array_equal(open_image(data), quarters())


def test_transparent_parts_become_white() -> None:
    with_alpha = quarters().convert("RGBA")
    with_alpha.paste((0, 0, 0, 0), (0, 0, 30, 20))
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.paste(0, (0, 0, 4, 8))
    grey = Image.new("LA", (8, 8), (40, 255))
    grey.paste((40, 0), (0, 0, 4, 8))
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))

    assert open_image(saved(with_alpha)).getpixel((5, 5)) == WHITE
    assert open_image(saved(with_alpha)).getpixel((45, 5)) == (0, 255, 0)
    opened = open_image(saved(palette, transparency=0))
    assert (opened.getpixel((1, 1)), opened.getpixel((6, 1))) == (WHITE, (255, 0, 0))
    opened = open_image(saved(grey))
    assert (opened.getpixel((1, 1)), opened.getpixel((6, 1))) == (WHITE, (40, 40, 40))
    assert open_image(saved(half)).getpixel((1, 1)) == (127, 127, 127)


def test_sixteen_bits_are_scaled_to_eight() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None, :].repeat(4, axis=0)
    opened = np.asarray(open_image(saved(Image.fromarray(ramp))))
    assert np.array_equal(opened[0, :, 0], np.arange(256))


def test_cmyk_grey_and_one_bit_become_rgb() -> None:
    cmyk = np.asarray(open_image(saved(quarters().convert("CMYK"), "JPEG", quality=95)), dtype=int)
    assert np.abs(cmyk[10, 10] - (255, 0, 0)).max() < 12 and np.abs(cmyk[30, 45] - (255, 255, 0)).max() < 12
    assert open_image(saved(Image.new("L", (4, 4), 90))).getpixel((0, 0)) == (90, 90, 90)
    assert open_image(saved(Image.new("1", (4, 4), 1))).getpixel((0, 0)) == WHITE


def test_an_animation_is_its_first_frame() -> None:
    frames = [Image.new("RGB", (12, 12), colour) for colour in ("red", "lime", "blue")]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert open_image(data).getpixel((3, 3)) == (255, 0, 0)
    with Image.open(io.BytesIO(data)) as later:
        later.seek(2)
        assert open_image(later).getpixel((3, 3)) == (255, 0, 0)


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "verdict", "reason"),
    [
        (b"", "empty", "empty"),
        (b"<!DOCTYPE html><html></html>", "not_an_image", "web page"),
        (b"a letter to a friend", "not_an_image", "not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_an_image", "not a picture in a format"),
        (b"\xff\xd8\xff" + b"\0" * 50, "corrupt", "damaged"),
        (saved(noise(0), "JPEG")[:1000], "truncated", "ends before"),
        (saved(noise(0))[:-200], "truncated", "ends before"),
        (png_that_claims(50_000, 40_000), "too_large", "megapixels"),
        (png_that_claims(MAX_PIXELS // 1000 + 1, 1000), "too_large", "megapixels"),
    ],
)
def test_what_cannot_be_used_says_why(data: bytes, verdict: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason) as caught:
        open_image(data)
    assert caught.value.verdict == verdict


def heic() -> bytes:
    """A grey and green HEIC picture of 64 x 40, as an encoder made it."""
    return (DATA / "grey_and_green.heic").read_bytes()


def test_a_heic_picture_without_a_reader_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for reader in ("pillow_heif", "pi_heif"):
        monkeypatch.setitem(sys.modules, reader, None)  # as if it were not installed
    with pytest.raises(Unreadable, match=r"HEIC picture.*pip install.*save it as JPEG or PNG") as caught:
        open_image(heic())
    assert caught.value.verdict == "unsupported"


def test_a_heic_picture_is_read_where_a_reader_is_installed() -> None:
    image = open_image(heic())
    assert (image.mode, image.size, image.info) == ("RGB", (64, 40), {})
    assert max(abs(a - b) for a, b in zip(image.getpixel((8, 8)), (128, 128, 128), strict=True)) < 12
    assert max(abs(a - b) for a, b in zip(image.getpixel((56, 32)), (0, 160, 0), strict=True)) < 12


def jpeg_in_tiff(**tags: object) -> bytes:
    return saved(noise(1), "TIFF", compression="jpeg", **tags)


def test_a_tiff_that_is_read_beyond_its_tiles_is_refused() -> None:
    good = jpeg_in_tiff()
    assert open_image(good).size == noise(1).size
    planar = good.index(struct.pack("<HHII", 284, 3, 1, 1))
    damaged = good[: planar + 2] + struct.pack("<H", 1) + good[planar + 4 :]  # the same 1, as a byte, not as a number
    with pytest.raises(Unreadable, match="contradicts itself") as caught:
        open_image(damaged)
    assert caught.value.verdict == "corrupt"


# --- pixels --------------------------------------------------------------------------------------------------------


def red_then_blue() -> Image.Image:
    """200 x 100, the left half red, the right half blue, a lime stripe of 20 at either end."""
    image = Image.new("RGB", (200, 100), "red")
    image.paste("blue", (100, 0, 200, 100))
    image.paste("lime", (0, 0, 20, 100))
    image.paste("lime", (180, 0, 200, 100))
    return image


def colours(array: np.ndarray, row: int) -> str:
    names = {(255, 0, 0): "r", (0, 255, 0): "l", (0, 0, 255): "b", (0, 0, 0): "-"}
    return "".join(names.get(tuple(int(v) for v in array[row, column]), "?") for column in (1, 12, 22, 37, 48))


def test_squish_shows_everything_crop_the_middle_and_pad_adds_black() -> None:
    shapes = {way: pixels(red_then_blue(), Preprocessing((50, 50), way)) for way in ("squish", "crop", "pad")}
    assert {array.shape for array in shapes.values()} == {(50, 50, 3)}
    assert {array.dtype for array in shapes.values()} == {np.dtype(np.uint8)}
    assert colours(shapes["squish"], 25) == "lrrbl"
    assert colours(shapes["crop"], 25) == "rrrbb"
    assert (colours(shapes["pad"], 25), colours(shapes["pad"], 3)) == ("lrrbl", "-----")


def test_crop_follows_the_shape_and_the_share_that_are_asked_for() -> None:
    wide = pixels(red_then_blue(), Preprocessing((25, 50), "crop"))
    assert wide.shape == (25, 50, 3) and colours(wide, 12) == "lrrbl"
    narrower = pixels(red_then_blue(), Preprocessing((25, 50), "crop", crop_pct=0.7))
    assert colours(narrower, 12) == "rrrbb"


def test_a_picture_of_the_right_size_is_left_alone() -> None:
    image = noise(1, size=(64, 64))
    for way in ("squish", "crop", "pad"):
        assert np.array_equal(pixels(image, Preprocessing((64, 64), way)), image)


@pytest.fixture
def odd_pictures(tmp_path: Path) -> Workspace:
    """Two classes of pictures of many modes, shapes and orientations, checked and split."""
    folder = tmp_path / "odd"
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    ways: list[tuple[str, str, dict[str, object]]] = [
        ("RGB", "jpg", {"exif": exif}),
        ("CMYK", "jpg", {}),
        ("L", "jpg", {}),
        ("RGBA", "png", {}),
        ("P", "gif", {}),
        ("LA", "png", {}),
        ("1", "png", {}),
        ("RGBA", "webp", {"lossless": True}),
        ("RGB", "tif", {}),
        ("RGB", "bmp", {}),
    ]
    for label in ("left", "right"):
        (folder / label).mkdir(parents=True)
        for number, (mode, suffix, options) in enumerate(ways):
            image = noise(10 * number + len(label), mode, (70 + 30 * number, 160 - 10 * number))
            image.save(folder / label / f"{number}.{suffix}", **options)
    workspace = Workspace.create(tmp_path / "workspace")
    run(import_images(workspace, ImportConfig(str(folder))))
    verified = run(verify(workspace, VerifyConfig(workers=1, valid=0.3)))
    assert verified.ok == 2 * len(ways)
    return workspace


def test_the_trainer_sees_the_very_pixels_that_the_deployed_model_sees(odd_pictures: Workspace) -> None:
    for way in ("squish", "crop", "pad"):
        preprocessing = Preprocessing((48, 64), way)
        dataset = run(load_dataset(odd_pictures, preprocessing))
        assert len(dataset.rows) == 20
        for position, file in enumerate(dataset.rows["file"]):
            deployed = pixels(open_image(odd_pictures.image_file(file)), preprocessing)
            assert np.array_equal(dataset.exact[position], deployed), f"{file}, {way}"


# --- a model folder ------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tiny_run: Run, tmp_path: Path) -> Path:
    """A model folder of one's own."""
    return Path(shutil.copytree(tiny_run.folder, tmp_path / "model"))


@pytest.fixture(scope="module")
def classifier(tiny_run: Run) -> Classifier:
    return Classifier.load(tiny_run.folder)


def swap_two_classes(folder: Path) -> None:
    text = (folder / "config.json").read_text(encoding="utf-8")
    info = json.loads(text)
    info["label_names"].reverse()
    (folder / "config.json").write_text(json.dumps(info), encoding="utf-8")


def change_one_weight(folder: Path) -> None:
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)


def forget_a_file(folder: Path) -> None:
    (folder / "familiar.safetensors").unlink()


def cut_the_description(folder: Path) -> None:
    (folder / "config.json").write_text((folder / "config.json").read_text(encoding="utf-8")[:100], encoding="utf-8")


def take_away_the_description(folder: Path) -> None:
    (folder / "config.json").unlink()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (swap_two_classes, "config.json was changed"),
        (change_one_weight, "model.safetensors was changed"),
        (forget_a_file, "familiar.safetensors was changed"),
        (cut_the_description, "config.json is damaged"),
        (take_away_the_description, "is not a model folder"),
    ],
)
def test_a_model_that_is_not_as_it_was_written_is_refused(
    folder: Path, change: Callable[[Path], None], words: str
) -> None:
    change(folder)
    with pytest.raises(ValueError, match=words):
        Classifier.load(folder)


def test_probabilities_are_in_class_order_and_sum_to_one(classifier: Classifier, photographs: Path) -> None:
    files = sorted((photographs / "apple").iterdir())[:5]
    predictions = classifier.predict(files)
    for prediction in predictions:
        assert tuple(prediction.probabilities) == classifier.classes == ("apple", "melon", "pear")
        assert sum(prediction.probabilities.values()) == pytest.approx(1)
        assert prediction.probability == max(prediction.probabilities.values())
        assert prediction.probabilities[prediction.label] == prediction.probability


def test_the_batch_and_the_kind_of_source_change_nothing(classifier: Classifier, photographs: Path) -> None:
    files = sorted((photographs / "pear").iterdir())[:4]
    expected = [list(p.probabilities.values()) for p in classifier.predict(files)]
    sources = [str(files[0]), files[1].read_bytes(), Image.open(files[2]), files[3]]
    answers = [list(p.probabilities.values()) for p in classifier.predict(sources, batch_size=3)]
    assert np.allclose(answers, expected, atol=1e-5)
    assert classifier.predict([]) == []


def test_tta_averages_over_the_picture_and_its_mirror_image(classifier: Classifier) -> None:
    classifier = Classifier(classifier.model, {**classifier.info, "tta": ["mirrored"]}, None, "cpu")
    image = noise(5, size=(64, 64))
    plain, mirrored = (list(p.probabilities.values()) for p in classifier.predict([image, ImageOps.mirror(image)]))
    both = list(classifier.predict([image], tta=True)[0].probabilities.values())
    assert np.allclose(both, np.mean([plain, mirrored], axis=0), atol=1e-5)
    assert not np.allclose(plain, mirrored, atol=1e-5)


def test_the_views_of_a_model_are_asked_and_named(classifier: Classifier) -> None:
    image = noise(5, size=(64, 64))
    assert classifier.predict([image])[0].views == ("as it is",)
    classifier = Classifier(
        classifier.model, {**classifier.info, "tta": ["turned left", "unknown", "enlarged"]}, None, "cpu"
    )
    answer = classifier.predict([image], tta=True)[0]
    assert answer.views == ("as it is", "turned left", "enlarged")
    turned = image.transpose(Image.Transpose.ROTATE_90)
    middle = image.crop((4, 4, 60, 60)).resize((64, 64), Image.Resampling.BILINEAR)
    each = [list(p.probabilities.values()) for p in classifier.predict([image, turned, middle])]
    assert np.allclose(list(answer.probabilities.values()), np.mean(each, axis=0), atol=5e-3)


@pytest.mark.parametrize(
    ("name", "count"), [("photo", 1), ("top-down", 7), ("text", 1), ("none", 1)], ids=lambda value: str(value)
)
def test_only_views_that_mean_the_same_are_asked(name: str, count: int) -> None:
    batch = torch.rand(2, 3, 32, 32)
    names = views_to_ask(PRESETS[name], (32, 32))
    assert len(names) == len(set(names)) == count
    made = [batch, *(VIEWS[view](batch) for view in names)]
    assert all(view.shape == batch.shape for view in made)
    assert all(not torch.equal(a, b) for number, a in enumerate(made) for b in made[:number])
    assert all(
        VIEWS[view](torch.rand(1, 3, 24, 32)).shape == (1, 3, 24, 32) for view in views_to_ask(PRESETS[name], (24, 32))
    )


def test_a_picture_unlike_the_others_is_called_unfamiliar(folder: Path, photographs: Path) -> None:
    def answers(threshold: float | None) -> list[bool]:
        info = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        info["unfamiliar"] = None if threshold is None else {"score": "neighbours", "threshold": threshold}
        info["checksum"] = checksum(info)
        (folder / "config.json").write_text(json.dumps(info), encoding="utf-8")
        return [p.unfamiliar for p in Classifier.load(folder).predict([noise(7), *photographs.glob("melon/*")])]

    assert not any(answers(None)) and not any(answers(1e6)) and all(answers(1e-6))


def test_the_command_prints_a_line_of_json_a_picture(folder: Path, photographs: Path, tmp_path: Path) -> None:
    shutil.copy(str(predict.__file__), folder / "predict.py")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff")
    good = next((photographs / "melon").iterdir())
    command = [sys.executable, "-I", str(folder / "predict.py")]
    done = subprocess.run([*command, str(folder), str(good), str(broken)], capture_output=True, text=True, cwd=tmp_path)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert rows[0]["label"] in rows[0]["probabilities"] and rows[0]["path"] == str(good)
    assert rows[1]["label"] is None and "damaged" in rows[1]["reason"]
    assert subprocess.run(command, capture_output=True).returncode == 2


@pytest.mark.parametrize("size", [(300, 100), (100, 300), (90, 90), (400, 4)])
def test_borders_and_reflections_surround_the_whole_picture(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(100, 156, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    black, border, mirrored = (
        pixels(image, Preprocessing((64, 80), "pad", padding=padding)) for padding in ("zeros", "border", "reflection")
    )
    assert black.shape == border.shape == mirrored.shape == (64, 80, 3)
    inside = black.any(axis=2)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    assert np.array_equal(border[inside], mirrored[inside])
    assert (border[: rows[0]] == border[rows[0]]).all()
    assert (border[:, : columns[0]] == border[:, [columns[0]]]).all()
    if rows[0]:
        assert np.array_equal(mirrored[rows[0] - 1], mirrored[rows[0]])
    if columns[0]:
        assert np.array_equal(mirrored[:, columns[0] - 1], mirrored[:, columns[0]])
    again = Preprocessing.from_json(json.loads(json.dumps(Preprocessing(padding="border").to_json())))
    assert again.padding == "border"
