"""Finds listings that repeat another: exactly (the same text hash) or nearly (MinHash-LSH on the text).

Of every group one listing is kept, the one whose key has the smallest hash. In a chain of texts, each similar to the next, that
one is always kept. Only listings of one language are compared.
"""

from collections.abc import Iterator, Mapping

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from schemas.listing import LISTING_KEY
from spark.sampling.minhash import BANDS, HASHES, band_hashes, signatures

EXACT, NEAR = "exact_duplicate", "near_duplicate"
SIMILARITY = 0.8  # least estimated Jaccard similarity of a near duplicate
# Of a longer text only the beginning is compared.
TEXT_CHARACTERS = 2_000
_SIGNED = "locale string, item_id string, language string, signature array<int>, bands array<bigint>"


def label_duplicates(listings: DataFrame) -> DataFrame:
    """Adds ``duplicate``: EXACT, NEAR or null."""
    key_order = F.xxhash64(F.lit("duplicates"), *LISTING_KEY)
    same_text = Window.partitionBy("language", "text_hash").orderBy(key_order, *LISTING_KEY)
    ranked = listings.withColumn("_place", F.row_number().over(same_text))
    near = find_near_duplicates(ranked.where("_place = 1"), key_order).withColumn("_near", F.lit(True))
    labelled = ranked.join(near, list(LISTING_KEY), "left")
    label = F.when(F.col("_place") > 1, EXACT).when(F.col("_near"), NEAR)
    return labelled.withColumn("duplicate", label).drop("_place", "_near")


def find_near_duplicates(listings: DataFrame, key_order: Column) -> DataFrame:
    """Keys of listings that are similar to one of their language whose ``key_order`` is smaller."""
    text = F.left(F.lower(F.concat_ws("\n", "title", "bullets", "description")), F.lit(TEXT_CHARACTERS))
    signed = listings.select(*LISTING_KEY, "language", text.alias("text")).mapInArrow(_sign, _SIGNED)
    placed = signed.select("*", F.posexplode("bands").alias("band", "bucket")).drop("bands")
    bucket = Window.partitionBy("language", "band", "bucket").orderBy(key_order, *LISTING_KEY)
    first = bucket.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    placed = placed.withColumn("_place", F.row_number().over(bucket)).withColumn("_first", F.first("signature").over(first))
    equal = F.size(F.filter(F.zip_with("signature", "_first", lambda a, b: a == b), lambda same: same))
    similar = placed.where("_place > 1").where(equal >= round(SIMILARITY * HASHES))
    return similar.select(*LISTING_KEY).distinct()


def count_duplicates(counts: Mapping[tuple[str, str, str | None], int]) -> dict[str, dict[str, int]]:
    """By locale: rows, and how many of them are exact and near duplicates. ``counts`` by (language, locale, label)."""
    by_locale: dict[str, dict[str, int]] = {}
    for (_, locale, label), count in sorted(counts.items(), key=str):
        own = by_locale.setdefault(locale, {"rows": 0, EXACT: 0, NEAR: 0})
        own["rows"] += count
        if label is not None:
            own[label] += count
    return by_locale


def _sign(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        signed = signatures(batch.column("text").to_pylist())
        columns = {name: batch.column(name) for name in ("locale", "item_id", "language")} | {
            "signature": _lists(signed.view("int32").ravel(), HASHES),
            "bands": _lists(band_hashes(signed).ravel(), BANDS),
        }
        yield pa.RecordBatch.from_pydict(columns)


def _lists(values, width: int) -> pa.ListArray:  # type: ignore[no-untyped-def]
    return pa.ListArray.from_arrays(pa.array(range(0, len(values) + 1, width), pa.int32()), pa.array(values))
