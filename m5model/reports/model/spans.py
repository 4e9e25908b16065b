"""Finds which pieces of a listing's text make it similar to its nearest neighbour: integrated gradients, and occlusion.

Occlusion leaves out one token at a time and looks how much similarity is lost (Zeiler and Fergus 2014; Li, Monroe, Jurafsky
2016, of words). It needs nothing but vectors, so it sees what executors run. Tensor suffixes: L tokens, D dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Encoding, Tokenizer

from m5model.reports.model.facts import Span
from m5model.reports.model.vectors import OpenedModel
from m5model.runtime.rendering import MARKS

LOOKED_TOKENS = 64  # of a text: occlusion costs the square of them
FIELD_OF_MARK = {mark: name.removeprefix("attribute_") for name, mark in MARKS.items()}


@dataclass(frozen=True, kw_only=True)
class TokenText:
    """A text and its tokens, cut as the model reads it; and where in the text each token lies."""

    text: str
    ids_L: np.ndarray  # int64
    offsets: Sequence[tuple[int, int]]  # characters; empty of control tokens
    names: Sequence[str]
    cut: int  # tokens that were left out

    @property
    def is_content_L(self) -> np.ndarray:
        """Tokens that stand for text of the listing: neither control tokens nor marks of fields, bool."""
        return np.asarray([end > start and self.text[start:end] not in FIELD_OF_MARK for start, end in self.offsets])


def read_tokens(tokenizer: Tokenizer, text: str, max_tokens: int) -> TokenText:
    """Tokens of ``text``. Where it is cut, it keeps its closing control token, as in m5model.runtime.tokens."""
    encoding: Encoding = tokenizer.encode(text)
    places = list(range(len(encoding.ids)))
    kept = places if len(places) <= max_tokens else [*places[: max_tokens - 1], places[-1]]
    is_special = encoding.special_tokens_mask
    return TokenText(
        text=text,
        ids_L=np.asarray([encoding.ids[place] for place in kept], np.int64),
        offsets=[(0, 0) if is_special[place] else encoding.offsets[place] for place in kept],
        names=[encoding.tokens[place] for place in kept],
        cut=len(places) - len(kept),
    )


def occlude(model: OpenedModel, ids_L: np.ndarray, is_content_L: np.ndarray, target_D: np.ndarray) -> tuple[np.ndarray, float]:
    """The similarity that the text loses with each content token (L,) float32, 0 of others; and the similarity itself."""
    places = np.flatnonzero(is_content_L)
    vectors_BD = model.encode([ids_L, *(np.delete(ids_L, place) for place in places)])
    similarities_B = vectors_BD @ target_D
    lost_L = np.zeros(len(ids_L), np.float32)
    lost_L[places] = similarities_B[0] - similarities_B[1:]
    return lost_L, float(similarities_B[0])


def cut_into_spans(tokens: TokenText, gradients_L: np.ndarray | None, occlusion_L: np.ndarray) -> list[Span]:
    """The text as spans in its order. Tokens that share characters (bytes of one letter) are one span; blanks are their own."""
    spans: list[Span] = []
    end = 0
    for first, last, members in _groups(tokens):
        spans += _gap(tokens.text[end:first])
        piece = tokens.text[first:last]
        if piece in FIELD_OF_MARK:
            spans.append(Span(text=FIELD_OF_MARK[piece], is_mark=True))
        else:
            blank = len(piece) - len(piece.lstrip())
            spans += _gap(piece[:blank])
            added = None if gradients_L is None else float(gradients_L[members].sum())
            if piece[blank:]:
                spans.append(Span(text=piece[blank:], gradients=added, occlusion=float(occlusion_L[members].sum())))
        end = last
    return spans


def _groups(tokens: TokenText) -> list[tuple[int, int, list[int]]]:
    """Runs of tokens that share characters: first character, end, and the tokens. Control tokens are in none.

    A blank that is a token of its own belongs to the word that it begins.
    """
    groups: list[tuple[int, int, list[int]]] = []
    for place, (first, last) in enumerate(tokens.offsets):
        if last <= first:
            continue
        if groups and _goes_on(tokens.text, groups[-1][:2], first, last):
            begun, end, members = groups.pop()
            groups.append((begun, max(end, last), [*members, place]))
        else:
            groups.append((first, last, [place]))
    return groups


def _goes_on(text: str, group: tuple[int, int], first: int, last: int) -> bool:
    """Does a token of these characters belong to the group before it?"""
    begun, end = group
    is_word = text[first:last] not in FIELD_OF_MARK
    return first < end or (first == end and is_word and text[begun:end].isspace())


def _gap(text: str) -> list[Span]:
    return [Span(text=text)] if text else []
