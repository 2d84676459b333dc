"""model.onnx of a run: pictures of any size in, probabilities and distance out; only decoding is left to who uses it.

The graph is the resizing of predict.pixels, written with onnxscript, before the network as torch exports it. On request
there is a smaller file of 8-bit numbers, whose cost is measured on the test split.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pandas as pd
from onnx import GraphProto, ModelProto, checker, compose, helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxscript import OpBuilder, build_graph, ir

from pipeline import __version__
from pipeline.deploy.model_card import backbone_licence, backbone_of, title
from pipeline.deploy.parity import spread
from pipeline.errors import ExportError
from pipeline.predict import (
    ONNX,
    Classifier,
    OnnxClassifier,
    Preprocessing,
    file_sha256,
    onnx_session,
    open_image,
    pixels,
)
from pipeline.stage import Progress, Stage
from pipeline.workspace.runs import Run

if TYPE_CHECKING:
    import torch

INT8 = "model.int8.onnx"
OPSET = 18
PRODUCER = "winnow"
IMAGE, PIXELS, PROBABILITIES, DISTANCE = "image", "pixels", "probabilities", "distance"
DOUBLE, FLOAT, INT = ir.DataType.DOUBLE, ir.DataType.FLOAT, ir.DataType.INT64
WEIGHT_STEPS = float(1 << 22)  # of these Pillow's weights are whole numbers
COARSE_STEPS = float(1 << 14)  # of these a sum of weighted pixels is exact in a float
COLUMNS = 14  # so many columns of the result are made from one piece of the picture
CALIBRATED_ON = 128
QUANTISED = ("Conv", "Gemm", "MatMul")


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
    how = classifier.preprocessing
    return (pixels(open_image(path, how.opening), how) for path in shown["path"])


def _cost(info: dict[str, Any], folder: Path, tested: pd.DataFrame) -> Cost:
    labels = [str(label) for label in tested["label"]]
    asked = [OnnxClassifier(onnx_session(folder / name), info).predict(list(tested["path"])) for name in (INT8, ONNX)]
    small, large = ([answer.label for answer in answers] for answers in asked)
    sizes = [(folder / name).stat().st_size for name in (INT8, ONNX)]
    return Cost(len(tested), _unequal(small, labels), _unequal(large, labels), _unequal(small, large), *sizes)


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
        **({"opening": opening} if (opening := info["preprocessing"].get("opening")) else {}),
    }


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
    head = compose.add_prefix(head, "resize_", rename_inputs=False, rename_outputs=False)
    joined = compose.merge_models(head, tail, io_map=[(PIXELS, PIXELS)], producer_name=PRODUCER)
    texts = {name: fact if isinstance(fact, str) else json.dumps(fact) for name, fact in facts.items()}
    helper.set_model_props(joined, texts)
    checker.check_model(joined, full_check=True)
    return joined


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


@dataclass(frozen=True)
class Axis:
    """How one axis is resampled: ``centers`` [size]: where in the picture the middle of each pixel of the result lies;
    ``scale``: how many pixels of the picture make one; ``length``: how many it has; ``inside`` [size]: 1, or 0 where
    all is black. All are doubles.
    """

    length: ir.Value
    centers: ir.Value
    scale: ir.Value
    inside: ir.Value | None = None

    def part(self, op: OpBuilder, start: int, end: int) -> Axis:
        """The axis of the result's pixels from ``start`` to before ``end``."""
        inside = None if self.inside is None else op.Slice(self.inside, [start], [end])
        return Axis(self.length, op.Slice(self.centers, [start], [end]), self.scale, inside)


