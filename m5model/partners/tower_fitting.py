"""Fits towers to a partner's judged queries: of queries' vectors, or of their letters."""

from dataclasses import dataclass

import numpy as np

from m5model.partners.data import PartnerData
from m5model.partners.ranking import judge_ranks, numbered
from m5model.partners.strategy import Given
from m5model.partners.tower_training import Judgements, LetterTower, MapTower, TowerPlan, new_letter_tower, train_towers
from m5model.partners.towers import Towers
from m5model.partners.trigram_tower import hash_trigrams
from m5model.partners.vector_map import VectorMap
from m5model.partners.vectors import Vectors
from schemas.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The queries and texts of a partner's rows, numbered; texts with their vectors."""

    queries: list[str]
    texts: list[str]
    learned: Judgements
    vectors: Vectors

    @classmethod
    def of(cls, given: Given) -> "Judged":
        if given.vectors is None:
            raise ConfigurationError("towers rank by vectors, and there is no bundle", next_step="give one, or use bm25")
        chosen = given.data.select(given.learn())
        queries, query = numbered(chosen.column("query").tolist())
        texts, text = numbered(chosen.texts())
        learned = Judgements(query=query, text=text, gain=chosen.column("gain").astype(np.float32))
        return cls(queries=queries, texts=texts, learned=learned, vectors=given.vectors)


def fit_projection(given: Given, plan: TowerPlan, dimensions: int) -> Towers:
    """A map of queries' vectors and one of listings' vectors; both begin with the main directions of listings."""
    judged = Judged.of(given)
    items_ND, query_QD = judged.vectors.of(judged.texts), judged.vectors.of(judged.queries)
    start = VectorMap.principal(items_ND, dimensions)
    items = MapTower(items_ND, start)
    query = MapTower(query_QD, VectorMap(mean_D=query_QD.mean(axis=0), matrix_DP=start.matrix_DP))
    return _train(given, judged, plan, query, items)


def fit_letters(given: Given, plan: TowerPlan, dimensions: int, buckets: int, layer: int) -> Towers:
    """A tower of queries' letters; listings' vectors along their main directions, which are not trained."""
    judged = Judged.of(given)
    items_ND = judged.vectors.of(judged.texts)
    items = MapTower(items_ND, VectorMap.principal(items_ND, dimensions))
    items.requires_grad_(False)
    query = new_letter_tower(hash_trigrams(judged.queries, buckets), layer, items.weight_DP.shape[1], given.seed)
    return _train(given, judged, plan, query, items)


def _train(given: Given, judged: Judged, plan: TowerPlan, query: MapTower | LetterTower, items: MapTower) -> Towers:
    rows = given.data.rows_of("validate")

    def as_they_are() -> Towers:
        prefixes = tuple(sorted(one for one in plan.prefixes if one < items.weight_DP.shape[1]))
        return Towers(items=items.frozen(), query=query.frozen(), space_id=judged.vectors.space_id, prefixes=prefixes)

    train_towers(
        query, items, judged.learned, plan, lambda: _rank_value(as_they_are(), given.data, judged.vectors, rows), given.seed
    )
    return as_they_are()


def _rank_value(towers: Towers, data: PartnerData, vectors: Vectors, rows: np.ndarray) -> float:
    return judge_ranks(data, rows, towers.scores(data, vectors, rows).values)
