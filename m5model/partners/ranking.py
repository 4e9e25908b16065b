"""Models that rank: they score rows of queries, and whole collections of texts for queries."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from m5model.partners.data import PartnerData
from m5model.partners.evaluation.metric import find_metric
from m5model.partners.evaluation.scored import pair_with_truth
from m5model.partners.vectors import Vectors

CHUNK = 64  # queries at a time: a row of scores is as long as the collection


class CollectionRanker(Protocol):
    """A model that can rank all of a collection."""

    def score_collection(
        self, queries: Sequence[str], texts: Sequence[str], vectors: Vectors | None
    ) -> Iterator[tuple[np.ndarray, Mapping[str, np.ndarray]]]:
        """Yields places (c,) of queries, and scores (c, N) of all texts by what gives them; "" is the model itself."""
        ...


def chunks_of(count: int) -> Iterator[np.ndarray]:
    """Places (c,) of so many queries, some at a time."""
    return (np.arange(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK))


def numbered(values: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """The different values, and the place (n,) of each among them."""
    found: dict[str, int] = {}
    places = np.fromiter((found.setdefault(value, len(found)) for value in values), np.int64, len(values))
    return list(found), places


def judge_ranks(data: PartnerData, rows: np.ndarray, scores: np.ndarray) -> float:
    """nDCG@10 of the scores (k,) of the rows (k,)."""
    return find_metric("ndcg_at_10").measure(pair_with_truth(data, rows, scores))