def resizing(preprocessing: Preprocessing) -> GraphProto:
    """uint8 ``image`` [N, height, width, 3] -> float ``pixels`` [N, *size, 3]: whole numbers from 0 to 255.

    What predict.pixels does, to the last bit. Pillow weighs a picture's columns, rounds, then its rows, and rounds: so
    does this, with matrix products, slices and arithmetic alone, which every runtime does alike.
    """

    def traced(op: OpBuilder, image: ir.Value) -> ir.Value:
        before = ir.set_value_magic_handler(op)  # what is written as arithmetic of values becomes nodes
        try:
            return _resized(op, image, preprocessing)
        finally:
            ir.set_value_magic_handler(before)

    given = ir.val(IMAGE, dtype=ir.DataType.UINT8, shape=["N", "height", "width", 3])
    made = ir.val(PIXELS, dtype=FLOAT, shape=["N", *preprocessing.size, 3])
    graph = build_graph(traced, [given], [made], opset_imports={"": OPSET}, name="resizing")
    for node in graph:
        node.metadata_props.clear()
    written: GraphProto = ir.to_proto(graph)
    return written


def _resized(op: OpBuilder, image: ir.Value, preprocessing: Preprocessing) -> ir.Value:
    shape = op.Shape(image)
    lengths = [op.Cast(op.Gather(shape, [axis], axis=0), to=DOUBLE) for axis in (1, 2)]
    axes = {"squish": _squished, "crop": _cropped, "pad": _padded}
    rows, columns = axes[preprocessing.resize](op, lengths, preprocessing)
    down, top, bottom = _weights(op, rows)
    width = preprocessing.size[1]
    pieces = []
    for start in range(0, width, COLUMNS):
        across, left, right = _weights(op, columns.part(op, start, min(start + COLUMNS, width)))
        piece = op.Slice(image, op.Concat(top, left, axis=0), op.Concat(bottom, right, axis=0), [1, 2])
        channels = op.Cast(op.Transpose(piece, perm=[0, 3, 1, 2]), to=FLOAT)
        pieces.append(_weighed(op, channels, op.Transpose(across, perm=[1, 0])))
    small = _weighed(op, op.Concat(*pieces, axis=3), down, from_left=True)
    resized: ir.Value = op.Transpose(small, perm=[0, 2, 3, 1])
    return resized


def _squished(op: OpBuilder, lengths: list[ir.Value], preprocessing: Preprocessing) -> tuple[Axis, Axis]:
    scales = [length / size for length, size in zip(lengths, preprocessing.size, strict=True)]
    made = zip(lengths, scales, preprocessing.size, strict=True)
    rows, columns = (Axis(length, scale * _middles(size), scale) for length, scale, size in made)
    return rows, columns


def _middles(size: int) -> list[float]:
    return [number + 0.5 for number in range(size)]


def _cropped(op: OpBuilder, lengths: list[ir.Value], preprocessing: Preprocessing) -> tuple[Axis, Axis]:
    """See predict.central_box; Pillow takes the edges of a box as floats of 32 bits."""
    aspect = preprocessing.size[1] / preprocessing.size[0]
    width = op.Min(lengths[1], lengths[0] * aspect) * preprocessing.crop_pct
    axes = []
    for length, kept, size in zip(lengths, (width / aspect, width), preprocessing.size, strict=True):
        start = (length - kept) / 2.0
        first, last = (op.Cast(edge, to=FLOAT) for edge in (start, start + kept))
        scale = op.Cast(last - first, to=DOUBLE) / size
        axes.append(Axis(length, op.Cast(first, to=DOUBLE) + scale * _middles(size), scale))
    return axes[0], axes[1]


def _padded(op: OpBuilder, lengths: list[ir.Value], preprocessing: Preprocessing) -> tuple[Axis, Axis]:
    """See predict.contained; what lies around the picture is made of its pixels too: the nearest, or mirrored ones."""
    height, width = preprocessing.size
    rows, columns = lengths
    wide = op.Greater(columns / rows, width / height)
    high = op.Where(wide, op.Max(op.Round(rows / columns * width), 1.0), height)
    broad = op.Where(wide, width, op.Max(op.Round(columns / rows * height), 1.0))
    made = zip(lengths, (high, broad), preprocessing.size, strict=True)
    first, second = (_surrounded(op, length, inner, size, preprocessing.padding) for length, inner, size in made)
    return first, second


