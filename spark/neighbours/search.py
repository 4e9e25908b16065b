"""Searches neighbours: assigns vectors to blocks, searches each block exactly, merges what the blocks found."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark.neighbours.cells import LocaleCells, Side
from spark.neighbours.locales import split_by_locale
from spark.neighbours.settings import NeighbourSettings
from spark.neighbours.space import SpaceRows, measure_space
from spark.neighbours.training import train_cells
from spark.vectors.columns import vectors_from_arrow, vectors_to_bytes
from spark.vectors.top_k import MICRO, search_blocks

# 1,024 vectors visit 8 cells of up to 4,096: small enough that a batch stays in the tens of megabytes.
ASSIGN_ROWS = 1_024
CANDIDATES = pa.list_(pa.struct([pa.field("distance", pa.int32()), pa.field("neighbour_item_id", pa.string())]))
ASSIGNED = "locale string, item_id string, vector binary, blocks array<bigint>"
FOUND = "locale string, item_id string, candidates array<struct<distance: int, neighbour_item_id: string>>"

Batches = Iterator[pa.RecordBatch]


def find_neighbours(embeddings: DataFrame, settings: NeighbourSettings, space: SpaceRows | None = None) -> DataFrame:
    """The ``k`` nearest other listings of every listing in its locale.

    ``embeddings`` holds locale, item_id, space_id and vector (array<float>, unit length). Returns locale, item_id,
    neighbour_item_id, cosine (double, rounded to 6 decimals) and rank (int, 1 = nearest; equal cosines in the order of the
    ids).

    ``space`` is what ``measure_space(embeddings)`` gave, where that is known already. The cells are trained at once, by a Spark
    job of bounded result (see train_cells); the search runs when the result is read. Shuffles one copy of every vector for the
    index, ``probes`` copies for the queries, more where a cell is split.
    Raises ``SpaceMismatchError`` naming both spaces where the vectors are of several.
    """
    rows = (space or measure_space(embeddings)).by_locale
    return rank_candidates(find_candidates(embeddings, train_cells(embeddings, rows, settings), settings))


def find_candidates(embeddings: DataFrame, cells: Mapping[str, LocaleCells], settings: NeighbourSettings) -> DataFrame:
    """Locale, item_id, candidates: the ``k`` nearest of every listing that has any, nearest first.

    A candidate's distance is its cosine in negative millionths.
    """
    queries, index = (assign_blocks(embeddings, cells, settings, side) for side in ("query", "index"))
    return merge_candidates(search_cells(queries, index, settings), settings.k)


def assign_blocks(
    embeddings: DataFrame, cells: Mapping[str, LocaleCells], settings: NeighbourSettings, side: Side
) -> DataFrame:
    """One row per vector and block that it belongs to: locale, item_id, vector (binary float32), block."""
    return (
        embeddings.select("locale", "item_id", "vector", F.pmod(F.xxhash64("item_id"), F.lit(1 << 31)).alias("hash"))
        .mapInArrow(_assigner(cells, settings, side), ASSIGNED)
        .select("locale", "item_id", "vector", F.explode("blocks").alias("block"))
    )


def search_cells(queries: DataFrame, index: DataFrame, settings: NeighbourSettings) -> DataFrame:
    """Exact search within each block: locale, item_id, and its candidates there, nearest first."""
    keys = ("locale", "block")
    return queries.groupBy(*keys).cogroup(index.groupBy(*keys)).applyInArrow(_searcher(settings), FOUND)


def merge_candidates(candidates: DataFrame, k: int) -> DataFrame:
    """The best ``k`` over all blocks that a query visited: locale, item_id, candidates, nearest first."""
    nearest = F.slice(F.array_sort(F.flatten(F.collect_list("candidates"))), 1, k)
    return candidates.groupBy("locale", "item_id").agg(nearest.alias("candidates"))


def rank_candidates(candidates: DataFrame) -> DataFrame:
    """A row per neighbour, see ``find_neighbours``."""
    return candidates.select("locale", "item_id", F.posexplode("candidates").alias("position", "found")).select(
        "locale",
        "item_id",
        F.col("found.neighbour_item_id").alias("neighbour_item_id"),
        (-F.col("found.distance") / MICRO).alias("cosine"),
        (F.col("position") + 1).alias("rank"),
    )


def _assigner(cells: Mapping[str, LocaleCells], settings: NeighbourSettings, side: Side) -> Callable[[Batches], Batches]:
    def assign(batches: Batches) -> Batches:
        for batch in batches:
            for start in range(0, batch.num_rows, ASSIGN_ROWS):
                yield from assign_batch(batch.slice(start, ASSIGN_ROWS))

    def assign_batch(batch: pa.RecordBatch) -> Batches:
        for locale, part in split_by_locale(batch):
            vectors_ND, hash_N = vectors_from_arrow(part["vector"]), part["hash"].to_numpy()
            count_N, blocks = cells[locale].blocks_of(vectors_ND, hash_N, side, settings.probes)
            offsets = np.concatenate([[0], np.cumsum(count_N)]).astype(np.int32)
            columns = {"locale": part["locale"], "item_id": part["item_id"], "vector": vectors_to_bytes(vectors_ND)}
            yield pa.RecordBatch.from_pydict(columns | {"blocks": pa.ListArray.from_arrays(offsets, blocks)})

    return assign


def _searcher(settings: NeighbourSettings) -> Callable[[tuple[pa.Scalar, ...], pa.Table, pa.Table], pa.Table]:
    def search(key: tuple[pa.Scalar, ...], queries: pa.Table, index: pa.Table) -> pa.Table:
        index = index.sort_by("item_id")  # so that the order of columns, which decides ties, is the order of ids
        query_ids, index_ids = (side["item_id"].combine_chunks() for side in (queries, index))
        candidates = search_block(queries["vector"], query_ids, index["vector"], index_ids)
        columns = {"locale": pa.repeat(key[0], len(query_ids)), "item_id": query_ids, "candidates": candidates}
        found = pa.table(columns)
        return found.filter(pc.greater(pc.list_value_length(found["candidates"]), 0))

    def search_block(
        queries: pa.ChunkedArray, query_ids: pa.StringArray, index: pa.ChunkedArray, index_ids: pa.StringArray
    ) -> pa.ChunkedArray:
        if not len(query_ids) or not len(index_ids):
            return pa.chunked_array([pa.array([[]] * len(query_ids), CANDIDATES)])
        own_Q = pc.fill_null(pc.index_in(query_ids, index_ids), -1).to_numpy(zero_copy_only=False)
        vectors_QD, vectors_ND = (vectors_from_arrow(side.combine_chunks()) for side in (queries, index))
        lowest = np.rint(settings.min_cosine * MICRO)
        found = search_blocks(vectors_QD, vectors_ND, settings.k, own_Q)
        return pa.chunked_array(
            [_candidate_lists(columns_QK, micro_QK, lowest, index_ids) for _, columns_QK, micro_QK in found]
        )

    return search


def _candidate_lists(columns_QK: np.ndarray, micro_QK: np.ndarray, lowest: float, index_ids: pa.StringArray) -> pa.ListArray:
    kept_QK = micro_QK >= lowest
    offsets = np.concatenate([[0], np.cumsum(kept_QK.sum(axis=1))]).astype(np.int32)
    distances = pa.array((-micro_QK[kept_QK]).astype(np.int32))
    neighbours = index_ids.take(pa.array(columns_QK[kept_QK]))
    structs = pa.StructArray.from_arrays([distances, neighbours], fields=list(CANDIDATES.value_type))
    return pa.ListArray.from_arrays(pa.array(offsets), structs)
