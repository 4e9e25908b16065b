"""Historical click rates by the value of a column, which never see the future, nor the row that they are for.

With times a rate is of what was shown before the row. Without them it is of all rows that were learned from, and for these
themselves of the rows of other entities (out of fold). Rates are drawn to the rate of all rows, so that rare values say little.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

STRENGTH = 20.0  # impressions that the rate of all rows counts for
FOLDS = 5
MISSING = ""  # the value of a row that has none: it has a rate like any other


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Rows (n) that are learned from."""

    impressions: np.ndarray  # (n,) float64
    clicks: np.ndarray  # (n,) float64
    entity: np.ndarray  # (n,)
    at: np.ndarray | None = None  # (n,) int64, microseconds; None where times are not known


class ClickRates:
    """Rates of one column."""

    def __init__(self, values: Sequence[str], starts: np.ndarray, at: np.ndarray | None, sums: np.ndarray) -> None:
        self._place = {value: number for number, value in enumerate(values)}
        self.values = list(values)  # (v,), the last one is that of all rows
        self.starts = starts  # (v + 1,): where the rows of each value begin
        self.at = at  # (n,) ascending within a value; None without times
        self.sums = sums  # (n + v, 2): clicks and impressions of the rows of the value before each row, and of all of them

    @classmethod
    def fit(cls, values: Sequence[str], shown: Shown) -> "ClickRates":
        names = sorted(set(values))
        place = {value: number for number, value in enumerate(names)}
        own = np.fromiter((place[value] for value in values), np.int64, len(values))
        order = np.argsort(own, kind="stable")
        groups = np.split(order, np.cumsum(np.bincount(own, minlength=len(names)))[:-1])
        return cls._of(names, [*groups, np.arange(len(values))], shown)

    @classmethod
    def _of(cls, names: list[str], parts: list[np.ndarray], shown: Shown) -> "ClickRates":
        counts = np.stack([shown.clicks, shown.impressions], axis=1)
        ordered = [part if shown.at is None else part[np.argsort(shown.at[part], kind="stable")] for part in parts]
        sums = [np.concatenate([np.zeros((1, 2)), np.cumsum(counts[part], axis=0)]) for part in ordered]
        starts = np.concatenate([[0], np.cumsum([len(part) for part in ordered])])
        at = None if shown.at is None else np.concatenate([shown.at[part] for part in ordered])
        return cls(names, starts, at, np.concatenate(sums))

    def rates(self, values: Sequence[str], at: np.ndarray | None = None) -> np.ndarray:
        """(k,) float64 of rows whose times are ``at``; a value that was never shown before has the rate of all rows."""
        overall = self._before(np.full(len(values), len(self.values)), at)
        known = np.fromiter((self._place.get(value, -1) for value in values), np.int64, len(values))
        own = self._before(np.maximum(known, 0), at) * (known >= 0)[:, None]
        prior = (overall[:, 0] + 1) / (overall[:, 1] + 2)
        return np.asarray((own[:, 0] + STRENGTH * prior) / (own[:, 1] + STRENGTH))

    def _before(self, place: np.ndarray, at: np.ndarray | None) -> np.ndarray:
        """Clicks and impressions (k, 2) of each value before each time; with no times, of all its rows."""
        first, behind = self.starts[place], self.starts[place + 1]
        if self.at is None or at is None:
            number = behind - first
        else:
            number = np.empty(len(place), np.int64)
            for one in np.unique(place):
                rows = np.flatnonzero(place == one)
                number[rows] = np.searchsorted(self.at[self.starts[one] : self.starts[one + 1]], at[rows], side="left")
        return np.asarray(self.sums[first + place + number])


def learning_rates(values: Sequence[str], shown: Shown) -> np.ndarray:
    """Rates (n,) of the rows that are learned from: of what was shown before, or out of fold."""
    if shown.at is not None:
        return ClickRates.fit(values, shown).rates(values, shown.at)
    fold = folds_of(shown.entity)
    listed = np.asarray(values, object)
    rates = np.empty(len(listed))
    for number in range(FOLDS):
        inside, outside = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        if len(inside):
            part = Shown(impressions=shown.impressions[outside], clicks=shown.clicks[outside], entity=shown.entity[outside])
            rates[inside] = ClickRates.fit(listed[outside].tolist(), part).rates(listed[inside].tolist())
    return rates


def folds_of(entity: np.ndarray, folds: int = FOLDS) -> np.ndarray:
    """The fold (n,) of each row: one for all rows of an entity, drawn the same every time."""
    names, member = np.unique(entity, return_inverse=True)
    return np.asarray(np.random.default_rng(0).permutation(len(names))[member] % folds)
