"""The int8 graph as the engine calls it: the vectors of model_int8.onnx, byte for byte, in less time.

model_int8.onnx keeps to standard operators and takes padded calls, for whoever brings their own runtime. The engine runs
onnxruntime and calls it with texts of one length (m5model.runtime), so in its graph

- a product's bias is added where its integers become floats (onnxruntime's MatMulIntegerToFloat);
- nothing is masked;
- products that stay fp32 (m5model.export.left_out) are left as they are;
- activations lie by token, then by row (L, B, D): attention then reads every head where it lies, with strides
  (onnxruntime's FusedMatMul), where the order (B, L, D) needs copies of queries, keys and values.

Nodes are found by what they are and what they read. What is assumed of them and not checked here, the gate sees: it compares
bytes. docs/decisions/2026-11-26-engine-graph.md has what each step is worth.

Tensor suffixes: B rows, L tokens, H heads, D dimensions.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnx
from onnx import helper, numpy_helper

from m5model.export.fp32 import INPUTS, forget_origin
from schemas.errors import M5Error

ONNXRUNTIME = "com.microsoft"  # the domain of its own operators
IDS, MASK = INPUTS

T = TypeVar("T")


def write_engine_graph(int8: Path, target: Path) -> None:
    """Write the engine's form of a statically quantized graph. Raises M5Error where its nodes are not laid as expected."""
    model = onnx.load(int8)
    graph = _Graph(model.graph)
    _fold_biases(graph)
    _unmask_attention(graph)
    _lay_tokens_first(graph)
    _keep_all_tokens(graph)
    graph.write_back()
    model.opset_import.append(helper.make_opsetid(ONNXRUNTIME, 1))
    forget_origin(model)
    onnx.save_model(model, target)


