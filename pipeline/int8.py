"""A network in ONNX with 8-bit weights and activations, calibrated on pictures (static, QDQ)."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from pipeline.deploy.onnx_model import DISTANCE, PROBABILITIES
from pipeline.deploy.onnx_resize import PIXELS

CALIBRATED_ON = 128
QUANTISED = ("Conv", "Gemm", "MatMul")


class _Shown(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    def __init__(self, pictures: Iterable[np.ndarray[Any, Any]]) -> None:
        self.rest = iter(pictures)

    def get_next(self) -> dict[str, np.ndarray[Any, Any]] | None:
        picture = next(self.rest, None)
        return None if picture is None else {PIXELS: picture.astype(np.float32)[None]}


def quantised(model: ModelProto, pictures: Iterable[np.ndarray[Any, Any]]) -> ModelProto:
    """A copy of ``model`` (see onnx_model.network) with 8-bit numbers that fit ``pictures`` (uint8 [height, width, 3],
    as predict.pixels makes them). What tells how unfamiliar a picture is stays as it is.
    """
    with tempfile.TemporaryDirectory(prefix="winnow-int8-") as scratch:
        before, after = Path(scratch) / "before.onnx", Path(scratch) / "after.onnx"
        onnx.save(model, before)
        level = logging.root.level
        logging.root.setLevel(logging.ERROR)  # it warns, each time, of a step that torch.onnx has done already
        try:
            quantize_static(
                before, after, _Shown(pictures), quant_format=QuantFormat.QDQ, per_channel=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, op_types_to_quantize=list(QUANTISED),
                nodes_to_exclude=_only_for_distance(model),
            )  # fmt: skip
        finally:
            logging.root.setLevel(level)
        made: ModelProto = onnx.load(after)
    return made


def _only_for_distance(model: ModelProto) -> list[str]:
    """The nodes that lead to the distance and not to the probabilities."""
    outputs = {value.name for value in model.graph.output}
    if DISTANCE not in outputs:
        return []
    return sorted(_leading_to(model, DISTANCE) - _leading_to(model, PROBABILITIES))


def _leading_to(model: ModelProto, output: str) -> set[str]:
    makers = {name: node for node in model.graph.node for name in node.output}
    wanted, found = [output], set()
    while wanted:
        node = makers.get(wanted.pop())
        if node is not None and node.name not in found:
            found.add(node.name)
            wanted.extend(node.input)
    return found
