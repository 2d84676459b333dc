"""An exported folder is complete, vouches for itself, was asked in a fresh process, and appears whole or not at all."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from huggingface_hub import ModelCard, metadata_load
from packaging.requirements import Requirement
from PIL import Image

from cleaner.clean.decisions import relabel, remove
from pipeline.deploy.export import ExportConfig, Exported, export
from pipeline.deploy.model_card import front_matter, model_card, title
from pipeline.deploy.parity import BY_TORCH, ask_apart
from pipeline.deploy.space import COPIED, PYTHON, read_space, readme
from pipeline.errors import ExportError, RunError, UsageError
from pipeline.predict import Classifier, open_image
from pipeline.settings import settings_of
from pipeline.stage import run
from pipeline.workspace.runs import PREDICTIONS, Run, load_run, write_info, write_record
from pipeline.workspace.workspace import Workspace

MODEL_FILES = {"README.md", "confusion.png", "familiar.safetensors", "config.json", "model.safetensors", "predict.py"}
APP_FILES = {"Dockerfile", "app.py", "gate.py", "model.onnx", "requirements.txt"}
IN_EACH_FOLDER = """
import os, sys
top = os.getcwd()
for folder in sys.argv[1:]:
    os.chdir(os.path.join(top, folder))
    with open("lines.py", encoding="utf-8") as lines:
        exec(lines.read(), {})
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def info(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return read


@pytest.fixture(scope="module")
def space(exported_space: Exported) -> tuple[Path, Exported]:
    """A Space folder, and what the export said. Shared: read only."""
    return Path(exported_space.folder), exported_space


@pytest.fixture
def earlier(space: tuple[Path, Exported], tmp_path: Path) -> Path:
    """An export of one's own that is there already, and was tried."""
    folder = Path(shutil.copytree(space[0], tmp_path / "exports" / "model"))
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "predict.cpython-311.pyc").write_bytes(b"")
    return folder


# --- what is in it -------------------------------------------------------------------------------------------------


def test_a_space_folder_holds_the_model_the_app_and_an_example_a_class(space: tuple[Path, Exported]) -> None:
    folder, exported = space
    examples = {f"examples/0{number}.jpg" for number in (1, 2, 3)}
    assert set(contents(folder)) == MODEL_FILES | APP_FILES | examples == set(exported.files)
    assert exported.folder == str(folder)
    assert exported.parity["images"] == 18 and exported.parity["max_difference"] <= 1e-4
    assert exported.parity["compared_with"] == "run"
    assert read_space(folder).sdk == "gradio", "deploy takes it as it is"


def test_model_json_vouches_for_every_file(space: tuple[Path, Exported], tiny_run: Run) -> None:
    folder, _ = space
    read = info(folder)
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in contents(folder).items() if name != "config.json"}
    assert {**read["files"], **read["other_files"]} == sums
    assert read["label_names"] == list(tiny_run.classes) and read["preprocessing"]["size"] == [64, 64]
    assert read["versions"]["torch"] == version("torch") and read["run"] == tiny_run.id


def test_the_app_and_the_readme_may_be_changed_the_model_may_not(earlier: Path) -> None:
    for name in ("README.md", "app.py"):
        (earlier / name).write_text("changed", encoding="utf-8")
    assert Classifier.load(earlier).classes
    (earlier / "model.safetensors").write_bytes(b"changed")
    with pytest.raises(ValueError, match="was changed"):
        Classifier.load(earlier)


def test_the_front_matter_and_the_requirements_name_what_is_installed(space: tuple[Path, Exported]) -> None:
    folder, _ = space
    card = metadata_load(folder / "README.md")
    assert card is not None
    assert card["title"] == "Apple, melon or pear?" and card["sdk_version"] == version("gradio")
    assert card["python_version"] == PYTHON and len(card["short_description"]) <= 60
    lines = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    needed = [Requirement(line) for line in lines]
    assert {one.name for one in needed} == {"gradio", "onnxruntime", "pillow", "numpy"}
    for one in needed:
        assert version(one.name).partition("+")[0] in one.specifier


def test_the_card_says_how_good_it_is_and_what_is_published(
    space: tuple[Path, Exported],
    tiny_run: Run,
) -> None:
    text = (space[0] / "README.md").read_text(encoding="utf-8")
    test = tiny_run.test
    assert f"**Wrong on {100 * test['error_rate']:.1f} %** of {test['n']} pictures" in text
    assert f"95 % interval {100 * test['low']:.1f} % to {100 * test['high']:.1f} %" in text
    assert f"most frequent class is wrong on {100 * test['baseline_error_rate']:.1f} %" in text
    assert "**are published with the Space**" in text and "| examples/02.jpg | melon |" in text
    assert "`tf_efficientnet_lite0`, licence apache-2.0" in text
    assert "$" not in text and "| apple | " in text and "confusion.png" in text


