"""A checkpoint becomes one ONNX graph: token ids in, unit vectors out.

input_ids (B, L) int64, attention_mask (B, L) int64  →  sentence_embedding (B, D) float32, unit length
"""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from m5model.encoders.bert import load_encoder
from m5model.encoders.encoder import TextEncoder, pool
from schemas.errors import M5Error

INPUTS = ("input_ids", "attention_mask")
OUTPUT = "sentence_embedding"


class ExportedEncoder(nn.Module):
    """The encoder as it is exported: the mask is made additive here, in three nodes instead of transformers' forty."""

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """ids_BL, mask_BL int64 → (B, D) float32."""
        # Finite, because a softmax over rows of -inf alone is NaN; far enough down that exp() of it is 0 exactly.
        additive_B11L = (1.0 - attention_mask.to(torch.float32))[:, None, None, :] * -1e9
        return pool(self.encoder.hidden_states(input_ids, additive_B11L), attention_mask)


def export_fp32(checkpoint: Path, target: Path) -> None:
    """Write the ONNX graph of the checkpoint folder to ``target``, weights inside, the same bytes every time.

    torch.export with eager attention: onnxruntime then fuses layer norms with their residuals and GELU with its bias.
    """
    model = ExportedEncoder(load_encoder(checkpoint, attention="eager"))
    ids_BL = torch.randint(5, model.encoder.vocabulary_size, (3, 7), generator=torch.Generator().manual_seed(0))
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", max=model.encoder.max_tokens)}
    with quiet("torch.onnx"):
        program = torch.onnx.export(
            model,
            (ids_BL, torch.ones_like(ids_BL)),
            input_names=list(INPUTS),
            output_names=[OUTPUT],
            dynamic_shapes=dict.fromkeys(INPUTS, axes),
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise M5Error(f"torch.onnx.export gave no graph of {checkpoint}", next_step="export again with verbose=True")
    graph = program.model_proto
    forget_origin(graph)
    target.parent.mkdir(parents=True, exist_ok=True)
    onnx.save_model(graph, target)


def forget_origin(graph: onnx.ModelProto) -> None:
    """Drop the exporter's notes: they hold source lines with this machine's paths, and no runtime reads them."""
    del graph.metadata_props[:]
    graph.doc_string = ""
    for part in (graph.graph, *graph.graph.node, *graph.graph.value_info, *graph.graph.input, *graph.graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    for function in graph.functions:
        del function.metadata_props[:]
        for node in function.node:
            del node.metadata_props[:]


@contextlib.contextmanager
def quiet(logger_name: str) -> Iterator[None]:
    """Errors only, and no warnings: exporters note packages that are not used here, and their own internals."""
    logger = logging.getLogger(logger_name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)
