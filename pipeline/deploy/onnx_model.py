"""A model folder's network as ONNX: pictures of any size in, probabilities and distance out; only decoding is left."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, checker, compose, helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from pipeline.deploy.onnx_resize import PIXELS, resizing
from pipeline.predict import Classifier

if TYPE_CHECKING:
    import torch

OPSET = 18
PRODUCER = "winnow"
PROBABILITIES, DISTANCE = "probabilities", "distance"

CALIBRATED_ON = 128
QUANTISED = ("Conv", "Gemm", "MatMul")


def network(classifier: Classifier) -> ModelProto:
    """float ``pixels`` [N, height, width, 3] (0 to 255, see predict.pixels) -> float ``probabilities`` [N, C] and,
    where the model knows what is familiar, ``distance`` [N] (1: the threshold).
    """
    import torch
    from torch import nn

    class Asked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = classifier.model

        def forward(self, pixels: torch.Tensor) -> Any:
            probabilities, distances = classifier.ask(pixels)
            return probabilities if distances is None else (probabilities, distances)

    outputs = [PROBABILITIES, *([DISTANCE] if classifier.familiar else [])]
    example = torch.zeros(2, *classifier.preprocessing.size, 3)
    with _quiet():
        program = torch.onnx.export(
            Asked().eval(),
            (example,),
            dynamo=True,
            opset_version=OPSET,
            verbose=False,
            input_names=[PIXELS],
            output_names=outputs,
            dynamic_shapes=({0: torch.export.Dim("N", min=1)},),
        )
    if program is None:
        raise ValueError("torch.onnx.export gave no model")
    model: ModelProto = program.model_proto
    _forget_where_it_was_made(model)
    return model


def whole(classifier: Classifier, tail: ModelProto, facts: dict[str, Any]) -> ModelProto:
    """``tail`` (see :func:`network`) behind the resizing, checked; ``facts`` become metadata, as JSON where no text."""
    head = helper.make_model(
        resizing(classifier.preprocessing), opset_imports=tail.opset_import, ir_version=tail.ir_version
    )
    joined = compose.merge_models(head, tail, io_map=[(PIXELS, PIXELS)], producer_name=PRODUCER)
    texts = {name: fact if isinstance(fact, str) else json.dumps(fact) for name, fact in facts.items()}
    helper.set_model_props(joined, texts)
    checker.check_model(joined, full_check=True)
    return joined


def with_pixels(file: Path) -> bytes:
    """The model in a file, made to give its ``pixels`` too: what the network was shown."""
    model = onnx.load(file)
    model.graph.output.append(helper.make_tensor_value_info(PIXELS, TensorProto.FLOAT, None))
    written: bytes = model.SerializeToString()
    return written


def _forget_where_it_was_made(model: ModelProto) -> None:
    """Without torch's notes, which hold paths of this machine."""
    graph = model.graph
    model.doc_string = graph.doc_string = ""
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """torch.onnx tells of its progress on stdout, which belongs to the answer, and warns of itself."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


# --- A network in ONNX with 8-bit weights and activations, calibrated on pictures (static, QDQ) ----------------------


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
                before,
                after,
                _Shown(pictures),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                op_types_to_quantize=list(QUANTISED),
                nodes_to_exclude=_only_for_distance(model),
            )
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
