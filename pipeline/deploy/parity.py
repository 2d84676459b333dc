"""Whether an exported model answers as its run did: asked in a process of its own that has nothing of ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.errors import ExportError
from pipeline.labels import Floats
from pipeline.predict import ONNX, Classifier, Preprocessing, onnx_session, open_image, pixels
from pipeline.workspace.runs import Run

TOLERANCE = 1e-4  # of a probability
TOLERANCE_DISTANCE = 1e-3  # of the distance at which a picture is unfamiliar
CHECKED_PICTURES = 24
CHECK_SECONDS = 600

BY_TORCH = """
import json, sys
sys.modules.update(dict.fromkeys(("pipeline", "cleaner", "app", "cli")))
asked = json.load(sys.stdin)
sys.path.insert(0, asked["model"])
from predict import Classifier
said = Classifier.load(asked["model"]).predict(asked["pictures"])
json.dump([{"probabilities": [*one.probabilities.values()], "distance": one.distance} for one in said], sys.stdout)
"""
BY_ONNXRUNTIME = """
import json, sys
sys.modules.update(dict.fromkeys(("pipeline", "cleaner", "app", "cli", "predict", "torch", "timm")))
import numpy, onnxruntime
from PIL import Image
asked = json.load(sys.stdin)
session = onnxruntime.InferenceSession(asked["model"], providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]
answers = []
for picture in asked["pictures"]:
    answer = dict(zip(names, session.run(None, {"image": numpy.asarray(Image.open(picture).convert("RGB"))[None]})))
    answers.append({name: values[0].tolist() for name, values in answer.items()})
json.dump(answers, sys.stdout)
"""


@dataclass(frozen=True)
class Expected:
    """What the run says of the picture ``files``: ``probabilities`` [N, C], ``distances`` [N] or None."""

    files: list[str]
    preprocessing: Preprocessing
    probabilities: Floats
    distances: Floats | None
    said_by: str

    def name(self, number: int) -> str:
        """The name of a picture's file."""
        return Path(self.files[number]).name


def spread(rows: pd.DataFrame, count: int = CHECKED_PICTURES) -> pd.DataFrame:
    """``count`` rows at most, taken from the classes in turn."""
    turn = rows.groupby("label").cumcount()
    return rows.assign(turn=turn).sort_values(["turn", "label"], kind="stable").head(count)


def expected(run: Run, rows: pd.DataFrame) -> Expected:
    """The run's own predictions of these pictures; a run of another device is first asked again on this CPU, through
    the trainer's code, because devices differ more than the tolerance allows.
    """
    files = list(rows["path"])
    classifier = Classifier.load(run.folder)
    answers = classifier.predict(files) if classifier.familiar else []
    distances = np.array([answer.distance for answer in answers]) if answers else None
    if run.record["device"] == "cpu":
        said_by, probabilities = "run", rows[[f"p:{name}" for name in run.classes]].to_numpy(dtype=float)
    else:
        said_by, probabilities = "run on this CPU", _asked_again(classifier, files)
    return Expected(files, classifier.preprocessing, probabilities, distances, said_by)


def check_weights(folder: Path, known: Expected) -> dict[str, Any]:
    """Ask the folder's predict.py through torch. Raises ExportError where it answers otherwise than the run did."""
    found = ask_apart(BY_TORCH, folder, known.files)
    return _compared(known, found, lambda _, what: f"The exported model does not answer as the run did: {what}")


def check_onnx(folder: Path, known: Expected) -> dict[str, Any]:
    """Ask the folder's model.onnx by onnxruntime alone, about pictures that are decoded and nothing else. Raises
    ExportError where it answers otherwise than the run did; it says where that begins.
    """
    with tempfile.TemporaryDirectory(prefix="winnow-parity-") as scratch:
        decoded = [str(Path(scratch) / f"{number}.png") for number in range(len(known.files))]
        for file, copy in zip(known.files, decoded, strict=True):
            open_image(file, known.preprocessing.opening).save(copy, compress_level=1)
        found = ask_apart(BY_ONNXRUNTIME, folder / ONNX, decoded)

    def words(number: int, what: str) -> str:
        return f"{ONNX} does not answer as the run did: {what}. {_where_it_begins(folder, known, number)}"

    return _compared(known, found, words)


