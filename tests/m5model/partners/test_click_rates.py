"""Historical rates never see the future, nor the row that they are for."""

import numpy as np
import pytest

from m5model.partners.click_rates import STRENGTH, ClickRates, Shown, learning_rates

ROWS = 400
CUT = 250


def shown(seed: int = 0, *, times: bool) -> tuple[list[str], Shown]:
    draw = np.random.default_rng(seed)
    values = [str(one) for one in draw.integers(0, 5, ROWS)]
    at = draw.permutation(ROWS).astype(np.int64) if times else None
    entity = np.asarray([str(one) for one in draw.integers(0, 60, ROWS)], object)
    return values, Shown(impressions=np.ones(ROWS), clicks=draw.integers(0, 2, ROWS).astype(float), entity=entity, at=at)


def test_labels_after_a_moment_do_not_change_rates_before_it() -> None:
    values, rows = shown(times=True)
    assert rows.at is not None
    later = rows.at >= CUT
    clicks = rows.clicks.copy()
    clicks[later] = np.random.default_rng(1).permutation(clicks[later])
    changed = Shown(impressions=rows.impressions, clicks=clicks, entity=rows.entity, at=rows.at)
    before, after = learning_rates(values, rows), learning_rates(values, changed)
    np.testing.assert_array_equal(before[rows.at <= CUT], after[rows.at <= CUT])
    assert (before[rows.at > CUT] != after[rows.at > CUT]).any()


def test_a_rate_is_of_what_was_shown_strictly_before() -> None:
    counts = {"impressions": np.asarray([1.0, 3.0, 1.0]), "clicks": np.asarray([1.0, 0.0, 1.0])}
    rows = Shown(**counts, entity=np.arange(3), at=np.asarray([1, 2, 2]))
    rates = ClickRates.fit(["a", "a", "b"], rows).rates(["a", "a", "a", "b", "new"], np.asarray([1, 2, 3, 3, 3]))
    prior = [1 / 2, 2 / 3, 3 / 7, 3 / 7, 3 / 7]
    seen = [(0, 0), (1, 1), (1, 4), (1, 1), (0, 0)]
    expected = [(clicks + STRENGTH * one) / (count + STRENGTH) for (clicks, count), one in zip(seen, prior, strict=True)]
    assert rates.tolist() == pytest.approx(expected)


def test_without_times_rates_of_learned_rows_come_from_other_entities() -> None:
    values, rows = shown(times=False)
    own = rows.entity == rows.entity[0]
    clicks = np.where(own, 1 - rows.clicks, rows.clicks)
    changed = Shown(impressions=rows.impressions, clicks=clicks, entity=rows.entity)
    np.testing.assert_array_equal(learning_rates(values, rows)[own], learning_rates(values, changed)[own])


def test_a_value_of_a_row_each_says_nothing_about_that_rows_label() -> None:
    _, rows = shown(times=False)
    rates = learning_rates([str(number) for number in range(ROWS)], rows)
    assert abs(np.corrcoef(rates, rows.clicks)[0, 1]) < 0.35
    assert np.ptp(rates) < 0.1
