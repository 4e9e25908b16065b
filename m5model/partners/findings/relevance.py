"""Of queries: does the model find what answers them among all texts of the data, not among the judged ones alone?

Texts that nobody judged for a query count as wrong, so that figures are lower bounds. They compare models that are
judged alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from m5model.gates.evidence import state
from m5model.gates.intervals import bootstrap
from m5model.partners.data import PartnerData
from m5model.partners.evaluation.metric import metrics_of
from m5model.partners.evaluation.metrics.ranking import DEPTH, ndcg_at_10
from m5model.partners.evaluation.scored import Scored
from m5model.partners.finding import Findings
from m5model.partners.ranking import numbered
from m5model.partners.vectors import Vectors
from schemas.figure import Figure
from schemas.space import sha256_hex

if TYPE_CHECKING:
    from m5model.partners.experiment import Judged

QUERIES = 400  # of the split test, drawn by hash
MIN_QUERIES = 10  # of a language that has figures of its own
BY_LANGUAGE = ("recall_at_100", "ndcg_at_10")


def find(data: PartnerData, vectors: Vectors | None, judged: Judged) -> Findings:
    """Figures ``collection_METRIC`` of the model, ``collection_METRIC_PART`` of its parts, and some of every query language."""
    score = getattr(judged.fitted, "score_collection", None)
    if score is None:
        return Findings()
    tested = _sample(data.select(data.rows_of("test")))
    queries, query = numbered(tested.column("query").tolist())
    texts = data.all_texts
    place = {text: number for number, text in enumerate(texts)}
    gains = _gains(query, [place[text] for text in tested.texts()], tested.column("gain"))
    found: dict[str, list[Scored]] = {}
    for part, scores in score(queries, texts, vectors):
        for name, scores_QN in scores.items():
            found.setdefault(name, []).append(_rank_collection(part, scores_QN, gains))
    rankings = {name: _join(parts) for name, parts in found.items()}
    languages = np.asarray(tested.column("query_language"), object)[np.unique(query, return_index=True)[1]]
    measured_on = f"{len(queries):,} queries of the split test among {len(texts):,} texts"
    figures = [one for name, ranking in rankings.items() for one in _figures(name, ranking, measured_on)]
    lifts = [_lift(name, ranking, rankings[""], measured_on) for name, ranking in rankings.items() if name]
    return Findings(
        figures=(*figures, *lifts, *_figures_by_language(rankings[""], languages)),
        tables={"collection_ranks": _table(rankings[""], queries, texts)},
    )


def _sample(tested: PartnerData) -> PartnerData:
    """All rows of at most QUERIES queries."""
    queries = sorted(set(tested.column("query")), key=lambda query: sha256_hex(str(query).encode()))
    kept = set(queries[:QUERIES])
    return tested.select(np.flatnonzero([query in kept for query in tested.column("query")]))


def _gains(query: np.ndarray, text: list[int], gain: np.ndarray) -> Mapping[int, Mapping[int, float]]:
    """Gain by place of text, by place of query."""
    found: dict[int, dict[int, float]] = {}
    for one, place, value in zip(query.tolist(), text, gain.tolist(), strict=True):
        found.setdefault(one, {})[place] = value
    return found


def _rank_collection(queries: np.ndarray, scores_QN: np.ndarray, gains: Mapping[int, Mapping[int, float]]) -> Scored:
    """The first hundred of each query, and behind them whatever else was judged for it."""
    rows, scores, targets, owner = [], [], [], []
    depth = min(DEPTH, scores_QN.shape[1])
    for number, line in zip(queries.tolist(), scores_QN, strict=True):
        first = np.argpartition(-line, depth - 1)[:depth]
        missing = np.setdiff1d(np.fromiter(gains[number], np.int64), first)
        places = np.concatenate([first, missing])
        rows.append(number * scores_QN.shape[1] + places)
        scores.append(np.concatenate([line[first], np.full(len(missing), -np.inf)]))
        targets.append(np.asarray([gains[number].get(place, 0.0) for place in places.tolist()]))
        owner.append(np.full(len(places), number, np.int64))
    ids = np.concatenate(owner)
    return Scored(
        scores=np.concatenate(scores),
        targets=np.concatenate(targets),
        entity=ids,
        weights=np.ones(len(ids)),
        query=ids,
        query_id=ids,
        row=np.concatenate(rows),
    )


def _join(parts: list[Scored]) -> Scored:
    ids = np.concatenate([part.entity for part in parts])
    return Scored(
        scores=np.concatenate([part.scores for part in parts]),
        targets=np.concatenate([part.targets for part in parts]),
        entity=ids,
        weights=np.ones(len(ids)),
        query=ids,
        query_id=ids,
        row=np.concatenate([part.row for part in parts if part.row is not None]),
    )


def _figures(name: str, ranking: Scored, measured_on: str) -> list[Figure]:
    ending = f"_{name}" if name else ""
    values = {metric.name: metric.measure(ranking) for metric in metrics_of("relevance")}
    return [state(f"collection_{metric}{ending}", value, measured_on) for metric, value in values.items() if np.isfinite(value)]


def _lift(name: str, theirs: Scored, ours: Scored, measured_on: str) -> Figure:
    """nDCG@10 of the model less that of a part, with its interval over queries."""
    rows_of = {"ours": _rows_by_query(ours), "theirs": _rows_by_query(theirs)}

    def difference(queries: np.ndarray) -> float:
        values = (
            ndcg_at_10(ranking.select(np.concatenate([rows_of[whose][query] for query in queries])))
            for whose, ranking in (("ours", ours), ("theirs", theirs))
        )
        return next(values) - next(values)

    count = len(rows_of["ours"])
    found = bootstrap(difference, np.arange(count))
    return Figure(
        name=f"collection_ndcg_at_10_above_{name}", value=found.value, low=found.low, high=found.high, measured_on=measured_on
    )


def _rows_by_query(ranking: Scored) -> list[np.ndarray]:
    order = np.argsort(ranking.entity, kind="stable")
    return np.split(order, np.cumsum(np.bincount(ranking.entity))[:-1])


def _figures_by_language(ranking: Scored, languages: np.ndarray) -> list[Figure]:
    """Of every query language that is stated, where there are several."""
    stated = sorted({str(one) for one in languages if one is not None})
    figures = []
    for language in stated if len(stated) > 1 else ():
        inside = np.flatnonzero(languages == language)
        if len(inside) < MIN_QUERIES:
            continue
        part = ranking.select(np.flatnonzero(np.isin(ranking.entity, inside)))
        values = {one.name: one.measure(part) for one in metrics_of("relevance") if one.name in BY_LANGUAGE}
        measured_on = f"{len(inside):,} queries in {language}"
        figures += [state(f"collection_{name}_{language}", value, measured_on) for name, value in values.items()]
    return [figure for figure in figures if figure.value is not None and np.isfinite(figure.value)]


def _table(ranking: Scored, queries: list[str], texts: list[str]) -> pa.Table:
    """Returns what the model finds first for each query, beside what was judged."""
    chosen = ranking.select(np.flatnonzero(np.isfinite(ranking.scores)))
    return pa.table(
        {
            "query": [queries[one] for one in chosen.entity.tolist()],
            "text": [texts[one % len(texts)] for one in chosen.row.tolist()] if chosen.row is not None else [],
            "score": pa.array(chosen.scores),
            "gain": pa.array(chosen.targets),
        }
    )
