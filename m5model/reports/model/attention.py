"""The attention of one listing's text: a map for each layer, with its tokens as labels."""

from collections.abc import Sequence

import numpy as np

from m5model.encoders.attention_weights import OTHER, OWN, AttentionMap, attention_maps
from m5model.encoders.encoder import TextEncoder
from m5model.reports.model.facts import AttentionFacts, HeatMap, LayerAttention, ShownListing
from m5model.reports.model.spans import FIELD_OF_MARK, TokenText

SHOWN_TOKENS = 48
BLANK, LONE_BLANK = "▁", "␣"  # a space in the pieces of SentencePiece, and how one that stands alone is shown


def describe_attention(encoder: TextEncoder, listing: ShownListing, tokens: TokenText) -> AttentionFacts:
    """All layers' maps of the text. Raises ConfigurationError for a model that does not give its attention out."""
    by_layer: dict[int, list[HeatMap]] = {}
    maps = attention_maps(encoder, tokens.ids_L)
    is_split = any(found.asked == OTHER for found in maps)
    for found in maps:
        by_layer.setdefault(found.layer, []).append(_heat_map(found, tokens, is_split))
    return AttentionFacts(
        listing=listing,
        tokens=[_label(name) for name in tokens.names[:SHOWN_TOKENS]],
        cut=tokens.cut + max(0, len(tokens.names) - SHOWN_TOKENS),
        layers=[LayerAttention(name=f"layer {number}", maps=maps) for number, maps in by_layer.items()],
    )


def _heat_map(found: AttentionMap, tokens: TokenText, is_split: bool) -> HeatMap:
    shown_QK = found.weights_LL[:SHOWN_TOKENS, :SHOWN_TOKENS]
    ignored = None if found.ignored_L is None else [float(share) for share in found.ignored_L[:SHOWN_TOKENS]]
    return HeatMap(
        title={OWN: "to its own stream" if is_split else "to all tokens", OTHER: "to the other stream"}[found.asked],
        weights=[[float(weight) for weight in row] for row in shown_QK],
        ignored=ignored,
        summary=_summarise(found, tokens.is_content_L),
    )


def _summarise(found: AttentionMap, is_content_L: np.ndarray) -> str:
    """Say where the weight goes, as the mean over the tokens that ask."""
    asks_L = found.weights_LL.sum(axis=1) > 0
    if found.ignored_L is not None:
        asks_L |= found.ignored_L > 0
    if not asks_L.any():
        return "no token asks here"
    weights_QK = found.weights_LL[asks_L]
    shares = [("control tokens and marks", float(weights_QK[:, ~is_content_L].sum(axis=1).mean()))]
    if found.ignored_L is None:
        shares.append(("the token itself", float(np.diagonal(found.weights_LL)[asks_L].mean())))
        shares.append(("the tokens beside it", _beside(found.weights_LL)[asks_L].mean()))
    else:
        shares.append(("nothing", float(found.ignored_L[asks_L].mean())))
    return ", ".join(f"{share:.0%} to {name}" for name, share in shares)


def _beside(weights_LL: np.ndarray) -> np.ndarray:
    """Weight on the token before and the one behind (L,)."""
    beside_L = np.zeros(len(weights_LL), np.float64)
    beside_L[1:] += np.diagonal(weights_LL, -1)
    beside_L[:-1] += np.diagonal(weights_LL, 1)
    return beside_L


def _label(name: str) -> str:
    return f"‹{FIELD_OF_MARK[name]}›" if name in FIELD_OF_MARK else name.replace(BLANK, "") or LONE_BLANK


def shortest(texts: Sequence[TokenText]) -> int:
    """The text whose map is easiest to read: the one of fewest tokens, cut ones last."""
    return min(range(len(texts)), key=lambda place: (texts[place].cut, len(texts[place].ids_L), place))
