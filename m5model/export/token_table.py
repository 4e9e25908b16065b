"""The token table in int8: it is most of a student's bytes, and MatMul quantizers leave it alone.

    Gather(table, ids)  →  Gather(int8 table, ids) → Cast → Mul by Gather(scale per row, ids)

Tensor suffixes: V vocabulary, D hidden size.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from m5model.export.fp32 import INPUTS
from schemas.errors import M5Error

SIGNED_BYTE_LIMIT = 127


def quantize_token_table(graph: onnx.ModelProto) -> None:
    """Rewrite the graph in place. Raises M5Error where no Gather reads a table by the token ids."""
    gather = _token_gather(graph.graph)
    table = next(tensor for tensor in graph.graph.initializer if tensor.name == gather.input[0])
    codes_VD, scales_V1 = quantize_rows(numpy_helper.to_array(table))
    names = {part: f"{table.name}.{part}" for part in ("int8", "scale", "codes", "floats", "scales")}
    graph.graph.initializer.remove(table)
    graph.graph.initializer.extend(
        [numpy_helper.from_array(codes_VD, names["int8"]), numpy_helper.from_array(scales_V1, names["scale"])]
    )
    nodes = [
        helper.make_node("Gather", [names["int8"], gather.input[1]], [names["codes"]], name=names["codes"], axis=0),
        helper.make_node("Cast", [names["codes"]], [names["floats"]], name=names["floats"], to=TensorProto.FLOAT),
        helper.make_node("Gather", [names["scale"], gather.input[1]], [names["scales"]], name=names["scales"], axis=0),
        helper.make_node("Mul", [names["floats"], names["scales"]], list(gather.output), name=f"{table.name}.dequantize"),
    ]
    position = list(graph.graph.node).index(gather)
    graph.graph.node.remove(gather)
    for offset, node in enumerate(nodes):
        graph.graph.node.insert(position + offset, node)


def quantize_rows(table_VD: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric int8 per row: float32 (V, D) → codes int8 (V, D) and scales float32 (V, 1), codes * scales ≈ table."""
    scales_V1 = np.abs(table_VD).max(axis=1, keepdims=True) / SIGNED_BYTE_LIMIT
    scales_V1 = np.where(scales_V1 == 0, 1, scales_V1).astype(np.float32)
    return np.rint(table_VD / scales_V1).astype(np.int8), scales_V1


def _token_gather(graph: onnx.GraphProto) -> onnx.NodeProto:
    tables = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Gather" and node.input[0] in tables and node.input[1] == INPUTS[0]:
            return node
    raise M5Error("the graph has no Gather of a token table by input_ids", next_step="export it with m5model.export.fp32")
