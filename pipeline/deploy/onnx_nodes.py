"""ONNX graphs written as arithmetic: a Value is a tensor of the graph, and what one does with it becomes a node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

DOUBLE, FLOAT, INT = TensorProto.DOUBLE, TensorProto.FLOAT, TensorProto.INT64
Operand: TypeAlias = "Value | float"


@dataclass
class Nodes:
    """The nodes and constants so far; every name begins with ``prefix``, so that graphs can be put together."""

    prefix: str
    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)

    def constant(self, value: Any, dtype: Any = np.int64) -> Value:
        """A tensor that is the same for every input."""
        name = f"{self.prefix}constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return Value(self, name)

    def value(self, name: str) -> Value:
        """The tensor of that name: an input of the graph."""
        return Value(self, name)

    def add(self, operator: str, *inputs: Value, output: str = "", **attributes: Any) -> Value:
        """The output of a new node, called ``output`` or by a number."""
        name = output or f"{self.prefix}{operator}_{len(self.nodes)}"
        names = [value.name for value in inputs]
        self.nodes.append(helper.make_node(operator, names, [name], name=f"{name}_node", **attributes))
        return Value(self, name)

    def graph(self, name: str, inputs: Sequence[ValueInfoProto], outputs: Sequence[ValueInfoProto]) -> GraphProto:
        """All of it as a graph."""
        return helper.make_graph(self.nodes, name, inputs, outputs, self.constants)


@dataclass(frozen=True)
class Value:
    """A tensor in a graph. Arithmetic is that of doubles, to which plain numbers are turned."""

    nodes: Nodes
    name: str

    def _with(self, operator: str, other: Operand, swapped: bool = False) -> Value:
        second = other if isinstance(other, Value) else self.nodes.constant(other, np.float64)
        pair = (second, self) if swapped else (self, second)
        return self.nodes.add(operator, *pair)

    def __add__(self, other: Operand) -> Value:
        return self._with("Add", other)

    def __sub__(self, other: Operand) -> Value:
        return self._with("Sub", other)

    def __rsub__(self, other: float) -> Value:
        return self._with("Sub", other, swapped=True)

    def __mul__(self, other: Operand) -> Value:
        return self._with("Mul", other)

    def __truediv__(self, other: Operand) -> Value:
        return self._with("Div", other)

    def __gt__(self, other: Operand) -> Value:
        return self._with("Greater", other)

    def __lt__(self, other: Operand) -> Value:
        return self._with("Less", other)

    def at_least(self, other: Operand) -> Value:
        """The larger of the two, element by element."""
        return self._with("Max", other)

    def at_most(self, other: Operand) -> Value:
        """The smaller of the two, element by element."""
        return self._with("Min", other)

    def where(self, yes: Value, no: Value) -> Value:
        """``yes`` where it is true, else ``no``."""
        return self.nodes.add("Where", self, yes, no)

    def floor(self) -> Value:
        """The next whole number below."""
        return self.nodes.add("Floor", self)

    def ceil(self) -> Value:
        """The next whole number above."""
        return self.nodes.add("Ceil", self)

    def round(self) -> Value:
        """The nearest whole number; halves go to the even one, as Python's do."""
        return self.nodes.add("Round", self)

    def abs(self) -> Value:
        """Without its sign."""
        return self.nodes.add("Abs", self)

    def min(self) -> Value:
        """The smallest element."""
        return self.nodes.add("ReduceMin", self, keepdims=0)

    def max(self) -> Value:
        """The largest element."""
        return self.nodes.add("ReduceMax", self, keepdims=0)

    def to(self, kind: int) -> Value:
        """The same numbers as DOUBLE, FLOAT or INT."""
        return self.nodes.add("Cast", self, to=kind)

    def expand(self, *axes: int) -> Value:
        """With new axes of length one."""
        return self.nodes.add("Unsqueeze", self, self.nodes.constant(axes))
