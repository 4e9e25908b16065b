"""Statistics of a bundle's numbers: the encoder's weights block by block, and what its ONNX graphs hold by type."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from torch import Tensor

from m5model.encoders.encoder import TextEncoder
from m5model.reports.model.facts import BlockFacts, GraphFacts, TensorFacts
from m5model.reports.model.outliers import find_outliers

EMBEDDINGS, REST = "embeddings", "other weights"


def describe_blocks(encoder: TextEncoder) -> list[BlockFacts]:
    """The embeddings, each layer, and the rest where there is one; every parameter once."""
    names = {id(module): name for name, module in encoder.named_modules()}
    layers = {f"{names[id(block)]}.": f"layer {number}" for number, block in enumerate(encoder.blocks, start=1)}
    by_block: dict[str, list[TensorFacts]] = {name: [] for name in (EMBEDDINGS, *layers.values(), REST)}
    for name, parameter in encoder.named_parameters():
        prefix = next((each for each in layers if name.startswith(each)), "")
        block = layers[prefix] if prefix else EMBEDDINGS if "embedding" in name else REST
        by_block[block].append(_describe_tensor(name.removeprefix(prefix), parameter.detach()))
    return [BlockFacts(name=name, tensors=tensors) for name, tensors in by_block.items() if tensors]


def _describe_tensor(name: str, tensor: Tensor) -> TensorFacts:
    """A channel is the last dimension: of a product's matrix (out, in), what is multiplied with one channel that it reads."""
    largest_C = tensor.abs().reshape(-1, tensor.shape[-1]).amax(0).float().numpy()
    centred = tensor.double() - tensor.double().mean()
    variance = float(centred.square().mean())
    fourth = float(centred.square().square().mean())
    return TensorFacts(
        name=name,
        shape=tuple(tensor.shape),
        parameters=tensor.numel(),
        deviation=variance**0.5,
        largest=float(largest_C.max()),
        kurtosis=fourth / variance**2 - 3 if variance else 0.0,
        outliers=len(find_outliers(largest_C)) if tensor.ndim > 1 else 0,
    )


def describe_graphs(folder: Path, files: Sequence[str]) -> list[GraphFacts]:
    """The initializers of each graph, by type, the largest share first."""
    return [row for file in files for row in _describe_graph(folder, file)]


def _describe_graph(folder: Path, file: str) -> list[GraphFacts]:
    arrays: dict[str, list[np.ndarray]] = {}
    for tensor in onnx.load(folder / file).graph.initializer:
        values = numpy_helper.to_array(tensor)
        arrays.setdefault(values.dtype.name, []).append(values)
    rows = [
        GraphFacts(
            file=file,
            type=name,
            tensors=len(found),
            values=sum(values.size for values in found),
            bytes=sum(values.nbytes for values in found),
        )
        for name, found in arrays.items()
    ]
    return sorted(rows, key=lambda row: (-row.bytes, row.type))
