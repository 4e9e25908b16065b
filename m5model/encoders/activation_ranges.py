"""Watches an encoder read texts: how large every channel gets after each layer, and in what each linear product reads.

Texts are read one at a time, so that there is no padding among what is seen. Tensor suffixes: L tokens, N tokens of all texts,
C channels.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from m5model.encoders.cross_attention import CrossAttentionEncoder
from m5model.encoders.encoder import TextEncoder
from m5model.encoders.streams import STREAMS


@dataclass(kw_only=True)
class ChannelRange:
    """One activation over all texts."""

    largest_C: np.ndarray  # float32, the largest magnitude of each channel
    squares: float = 0.0  # sum over all values
    values: int = 0
    readers: list[str] = field(default_factory=list)  # the products that read it; none of a hidden state

    @property
    def root_mean_square(self) -> float:
        return float(np.sqrt(self.squares / self.values)) if self.values else 0.0

    def add(self, seen_NC: Tensor) -> None:
        values_NC = seen_NC.detach().reshape(-1, seen_NC.shape[-1]).float()
        if not len(values_NC):
            return  # a stream that the text does not have
        self.largest_C = np.maximum(self.largest_C, values_NC.abs().amax(0).numpy())
        self.squares += float(values_NC.double().square().sum())
        self.values += values_NC.numel()


@dataclass(kw_only=True)
class LayerActivations:
    """Holds what was seen in one layer: the hidden states that leave it, by stream, and what its linear products read."""

    name: str
    hidden: dict[str, ChannelRange] = field(default_factory=dict)  # stream → range; the stream of an encoder with one is ""
    products: dict[str, ChannelRange] = field(default_factory=dict)  # the first product that reads it → range


@torch.no_grad()
def observe_activations(encoder: TextEncoder, texts: Sequence[np.ndarray]) -> list[LayerActivations]:
    """Activations of all texts (token ids, int64 (L,) each): those of the embeddings first, then layer by layer."""
    layers = [LayerActivations(name="embeddings")]
    layers += [LayerActivations(name=f"layer {number}") for number in range(1, len(encoder.blocks) + 1)]
    is_split = isinstance(encoder, CrossAttentionEncoder)
    for ids_L in texts:
        with _watched(encoder, layers, is_split):
            ids_1L = torch.from_numpy(ids_L)[None]
            encoder.vectors(ids_1L, torch.ones_like(ids_1L))
    return layers


@contextmanager
def _watched(encoder: TextEncoder, layers: Sequence[LayerActivations], is_split: bool) -> Iterator[None]:
    """While it is open, one text's activations are added to ``layers``."""
    with ExitStack() as hooks:
        for number, block in enumerate(encoder.blocks):
            if number == 0:
                first = _before_first(layers[0], is_split)
                hooks.callback(block.register_forward_pre_hook(first, with_kwargs=True).remove)
            hooks.callback(block.register_forward_hook(_after(layers[number + 1], is_split)).remove)
            seen: dict[int, tuple[Tensor, ChannelRange]] = {}
            for name, module in block.named_modules():
                if isinstance(module, nn.Linear):
                    hooks.callback(module.register_forward_pre_hook(_read(layers[number + 1], name, seen)).remove)
        yield


def _before_first(layer: LayerActivations, is_split: bool) -> Any:
    def hook(_: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        _add_hidden(layer, arguments or tuple(named.values()), is_split)

    return hook


def _after(layer: LayerActivations, is_split: bool) -> Any:
    def hook(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        _add_hidden(layer, output if isinstance(output, tuple) else (output,), is_split)

    return hook


def _add_hidden(layer: LayerActivations, found: tuple[Any, ...], is_split: bool) -> None:
    """Of several values the first are the hidden states: one, or one of each stream."""
    tensors = [value for value in found if isinstance(value, Tensor) and value.is_floating_point()]
    for stream, tensor in zip(STREAMS if is_split else ("",), tensors, strict=False):
        _range(layer.hidden, stream, tensor).add(tensor)


def _read(layer: LayerActivations, name: str, seen: dict[int, tuple[Tensor, ChannelRange]]) -> Any:
    """``seen`` holds the tensors that products of this text read already: query, key and value read the same."""

    def hook(_: nn.Module, arguments: tuple[Any, ...]) -> None:
        tensor = arguments[0]
        if id(tensor) not in seen:
            found = _range(layer.products, name, tensor)
            found.add(tensor)
            seen[id(tensor)] = tensor, found
        readers = seen[id(tensor)][1].readers
        if name not in readers:
            readers.append(name)

    return hook


def _range(ranges: dict[str, ChannelRange], name: str, tensor: Tensor) -> ChannelRange:
    return ranges.setdefault(name, ChannelRange(largest_C=np.zeros(tensor.shape[-1], np.float32)))
