"""Embeddings of listings without a model: unit vectors drawn around a few thousand directions, some of them equal.

A vector is a function of (locale, item_id, title, brand): a listing whose title changes moves, as a real one does.
"""

import sys
from collections.abc import Iterator
from zlib import crc32

import numpy as np
import pyarrow as pa
from pyspark import cloudpickle
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark.vectors.columns import to_unit_length, vectors_to_lists

SPACE = "drawn"
BUCKETS = 8
DIRECTIONS = 4_000
NOISE = 0.7  # of a vector around its direction: the two lie at a cosine of some .8
EQUAL_SHARE = 0.03  # of the listings, which have the vector of their direction itself

Batches = Iterator[pa.RecordBatch]


def draw_embeddings(listings: DataFrame, *, dimensions: int, directions: int = DIRECTIONS) -> DataFrame:
    """Rows of EMBEDDINGS for rows of LISTINGS."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # executors have no benchmarks

    def run(batches: Batches) -> Batches:
        for batch in batches:
            columns = {name: batch[name] for name in ("locale", "item_id", "fingerprint")}
            vectors = draw_vectors(batch["seed"].to_numpy(), batch["direction"].to_numpy(), dimensions, directions)
            yield pa.RecordBatch.from_pydict(columns | {"vector": vectors_to_lists(vectors)})

    group = F.xxhash64("locale", F.coalesce(F.lower("brand"), "item_id"), F.pmod(F.xxhash64("item_id"), F.lit(4)))
    described = listings.select(
        "locale",
        "item_id",
        F.sha2(F.concat_ws("\n", "locale", "item_id", "title", "brand"), 256).alias("fingerprint"),
        F.pmod(F.xxhash64("locale", "item_id", "title"), F.lit(1 << 31)).alias("seed"),
        group.alias("direction"),
    )
    drawn = described.mapInArrow(run, "locale string, item_id string, fingerprint string, vector array<float>")
    return drawn.select(
        "locale",
        "item_id",
        F.lit(SPACE).alias("space_id"),
        "fingerprint",
        "vector",
        F.current_timestamp().alias("embedded_at"),
        F.lit("drawn").alias("run_id"),
        F.pmod(F.xxhash64("locale", "item_id"), F.lit(BUCKETS)).cast("int").alias("bucket"),
    )


def draw_vectors(seed_N: np.ndarray, group_N: np.ndarray, dimensions: int, directions: int) -> np.ndarray:
    """float32 unit vectors; the same for the same numbers."""
    centres = np.random.default_rng(crc32(b"directions")).normal(size=(directions, dimensions)).astype(np.float32)
    chosen = centres[group_N % directions]
    noise = np.stack([np.random.default_rng(seed).normal(size=dimensions) for seed in seed_N]) if len(seed_N) else 0
    is_equal = (seed_N % 10_000) < EQUAL_SHARE * 10_000
    return to_unit_length(chosen + NOISE * np.where(is_equal[:, None], 0, noise)).astype(np.float32)
