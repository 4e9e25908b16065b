"""A profile: whole counts of a feature view's rows, so that what changed can be added and taken off exactly.

Bins are fixed by what the view declares, so that profiles of two versions can be compared.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Equal bins of a column that declares "LOW to HIGH".
BINS = 40
# Vectors: histograms of their first components.
PROBED_COMPONENTS = 4
# Counts: each small one by itself, then doubling.
COUNT_EDGES = (*map(float, range(1, 11)), *(float(2**power) for power in range(4, 21)))
_NUMBERS = ("float", "double", "int32", "int64", "int16", "int8")
_VECTORS = ("list<element: float>", "list<item: float>")
_RANGE = re.compile(r"(-?[\d.]+) to (-?[\d.]+)")


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """Says how one column is counted: bin i holds values from edge i - 1 (included) to edge i."""

    name: str  # the column's, with [i] for a component of a vector
    column: str
    component: int | None  # of a vector
    edges: tuple[float, ...]  # ascending; one bin more than edges


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Counts of rows. Equal tables have equal profiles, whatever order or files they have."""

    rows: int
    rows_by_locale: Mapping[str, int]
    listings_by_locale: Mapping[str, int]  # listings that have a row, or several
    rows_per_listing: tuple[int, ...]  # listings by how many rows they have, binned by COUNT_EDGES
    nulls: Mapping[str, int]  # by column, every column that the view declares
    histograms: Mapping[str, tuple[int, ...]]  # by Histogram.name; neither null nor NaN is in them

    def plus(self, other: "Profile") -> "Profile":
        """The profile of both tables' rows. No listing may have rows in both."""
        return self._combine(other, 1)

    def minus(self, other: "Profile") -> "Profile":
        """The profile without the rows of ``other``, which must be all rows of their listings.

        Raises ValueError where a count would fall below 0.
        """
        return self._combine(other, -1)

    def _combine(self, other: "Profile", sign: int) -> "Profile":
        return Profile(
            rows=_natural(self.rows + sign * other.rows),
            rows_by_locale=_add(self.rows_by_locale, other.rows_by_locale, sign),
            listings_by_locale=_add(self.listings_by_locale, other.listings_by_locale, sign),
            rows_per_listing=_add_bins(self.rows_per_listing, other.rows_per_listing, sign),
            nulls={name: _natural(count + sign * other.nulls[name]) for name, count in self.nulls.items()},
            histograms={name: _add_bins(bins, other.histograms[name], sign) for name, bins in self.histograms.items()},
        )


def plan_histograms(columns: Sequence[Mapping[str, str]]) -> list[Histogram]:
    """The histograms of a view that declares these columns (name, type, unit)."""
    return [histogram for column in columns for histogram in _histograms_of(column)]


def empty_profile(columns: Sequence[Mapping[str, str]]) -> Profile:
    """The profile of no rows."""
    return Profile(
        rows=0,
        rows_by_locale={},
        listings_by_locale={},
        rows_per_listing=(0,) * (len(COUNT_EDGES) + 1),
        nulls={column["name"]: 0 for column in columns},
        histograms={one.name: (0,) * (len(one.edges) + 1) for one in plan_histograms(columns)},
    )


def _histograms_of(column: Mapping[str, str]) -> list[Histogram]:
    name, kind, unit = column["name"], column["type"], column.get("unit", "")
    if kind in _VECTORS:
        edges = _equal_edges(-1.0, 1.0)
        return [Histogram(name=f"{name}[{i}]", column=name, component=i, edges=edges) for i in range(PROBED_COMPONENTS)]
    if kind == "bool":
        return [Histogram(name=name, column=name, component=None, edges=(0.5,))]
    bounds = _RANGE.fullmatch(unit)
    if kind not in _NUMBERS or (bounds is None and not kind.startswith("int")):
        return []
    edges = _equal_edges(float(bounds[1]), float(bounds[2])) if bounds else COUNT_EDGES
    return [Histogram(name=name, column=name, component=None, edges=edges)]


def _equal_edges(low: float, high: float) -> tuple[float, ...]:
    """The inner edges: values outside fall into the outer bins."""
    return tuple(low + (high - low) * i / BINS for i in range(1, BINS))


def _add(left: Mapping[str, int], right: Mapping[str, int], sign: int) -> dict[str, int]:
    total = Counter(dict(left))
    for name, count in right.items():
        total[name] += sign * count
    return {name: _natural(count) for name, count in sorted(total.items()) if count}


def _add_bins(left: Sequence[int], right: Sequence[int], sign: int) -> tuple[int, ...]:
    return tuple(_natural(a + sign * b) for a, b in zip(left, right, strict=True))


def _natural(count: int) -> int:
    if count < 0:
        raise ValueError("rows are taken off a profile that it does not hold")
    return count
