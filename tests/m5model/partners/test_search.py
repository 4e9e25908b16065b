"""Search: towers and fusion on queries whose answers only vectors know."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m5model.partners.data import PartnerData
from m5model.partners.experiment import Outcome, Plan, run_experiment
from m5model.partners.registry import find_strategy
from m5model.partners.strategies import bm25, frozen, fusion, projection, two_tower
from m5model.partners.vectors import Vectors
from schemas.errors import ConfigurationError, SpaceMismatchError
from tests.m5model.partners.conftest import DIMENSIONS, SPACE, open_rows
from tests.m5model.partners.searches import meaning_vectors, query_rows, shuffled

TOWERS = projection.Settings(dimensions=DIMENSIONS, prefixes=(8,), rounds=60, queries=16, learning_rate=0.02)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[PartnerData, Vectors]:
    rows = query_rows()
    return open_rows(tmp_path_factory.mktemp("search"), rows, "search"), meaning_vectors(rows)


@pytest.fixture(scope="module")
def projected(searched: tuple[PartnerData, Vectors]) -> Outcome:
    data, vectors = searched
    return run_experiment(Plan(data=data, vectors=vectors, strategy="projection", settings=TOWERS))


def value_of(outcome: Outcome, name: str) -> float:
    return next(float(figure.value or 0) for figure in outcome.manifest.figures if figure.name == name)


def test_a_trained_map_finds_what_the_bundles_cosine_and_words_do_not(projected: Outcome) -> None:
    lift, *parts = projected.manifest.comparisons
    by_name = {one.ours: float(one.our_value or 0) for one in parts}
    assert float(lift.our_value or 0) > 0.9
    assert lift.verdict == "better"
    assert by_name["the bundle's cosine"] < 0.8


def test_the_whole_collection_is_searched_by_query_language_too(projected: Outcome) -> None:
    names = {figure.name for figure in projected.manifest.figures}
    assert {"ndcg_at_10", "collection_map", "collection_map_first_8", "collection_ndcg_at_10_above_first_8"} <= names
    assert value_of(projected, "collection_map") > 0.4
    assert projected.tables["collection_ranks"].num_rows


def test_with_shuffled_gains_nothing_is_learned(tmp_path: Path) -> None:
    rows = shuffled(query_rows(queries=300))
    settings = replace(TOWERS, rounds=5)
    plan = Plan(
        data=open_rows(tmp_path, rows, "search"), vectors=meaning_vectors(rows), strategy="projection", settings=settings
    )
    lift = run_experiment(plan).manifest.comparisons[0]
    assert abs(float(lift.our_value or 0) - float(lift.their_value or 0)) < 0.12


def test_the_letters_of_queries_that_were_seen_are_enough_for_a_tower(searched: tuple[PartnerData, Vectors]) -> None:
    data, vectors = searched
    settings = two_tower.Settings(dimensions=8, prefixes=(), rounds=40, queries=16, learning_rate=0.02, buckets=512, layer=32)
    rows = data.rows_of("learn")
    before = two_tower.fit(
        _given(data, vectors), two_tower.Settings(dimensions=8, prefixes=(), rounds=0, buckets=512, layer=32)
    )
    fitted = two_tower.fit(_given(_judged_on_learn(data), vectors), settings)
    gains = data.select(rows).column("gain")

    def gap(model: Any) -> float:
        scores = model.scores(data, vectors, rows).values
        return float(scores[gains > 0.5].mean() - scores[gains < 0.5].mean())

    assert gap(fitted) > gap(before) + 0.3


def test_bm25_ranks_by_words_and_chooses_its_units_on_validate(tmp_path: Path) -> None:
    rows = [row | {"text": f"{row['text']} {row['query']}"} if row["gain"] else row for row in query_rows()]
    data = open_rows(tmp_path, rows, "search")
    fitted = bm25.fit(_given(data, None), bm25.Settings())
    scores = fitted.scores(data, None, data.rows_of("test")).values
    gains = data.select(data.rows_of("test")).column("gain")
    assert scores[gains > 0.5].min() > scores[gains < 0.5].max()


def test_an_ensemble_says_what_vectors_add_to_itself(tmp_path: Path) -> None:
    rows = query_rows(60)
    plan = Plan(
        data=open_rows(tmp_path, rows, "search"),
        vectors=meaning_vectors(rows),
        strategy="frozen",
        settings=frozen.Settings(trees=10, min_rows=3),
    )
    last = run_experiment(plan).manifest.comparisons[-1]
    assert (last.ours, last.theirs) == ("frozen with our vectors", "frozen without our vectors")


@pytest.mark.parametrize("strategy", ["projection", "two-tower", "fusion", "bm25", "frozen"])
def test_models_come_back_from_disk_with_the_same_scores(
    strategy: str, searched: tuple[PartnerData, Vectors], tmp_path: Path
) -> None:
    data, vectors = searched
    quick: dict[str, Any] = {
        "projection": projection.Settings(dimensions=4, rounds=1),
        "two-tower": two_tower.Settings(dimensions=4, rounds=1, buckets=64, layer=8),
        "fusion": fusion.Settings(dimensions=4),
        "bm25": bm25.Settings(),
        "frozen": frozen.Settings(trees=5),
    }
    module = find_strategy(strategy)
    fitted = module.fit(_given(data, vectors), quick[strategy])
    fitted.save(tmp_path)
    rows = data.rows_of("test")
    np.testing.assert_array_equal(
        module.load(tmp_path).scores(data, vectors, rows).values, fitted.scores(data, vectors, rows).values
    )


def test_fusion_scores_a_row_as_it_ranks_the_collection(searched: tuple[PartnerData, Vectors]) -> None:
    data, vectors = searched
    model = fusion.fit(_given(data, vectors), fusion.Settings(dimensions=8))
    rows = data.rows_of("test")[:12]
    chosen, texts = data.select(rows), data.all_texts
    for share in (-1.0, 0.3):
        model.share = share
        expected = model.scores(data, vectors, rows).values
        found = _from_collection(model, chosen.column("query").tolist(), chosen.texts(), texts, vectors)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_towers_refuse_other_spaces_and_more_dimensions_than_there_are(searched: tuple[PartnerData, Vectors]) -> None:
    data, vectors = searched
    with pytest.raises(ConfigurationError, match="dimensions is 1024"):
        projection.fit(_given(data, vectors), projection.Settings(dimensions=1024))
    towers = projection.fit(_given(data, vectors), projection.Settings(dimensions=4, rounds=0))
    other = meaning_vectors(query_rows())
    other.space_id = "f" * 16
    with pytest.raises(SpaceMismatchError, match=f"{SPACE}.*ffff"):
        towers.scores(data, other, data.rows_of("test"))


def _given(data: PartnerData, vectors: Vectors | None) -> Any:
    return Plan(data=data, vectors=vectors, strategy="bm25").given()


def _judged_on_learn(data: PartnerData) -> PartnerData:
    """The rows that are learned from, once more as the split validate: what is tested is that a tower can learn at all."""
    learned = data.select(data.rows_of("learn")).table
    place = learned.column_names.index("split")
    again = learned.set_column(place, "split", [["validate"] * learned.num_rows])
    import pyarrow as pa

    return PartnerData(partner=data.partner, table=pa.concat_tables([learned, again]), source=data.source)


def _from_collection(
    model: Any, queries: Sequence[str], items: Sequence[str], texts: list[str], vectors: Vectors
) -> list[float]:
    different = sorted(set(queries))
    rows = {}
    for part, scores in model.score_collection(different, texts, vectors):
        rows |= {different[place]: scores[""][number] for number, place in enumerate(part)}
    return [float(rows[query][texts.index(item)]) for query, item in zip(queries, items, strict=True)]
