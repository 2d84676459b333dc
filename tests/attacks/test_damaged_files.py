"""Files of a workspace that somebody shortened, edited, swapped or removed: it is noticed, and said in words."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cli
from pipeline.dataset.export import DatasetConfig, export_dataset
from pipeline.errors import RunError, TooManyBroken, TrainingError
from pipeline.images.in_workers import thumbnails
from pipeline.predict import Preprocessing
from pipeline.stage import run
from pipeline.train.data import load_dataset
from pipeline.verify.cards import restore
from pipeline.verify.verify import VerifyConfig, verify
from pipeline.workspace.records import NewImage
from pipeline.workspace.runs import (
    FEATURE_IDS,
    FEATURES,
    MANIFEST,
    OUT_OF_FOLD,
    PREDICTIONS,
    Run,
    load_run,
    write_record,
)
from pipeline.workspace.workspace import Workspace

SMALL = Preprocessing(size=(16, 16))
CHECK = VerifyConfig(workers=1)


# --- a run

HOSTILE = {
    "id": (7, "", "../../x", "a/b", "x" * 5_000, "a\nb"),
    "created": (7, None, []),
    "classes": ("bear", {"bear": 1}, [1, 2], None),
    "config": ([], "x", None),
    "epochs": ({}, [1], "none"),
    "test": ([], 0.5),
    "valid": (None, "good"),
    "files": ([], 7),
}


@pytest.fixture
def one(tiny_run: Run, tmp_path: Path) -> Run:
    """A run of one's own, without its pictures and weights."""
    workspace = Workspace.create(tmp_path / "runs of mine")
    heavy = shutil.ignore_patterns("*.safetensors")
    shutil.copytree(tiny_run.folder, workspace.runs / tiny_run.id, ignore=heavy)
    return load_run(workspace)


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in HOSTILE.items() for value in values])
def test_a_record_of_other_kinds_is_one_sentence(one: Run, key: str, value: object) -> None:
    record = {name: part for name, part in one.record.items() if name != "checksum"}
    (one.folder / MANIFEST).write_text(json.dumps({**record, key: value}))
    with pytest.raises(RunError, match=r"is damaged .*Move its folder away") as refused:
        load_run(Workspace.open(one.folder.parents[1]))
    assert str(refused.value).isprintable() and len(str(refused.value)) < 600


def test_a_record_that_is_too_deep_is_one_sentence(one: Run) -> None:
    (one.folder / MANIFEST).write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(RunError, match="is damaged"):
        load_run(Workspace.open(one.folder.parents[1]))


def without_rows(file: Path) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[: len(lines) // 2]))


def another_figure(file: Path) -> None:
    text = file.read_bytes()
    place = text.rindex(b"0.") + 2
    file.write_bytes(text[:place] + (b"8" if text[place : place + 1] != b"8" else b"7") + text[place + 1 :])


def twice(file: Path) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines, lines[-1]]))


