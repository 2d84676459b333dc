"""An exported model.onnx: the same answers without torch, proven before it is called done, refused where it differs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from pipeline.deploy.export import Exported
from pipeline.deploy.model_card import model_card
from pipeline.deploy.onnx_export import INT8
from pipeline.deploy.parity import BY_ONNXRUNTIME, Expected, ask_apart, check_onnx, with_pixels
from pipeline.errors import ExportError
from pipeline.images.decode import examine
from pipeline.predict import (
    ONNX,
    Classifier,
    OnnxClassifier,
    Preprocessing,
    Unreadable,
    load,
    onnx_session,
    open_image,
    pixels,
)
from pipeline.workspace.runs import Run
from pipeline.workspace.workspace import Workspace
from tests.support.paths import ROOT, SHARED
from tests.support.sharing import Sample

pytestmark = pytest.mark.slow
DOCUMENTATION = ROOT / "docs" / "export.md"
CORPUS = SHARED / "corpus" / "dev" / "images"
WITHOUT_TORCH = """
import sys
sys.modules.update(dict.fromkeys(("torch", "timm", "safetensors", "pipeline")))
sys.path.insert(0, sys.argv[1])
import predict
sys.exit(predict.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def exported(exported_onnx: Exported) -> Exported:
    """A model folder with both ONNX files. Shared: read only."""
    return exported_onnx


@pytest.fixture(scope="module")
def files(tiny_run: Run) -> list[str]:
    workspace = Workspace.open(tiny_run.folder.parents[1])
    return [str(workspace.image_file(str(file))) for file in workspace.store.images()["file"]][:12]


def test_it_gives_the_probabilities_of_the_run_by_onnxruntime_alone(exported: Exported) -> None:
    parity = exported.parity["onnx"]
    assert {ONNX, INT8} <= set(exported.files) and parity["images"] == 18 and parity["compared_with"] == "run"
    assert parity["max_difference"] <= 1e-4 and parity["max_difference_of_distance"] <= 1e-3


def test_predict_answers_the_same_with_and_without_torch(exported: Exported, files: list[str]) -> None:
    by_torch, by_graph = Classifier.load(exported.folder), OnnxClassifier.load(exported.folder)
    assert isinstance(load(exported.folder), OnnxClassifier)
    for one, other in zip(by_torch.predict(files), by_graph.predict(files), strict=True):
        assert (one.label, one.unfamiliar) == (other.label, other.unfamiliar)
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)
        assert one.distance == pytest.approx(other.distance, abs=1e-3)
    assert by_torch.views == ("enlarged",) and by_graph.predict(files[:1], tta=True)[0].views == ("as it is",)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of odd images is not here")
@pytest.mark.filterwarnings("ignore")  # Pillow warns of what is odd about them
def test_odd_pictures_give_the_same_pixels_to_trainer_torch_and_graph(exported: Exported, sampled: Sample) -> None:
    by_torch, by_graph = Classifier.load(exported.folder), OnnxClassifier.load(exported.folder)
    graph = onnx_session(with_pixels(Path(exported.folder) / ONNX))
    read = 0
    chosen = sampled.of(sorted(CORPUS.iterdir()), lambda file: file.name)
    for file in chosen:
        _, trained_on = examine(file.read_bytes())
        if trained_on is None:
            with pytest.raises(Unreadable):
                by_graph.predict([file])
            continue
        picture = open_image(file)
        shown = graph.run(["pixels"], {"image": np.asarray(picture)[None]})[0][0]
        assert np.array_equal(shown, pixels(trained_on, by_torch.preprocessing)), file.name
        one, other = by_torch.predict([file])[0], by_graph.predict([file])[0]
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4), file.name
        read += 1
    assert read > len(chosen) / 3


