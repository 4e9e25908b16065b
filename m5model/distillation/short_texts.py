"""Cuts the texts of a step into short ones, as long as a query or a name: a student is to follow its teacher on these, too.

Listings have dozens of tokens, queries a few, and an encoder's states of few tokens are not those of many. Each piece keeps
what stands before and after every text: the token that begins it, the rendering's prefix, the token that ends it.

Tensor suffixes: B rows, L tokens.
"""

from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from m5model.data.token_rows import pad_ids

FEWEST, MOST = 1, 8  # tokens of a piece, without its frame


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Says how many tokens stand before and after the words of every text."""

    before: int
    after: int

    @classmethod
    def of(cls, tokenizer: Tokenizer, prefix: str) -> "Frame":
        """Finds that of texts which begin with ``prefix``, as the tokenizer cuts them, special tokens included."""
        own = Tokenizer.from_str(tokenizer.to_str())  # its settings are its owner's
        own.no_truncation()
        encoding = own.encode(prefix.rstrip())
        special = np.asarray(encoding.special_tokens_mask, bool)
        after = int(np.argmin(special[::-1])) if not special.all() else int(own.num_special_tokens_to_add(False) > 1)
        return cls(before=len(special) - after, after=after)


def cut_texts(
    ids_BL: np.ndarray, mask_BL: np.ndarray, frame: Frame, draw: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Returns ids and mask, int64, of all pieces of the rows, in their order. A row with no words stays as it is."""
    pieces: list[list[int]] = []
    for ids_L, length in zip(ids_BL, mask_BL.sum(axis=1), strict=True):
        row = ids_L[:length].tolist()
        end = len(row) - frame.after
        starts = _cut(frame.before, end, draw)
        pieces += [row[: frame.before] + row[start:stop] + row[end:] for start, stop in starts] or [row]
    return pad_ids(pieces)


def _cut(first: int, end: int, draw: np.random.Generator) -> list[tuple[int, int]]:
    """Says where the pieces of the tokens from ``first`` to ``end`` begin and stop."""
    spans = []
    while first < end:
        stop = min(end, first + int(draw.integers(FEWEST, MOST, endpoint=True)))
        spans.append((first, stop))
        first = stop
    return spans
