"""Metrics of rankings: the rows of a query are ranked by their scores.

A gain from 0 to 1 says how well a row answers its query. Equal scores are ranked in an order drawn at random, which is the same
every time. Rows that bootstrap draws twice are rankings of their own, so that no ranking holds a row twice.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from m5model.partners.evaluation.metric import Metric
from m5model.partners.evaluation.scored import Scored

RELEVANT = 0.5  # gain from which on a row answers its query
EXACT = 0.999  # gain of what was asked for
DEPTH = 100  # of rankings


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Rows (n), the rankings one after the other, each from its first row to its last."""

    query: np.ndarray  # (n,) int64: number of the ranking, from 0
    rank: np.ndarray  # (n,) int64, 1 is first
    gain: np.ndarray  # (n,) float64
    count: int  # of rankings

    def total(self, values: np.ndarray) -> np.ndarray:
        """The sums (count,) of the values (n,) of each ranking."""
        return np.bincount(self.query, values, self.count)


def rank_rows(scored: Scored) -> Ranking:
    """Rankings of scored rows that have queries."""
    if scored.query_id is None or scored.row is None:
        return Ranking(query=np.empty(0, np.int64), rank=np.empty(0, np.int64), gain=np.empty(0), count=0)
    copies = _copies(scored.row)
    numbers, number = np.unique(scored.query_id * (copies.max(initial=0) + 1) + copies, return_inverse=True)
    order = np.lexsort((_drawn(scored.row), -scored.scores, number))
    ordered = number[order]
    first = np.searchsorted(ordered, ordered, side="left")
    return Ranking(query=ordered, rank=np.arange(len(order)) - first + 1, gain=scored.targets[order], count=len(numbers))


def _drawn(row: np.ndarray) -> np.ndarray:
    """A number (n,) of each row that looks drawn: the last step of SplitMix64 (Steele, Lea and Flood 2014)."""
    mixed = (row.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def _copies(row: np.ndarray) -> np.ndarray:
    """Counts how often (n,) each row came before."""
    order = np.argsort(row, kind="stable")
    ordered = row[order]
    copies = np.empty(len(row), np.int64)
    copies[order] = np.arange(len(row)) - np.searchsorted(ordered, ordered, side="left")
    return copies


def ndcg_at_10(scored: Scored) -> float:
    """Discounted gain of the first ten over that of the best order (Järvelin and Kekäläinen 2002), gains as they are."""
    ranking = rank_rows(scored)
    best = rank_rows(_sorted_by_gain(scored))
    ideal = _discounted(best)
    has_gain = ideal > 0
    return _mean(_discounted(ranking)[has_gain] / ideal[has_gain])


def _sorted_by_gain(scored: Scored) -> Scored:
    return Scored(
        scores=scored.targets,
        targets=scored.targets,
        entity=scored.entity,
        weights=scored.weights,
        query_id=scored.query_id,
        row=scored.row,
    )


def _discounted(ranking: Ranking) -> np.ndarray:
    return ranking.total(np.where(ranking.rank <= 10, ranking.gain / np.log2(ranking.rank + 1), 0.0))


def average_precision(scored: Scored) -> tuple[np.ndarray, np.ndarray]:
    """Mean precision at the relevant rows among the first hundred, and the gain, of rankings with a relevant row."""
    ranking = rank_rows(scored)
    relevant = ranking.gain >= RELEVANT
    running = np.cumsum(relevant)
    before = np.concatenate([[0], running])[np.flatnonzero(ranking.rank == 1)] if ranking.count else np.empty(0)
    found = running - before[ranking.query]
    precision = ranking.total(np.where(relevant & (ranking.rank <= DEPTH), found / ranking.rank, 0.0))
    return _per_relevant(ranking, precision, relevant)


def recall(scored: Scored) -> tuple[np.ndarray, np.ndarray]:
    """The share of relevant rows that are among the first hundred, and the gain, of rankings with a relevant row."""
    ranking = rank_rows(scored)
    if not _is_longer(ranking, DEPTH):
        return np.empty(0), np.empty(0)
    relevant = ranking.gain >= RELEVANT
    return _per_relevant(ranking, ranking.total((relevant & (ranking.rank <= DEPTH)).astype(np.float64)), relevant)


def exact_at_16(scored: Scored) -> float:
    """The share of a query's exact matches (at most 16 of them) that is among the first 16; the mean over queries."""
    ranking = rank_rows(scored)
    exact = ranking.gain >= EXACT
    counts = ranking.total(exact.astype(np.float64))
    found = ranking.total((exact & (ranking.rank <= 16)).astype(np.float64))
    return _mean(found[counts > 0] / np.minimum(counts[counts > 0], 16)) if _is_longer(ranking, 16) else float("nan")


def _is_longer(ranking: Ranking, depth: int) -> bool:
    """Else all rows are among the first, whatever the model says."""
    return bool((ranking.rank > depth).any())


def _per_relevant(ranking: Ranking, found: np.ndarray, relevant: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    counts = ranking.total(relevant.astype(np.float64))
    gains = ranking.total(np.where(relevant, ranking.gain, 0.0))
    return found[counts > 0] / counts[counts > 0], gains[counts > 0]


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _unweighted(measure: Callable[[Scored], tuple[np.ndarray, np.ndarray]]) -> Callable[[Scored], float]:
    return lambda scored: _mean(measure(scored)[0])


def _weighted(measure: Callable[[Scored], tuple[np.ndarray, np.ndarray]]) -> Callable[[Scored], float]:
    """Queries count by the gain that they have in all."""

    def mean(scored: Scored) -> float:
        values, gains = measure(scored)
        return float(np.average(values, weights=gains)) if len(values) else float("nan")

    return mean


KINDS = ("relevance",)
METRICS = (
    Metric(name="ndcg_at_10", measure=ndcg_at_10, meaning="normalised discounted gain of the first ten", kinds=KINDS),
    Metric(name="map", measure=_unweighted(average_precision), meaning="mean average precision, queries alike", kinds=KINDS),
    Metric(
        name="map_weighted",
        measure=_weighted(average_precision),
        meaning="mean average precision, queries by the gain that they have",
        kinds=KINDS,
    ),
    Metric(
        name="recall_at_100",
        measure=_unweighted(recall),
        meaning="share of relevant listings among the first hundred, queries alike",
        kinds=KINDS,
    ),
    Metric(
        name="recall_at_100_weighted",
        measure=_weighted(recall),
        meaning="share of relevant listings among the first hundred, queries by the gain that they have",
        kinds=KINDS,
    ),
    Metric(name="exact_at_16", measure=exact_at_16, meaning="share of exact matches among the first sixteen", kinds=KINDS),
)
