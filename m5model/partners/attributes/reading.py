"""Says what taggers say of a text: spans that they mark, and how likely any span is the value of an attribute.

Tensor suffixes: L tokens, T tags: 0 is outside, 1 + 2n begins a value of attribute n, 2 + 2n goes on with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

OUTSIDE = 0
Place = tuple[int, int]  # first character, and the one behind the last


@dataclass(frozen=True, kw_only=True)
class TaggedText:
    """Probabilities of tags, and the characters that tokens cover (none where they are special)."""

    offsets: tuple[Place, ...]
    tags_LT: np.ndarray  # (L, T) float32

    def spans(self, text: str, number: int) -> list[Place]:
        """Places that are marked as values of an attribute: tokens for which one of its two tags is likelier than outside."""
        own_L = self.tags_LT[:, 1 + 2 * number : 3 + 2 * number]
        is_own = (own_L.max(axis=1) > self.tags_LT[:, OUTSIDE]) & np.asarray([last > first for first, last in self.offsets])
        begins = own_L[:, 0] >= own_L[:, 1]
        found: list[list[int]] = []
        for place in np.flatnonzero(is_own):
            if found and not begins[place] and place and is_own[place - 1]:
                found[-1][1] = self.offsets[place][1]
            else:
                found.append(list(self.offsets[place]))
        return [_trim(text, first, last) for first, last in found]

    def likelihood(self, place: Place, number: int) -> tuple[float, float]:
        """Mean probability of the span's tags, and that of its going on behind its end."""
        first, last = place
        inside = [row for row, (start, end) in enumerate(self.offsets) if start < last and first < end]
        if not inside:
            return float("nan"), float("nan")
        begin, goes_on = 1 + 2 * number, 2 + 2 * number
        chances = [self.tags_LT[inside[0], begin], *(self.tags_LT[row, goes_on] for row in inside[1:])]
        behind = inside[-1] + 1
        return float(np.mean(chances)), float(self.tags_LT[behind, goes_on]) if behind < len(self.offsets) else 0.0


def mean_likelihood(read: Sequence[tuple[TaggedText, int]], place: Place) -> tuple[float, float]:
    """The mean of several taggers' likelihoods; each comes with its own number of the attribute."""
    found = [tagged.likelihood(place, number) for tagged, number in read]
    return (
        (float("nan"), float("nan"))
        if not found
        else (float(np.mean([one[0] for one in found])), float(np.mean([one[1] for one in found])))
    )


def _trim(text: str, first: int, last: int) -> Place:
    """Without blanks and signs at the ends, which a token may cover with its word."""
    first = max(first, 0)
    while first < last and not text[first].isalnum():
        first += 1
    while last > first and not (text[last - 1].isalnum() or text[last - 1] in '%")'):
        last -= 1
    return first, last