@pytest.mark.slow
def test_the_ten_lines_of_the_card_give_the_same_probabilities_with_timm_alone(
    tiny_run: Run, exported_model: Exported, tmp_path: Path
) -> None:
    picture = Image.open(next((tiny_run.folder.parents[1] / "images").rglob("*.jpg")))
    exif = Image.Exif()
    exif[0x0112] = 6
    for resize in ("crop", "squish", "pad"):
        folder = Path(shutil.copytree(exported_model.folder, tmp_path / resize))
        read = info(folder)
        crop = 0.9 if resize == "crop" else 1.0
        read["preprocessing"] |= {"resize": resize, "size": [64, 96], "crop_pct": crop}
        read["label_names"] = ["äpple", "mel'on", "pear"]
        write_info(folder, {name: value for name, value in read.items() if name != "checksum"})
        card = model_card(tiny_run, read, pd.DataFrame({"source_provider": [], "source_licence": []}))
        lines = re.findall(r"```python\n(import json.*?)```", card, re.S)[0]
        assert len([line for line in lines.splitlines() if line]) <= 12
        (folder / "lines.py").write_text(lines, encoding="utf-8")
        picture.save(folder / "picture.jpg", exif=exif)
    ended = subprocess.run(
        [sys.executable, "-I", "-c", IN_EACH_FOLDER, "crop", "squish", "pad"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    for resize, said in zip(("crop", "squish", "pad"), ended.stdout.splitlines(), strict=True):
        folder, answer = tmp_path / resize, ast.literal_eval(said)
        expected = Classifier.load(folder).predict([folder / "picture.jpg"])[0].probabilities
        assert answer == pytest.approx(expected, abs=1e-4) and list(answer) == ["äpple", "mel'on", "pear"]


def test_hugging_face_reads_the_head_of_the_card_and_the_matrix_is_a_picture(
    tiny_run: Run, exported_model: Exported
) -> None:
    folder = Path(exported_model.folder)
    head = metadata_load(folder / "README.md")
    assert head is not None and head["library_name"] == "timm" and head["pipeline_tag"] == "image-classification"
    measured = head["model-index"][0]["results"][0]["metrics"][0]
    assert measured["value"] == pytest.approx(1 - tiny_run.test["error_rate"], abs=1e-3)
    assert ModelCard.load(folder / "README.md").data.base_model == "timm/tf_efficientnet_lite0.in1k"
    with Image.open(folder / "confusion.png") as picture:
        assert picture.width > 200


def test_odd_class_names_break_neither_the_card_nor_the_front_matter(tiny_run: Run, tmp_path: Path) -> None:
    names = ("<script>alert(1)</script>", 'a "quoted": #name | $5', "Büffel 🐃 *")
    record = {**tiny_run.record, "classes": list(names), "test": {**tiny_run.test, "n": 0}}
    odd = Run(tiny_run.folder, record)
    sources = pd.DataFrame({"source_provider": ["a|b", None], "source_licence": [None, "CC BY 4.0"]})
    card = model_card(odd, info(tiny_run.folder), sources)
    assert "<script>" not in card and "| a\\|b | not stated | 1 |" in card and "nothing is known" in card
    assert "confusion.png" not in card and "timm/tf_" in front_matter(odd, info(tiny_run.folder))
    (tmp_path / "README.md").write_text(readme("gradio", card, title(names), [("examples/01.jpg", names[1])]), "utf-8")
    front = metadata_load(tmp_path / "README.md")
    assert front is not None and front["title"] == title(names)
    assert len(title(["x" * 300, *names])) < 80
    assert title(["no", "yes"]) == "No or yes?"


# --- the example pictures ------------------------------------------------------------------------------------------


def test_examples_carry_no_metadata_and_are_never_train_pictures(
    space: tuple[Path, Exported],
    tiny_run: Run,
) -> None:
    workspace = Workspace.open(tiny_run.folder.parents[1])
    images = workspace.store.images()
    originals = [workspace.image_file(str(file)) for file in images["file"]]
    looks = np.stack([look(original) for original in originals])
    assert all(b"Exif" in original.read_bytes() for original in originals), "they say where they were taken"
    shown = []
    for file in sorted((space[0] / "examples").glob("*.jpg")):
        assert b"Exif" not in file.read_bytes()
        with Image.open(file) as example:
            assert not example.getexif() and set(example.info) == {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        shown.append(images.iloc[np.abs(looks - look(file)).mean(axis=(1, 2, 3)).argmin()])
    assert [row["label"] for row in shown] == ["apple", "melon", "pear"]
    assert {row["split"] for row in shown} == {"valid"}


def look(file: Path) -> np.ndarray[Any, Any]:
    return np.asarray(open_image(file).resize((24, 24)), dtype=float)


@pytest.mark.usefixtures("asked_here")
def test_starter_pictures_take_their_licence_along_and_removed_or_relabelled_ones_stay_at_home(
    trained: Workspace,
    tmp_path: Path,
) -> None:
    images = trained.store.images()
    for row in images[images["split"] != "train"].itertuples():
        if row.label == "apple":
            remove(trained, str(row.id))
        elif row.label == "melon":
            relabel(trained, str(row.id), "pear")
    with closing(sqlite3.connect(trained.database)) as database, database:
        database.execute("UPDATE sources SET provider = 'starter', licence = 'MIT'")
    run(export(trained, ExportConfig("", str(tmp_path / "space"), space=True, kind="zerogpu")))
    readme = (tmp_path / "space" / "README.md").read_text(encoding="utf-8")
    licence = (tmp_path / "space" / "examples" / "LICENSE.txt").read_text(encoding="utf-8")
    assert {path.name for path in (tmp_path / "space" / "examples").iterdir()} == {"01.jpg", "LICENSE.txt"}
    assert "| examples/01.jpg | pear |" in readme and "| starter | MIT | " in readme and "MIT License" in licence


# --- the check -----------------------------------------------------------------------------------------------------


def change_predictions(one: Run, by: float) -> None:
    table = one.predictions()
    table["p:melon"] += by
    table.to_csv(one.folder / PREDICTIONS, index=False)
    write_record(one.folder, one.record)


def trained_on(one: Run, device: str) -> None:
    write_record(one.folder, {**one.record, "device": device})


@pytest.mark.usefixtures("asked_here")
def test_a_model_that_answers_otherwise_than_its_run_is_not_exported(
    trained: Workspace,
    earlier: Path,
) -> None:
    before = contents(earlier)
    change_predictions(load_run(trained), by=2e-4)
    with pytest.raises(ExportError, match=r"[0-9a-f]{64}\.jpg a probability differs by 0\.0002\. Nothing was written"):
        run(export(trained, ExportConfig("", str(earlier))))
    assert contents(earlier) == before
    assert [path.name for path in earlier.parent.iterdir()] == ["model"]


@pytest.mark.usefixtures("asked_here")
def test_a_run_of_another_device_is_asked_again_on_the_cpu(trained: Workspace, tmp_path: Path) -> None:
    change_predictions(load_run(trained), by=0.1)
    trained_on(load_run(trained), "cuda")
    exported = run(export(trained, ExportConfig("", str(tmp_path / "model"))))
    assert exported.parity["compared_with"] == "run on this CPU"
    assert exported.parity["max_difference"] <= 1e-4 and exported.parity["images"] == 18


def test_the_fresh_process_cannot_import_anything_of_ours(tmp_path: Path) -> None:
    (tmp_path / "predict.py").write_text("import pipeline.stage\n", encoding="utf-8")
    with pytest.raises(ExportError, match=r"process of its own \(ModuleNotFoundError: .*pipeline.*\)"):
        ask_apart(BY_TORCH, tmp_path, [])


def test_a_run_whose_weights_were_changed_is_refused(trained: Workspace, tmp_path: Path) -> None:
    weights = load_run(trained).folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x55")
    with pytest.raises(RunError, match="not as it was written"):
        run(export(trained, ExportConfig("", str(tmp_path / "model"))))


def test_without_a_picture_to_check_with_nothing_is_exported(trained: Workspace, tmp_path: Path) -> None:
    for file in [*trained.images.rglob("*.jpg"), *trained.trash.rglob("*.jpg")]:
        file.unlink()
    with pytest.raises(ExportError, match="Train again, then export that run"):
        run(export(trained, ExportConfig("", str(tmp_path / "model"))))


# --- whole or not at all -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("asked_here")
def test_an_earlier_export_is_replaced_and_a_model_folder_holds_no_app(
    trained: Workspace,
    earlier: Path,
) -> None:
    target = trained.exports / "model"
    shutil.copytree(earlier, target)
    run(export(trained, ExportConfig("", str(target))))
    assert set(contents(target)) == MODEL_FILES
    assert "sdk:" not in (target / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in trained.exports.iterdir()] == ["model"]


def test_a_cancelled_export_leaves_the_earlier_one_as_it_was(trained: Workspace, earlier: Path) -> None:
    _cancelled_leave(trained, earlier, ("gradio", 1), ("gradio", 2), ("zerogpu", 2), ("zerogpu", 3))


@pytest.mark.slow
def test_so_does_one_that_is_cancelled_when_its_onnx_is_written(trained: Workspace, earlier: Path) -> None:
    _cancelled_leave(trained, earlier, ("gradio", 3))


def _cancelled_leave(trained: Workspace, earlier: Path, *cancelled: tuple[str, int]) -> None:
    """The ``earlier`` export is as it was after others, of a kind of Space, were cancelled at a step."""
    before = contents(earlier)
    for kind, steps in cancelled:
        stage = export(trained, ExportConfig("", str(earlier), space=True, kind=kind, examples=0))
        for _ in range(steps):
            next(stage)
        stage.close()
        assert contents(earlier) == before
        assert [path.name for path in earlier.parent.iterdir()] == ["model"]


def test_what_an_export_would_lose_is_never_replaced(trained: Workspace, earlier: Path, tmp_path: Path) -> None:
    own = tmp_path / "thesis"
    own.mkdir()
    (own / "chapter1.md").write_text("months of work", encoding="utf-8")
    pretended = tmp_path / "pretended"
    pretended.mkdir()
    (pretended / "config.json").write_text('{"files": {}, "other_files": {}, "checksum": ""}', encoding="utf-8")
    (earlier / "app.py").write_text("my own app", encoding="utf-8")
    for folder, name in ((own, "chapter1.md"), (pretended, "config.json"), (earlier, "app.py")):
        before = contents(folder)
        with pytest.raises(ExportError, match=f"would lose: {name}"):
            run(export(trained, ExportConfig("", str(folder))))
        assert contents(folder) == before


def places(workspace: Workspace) -> Iterator[Path]:
    yield from (workspace.root, workspace.images, workspace.images / "new", workspace.runs / "x", workspace.exports)


def test_the_workspace_itself_is_never_written_over(trained: Workspace, tmp_path: Path) -> None:
    for place in places(trained):
        with pytest.raises(ExportError, match="is part of the workspace"):
            run(export(trained, ExportConfig("", str(place))))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ExportError, match="is a file"):
        run(export(trained, ExportConfig("", str(tmp_path / "file"))))
    with pytest.raises(ExportError, match="cannot be written"):
        run(export(trained, ExportConfig("", str(tmp_path / "file" / "model"))))


def test_wrong_usage_is_said_before_anything_is_done(trained: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Say which folder"):
        ExportConfig("", " ")
    with pytest.raises(UsageError, match="0 or more"):
        ExportConfig("", "out", examples=-1)
    with pytest.raises(RunError, match="no run"):
        run(export(trained, ExportConfig("nonsense", str(tmp_path / "model"))))


@pytest.mark.slow
def test_a_zerogpu_space_asks_for_a_gpu_and_answers_without_one(trained: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "space"
    exported = run(export(trained, ExportConfig("", str(folder), space=True, kind="zerogpu", examples=1)))
    assert {"app.py", "demo.py", "gate.py", "model.safetensors"} <= set(exported.files)
    assert "model.onnx" not in exported.files
    assert read_space(folder).hardware == "zero-a10g"
    lines = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert {"spaces", "torch", "timm"} <= {Requirement(line).name for line in lines}
    asked = "import app; print(app.ask(['examples/01.jpg'])[0].label)"
    done = subprocess.run([sys.executable, "-c", asked], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = Classifier.load(folder).predict([folder / "examples" / "01.jpg"])[0]
    assert done.stdout.split()[-1] == expected.label


def test_a_kind_of_space_that_there_is_not_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="gradio, static, zerogpu"):
        ExportConfig("", "out", space=True, kind="docker")
    assert set(settings_of(ExportConfig)["kind"].choices or ()) == set(COPIED)


def test_the_card_says_what_to_expect_in_a_new_place(tiny_run: Run, exported_model: Exported) -> None:
    read, none = info(Path(exported_model.folder)), pd.DataFrame({"source_provider": [], "source_licence": []})
    said = {"error_rate": 0.09, "low": 0.06, "high": 0.13, "scenes": 23, "by": "time", "narrower": "More places."}
    card = model_card(Run(tiny_run.folder, {**tiny_run.record, "new_scenes": said}), read, none)
    assert "in a new place probably 6 to 13 %" in card and "More places." in card
    old = {name: value for name, value in tiny_run.record.items() if name not in ("new_scenes", "like_these")}
    assert "new place" not in model_card(Run(tiny_run.folder, old), read, none)