def test_the_command_needs_no_torch(exported: Exported, files: list[str]) -> None:
    command = [sys.executable, "-I", "-c", WITHOUT_TORCH, exported.folder, *files[:2], "no such file"]
    done = subprocess.run(command, capture_output=True, text=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert [bool(row["label"]) for row in rows] == [True, True, False]


@pytest.mark.parametrize("name", [ONNX, INT8, "config.json"])
def test_a_flipped_byte_is_refused(name: str, exported: Exported, tmp_path: Path) -> None:
    for file in exported.files:
        data = bytearray((Path(exported.folder) / file).read_bytes())
        if file == name:
            data[len(data) // 2] ^= 1
        (tmp_path / file).write_bytes(data)
    for kind in (Classifier, OnnxClassifier):
        with pytest.raises(ValueError, match=r"was changed|is damaged"):
            kind.load(tmp_path)


def test_a_folder_without_the_file_says_so(tiny_run: Run) -> None:
    with pytest.raises(ValueError, match=r"has no model\.onnx; it holds .*model\.safetensors"):
        OnnxClassifier.load(tiny_run.folder)


def test_what_eight_bits_cost_is_measured_and_said(exported: Exported, tiny_run: Run) -> None:
    cost = exported.int8
    assert cost is not None and cost["images"] == tiny_run.test["n"] and cost["bytes"] < cost["bytes_before"] / 2
    assert cost["error_rate_before"] == pytest.approx(tiny_run.test["error_rate"])
    assert 0 <= cost["changed"] <= 1 and 0 <= cost["error_rate"] <= 1
    card = (Path(exported.folder) / "README.md").read_text(encoding="utf-8")
    assert f"on {cost['images']} test pictures it is wrong on {100 * cost['error_rate']:.1f} %" in card
    small = OnnxClassifier.load(exported.folder, file=INT8)
    assert small.classes == tiny_run.classes and small.info["int8"] == cost
    none = {**small.info, "int8": {**cost, "images": 0, "error_rate": None}}
    assert "no test picture was there" in model_card(tiny_run, none, _no_sources())


def _no_sources() -> Any:
    import pandas as pd

    return pd.DataFrame({"source_provider": [], "source_licence": []})


@pytest.mark.parametrize("page", ["card", "docs"])
def test_the_python_of_the_card_and_of_the_documentation_runs(
    page: str, exported: Exported, files: list[str], tmp_path: Path
) -> None:
    place = Path(exported.folder) / "README.md" if page == "card" else DOCUMENTATION
    card = place.read_text(encoding="utf-8")
    code = next(block for block in card.split("```python\n")[1:] if "InferenceSession" in block).partition("```")[0]
    (tmp_path / "picture.jpg").write_bytes(Path(files[0]).read_bytes())
    (tmp_path / ONNX).write_bytes((Path(exported.folder) / ONNX).read_bytes())
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = OnnxClassifier.load(exported.folder).predict(files[:1])[0]
    shown = [float(number) for number in done.stdout.strip(" []\n").split()]
    assert shown == pytest.approx(list(said.probabilities.values()), abs=1e-4)


# --- where it begins to differ ---------------------------------------------------------------------------------------


@pytest.fixture
def known(exported: Exported, files: list[str]) -> Expected:
    answers = Classifier.load(exported.folder).predict(files)
    probabilities = np.array([list(answer.probabilities.values()) for answer in answers])
    preprocessing = Preprocessing.from_json(Classifier.load(exported.folder).info["preprocessing"])
    return Expected(files, preprocessing, probabilities, np.array([answer.distance for answer in answers]), "run")


def changed(exported: Exported, folder: Path, name: str, factor: float) -> Path:
    """The folder's model.onnx with a constant multiplied."""
    model = onnx.load(Path(exported.folder) / ONNX)
    constant = next(one for one in model.graph.initializer if name in one.name)
    array = numpy_helper.to_array(constant)
    constant.CopyFrom(numpy_helper.from_array((array * factor).astype(array.dtype), constant.name))
    onnx.save(model, folder / ONNX)
    return folder


def test_a_graph_with_other_weights_is_refused_as_the_network(
    exported: Exported, known: Expected, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=r"a probability differs by .* so the network itself answers otherwise"):
        check_onnx(changed(exported, tmp_path, "classifier.weight", 1.1), known)


def test_a_graph_that_resizes_otherwise_is_refused_as_the_pixels(
    exported: Exported, known: Expected, tmp_path: Path
) -> None:
    model = onnx.load(Path(exported.folder) / ONNX)
    weights = next(node for node in model.graph.node if node.op_type == "Clip" and node.output[0].startswith("resize_"))
    highest = next(one for one in model.graph.initializer if one.name == weights.input[2])
    highest.CopyFrom(numpy_helper.from_array(np.array(200, np.float32), highest.name))
    onnx.save(model, tmp_path / ONNX)
    with pytest.raises(ExportError, match=r"That begins with the pixels .* up to [0-9]+ of 255"):
        check_onnx(tmp_path, known)


def test_another_distance_is_refused_too(exported: Exported, known: Expected) -> None:
    assert known.distances is not None
    with pytest.raises(ExportError, match=r"a distance differs by 0\.5"):
        check_onnx(Path(exported.folder), replace(known, distances=known.distances + 0.5))


def test_the_process_that_checks_has_neither_torch_nor_anything_of_ours(tmp_path: Path) -> None:
    (tmp_path / ONNX).write_bytes(b"no model")
    with pytest.raises(ExportError, match="does not run in a process of its own"):
        ask_apart(BY_ONNXRUNTIME, tmp_path / ONNX, [])
    for name in ("torch", "pipeline", "predict"):
        with pytest.raises(ExportError, match="ModuleNotFoundError"):
            ask_apart(BY_ONNXRUNTIME.replace("import numpy", f"import {name}, numpy"), tmp_path / ONNX, [])
