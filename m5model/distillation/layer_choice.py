"""Chooses which layers of an encoder a student takes: those without which its vectors lie to each other as they did.

Layers are dropped one after the other, each time the one whose loss leaves the similarities of some texts nearest to those of
the whole encoder; the last layer stays, for it makes the vectors. Evenly spaced layers are a guess, this is measured, in about
as many passes as half the square of the layers. What was found is kept, so that a run started again takes the same. Source:
backward elimination; Men et al. 2024 (ShortGPT) order layers by their influence for the same end.
"""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from m5model.data.token_rows import TokenRows
from m5model.distillation.vectors import encode_all
from m5model.encoders.bert import only_layers
from m5model.encoders.encoder import TextEncoder
from m5model.export.parity import pair_correlation
from m5model.files import storage
from m5model.training.progress import say

# 18,336 pairs of texts; the beginning of each says enough.
CHOICE_TEXTS, CHOICE_TOKENS = 192, 64


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An encoder, and texts to compare its vectors on."""

    encoder: TextEncoder
    rows: TokenRows


def choose_layers(
    open_encoder: Callable[[], Opened], of: int, counts: Collection[int], path: str
) -> dict[int, tuple[int, ...]]:
    """Count → the layers to take of ``of`` layers, by number from 0; empty for all of them. ``path`` keeps what was found."""
    kept = (
        {int(count): tuple(layers) for count, layers in json.loads(storage.read_bytes(path)).items()}
        if storage.exists(path)
        else {}
    )
    wanted = {count for count in counts if count < of}
    if wanted - kept.keys():
        opened = open_encoder()
        kept |= drop_layers(opened.encoder, opened.rows, of, min(wanted))
        storage.write_bytes(path, json.dumps(kept, sort_keys=True).encode())
    return {count: kept[count] if count < of else () for count in counts}


def drop_layers(encoder: TextEncoder, rows: TokenRows, of: int, fewest: int) -> dict[int, tuple[int, ...]]:
    """Count → layers that are left, from ``of`` - 1 down to ``fewest``."""
    chosen = np.arange(min(CHOICE_TEXTS, len(rows.keys)))
    whole_ND = encode_all(encoder, rows, chosen)

    def agreement(layers: tuple[int, ...]) -> float:
        with only_layers(encoder, layers):
            return pair_correlation(encode_all(encoder, rows, chosen), whole_ND)

    left, found = tuple(range(of)), {}
    while len(left) > max(1, fewest):
        tried = {tuple(layer for layer in left if layer != dropped): dropped for dropped in left[:-1]}
        agreements = {layers: agreement(layers) for layers in tried}
        left = max(agreements, key=agreements.__getitem__)
        found[len(left)] = left
        say(f"{len(left)} layers: {', '.join(map(str, left))}; agreement before any step {agreements[left]:.4f}")
    return found
