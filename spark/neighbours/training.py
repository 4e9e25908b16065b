"""Training the cells of every locale on a sample, one locale a task."""

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark.neighbours.cells import Counts, LocaleCells
from spark.neighbours.kmeans import nearest_cells, train_centroids
from spark.neighbours.locales import split_by_locale
from spark.neighbours.settings import NeighbourSettings
from spark.vectors.columns import vectors_from_arrow, vectors_to_lists

HASH_RANGE = 1 << 40  # fine enough for a sample of one row in a billion
# The shares are of the sample: of its rows that lie in the cell, and that visit it.
TRAINED = "locale string, cell int, centroid array<float>, stored double, visited double"
TRAINED_TABLE = pa.schema(
    [
        pa.field("locale", pa.string()),
        pa.field("cell", pa.int32()),
        pa.field("centroid", pa.list_(pa.float32())),
        pa.field("stored", pa.float64()),
        pa.field("visited", pa.float64()),
    ]
)


def train_cells(embeddings: DataFrame, rows: Mapping[str, int], settings: NeighbourSettings) -> dict[str, LocaleCells]:
    """The cells of every locale of ``rows`` (locale → rows)."""
    return cut_cells(train_centres(embeddings, rows, settings), rows, settings)


def train_centres(embeddings: DataFrame, rows: Mapping[str, int], settings: NeighbourSettings) -> pa.Table:
    """Rows of TRAINED for the locales that are large enough for more than one cell.

    Runs one Spark job, k-means on samples, where there is such a locale. What reaches the driver is at most ``max_cells``
    centroids of each.
    """
    large = {locale: count for locale, count in rows.items() if settings.cells_for(count) > 1}
    if not large:
        return TRAINED_TABLE.empty_table()
    sample = _sample_rows(embeddings, large, settings)
    return sample.groupBy("locale").applyInArrow(_trainer(large, settings), TRAINED).toArrow().cast(TRAINED_TABLE)


def cut_cells(trained: pa.Table, rows: Mapping[str, int], settings: NeighbourSettings) -> dict[str, LocaleCells]:
    """The cells of every locale of ``rows``: one where it has no row in ``trained``."""
    cells = {locale: _single_cell(count, settings) for locale, count in rows.items()}
    cells |= {
        locale: LocaleCells(
            centroids_CD=vectors_from_arrow(found["centroid"].combine_chunks()),
            index_slices_C=_slices(rows[locale], found["stored"].to_numpy(), settings),
            query_slices_C=_slices(rows[locale], found["visited"].to_numpy(), settings),
        )
        for locale, found in split_by_locale(trained.sort_by("cell"))
        if locale in rows
    }
    return cells


def _single_cell(rows: int, settings: NeighbourSettings) -> LocaleCells:
    slices_C = _slices(rows, np.ones(1), settings)
    return LocaleCells(centroids_CD=None, index_slices_C=slices_C, query_slices_C=slices_C)


def _slices(rows: int, shares_C: np.ndarray, settings: NeighbourSettings) -> Counts:
    return np.maximum(1, np.ceil(rows * shares_C / settings.block_rows)).astype(np.int64)


def _sample_rows(embeddings: DataFrame, rows: Mapping[str, int], settings: NeighbourSettings) -> DataFrame:
    """About ``cells x sample_per_cell`` rows of each locale of ``rows``, picked by hash of the key."""
    wanted = {locale: settings.cells_for(n) * settings.sample_per_cell / n for locale, n in rows.items()}
    limits = embeddings.sparkSession.createDataFrame(
        [(locale, min(HASH_RANGE, int(share * HASH_RANGE))) for locale, share in wanted.items()],
        "locale string, hash_limit long",
    )
    key = F.xxhash64(F.lit(settings.seed), "locale", "item_id")
    return (
        embeddings.join(F.broadcast(limits), "locale")
        .where(F.pmod(key, F.lit(HASH_RANGE)) < F.col("hash_limit"))
        .select("locale", "item_id", "vector")
    )


def _trainer(rows: Mapping[str, int], settings: NeighbourSettings) -> Callable[[tuple[pa.Scalar, ...], pa.Table], pa.Table]:
    def train(key: tuple[pa.Scalar, ...], sample: pa.Table) -> pa.Table:
        sample_SD = vectors_from_arrow(sample.sort_by("item_id")["vector"].combine_chunks())
        cells = settings.cells_for(rows[key[0].as_py()])
        centroids_CD = train_centroids(sample_SD, cells, settings.iterations, settings.seed)
        visits_SP = nearest_cells(sample_SD, centroids_CD, settings.probes)
        stored_C, visited_C = (np.bincount(x.ravel(), minlength=len(centroids_CD)) for x in (visits_SP[:, :1], visits_SP))
        return pa.table(
            {
                "locale": pa.repeat(key[0], len(centroids_CD)),
                "cell": pa.array(np.arange(len(centroids_CD), dtype=np.int32)),
                "centroid": vectors_to_lists(centroids_CD),
                "stored": stored_C / len(sample_SD),
                "visited": visited_C / len(sample_SD),
            }
        )

    return train