class _Graph:
    """Nodes of a graph and who makes and reads a tensor, while nodes come and go."""

    def __init__(self, proto: onnx.GraphProto) -> None:
        self.proto = proto
        self.nodes = list(proto.node)
        self.weights = {tensor.name: tensor for tensor in proto.initializer}

    def of_type(self, operator: str) -> list[onnx.NodeProto]:
        return [node for node in self.nodes if node.op_type == operator]

    def producers(self) -> dict[str, onnx.NodeProto]:
        """Tensor → the node that makes it; inputs and weights have none."""
        return {name: node for node in self.nodes for name in node.output}

    def producer(self, tensor: str, operator: str) -> onnx.NodeProto:
        """The node that makes ``tensor``. Raises M5Error if it is no ``operator``."""
        node = self.producers().get(tensor)
        if node is None or node.op_type != operator:
            raise _unexpected(f"{tensor} is not the output of a {operator}")
        return node

    def reader(self, tensor: str, operator: str) -> onnx.NodeProto:
        """The only node that reads ``tensor``. Raises M5Error if there are others, or it is no ``operator``."""
        readers = [node for node in self.nodes if tensor in node.input]
        if len(readers) != 1 or readers[0].op_type != operator:
            raise _unexpected(f"{tensor} is not read by one {operator} alone, but by {[node.op_type for node in readers]}")
        return readers[0]

    def depends_on(self, tensor: str) -> set[str]:
        """The inputs of the graph whose values ``tensor`` is computed from; a shape is no value."""
        inputs = {entry.name for entry in self.proto.input}
        producers = self.producers()
        found: set[str] = set()
        waiting, seen = [tensor], set()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            if name in inputs:
                found.add(name)
            elif name in producers and producers[name].op_type != "Shape":
                waiting.extend(producers[name].input)
        return found

    def add(self, operator: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> None:
        name = f"{output}.{operator}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name, domain=domain, **attributes))

    def read_instead(self, old: str, new: str) -> None:
        """Every node that reads ``old`` reads ``new``."""
        for node in self.nodes:
            node.input[:] = [new if name == old else name for name in node.input]

    def write_back(self) -> None:
        """Put into the proto what its outputs need, producers before readers."""
        producers = self.producers()
        ordered: dict[int, onnx.NodeProto] = {}

        def visit(tensor: str) -> None:
            node = producers.get(tensor)
            if node is not None and id(node) not in ordered:
                for name in node.input:
                    visit(name)
                ordered[id(node)] = node

        for output in self.proto.output:
            visit(output.name)
        read = {name for node in ordered.values() for name in node.input}
        del self.proto.node[:], self.proto.value_info[:]
        self.proto.node.extend(ordered.values())
        for entries in (self.proto.initializer, self.proto.input):
            kept = [entry for entry in entries if entry.name in read]
            del entries[:]
            entries.extend(kept)


def _fold_biases(graph: _Graph) -> None:
    """(MatMul of 8-bit values) + bias becomes one MatMulIntegerToFloat."""
    dequantized = {node.output[0] for node in graph.of_type("DequantizeLinear")}
    products = [node for node in graph.of_type("MatMul") if node.input[1] in dequantized]
    if not products:
        raise _unexpected("no product of dequantized weights")
    for product in products:
        values, scale, zero_point = _quantized(graph, product.input[0])
        weights, weight_scales, weight_zero_points = _quantized(graph, product.input[1])
        biased = graph.reader(product.output[0], "Add")
        bias = _only([name for name in biased.input if name in graph.weights], f"biases of {product.output[0]}")
        graph.nodes.remove(product)
        graph.nodes.remove(biased)
        operands = [values, weights, scale, weight_scales, zero_point, weight_zero_points, bias]
        graph.add("MatMulIntegerToFloat", operands, biased.output[0], ONNXRUNTIME)


def _unmask_attention(graph: _Graph) -> None:
    """Softmax reads the scores without the addition that pads would need."""
    for softmax in graph.of_type("Softmax"):
        masked = graph.producer(softmax.input[0], "Add")
        kept = [name for name in masked.input if graph.depends_on(name) != {MASK}]
        softmax.input[0] = _only(kept, f"scores that {masked.name} masks")
        graph.nodes.remove(masked)


def _lay_tokens_first(graph: _Graph) -> None:
    """Ids are transposed at the start and hidden states before they are pooled; all that works token by token stays."""
    graph.read_instead(IDS, "ids.LB")
    for size in graph.of_type("Shape"):  # the exporter takes (rows, tokens) from the mask
        if size.input[0] not in (MASK, "ids.LB"):
            raise _unexpected(f"{size.name} takes the shape of {size.input[0]}")
        size.input[0] = "ids.LB"
    graph.add("Transpose", [IDS], "ids.LB", perm=[1, 0])
    _lay_positions(graph)
    for softmax in graph.of_type("Softmax"):
        _lay_attention(graph, softmax)
    products = [node for node in graph.of_type("MatMul") if node.input[1] not in graph.weights]
    pooling = _only(products, "products of activations left, where the pooling alone should be")
    if graph.depends_on(pooling.input[0]) != {MASK}:
        raise _unexpected(f"{pooling.name} does not pool by the mask")
    graph.add("Transpose", [pooling.input[1]], "hidden.BLD", perm=[1, 0, 2])
    pooling.input[1] = "hidden.BLD"


def _keep_all_tokens(graph: _Graph) -> None:
    """Let the pooling, the last reader of the mask, read ones: the graph then has one input."""
    graph.read_instead(MASK, "ones.BL")
    graph.add("Shape", [IDS], "ids.shape")
    graph.add("ConstantOfShape", ["ids.shape"], "ones.BL", value=numpy_helper.from_array(np.ones(1, np.int64)))


def _lay_positions(graph: _Graph) -> None:
    """Position embeddings (1, L, D) become (L, 1, D), as many as there are tokens."""
    positions = _only(graph.of_type("Slice"), "slices, where that of the positions alone should be")
    embedded = graph.reader(positions.output[0], "Gather").output[0]
    graph.add("Shape", [IDS], "ids.length", start=1, end=2)
    positions.input[2] = "ids.length"
    graph.read_instead(embedded, "positions.L1D")
    graph.add("Transpose", [embedded], "positions.L1D", perm=[1, 0, 2])


def _lay_attention(graph: _Graph, softmax: onnx.NodeProto) -> None:
    """softmax(scale Q K') V of heads that lie as (L, B, H, D), each read through strides."""
    scaled = graph.producer(softmax.input[0], "Mul")
    scale = _only([name for name in scaled.input if name in graph.weights], f"constants that scale {scaled.name}")
    scores = graph.producer(scaled.input[0], "MatMul")
    mixed = graph.reader(softmax.output[0], "MatMul")
    merged = graph.reader(mixed.output[0], "Transpose")
    query = _untransposed(graph.producer(scores.input[0], "Transpose"), [0, 2, 1, 3])
    key = _untransposed(graph.producer(scores.input[1], "Transpose"), [0, 2, 3, 1])
    value = _untransposed(graph.producer(mixed.input[1], "Transpose"), [0, 2, 1, 3])
    _untransposed(merged, [0, 2, 1, 3])
    for node in (scaled, scores, mixed, merged):
        graph.nodes.remove(node)
    alpha = numpy_helper.to_array(graph.weights[scale]).item()
    by_head = {"transBatchA": 1, "transBatchB": 1, "transB": 1}
    graph.add("FusedMatMul", [query, key], scaled.output[0], ONNXRUNTIME, alpha=alpha, **by_head)
    graph.add("FusedMatMul", [softmax.output[0], value], mixed.output[0], ONNXRUNTIME, transBatchB=1)
    graph.add("Transpose", [mixed.output[0]], merged.output[0], perm=[2, 0, 1, 3])


def _untransposed(transpose: onnx.NodeProto, expected: list[int]) -> str:
    """The tensor that ``transpose`` reads. Raises M5Error if it orders axes otherwise than expected."""
    found = list(helper.get_node_attr_value(transpose, "perm"))
    if found != expected:
        raise _unexpected(f"{transpose.name} lays axes as {found}, expected {expected}")
    return transpose.input[0]


def _quantized(graph: _Graph, tensor: str) -> tuple[str, str, str]:
    """Codes, scale and zero point behind a dequantized tensor."""
    inputs = list(graph.producer(tensor, "DequantizeLinear").input)
    if len(inputs) != 3:
        raise _unexpected(f"{tensor} has no zero point")
    return inputs[0], inputs[1], inputs[2]


def _only(found: Sequence[T], what: str) -> T:
    if len(found) != 1:
        raise _unexpected(f"{len(found)} {what}, expected 1")
    return found[0]


def _unexpected(what: str) -> M5Error:
    return M5Error(
        f"the int8 graph is not laid as this exporter lays it: {what}",
        next_step="make it with m5model.export.quantization and static scales, with the versions of constraints.txt",
    )
