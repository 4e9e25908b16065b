"""Gives the queries, keys and values of one layer's self-attention, for losses that compare two encoders' attention.

Tensor suffixes: B rows, L tokens, D hidden size.
"""

from contextlib import ExitStack

import torch
from torch import Tensor, nn

from m5model.encoders.bert import BertEncoder
from m5model.encoders.encoder import TextEncoder
from schemas.checks import require
from schemas.errors import ConfigurationError

# In DistilBERT's layout, in this order.
PARTS = ("q_lin", "k_lin", "v_lin")
# Weights of a layer that come after its queries, keys and values.
BEHIND = ("attention.out_lin.", "sa_layer_norm.", "ffn.", "output_layer_norm.")


def attention_parts(encoder: TextEncoder, layer: int, ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
    """Queries, keys and values (3, B, L, D) of the layer (a number from 0, or from -1 backwards)."""
    found: list[Tensor] = []
    with ExitStack() as hooks:
        for name in PARTS:
            linear: nn.Module = getattr(_attention(encoder, layer), name)
            hooks.callback(linear.register_forward_hook(lambda _, __, output: found.append(output)).remove)
        encoder.hidden_states(ids_BL, mask_BL)
    return torch.stack(found)


def weights_behind(layers: int) -> tuple[str, ...]:
    """Beginnings of the names of the weights that the parts of the last of so many layers do not depend on."""
    return tuple(f"transformer.layer.{layers - 1}.{name}" for name in BEHIND)


def require_layer(encoder: TextEncoder, layer: int) -> None:
    """Raise ConfigurationError for an encoder of another layout, or one without such a layer."""
    if not isinstance(encoder, BertEncoder):
        raise ConfigurationError(
            f"the attention of a {type(encoder).__name__} has no relations to imitate",
            next_step="take a teacher in the layout of students, or leave --relations out",
        )
    count = len(encoder.blocks)
    require("relations", {f"layer is {layer}, expected {-count} to {count - 1}": -count <= layer < count})


def _attention(encoder: TextEncoder, layer: int) -> nn.Module:
    attention: nn.Module = encoder.blocks[layer].attention  # type: ignore[assignment]
    return attention
