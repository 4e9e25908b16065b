"""Shows what each token of a text attends to, layer by layer, as the mean over heads.

Tensor suffixes: L tokens of the text, Q tokens that ask, K tokens that are asked, H heads.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from m5model.encoders.automodel import WholeEncoder
from m5model.encoders.bert import BertEncoder
from m5model.encoders.cross_attention import CrossAttentionEncoder
from m5model.encoders.encoder import TextEncoder
from m5model.encoders.fused_layers import Attention
from m5model.encoders.streams import Stream
from schemas.errors import ConfigurationError

OWN, OTHER = "own", "other"  # the stream that is asked; an encoder of one stream has only its own


@dataclass(frozen=True, kw_only=True)
class AttentionMap:
    """One layer. The rows of tokens that do not ask there are zeros; all others sum to 1, with what they ignore."""

    layer: int  # from 1 on
    asked: str  # OWN or OTHER
    weights_LL: np.ndarray  # float32: row token attends to column token
    ignored_L: np.ndarray | None  # float32, the share that goes to no token; None where every token must attend to some


def attention_maps(encoder: TextEncoder, ids_L: np.ndarray) -> list[AttentionMap]:
    """All layers' maps of one text (token ids, int64). Raises ConfigurationError for a model that does not give them out."""
    if isinstance(encoder, CrossAttentionEncoder):
        return _maps_of_streams(encoder, ids_L)
    model: Any = encoder.model if isinstance(encoder, WholeEncoder) else encoder
    if not isinstance(encoder, WholeEncoder | BertEncoder):
        raise _not_given(type(encoder).__name__)
    ids_1L = torch.from_numpy(ids_L)[None]
    layers = _attentions(model, ids_1L)
    means = [weights_1HLL[0].float().mean(0).numpy() for weights_1HLL in layers]
    return [AttentionMap(layer=n, asked=OWN, weights_LL=mean_LL, ignored_L=None) for n, mean_LL in enumerate(means, start=1)]


@torch.no_grad()
def _attentions(model: Any, ids_1L: Tensor) -> tuple[Tensor, ...]:
    """Probabilities (1, H, L, L) of each layer. The fused implementations do not give them out, the plain one does."""
    used = model.config._attn_implementation
    try:
        model.set_attn_implementation("eager")
        given = model(input_ids=ids_1L, attention_mask=torch.ones_like(ids_1L), output_attentions=True).attentions
    except ValueError as error:
        raise _not_given(model.config.model_type) from error
    finally:
        model.set_attn_implementation(used)
    if not given or given[0] is None or given[0].shape[-2:] != (ids_1L.shape[1],) * 2:
        raise _not_given(model.config.model_type)
    return tuple(given)


def _not_given(kind: str) -> ConfigurationError:
    return ConfigurationError(f"a model of the kind {kind} does not give out its attention", next_step="look at attributions")


@torch.no_grad()
def _maps_of_streams(encoder: CrossAttentionEncoder, ids_L: np.ndarray) -> list[AttentionMap]:
    """Each level's attention of both streams to themselves as one map, and that to the other as one."""
    ids_1L = torch.from_numpy(ids_L)[None]
    maps: list[AttentionMap] = []
    for layer, (own, other) in enumerate(_calls_by_level(encoder, ids_1L), start=1):
        for asked, calls in ((OWN, own), (OTHER, other)):
            if calls:
                maps.append(_join(layer, asked, calls, len(ids_L)))
    return maps


@dataclass(frozen=True, kw_only=True)
class _Call:
    """One attention of one text: which tokens asked which, and how much."""

    asking: Stream
    asked: Stream
    weights_QK: Tensor  # K has a first column for nothing where ``may_ignore``
    may_ignore: bool


def _calls_by_level(encoder: CrossAttentionEncoder, ids_1L: Tensor) -> list[tuple[list[_Call], list[_Call]]]:
    """For each level the attentions to the own stream, and those to the other."""
    levels: list[tuple[list[_Call], list[_Call]]] = [([], []) for _ in encoder.levels]
    with ExitStack() as hooks:
        for level, calls in zip(encoder.levels, levels, strict=True):
            for module in level.modules():
                if isinstance(module, Attention):
                    hooks.callback(module.register_forward_pre_hook(_record(calls[module.may_ignore], module)).remove)
        encoder.vectors(ids_1L, torch.ones_like(ids_1L))
    return levels


def _record(calls: list[_Call], attention: Attention) -> Any:
    def hook(_: nn.Module, arguments: tuple[Any, ...]) -> None:
        asking_QD, asking, asked_KD, asked = arguments
        weights_QK = head_weights(attention, asking_QD, asked_KD).mean(0)
        calls.append(_Call(asking=asking, asked=asked, weights_QK=weights_QK, may_ignore=attention.may_ignore))

    return hook


def head_weights(attention: Attention, asking_QD: Tensor, asked_KD: Tensor) -> Tensor:
    """Weights that ``Attention.forward`` gives one text's values: (H, Q, K), or (H, Q, 1 + K) where a token may ignore all."""
    query_QD, key_KD = attention.q_lin(asking_QD), attention.k_lin(asked_KD)
    if attention.may_ignore:
        key_KD = torch.cat([key_KD.new_zeros(1, key_KD.shape[1]), key_KD])
    query_HQd, key_HKd = (part.unflatten(1, (attention.heads, -1)).transpose(0, 1) for part in (query_QD, key_KD))
    scores_HQK = query_HQd @ key_HKd.transpose(1, 2) / query_HQd.shape[2] ** 0.5
    return scores_HQK.softmax(-1)


def _join(layer: int, asked: str, calls: list[_Call], length: int) -> AttentionMap:
    weights_LL, ignored_L = np.zeros((length, length), np.float32), np.zeros(length, np.float32)
    for call in calls:
        rows, columns = (stream.here_BL[0].nonzero()[:, 0].numpy() for stream in (call.asking, call.asked))
        weights_QK = call.weights_QK.float().numpy()
        if call.may_ignore:
            ignored_L[rows], weights_QK = weights_QK[:, 0], weights_QK[:, 1:]
        if len(rows) and len(columns):
            weights_LL[np.ix_(rows, columns)] = weights_QK
    return AttentionMap(layer=layer, asked=asked, weights_LL=weights_LL, ignored_L=ignored_L if asked == OTHER else None)