def _surrounded(op: OpBuilder, length: ir.Value, inner: ir.Value, size: int, padding: str) -> Axis:
    """An axis whose ``inner`` pixels in the middle show the whole picture."""
    margin = op.Round((size - inner) / 2.0)
    number = list(range(size)) - margin
    inside = None
    if padding == "reflection":
        period = inner * 2.0
        number = number - op.Floor(number / period) * period
        number = op.Min(number, period - 1.0 - number)
    else:
        nearest = op.Min(op.Max(number, 0.0), inner - 1.0)
        inside = op.Max(1.0 - op.Abs(nearest - number), 0.0) if padding == "zeros" else None
        number = nearest
    scale = length / inner
    return Axis(length, (number + 0.5) * scale, scale, inside)


def _weights(op: OpBuilder, axis: Axis) -> tuple[ir.Value, ir.Value, ir.Value]:
    """(weights [size, last - first], first, last): how much of each pixel of the picture, from the ``first`` to
    before the ``last`` (each [1]) that are needed, is in each pixel of the result. Cubic, and as wide as a pixel is.
    """
    wide = op.Max(axis.scale, 1.0)
    reach = wide * 2.0
    first = op.Max(op.Floor(op.ReduceMin(axis.centers, keepdims=0) - reach), 0.0)
    last = op.Min(op.Ceil(op.ReduceMax(axis.centers, keepdims=0) + reach), axis.length)
    first, last = (op.Cast(edge, to=INT) for edge in (first, last))
    pixels = op.Cast(op.Range(op.Squeeze(first, [0]), op.Squeeze(last, [0]), 1), to=DOUBLE) + 0.5
    away = op.Min(op.Abs((pixels - op.Unsqueeze(axis.centers, [1])) / wide), 2.0)
    near = (away * 1.5 - 2.5) * away * away + 1.0
    far = (((away - 5.0) * away + 8.0) * away - 4.0) * -0.5
    weights = op.Where(op.Less(away, 1.0), near, far)
    weights = weights / op.ReduceSum(weights, [1], keepdims=1)
    weights = op.Round(weights * WEIGHT_STEPS) / WEIGHT_STEPS
    if axis.inside is not None:
        weights = weights * op.Unsqueeze(axis.inside, [1])
    return weights, first, last


def _weighed(op: OpBuilder, pixels: ir.Value, weights: ir.Value, from_left: bool = False) -> ir.Value:
    """float: the product of pixels and weights (or the other way round), rounded (halves upwards), from 0 to 255.

    A float has too few digits for it, and Pillow's sums are exact: so the coarse and the fine part of the weights are
    summed apart, each exactly, and meet below the point only.
    """
    coarse = op.Round(weights * COARSE_STEPS) / COARSE_STEPS
    parts = [op.Cast(part, to=FLOAT) for part in (coarse, weights - coarse)]
    large, small = (op.MatMul(part, pixels) if from_left else op.MatMul(pixels, part) for part in parts)
    raised = large + 0.5
    whole = op.Floor(raised)
    rounded: ir.Value = op.Clip(whole + op.Floor(raised - whole + small), 0.0, 255.0)
    return rounded


class _Shown(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    def __init__(self, pictures: Iterable[np.ndarray[Any, Any]]) -> None:
        self.rest = iter(pictures)

    def get_next(self) -> dict[str, np.ndarray[Any, Any]] | None:
        picture = next(self.rest, None)
        return None if picture is None else {PIXELS: picture.astype(np.float32)[None]}


def quantised(model: ModelProto, pictures: Iterable[np.ndarray[Any, Any]]) -> ModelProto:
    """A copy of ``model`` (see :func:`network`) with 8-bit numbers that fit ``pictures`` (uint8 [height, width, 3],
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
