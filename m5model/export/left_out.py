"""Products that stay fp32: those whose 8-bit form moves the vectors most, as few as let the graph keep its vectors.

Damage is measured, not guessed: each product is quantized alone, and the vectors of calibration texts are compared with the
exact ones. The worst then become fp32 again, one after the other, until the vectors are near enough.

Tensor suffixes: B rows, D dimensions.
"""

from collections.abc import Callable, Collection, Sequence

import numpy as np
import onnx

from m5model.export.parity import graph_vectors
from m5model.export.pruning import drop_unread
from m5model.export.text_batches import TextBatch

# Of the multiplications of all products: an fp32 one takes about three times as long.
MOST = 0.15
# Tokens on which damage is measured: every product is one more graph to open and run.
DAMAGE_TOKENS = 1_024
# Of calls on which nearness is judged.
JUDGED_TOKENS = 6_144

IsNear = Callable[[np.ndarray, np.ndarray], bool]


def always_near(_exact_BD: np.ndarray, _quantized_BD: np.ndarray) -> bool:
    """Leave nothing out."""
    return True


def leave_out_worst(
    quantized: onnx.ModelProto,
    exact: onnx.ModelProto,
    batches: Sequence[TextBatch],
    is_near: IsNear,
) -> tuple[str, ...]:
    """Make products of ``quantized`` fp32 again, in place, until ``is_near(exact_BD, quantized_BD)``.

    Returns the names of their weights.

    ``exact`` is the graph that was quantized, with nodes of the same names. Stops at MOST, near or not: the gate judges.
    """
    judged = _first(batches, JUDGED_TOKENS)
    exact_BD = graph_vectors(exact.SerializeToString(), judged)
    weights = {node.name: node.input[1] for node in exact.graph.node if node.op_type == "MatMul"}
    left_out: list[str] = []
    if is_near(exact_BD, graph_vectors(quantized.SerializeToString(), judged)):
        return ()
    for name in _within_limit(exact, _by_damage(quantized, exact, _first(batches, DAMAGE_TOKENS))):
        make_exact(quantized, exact, {name})
        left_out.append(weights[name])
        if is_near(exact_BD, graph_vectors(quantized.SerializeToString(), judged)):
            break
    return tuple(left_out)


def make_exact(quantized: onnx.ModelProto, exact: onnx.ModelProto, names: Collection[str]) -> None:
    """Give the products of these names their fp32 activations and weights, in place."""
    graph = quantized.graph
    weights = {tensor.name: tensor for tensor in exact.graph.initializer}
    inputs = {node.name: list(node.input) for node in exact.graph.node}
    present = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.name in names:
            activation, matrix = inputs[node.name]
            node.input[:] = [activation, matrix]
            if matrix not in present:
                graph.initializer.append(weights[matrix])
                present.add(matrix)
    drop_unread(graph)


def quantized_products(model: onnx.ModelProto) -> list[str]:
    """Names of the MatMuls that read dequantized weights."""
    dequantized = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    return [node.name for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in dequantized]


def _by_damage(quantized: onnx.ModelProto, exact: onnx.ModelProto, batches: Sequence[TextBatch]) -> list[str]:
    """The quantized products, the most damaging first."""
    products = quantized_products(quantized)
    exact_BD = graph_vectors(exact.SerializeToString(), batches)
    damage = {}
    for name in products:
        alone = onnx.ModelProto()
        alone.CopyFrom(quantized)
        make_exact(alone, exact, set(products) - {name})
        damage[name] = float(np.square(graph_vectors(alone.SerializeToString(), batches) - exact_BD).sum())
    return sorted(products, key=lambda name: (-damage[name], name))


def _within_limit(exact: onnx.ModelProto, names: Sequence[str]) -> list[str]:
    """As many of the names, in their order, as may be left out."""
    sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in exact.graph.initializer}
    multiplications = {node.name: sizes[node.input[1]] for node in exact.graph.node if node.name in set(names)}
    allowed = MOST * sum(multiplications.values())
    kept, taken = [], 0
    for name in names:
        if taken + multiplications[name] <= allowed:
            kept.append(name)
            taken += multiplications[name]
    return kept


def _first(batches: Sequence[TextBatch], tokens: int) -> list[TextBatch]:
    """The first calls up to so many tokens, the last one cut to fit; one text at least."""
    kept: list[TextBatch] = []
    for batch in batches:
        rows = tokens // batch.ids_BL.shape[1]
        if kept and not rows:
            break
        part = TextBatch(batch.ids_BL[: max(1, rows)], batch.mask_BL[: max(1, rows)])
        kept.append(part)
        tokens -= part.ids_BL.size
    return kept
