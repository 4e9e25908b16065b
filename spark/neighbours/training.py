"""Training the cells of every partition on a sample, one partition a task."""

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.errors import ConfigurationError
from spark.neighbours.cells import Counts, PartitionCells
from spark.neighbours.kmeans import nearest_cells, train_centroids
from spark.neighbours.partitions import Partition, partition_ddl, split_partitions
from spark.neighbours.settings import NeighbourSettings
from spark.vectors.blocks import vectors_from_arrow, vectors_to_lists

MAX_PARTITIONS = 10_000  # their counts and centroids pass through the driver
HASH_RANGE = 1 << 40  # fine enough for a sample of one row in a billion
TRAINED = "cell int, centroid array<float>, stored double, visited double"  # the shares of the sample in and at a cell

Key = tuple[pa.Scalar, ...]


def train_cells(queries: DataFrame, index: DataFrame, settings: NeighbourSettings) -> dict[Partition, PartitionCells]:
    """The cells of every partition of ``index``. Runs Spark jobs: row counts, and k-means on samples.

    What reaches the driver is a row count per partition, and at most ``max_cells`` centroids of each.
    Raises ``ConfigurationError`` beyond MAX_PARTITIONS partitions.
    """
    index_rows, query_rows = _count_rows(index, settings), _count_rows(queries, settings)
    cells = {
        partition: PartitionCells(
            centroids_CD=None,
            index_slices_C=_slices(rows, np.ones(1), settings),
            query_slices_C=_slices(query_rows.get(partition, 0), np.ones(1), settings),
        )
        for partition, rows in index_rows.items()
    }
    large = {partition: rows for partition, rows in index_rows.items() if settings.cells_for(rows) > 1}
    if large:
        sample = _sample_rows(index, large, settings)
        schema = f"{partition_ddl(settings.partition_columns)}, {TRAINED}"
        trained = sample.groupBy(*settings.partition_columns).applyInArrow(_trainer(large, settings), schema)
        cells |= _collect_cells(trained, index_rows, query_rows, settings)
    return cells


def _count_rows(frame: DataFrame, settings: NeighbourSettings) -> dict[Partition, int]:
    rows = frame.groupBy(*settings.partition_columns).count().limit(MAX_PARTITIONS + 1).collect()
    if len(rows) > MAX_PARTITIONS:
        raise ConfigurationError(
            f"{', '.join(settings.partition_columns)} make more than {MAX_PARTITIONS} partitions",
            next_step="partition the neighbour search by columns of few values, e.g. locale",
        )
    return {tuple(row)[:-1]: row["count"] for row in rows}


def _slices(rows: int, shares_C: np.ndarray, settings: NeighbourSettings) -> Counts:
    return np.maximum(1, np.ceil(rows * shares_C / settings.block_rows)).astype(np.int64)


def _sample_rows(index: DataFrame, rows: Mapping[Partition, int], settings: NeighbourSettings) -> DataFrame:
    """About ``cells x sample_per_cell`` rows of each partition of ``rows``, picked by hash of the key."""
    wanted = {partition: settings.cells_for(n) * settings.sample_per_cell / n for partition, n in rows.items()}
    limits = index.sparkSession.createDataFrame(
        [(*partition, min(HASH_RANGE, int(share * HASH_RANGE))) for partition, share in wanted.items()],
        f"{partition_ddl(settings.partition_columns)}, hash_limit long",
    )
    key = F.xxhash64(F.lit(settings.seed), *settings.partition_columns, "item_id")
    return (
        index.join(F.broadcast(limits), list(settings.partition_columns))
        .where(F.pmod(key, F.lit(HASH_RANGE)) < F.col("hash_limit"))
        .select(*settings.partition_columns, "item_id", "vector")
    )


def _trainer(
    rows: Mapping[Partition, int], settings: NeighbourSettings
) -> Callable[[tuple[pa.Scalar, ...], pa.Table], pa.Table]:
    def train(key: Key, sample: pa.Table) -> pa.Table:
        partition = tuple(scalar.as_py() for scalar in key)
        sample_SD = vectors_from_arrow(sample.sort_by("item_id")["vector"].combine_chunks())
        centroids_CD = train_centroids(sample_SD, settings.cells_for(rows[partition]), settings.iterations, settings.seed)
        visits_SP = nearest_cells(sample_SD, centroids_CD, settings.probes)
        stored_C, visited_C = (np.bincount(x.ravel(), minlength=len(centroids_CD)) for x in (visits_SP[:, :1], visits_SP))
        columns = {
            column: pa.repeat(scalar, len(centroids_CD)) for column, scalar in zip(settings.partition_columns, key, strict=True)
        }
        return pa.table(
            columns
            | {
                "cell": pa.array(np.arange(len(centroids_CD), dtype=np.int32)),
                "centroid": vectors_to_lists(centroids_CD),
                "stored": stored_C / len(sample_SD),
                "visited": visited_C / len(sample_SD),
            }
        )

    return train


def _collect_cells(
    trained: DataFrame, index_rows: Mapping[Partition, int], query_rows: Mapping[Partition, int], settings: NeighbourSettings
) -> dict[Partition, PartitionCells]:
    """Cut the cells into slices by the share of the sample that lies in each, or visits it."""
    return {
        partition: PartitionCells(
            centroids_CD=vectors_from_arrow(cells["centroid"].combine_chunks()),
            index_slices_C=_slices(index_rows[partition], cells["stored"].to_numpy(), settings),
            query_slices_C=_slices(query_rows.get(partition, 0), cells["visited"].to_numpy(), settings),
        )
        for partition, cells in split_partitions(trained.toArrow().sort_by("cell"), settings.partition_columns)
    }