def gone(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("harm", [without_rows, another_figure, twice, gone])
@pytest.mark.parametrize("name", [PREDICTIONS, OUT_OF_FOLD])
def test_predictions_that_are_not_as_written_give_no_figures(one: Run, name: str, harm: Callable[[Path], None]) -> None:
    harm(one.folder / name)
    with pytest.raises(RunError, match="Train again"):
        load_run(Workspace(one.folder.parents[1])).predictions() if name == PREDICTIONS else one.out_of_fold()


def test_how_many_rows_are_missing_is_said(one: Run) -> None:
    without_rows(one.folder / PREDICTIONS)
    with pytest.raises(RunError, match=r"has 29 rows, and 60 were written"):
        one.predictions()


def test_features_of_other_pictures_are_noticed_though_their_number_is_right(one: Run) -> None:
    features = one.features()
    assert features is not None
    np.save(one.folder / FEATURES, features[1][::-1].copy())
    with pytest.raises(RunError, match="changed after it was written"):
        one.features()


def test_names_of_features_in_another_order_are_noticed(one: Run) -> None:
    file = one.folder / FEATURE_IDS
    file.write_text("\n".join(reversed(file.read_text(encoding="utf-8").split())), encoding="utf-8")
    with pytest.raises(RunError, match="changed after it was written"):
        one.features()


@pytest.mark.parametrize("key", ["test", "valid", "epochs", "classes", "config", "data_version", "files"])
def test_a_record_that_was_edited_is_no_record(one: Run, key: str) -> None:
    record = json.loads((one.folder / MANIFEST).read_text(encoding="utf-8"))
    record[key] = {} if isinstance(record[key], dict) else record[key][1:]
    (one.folder / MANIFEST).write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(RunError, match="changed after it was written"):
        load_run(Workspace(one.folder.parents[1]))


def test_a_run_of_before_says_nothing_of_its_files_and_opens(one: Run) -> None:
    record = {key: value for key, value in one.record.items() if key not in ("files", "checksum")}
    (one.folder / MANIFEST).write_text(json.dumps(record), encoding="utf-8")
    without_rows(one.folder / PREDICTIONS)
    assert len(load_run(Workspace(one.folder.parents[1])).predictions()) == 29


def test_all_that_a_run_is_is_vouched_for(one: Run) -> None:
    said = {*one.record["files"], MANIFEST, "config.json"}
    assert {file.name for file in one.folder.iterdir()} <= said
    assert one.record["files"][PREDICTIONS]["rows"] == 60 == one.record["files"][FEATURES]["rows"]
    assert write_record(one.folder, one.record) == one.record


# --- the pictures


def put(workspace: Workspace, number: int, label: str) -> str:
    pixels = np.random.default_rng(number).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    file = workspace.root / "new.png"
    Image.fromarray(pixels).save(file)
    image, name = workspace.keep(file.read_bytes(), "png")
    workspace.store.add_images([NewImage(image, name, file.stat().st_size, label, "folder", f"{number}.png")])
    file.unlink()
    return image


@pytest.fixture(scope="module")
def checked_once(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace.create(tmp_path_factory.mktemp("checked") / "ws")
    for number in range(40):
        put(workspace, number, "ab"[number % 2])
    run(verify(workspace, CHECK))
    return workspace


@pytest.fixture
def filled(checked_once: Workspace, tmp_path: Path) -> Workspace:
    """Forty small pictures that Verify has looked at."""
    return Workspace(Path(shutil.copytree(checked_once.root, tmp_path / "filled")))


def file_of(workspace: Workspace, place: int) -> Path:
    return workspace.image_file(str(workspace.store.images()["file"][place]))


def shortened(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-5])


def another_picture(file: Path) -> None:
    Image.new("RGB", (24, 24), "red").save(file)


def as_large(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-9] ^= 255
    file.write_bytes(data)


HARMS = pytest.mark.parametrize("harm", [gone, shortened, another_picture, as_large])


@HARMS
def test_a_picture_that_changed_after_verify_is_noticed_at_every_stage(
    filled: Workspace, tmp_path: Path, harm: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    file = file_of(filled, 3)
    whole = file.read_bytes()
    later = file.stat().st_mtime + 60
    harm(file)
    if file.exists():
        os.utime(file, (later, later))
    with pytest.raises(TrainingError, match=file.name):
        run(load_dataset(filled, SMALL))
    written = run(export_dataset(filled, DatasetConfig(str(tmp_path / "set"))))
    assert len(written.failed) == 1 and "not in" in written.incomplete
    command = ["dataset", str(filled.root), str(tmp_path / "again"), "--layout", "csv", "--json"]
    assert cli.main(command) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["failed"] and "1 picture is not in" in said.err
    checked = run(verify(filled, CHECK))
    assert [aside.id for aside in checked.set_aside] == [file.stem]
    assert run(load_dataset(filled, SMALL)).rows["id"].nunique() == 39
    file.write_bytes(whole)  # and back
    restore(filled, [file.stem])
    assert run(verify(filled, CHECK)).set_aside == ()


def test_one_that_kept_its_size_and_time_does_not_leave(filled: Workspace, tmp_path: Path) -> None:
    file = file_of(filled, 0)
    stat = file.stat()
    as_large(file)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (failed,) = run(export_dataset(filled, DatasetConfig(str(tmp_path / "set")))).failed
    assert "changed after it was imported" in failed.reason


def test_a_disk_that_is_not_there_asks_before_all_is_set_aside(filled: Workspace) -> None:
    shutil.rmtree(filled.images)
    with pytest.raises(TooManyBroken, match="40 of 40"):
        run(verify(filled, CHECK))
    assert len(filled.store.images("ok")) == 40


def test_a_copy_of_a_workspace_has_new_times_and_is_as_it_was(filled: Workspace, tmp_path: Path) -> None:
    copy = Workspace(shutil.copytree(filled.root, tmp_path / "copy", copy_function=shutil.copyfile))
    assert run(verify(copy, CHECK)).set_aside == ()
    assert len(run(load_dataset(copy, SMALL)).rows) == 40


# --- what can be made again


@pytest.mark.parametrize(
    "damage",
    [
        "phash = x'00'",
        "tiny = NULL",
        "tiny = 'text'",
        "pixels = 7",
        "quality = '{'",
        "quality = NULL",
        "width = 'wide'",
    ],
)
def test_damaged_fingerprints_are_made_again(filled: Workspace, damage: str) -> None:
    before = filled.store.fingerprints()
    with filled.store.database.transaction() as db:
        db.execute(f"UPDATE images SET {damage} WHERE rowid < 4")
    assert run(verify(filled, CHECK)).ok == 40
    assert filled.store.fingerprints().equals(before)
    assert all(row["quality"] for row in filled.store.records())


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff", b"not a picture at all", None])
def test_damaged_thumbnails_neither_stop_verify_nor_stay(filled: Workspace, content: bytes | None) -> None:
    images = filled.store.images()
    for image in images["id"]:
        place = filled.thumbnail(str(image))
        place.unlink()
        if content is not None:
            place.write_bytes(content)
    put(filled, 99, "a")
    assert run(verify(filled, CHECK)).ok == 41
    for place, _ in thumbnails(filled, images.head(3)):
        with Image.open(place) as shown:
            shown.load()


def test_a_cache_of_garbage_changes_no_pixel(filled: Workspace) -> None:
    sound = np.asarray(run(load_dataset(filled, SMALL)).exact[np.arange(40)])
    for number, file in enumerate(sorted(filled.cache.rglob("*"))):
        if file.is_file():
            file.write_bytes(np.random.default_rng(number).bytes(max(9, file.stat().st_size)))
    assert np.array_equal(run(load_dataset(filled, SMALL)).exact[np.arange(40)], sound)
    shutil.rmtree(filled.cache)
    filled.cache.write_bytes(b"in the way")
    put(filled, 98, "b")
    assert run(verify(filled, CHECK)).ok == 41
