"""Measures the profile of rows in Arrow batches; the same on an executor and without Spark."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.feature_profile import COUNT_EDGES, Histogram, Profile, empty_profile, plan_histograms
from schemas.listing import ITEM_ID, LISTING_KEY, LOCALE

Columns = Sequence[Mapping[str, str]]
Counts = NDArray[np.int64]


def measure_rows(batches: Iterable[pa.RecordBatch], columns: Columns, key: Sequence[str]) -> Profile:
    """The profile of all rows of ``batches``, of a view that declares these columns and this key.

    Holds one batch at a time, and the listings' keys where a listing may have several rows.
    """
    counting = _Counting(columns, several_rows=tuple(key) != LISTING_KEY)
    for batch in batches:
        counting.add(batch)
    return counting.finish()


class _Counting:
    """Sums over batches."""

    def __init__(self, columns: Columns, several_rows: bool) -> None:
        self._empty = empty_profile(columns)
        self._planned = plan_histograms(columns)
        self._nulls: Counter[str] = Counter()
        self._locales: Counter[str] = Counter()
        self._bins = {one.name: np.zeros(len(one.edges) + 1, np.int64) for one in self._planned}
        self._keys: list[pa.Table] | None = [] if several_rows else None

    def add(self, batch: pa.RecordBatch) -> None:
        present = [name for name in self._empty.nulls if name in batch.schema.names]
        self._nulls.update({name: batch.column(name).null_count for name in present})
        self._locales.update(_count_values(batch.column(LOCALE.name)))
        for one in self._planned:
            if one.column in batch.schema.names:
                self._bins[one.name] += _count_bins(_numbers(batch.column(one.column), one), one.edges)
        if self._keys is not None:
            self._keys.append(_count_keys([batch.select([LOCALE.name, ITEM_ID.name])]))
            if len(self._keys) > 64:  # bounds what waits
                self._keys = [_sum_keys(self._keys)]

    def finish(self) -> Profile:
        listings, per_listing = self._count_listings()
        return Profile(
            rows=sum(self._locales.values()),
            rows_by_locale=dict(sorted(self._locales.items())),
            listings_by_locale=listings,
            rows_per_listing=per_listing,
            nulls={name: self._nulls[name] for name in self._empty.nulls},
            histograms={name: tuple(bins.tolist()) for name, bins in self._bins.items()},
        )

    def _count_listings(self) -> tuple[dict[str, int], tuple[int, ...]]:
        """Listings by locale, and by how many rows they have."""
        if self._keys is None:
            once = _count_bins(np.ones(1), COUNT_EDGES) * sum(self._locales.values())
            return dict(sorted(self._locales.items())), tuple(once.tolist())
        if not self._keys:
            return {}, self._empty.rows_per_listing
        keys = _sum_keys(self._keys)
        rows = keys["rows"].to_numpy().astype(np.float64)
        return dict(sorted(_count_values(keys[LOCALE.name]).items())), tuple(_count_bins(rows, COUNT_EDGES).tolist())


def _count_values(values: pa.Array | pa.ChunkedArray) -> dict[str, int]:
    return {str(entry["values"]): entry["counts"] for entry in pc.value_counts(values).to_pylist()}


def _count_keys(batches: Sequence[pa.RecordBatch]) -> pa.Table:
    counted = pa.Table.from_batches(batches).group_by(list(LISTING_KEY)).aggregate([([], "count_all")])
    return counted.rename_columns([*LISTING_KEY, "rows"])


def _sum_keys(keys: Sequence[pa.Table]) -> pa.Table:
    summed = pa.concat_tables(keys).group_by(list(LISTING_KEY)).aggregate([("rows", "sum")])
    return summed.rename_columns([*LISTING_KEY, "rows"])


def _numbers(values: pa.Array, histogram: Histogram) -> NDArray[np.float64]:
    """The values that are numbers, as float64, which holds every float32 and boolean as it is."""
    if histogram.component is not None:
        place = histogram.component
        values = pc.list_slice(values, place, place + 1, return_fixed_size_list=True).flatten()
    found: NDArray[np.float64] = values.drop_null().cast(pa.float64()).to_numpy(zero_copy_only=False)
    return found[~np.isnan(found)]


def _count_bins(values: NDArray[np.float64], edges: Sequence[float]) -> Counts:
    counts: Counts = np.bincount(np.searchsorted(np.asarray(edges), values, side="right"), minlength=len(edges) + 1)
    return counts