def _compared(known: Expected, found: Sequence[dict[str, Any]], words: Callable[[int, str], str]) -> dict[str, Any]:
    """How far the answers are from those that are known; ``words``: what it means where that is too far."""
    probabilities = np.array([one["probabilities"] for one in found])
    compared = {"probability": (np.abs(probabilities - known.probabilities).max(axis=1), TOLERANCE)}
    if known.distances is not None:
        distances = np.array([one["distance"] for one in found])
        compared["distance"] = (np.abs(distances - known.distances), TOLERANCE_DISTANCE)
    for what, (differences, tolerance) in compared.items():
        worst = int(np.argmax(np.nan_to_num(differences, nan=np.inf)))
        if not differences[worst] <= tolerance:
            said = words(worst, f"on {known.name(worst)} a {what} differs by {differences[worst]:.2g}")
            advice = "Train again with the packages installed now, then export."
            raise ExportError(f"{said}. Nothing was written. {advice}")
    largest = {what: float(differences.max()) for what, (differences, _) in compared.items()}
    return {
        "max_difference": largest["probability"],
        "max_difference_of_distance": largest.get("distance"),
        "images": len(found),
        "compared_with": known.said_by,
    }


def _where_it_begins(folder: Path, known: Expected, number: int) -> str:
    """Whether the graph's pixels are already others than the trainer's, or only what the network makes of them."""
    opened = open_image(known.files[number], known.preprocessing.opening)
    session = onnx_session(with_pixels(folder / ONNX))
    seen = session.run(["pixels"], {"image": np.asarray(opened)[None]})[0][0]
    largest = np.abs(seen - pixels(opened, known.preprocessing)).max()
    if largest == 0:
        return "It shows the network the same pixels, so the network itself answers otherwise"
    return f"That begins with the pixels it shows the network: they differ by up to {largest:.0f} of 255"


def with_pixels(file: Path) -> bytes:
    """The ONNX model in a file, made to give its ``pixels`` too: what the network was shown."""
    import onnx  # not at the start of the app

    model = onnx.load(file)
    model.graph.output.append(onnx.helper.make_tensor_value_info("pixels", onnx.TensorProto.FLOAT, None))
    written: bytes = model.SerializeToString()
    return written


def ask_apart(script: str, model: Path, files: Sequence[str]) -> list[dict[str, Any]]:
    """What a script answers, a row a picture, in a process that can import nothing of ours. Raises ExportError."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-B", "-c", script],
            input=json.dumps({"model": str(model), "pictures": list(files)}),
            env={**environment, "HF_HUB_OFFLINE": "1"},
            cwd=model if model.is_dir() else model.parent,
            capture_output=True,
            text=True,
            timeout=CHECK_SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise ExportError(
            f"The exported model gave no answer within {CHECK_SECONDS} seconds; nothing was written."
        ) from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no message"])[-1]
        raise ExportError(
            f"The exported model does not run in a process of its own ({last}). Nothing was written."
        ) from error
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def _asked_again(classifier: Classifier, files: Sequence[str]) -> Floats:
    """Probabilities [N, C] by the trainer's own way from pixels to outputs, on the CPU."""
    import torch

    from pipeline.train.data import Dataset
    from pipeline.train.engine import features_and_logits

    how = classifier.preprocessing
    exact = np.stack([pixels(open_image(file, how.opening), how) for file in files])
    shapes = np.ones(len(files), np.float32)
    dataset = Dataset(pd.DataFrame(), classifier.classes, how, exact, exact, shapes)
    answers = features_and_logits(classifier.model, dataset, np.arange(len(files)), "cpu")
    logits = torch.cat([logits for _, logits in answers])
    made: Floats = classifier.outputs.probabilities(logits).numpy()
    return made
