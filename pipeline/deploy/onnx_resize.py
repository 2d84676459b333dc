"""What predict.pixels does, as an ONNX graph: pictures of any size in, resized as Pillow does it, to the last bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import GraphProto, TensorProto, helper

from pipeline.deploy.onnx_nodes import DOUBLE, FLOAT, INT, Nodes, Value
from pipeline.predict import Preprocessing

IMAGE, PIXELS = "image", "pixels"
PREFIX = "resize_"
WEIGHT_STEPS = float(1 << 22)  # of these Pillow's weights are whole numbers
COARSE_STEPS = float(1 << 14)  # of these a sum of weighted pixels is exact in a float
COLUMNS = 14  # so many columns of the result are made from one piece of the picture


@dataclass(frozen=True)
class Axis:
    """How one axis is resampled: ``centers`` [size]: where in the picture the middle of each pixel of the result lies;
    ``scale``: how many pixels of the picture make one; ``length``: how many it has; ``inside`` [size]: 1, or 0 where
    all is black.
    """

    length: Value
    centers: Value
    scale: Value
    inside: Value | None = None


def resizing(preprocessing: Preprocessing) -> GraphProto:
    """uint8 ``image`` [N, height, width, 3] -> float ``pixels`` [N, *size, 3]: whole numbers from 0 to 255.

    Pillow weighs a picture's columns, rounds, then its rows, and rounds: so does this, with matrix products, slices and
    arithmetic alone, which every runtime does alike.
    """
    nodes = Nodes(PREFIX)
    image = nodes.value(IMAGE)
    rows, columns = _axes(nodes, image, preprocessing)
    height, width = preprocessing.size
    down, top, bottom = _weights(rows)
    pieces = []
    for start in range(0, width, COLUMNS):
        across, left, right = _weights(_part(columns, start, min(start + COLUMNS, width)))
        corners = (nodes.add("Concat", *corner, axis=0) for corner in ((top, left), (bottom, right)))
        piece = nodes.add("Slice", image, *corners, nodes.constant([1, 2]))
        channels = nodes.add("Transpose", piece, perm=[0, 3, 1, 2]).to(FLOAT)
        weights = nodes.add("Transpose", across, perm=[1, 0])
        pieces.append(_weighed(channels, weights))
    small = _weighed(nodes.add("Concat", *pieces, axis=3), down, from_left=True)
    nodes.add("Transpose", small, perm=[0, 2, 3, 1], output=PIXELS)
    given = helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, ["N", "height", "width", 3])
    made = helper.make_tensor_value_info(PIXELS, TensorProto.FLOAT, ["N", height, width, 3])
    return nodes.graph("resizing", [given], [made])


def _axes(nodes: Nodes, image: Value, preprocessing: Preprocessing) -> tuple[Axis, Axis]:
    shape = nodes.add("Shape", image)
    lengths = [nodes.add("Gather", shape, nodes.constant(axis), axis=0).to(DOUBLE) for axis in (1, 2)]
    if preprocessing.resize == "pad":
        return _padded(lengths, preprocessing)
    if preprocessing.resize == "crop":
        return _cropped(lengths, preprocessing)
    rows, columns = (_squished(length, size) for length, size in zip(lengths, preprocessing.size, strict=True))
    return rows, columns


def _numbers(length: Value, size: int, shift: float = 0.0) -> Value:
    return length.nodes.constant(np.arange(size) + shift, np.float64)


def _squished(length: Value, size: int) -> Axis:
    scale = length / size
    return Axis(length, scale * _numbers(length, size, 0.5), scale)


def _cropped(lengths: list[Value], preprocessing: Preprocessing) -> tuple[Axis, Axis]:
    """See predict.central_box; Pillow takes the edges of a box as floats of 32 bits."""
    aspect = preprocessing.size[1] / preprocessing.size[0]
    width = lengths[1].at_most(lengths[0] * aspect) * preprocessing.crop_pct
    axes = []
    for length, kept, size in zip(lengths, (width / aspect, width), preprocessing.size, strict=True):
        start = (length - kept) / 2.0
        first, last = start.to(FLOAT), (start + kept).to(FLOAT)
        scale = (last - first).to(DOUBLE) / size
        axes.append(Axis(length, first.to(DOUBLE) + scale * _numbers(length, size, 0.5), scale))
    return axes[0], axes[1]


def _padded(lengths: list[Value], preprocessing: Preprocessing) -> tuple[Axis, Axis]:
    """See predict.contained; what lies around the picture is made of its pixels too: the nearest, or mirrored ones."""
    height, width = preprocessing.size
    rows, columns = lengths
    wide = columns / rows > width / height
    constants = rows.nodes
    full = [constants.constant(size, np.float64) for size in preprocessing.size]
    high = wide.where((rows / columns * width).round().at_least(1.0), full[0])
    broad = wide.where(full[1], (columns / rows * height).round().at_least(1.0))
    made = zip(lengths, (high, broad), preprocessing.size, strict=True)
    first, second = (_surrounded(length, inner, size, preprocessing.padding) for length, inner, size in made)
    return first, second


def _surrounded(length: Value, inner: Value, size: int, padding: str) -> Axis:
    """An axis whose ``inner`` pixels in the middle show the whole picture."""
    margin = ((size - inner) / 2.0).round()
    number = _numbers(length, size) - margin
    inside = None
    if padding == "reflection":
        period = inner * 2.0
        number = number - (number / period).floor() * period
        number = number.at_most(period - 1.0 - number)
    else:
        nearest = number.at_least(0.0).at_most(inner - 1.0)
        inside = (1.0 - (nearest - number).abs()).at_least(0.0) if padding == "zeros" else None
        number = nearest
    scale = length / inner
    return Axis(length, (number + 0.5) * scale, scale, inside)


def _part(axis: Axis, start: int, end: int) -> Axis:
    nodes = axis.length.nodes

    def cut(value: Value) -> Value:
        return nodes.add("Slice", value, nodes.constant([start]), nodes.constant([end]))

    return Axis(axis.length, cut(axis.centers), axis.scale, cut(axis.inside) if axis.inside else None)


def _weights(axis: Axis) -> tuple[Value, Value, Value]:
    """(weights [size, last - first], first, last): how much of each pixel of the picture, from the ``first`` to
    before the ``last`` (each [1]) that are needed, is in each pixel of the result. Cubic, and as wide as a pixel is.
    """
    nodes = axis.length.nodes
    wide = axis.scale.at_least(1.0)
    reach = wide * 2.0
    first = (axis.centers.min() - reach).floor().at_least(0.0).to(INT)
    last = (axis.centers.max() + reach).ceil().at_most(axis.length).to(INT)
    pixels = nodes.add("Range", first, last, nodes.constant(1)).to(DOUBLE) + 0.5
    away = ((pixels - axis.centers.expand(1)) / wide).abs().at_most(2.0)
    near = (away * 1.5 - 2.5) * away * away + 1.0
    far = (((away - 5.0) * away + 8.0) * away - 4.0) * -0.5
    weights = (away < 1.0).where(near, far)
    weights = weights / nodes.add("ReduceSum", weights, nodes.constant([1]), keepdims=1)
    weights = (weights * WEIGHT_STEPS).round() / WEIGHT_STEPS
    if axis.inside is not None:
        weights = weights * axis.inside.expand(1)
    return weights, first.expand(0), last.expand(0)


def _weighed(pixels: Value, weights: Value, from_left: bool = False) -> Value:
    """float: the product of pixels and weights (or the other way round), rounded (halves upwards), from 0 to 255.

    A float has too few digits for it, and Pillow's sums are exact: so the coarse and the fine part of the weights are
    summed apart, each exactly, and meet below the point only.
    """
    nodes = weights.nodes
    coarse = (weights * COARSE_STEPS).round() / COARSE_STEPS
    parts = (coarse.to(FLOAT), (weights - coarse).to(FLOAT))
    large, small = (nodes.add("MatMul", *((part, pixels) if from_left else (pixels, part))) for part in parts)
    raised = nodes.add("Add", large, nodes.constant(0.5, np.float32))
    whole = raised.floor()
    rounded = whole + (raised - whole + small).floor()
    return nodes.add("Clip", rounded, nodes.constant(0, np.float32), nodes.constant(255, np.float32))
