"""Retrieval: queries are pulled to the listings that answer them, and pushed away from the other listings of the batch.

A batch holds, for each of its queries, one of its best results and others: results of a lower grade, or the listings nearest by
the vectors that the encoder had when the stage began. A result is to stand before all listings of the batch that have less gain
for the query, so one that answers it in part is pushed from the best, and pulled to from what does not answer it at all.
Source of the loss: Karpukhin et al. 2020 (dense passage retrieval), once for each grade.

Tensor suffixes: B queries, R results that are to be found, M listings, D hidden size.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn

from m5model.data.keys import key_hash
from m5model.data.randomness import generator_for, seed_for
from m5model.encoders.encoder import TextEncoder
from m5model.tasks import Batching, Examples, TaskData
from m5model.tasks._contrast import batch_rules, contrastive_loss, cut_rules
from m5model.tasks._metrics import mean_reciprocal_rank
from m5model.tasks._mining import find_nearest, vectors_now
from m5model.tasks._texts import (
    Indexed,
    TextBatch,
    TextPool,
    encode_all,
    encode_texts,
    open_pool,
    require_labels,
    require_rows,
    sample_rows,
)
from schemas.checks import is_whole, require

NAME = "retrieval"
LABELS = "relevance"
BESIDE = ("given", "mined", "none")
# The rank of the best results of at most so many queries, among the results of all of these.
EVALUATION_QUERIES = 512


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The task's part of a recipe. Raises ConfigurationError that lists every problem at once."""

    batch_rows: int = 32  # queries a step
    temperature: float = 0.05  # of cosines
    beside: Literal["given", "mined", "none"] = "given"  # which listings of each query stand beside its best one
    others: int = 1  # of these, of each query and step
    mined_from: int = 16  # nearest listings without a gain that they are drawn from
    max_tokens: int = 0  # of a text, the rest is not read while it learns; 0: all that the encoder reads

    def __post_init__(self) -> None:
        require(
            "retrieval settings",
            {
                **batch_rules(self.batch_rows, self.temperature),
                f"beside is {self.beside!r}, expected one of {', '.join(BESIDE)}": self.beside in BESIDE,
                f"others is {self.others}, expected 0 or more": is_whole(self.others),
                f"mined_from is {self.mined_from}, expected 1 or more": is_whole(self.mined_from, 1),
                **cut_rules(self.max_tokens),
            },
        )


@dataclass(frozen=True, kw_only=True)
class Queries:
    """Queries of one split that have a result with a gain, in the order of their texts."""

    texts: np.ndarray  # (n,) int64: places in the pool
    keys: np.ndarray  # (n,) int64
    gains: tuple[Mapping[int, float], ...]  # of each query: place of a listing → its gain, 0 included

    def best(self, query: int) -> np.ndarray:
        """The listings of the query's highest gain, sorted."""
        gains = self.gains[query]
        return np.asarray(sorted(place for place, gain in gains.items() if gain == max(gains.values())), np.int64)

    def lesser(self, query: int) -> np.ndarray:
        """The listings of its other grades, sorted."""
        return np.asarray(sorted(set(self.gains[query]) - set(self.best(query).tolist())), np.int64)


@dataclass(frozen=True, kw_only=True)
class QueryBatch:
    """The queries of a step, then their listings: a best one each, then the others."""

    texts: TextBatch
    queries: int
    query_of_R: np.ndarray  # int64: which query is to find the result
    positive_RM: np.ndarray  # bool: the result
    allowed_RM: np.ndarray  # bool: that one, and listings that have less gain for the query

    @property
    def tokens(self) -> int:
        return self.texts.tokens


