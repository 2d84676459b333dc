"""model.onnx of a run, and on request a smaller one of 8-bit numbers, its cost measured on the test split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd

from pipeline import __version__
from pipeline.deploy.model_card import backbone_licence, backbone_of, title
from pipeline.deploy.onnx_model import CALIBRATED_ON, network, quantised, whole
from pipeline.deploy.parity import spread
from pipeline.errors import ExportError
from pipeline.predict import ONNX, Classifier, OnnxClassifier, file_sha256, onnx_session, open_image, pixels
from pipeline.stage import Progress, Stage
from pipeline.workspace.runs import Run

INT8 = "model.int8.onnx"


@dataclass(frozen=True)
class Cost:
    """What 8-bit numbers cost on ``images`` pictures of the test split: the share of wrong answers with them and
    without, and the share of answers that are others than without; ``bytes`` of the file, with them and without.
    """

    images: int
    error_rate: float | None
    error_rate_before: float | None
    changed: float | None
    bytes: int
    bytes_before: int


def add_onnx(
    run: Run, info: dict[str, Any], folder: Path, held_out: pd.DataFrame, int8: bool = False
) -> Stage[dict[str, Any]]:
    """Write model.onnx, and model.int8.onnx where wanted, into the folder; returns its ``info`` with their checksums
    and what the second costs. Raises ExportError where the network cannot be written so.
    """
    yield Progress(1, 4, "Writing the model as ONNX (half a minute)")
    classifier = Classifier.load(run.folder)
    try:
        tail = network(classifier)
        onnx.save(whole(classifier, tail, _facts(run, info)), folder / ONNX)
    except Exception as error:  # torch.onnx raises nearly every built-in exception
        last = (str(error).strip().splitlines() or ["no message"])[0]
        raise ExportError(
            f"The backbone {info['architecture']} cannot be written as ONNX ({type(error).__name__}: {last[:200]}). "
            "Nothing was written. Export without ONNX, or train another backbone."
        ) from error
    if not int8:
        return {**info, "files": {**info["files"], ONNX: file_sha256(folder / ONNX)}}
    yield Progress(1, 4, "Fitting 8-bit numbers to pictures of the valid split")
    smaller = quantised(tail, _views(classifier, held_out))
    onnx.save(whole(classifier, smaller, {**_facts(run, info), "numbers": "int8"}), folder / INT8)
    yield Progress(1, 4, "Asking both about the test split")
    cost = _cost(info, folder, held_out[held_out["split"] == "test"])
    sums = {name: file_sha256(folder / name) for name in (ONNX, INT8)}
    return {**info, "files": {**info["files"], **sums}, "int8": asdict(cost)}


def _views(classifier: Classifier, held_out: pd.DataFrame) -> Iterator[np.ndarray[Any, np.dtype[np.uint8]]]:
    shown = spread(held_out[held_out["split"] == "valid"], CALIBRATED_ON)
    if shown.empty:
        raise ExportError("8-bit numbers are fitted to pictures of the valid split, and none is there any more.")
    return (pixels(open_image(path), classifier.preprocessing) for path in shown["path"])


def _cost(info: dict[str, Any], folder: Path, tested: pd.DataFrame) -> Cost:
    labels = [str(label) for label in tested["label"]]
    small, large = (_answers(info, folder / name, list(tested["path"])) for name in (INT8, ONNX))
    sizes = [(folder / name).stat().st_size for name in (INT8, ONNX)]
    return Cost(len(tested), _unequal(small, labels), _unequal(large, labels), _unequal(small, large), *sizes)


def _answers(info: dict[str, Any], model: Path, files: list[str]) -> list[str]:
    return [answer.label for answer in OnnxClassifier(onnx_session(model), info).predict(files)]


def _unequal(one: list[str], other: list[str]) -> float | None:
    return sum(a != b for a, b in zip(one, other, strict=True)) / len(one) if one else None


def _facts(run: Run, info: dict[str, Any]) -> dict[str, Any]:
    """What model.onnx says of itself."""
    backbone = backbone_of(info)
    return {
        "title": title(run.classes),
        "classes": list(run.classes),
        "outputs": info.get("outputs") or {},
        "unfamiliar_false_alarm_rate": (info.get("unfamiliar") or {}).get("false_alarm_rate"),
        "backbone": backbone,
        "backbone_licence": backbone_licence(backbone),
        "run": run.id,
        "winnow": __version__,
    }
