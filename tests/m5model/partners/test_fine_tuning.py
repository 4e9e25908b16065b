"""Encoders that are fine-tuned on a partner's pairs: weighed with evidence, kept, and found again."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from m5model.partners.pair_ensemble import PairEnsemble
from m5model.partners.registry import find_strategy
from m5model.partners.strategy import Given
from schemas.errors import ConfigurationError
from tests.m5model.partners.conftest import open_rows, pair_rows

CASES = {
    "bi-encoder": {"steps": 3, "products": 4, "tokens": 16},
    "cross-encoder": {"steps": 3, "contrast_steps": 2, "tokens": 16, "token_budget": 256},
}


@pytest.fixture(scope="module")
def given(trained, tmp_path_factory: pytest.TempPathFactory) -> Given:
    data = open_rows(tmp_path_factory.mktemp("pairs"), pair_rows(products=80))
    return Given(data=data, vectors=None, source=str(trained.student_folder), device="cpu", threads=1)


def fit(name: str, given: Given, **changes: Any) -> PairEnsemble:
    strategy = find_strategy(name)
    fitted: PairEnsemble = strategy.fit(given, strategy.Settings(**CASES[name] | changes))
    return fitted


@pytest.mark.parametrize("name", CASES)
def test_a_fine_tuned_model_comes_back_from_disk_with_the_same_scores(name: str, given: Given, tmp_path: Path) -> None:
    fitted = fit(name, given)
    rows = given.data.rows_of("test")
    scores = fitted.scores(given.data, None, rows).values
    alone = fitted.parts(given.data, None, rows)[f"{name} alone"].values
    assert ((scores >= 0) & (scores <= 1)).all()
    assert len(set(alone.tolist())) > len(rows) / 2
    fitted.save(tmp_path)
    loaded = find_strategy(name).load(tmp_path)
    np.testing.assert_allclose(loaded.scores(given.data, None, rows).values, scores, atol=1e-5)
    assert not list(tmp_path.rglob("*.pkl"))


def test_alone_it_is_its_own_cosine_and_has_no_parts(given: Given) -> None:
    fitted = fit("bi-encoder", given, alone=True)
    rows = given.data.rows_of("test")
    scores = fitted.scores(given.data, None, rows).values
    chosen = given.data.select(rows)
    vectors = fitted.own_vectors()
    assert vectors is not None
    cosines = (vectors.of(chosen.texts("left_")) * vectors.of(chosen.texts("right_"))).sum(axis=1)
    np.testing.assert_allclose(scores, cosines, atol=1e-6)
    assert fitted.parts(given.data, None, rows) == {}


def test_training_looks_at_no_row_of_the_split_test(given: Given) -> None:
    first = fit("bi-encoder", given, alone=True)
    rows = given.data.rows_of("test")
    tested = given.data.table.to_pylist()
    flipped = [row | {"is_match": not row["is_match"]} if row["split"] == "test" else row for row in tested]
    other = type(given.data)(
        partner=given.data.partner, table=pa.Table.from_pylist(flipped, given.data.table.schema), source=given.data.source
    )
    second = fit("bi-encoder", Given(**{**vars(given), "data": other}), alone=True)
    np.testing.assert_array_equal(first.scores(given.data, None, rows).values, second.scores(other, None, rows).values)


def test_without_a_checkpoint_to_begin_with_it_says_what_to_give(given: Given) -> None:
    with pytest.raises(ConfigurationError, match="no checkpoint.*\n.*--bundle"):
        fit("bi-encoder", Given(**{**vars(given), "source": ""}))