class Retrieval:
    """The task; see m5model.tasks.Task. It has no head: it shapes the vectors themselves."""

    metric = "mean_reciprocal_rank"  # of the best results
    lower_is_better = False

    def __init__(
        self, settings: Settings, pool: TextPool, rows: Mapping[str, Queries], others: tuple[np.ndarray, ...], seed: int
    ) -> None:
        self.name = NAME
        self.head = nn.Module()
        self.seed = seed
        self.batching = Batching(batch_rows=settings.batch_rows)
        self._settings = settings
        self._pool = pool
        self._learn = rows["learn"]
        self._best = tuple(self._learn.best(query) for query in range(len(self._learn.keys)))
        self._others = others
        texts = [np.append(best, query) for query, best in zip(self._learn.texts, self._best, strict=True)]
        lengths = [int(pool.lengths[own].mean()) for own in texts]
        self.examples = Examples(keys=self._learn.keys, lengths=np.asarray(lengths, np.int64))
        per_query = 1 + (0 if settings.beside == "none" else settings.others)
        self.outcomes = min(settings.batch_rows, max(1, len(self._learn.keys))) * per_query
        self._measured = rows["validate"]
        self._chosen = sample_rows(self._measured.keys, EVALUATION_QUERIES)
        self.measured_on = f"{len(self._chosen):,} queries of the split validate"

    def batch(self, step: int, rows: np.ndarray) -> QueryBatch:
        draw = generator_for("results", self.seed, step)
        best = [int(draw.choice(self._best[row])) for row in rows]
        others = [(query, listing) for query, row in enumerate(rows) for listing in self._draw_others(int(row), draw)]
        listings = [*best, *(listing for _, listing in others)]
        gain_BM = np.asarray([[self._learn.gains[row].get(listing, 0.0) for listing in listings] for row in rows])
        query_of_M = np.asarray([*range(len(rows)), *(query for query, _ in others)])
        found_R = np.flatnonzero(gain_BM[query_of_M, np.arange(len(listings))])
        query_of_R = query_of_M[found_R]
        positive_RM = found_R[:, None] == np.arange(len(listings))[None, :]
        return QueryBatch(
            texts=self._pool.batch(np.concatenate([self._learn.texts[rows], np.asarray(listings, np.int64)])),
            queries=len(rows),
            query_of_R=query_of_R,
            positive_RM=positive_RM,
            allowed_RM=positive_RM | (gain_BM[query_of_R] < gain_BM[query_of_R, found_R][:, None]),
        )

    def _draw_others(self, row: int, draw: np.random.Generator) -> list[int]:
        found = self._others[row]
        count = min(self._settings.others, len(found))
        return [int(listing) for listing in draw.choice(found, count, replace=False)] if count else []

    def logits(self, encoder: TextEncoder, batch: QueryBatch) -> Tensor:
        """Cosines by the temperature (R, M), of the query of each result and all listings."""
        vectors = encode_texts(encoder, batch.texts)
        logits_BM = vectors[: batch.queries] @ vectors[batch.queries :].T / self._settings.temperature
        logits_RM: Tensor = logits_BM[torch.from_numpy(batch.query_of_R).to(logits_BM.device)]
        return logits_RM

    def loss(self, logits: Tensor, batch: QueryBatch) -> Tensor:
        positive_RM, allowed_RM = (torch.from_numpy(mask).to(logits.device) for mask in (batch.positive_RM, batch.allowed_RM))
        return contrastive_loss(logits, positive_RM, allowed_RM)

    def measure(self, encoder: TextEncoder) -> float:
        best = [self._measured.best(query) for query in self._chosen]
        listings = np.unique([place for query in self._chosen for place in self._measured.gains[query]])
        queries_BD = encode_all(encoder, self._pool, self._measured.texts[self._chosen])
        scores_BM = (queries_BD @ encode_all(encoder, self._pool, listings).T).cpu().numpy()
        return mean_reciprocal_rank(scores_BM, np.stack([np.isin(listings, own) for own in best]))


def build(settings: Settings, encoder: TextEncoder, data: TaskData) -> Retrieval:
    """The task on this label set. Mines listings with the encoder as it is, where the settings say so."""
    labels = require_labels(NAME, LABELS, data)
    splits = {split: labels.splits[split] for split in ("learn", "validate")}
    indexed = Indexed.of(*(rows[side][:] for rows in splits.values() for side in ("query", "text")))
    pool = open_pool(indexed.texts, data, settings.max_tokens)
    places = iter(indexed.places)
    rows = {split: _gather(found, next(places), next(places)) for split, found in splits.items()}
    for split, queries in rows.items():
        require_rows(NAME, list(queries.keys), split, labels)
    others = _list_others(rows["learn"], pool, encoder, settings)
    return Retrieval(settings, pool, rows, others, seed_for(NAME, labels.manifest.content_hash, data.seed))


def _gather(rows: Dataset, queries: np.ndarray, listings: np.ndarray) -> Queries:
    """Queries with the gains of their results. A listing that is a result twice has the higher gain."""
    gains: dict[int, dict[int, float]] = {}
    names: dict[int, str] = {}
    for query, listing, gain, name in zip(queries.tolist(), listings.tolist(), rows["gain"][:], rows["query"][:], strict=True):
        own = gains.setdefault(query, {})
        own[listing] = max(float(gain), own.get(listing, 0.0))
        names[query] = name
    kept = sorted((query for query, own in gains.items() if max(own.values()) > 0), key=names.__getitem__)
    return Queries(
        texts=np.asarray(kept, np.int64),
        keys=np.asarray([key_hash(names[query]) for query in kept], np.int64),
        gains=tuple(gains[query] for query in kept),
    )


def _list_others(queries: Queries, pool: TextPool, encoder: TextEncoder, settings: Settings) -> tuple[np.ndarray, ...]:
    """Of each query: the listings that stand beside its best one, sorted."""
    if settings.beside == "none":
        return tuple(np.zeros(0, np.int64) for _ in queries.keys)
    if settings.beside == "given":
        return tuple(queries.lesser(query) for query in range(len(queries.keys)))
    listings = np.unique([place for gains in queries.gains for place in gains])
    answers = [np.searchsorted(listings, sorted(place for place, gain in gains.items() if gain > 0)) for gains in queries.gains]

    def answers_of(start: int, stop: int) -> np.ndarray:
        excluded_NM = np.zeros((stop - start, len(listings)), bool)
        for row, places in enumerate(answers[start:stop]):
            excluded_NM[row, places] = True
        return excluded_NM

    of_queries, of_listings = (vectors_now(encoder, pool, texts) for texts in (queries.texts, listings))
    nearest = find_nearest(of_queries, of_listings, answers_of, settings.mined_from)
    return tuple(np.sort(listings[places]) for places in nearest)
