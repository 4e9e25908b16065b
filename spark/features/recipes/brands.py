"""``features/brands``: the brand whose listings' mean vector lies nearest to a listing.

Shape suffixes: N listings, B brands, D dimensions.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.checks import is_whole, require
from schemas.features import SPACE_ID, FeatureView
from schemas.listing import ITEM_ID, LOCALE
from schemas.tables import TEXT
from schemas.tables import Column as TableColumn
from spark.features.recipe import KeptSums, ViewInputs, ViewRecipe, flag
from spark.vectors.columns import to_unit_length, vectors_from_arrow
from spark.vectors.exact_sums import FIXED_POINT, sum_vectors
from spark.vectors.top_k import MICRO, Scores, best_of_rough, rough_blocks, score_pairs

SCORED = "locale string, item_id string, brand string, nearest_brand string, score float, margin float"
Batches = Iterator[pa.RecordBatch]

VIEW = FeatureView(
    name="brands",
    owner="brand-classification",
    description="The brand whose centroid (mean of its listings' vectors) lies nearest to each listing.",
    key=("locale", "item_id"),
    columns=(
        LOCALE,
        ITEM_ID,
        TableColumn(name="brand", type=TEXT, meaning="brand that the listing declares, if any"),
        TableColumn(name="nearest_brand", type=TEXT, meaning="brand of the nearest centroid", nullable=False),
        TableColumn(name="score", type=pa.float32(), meaning="cosine to that centroid", unit="-1 to 1", nullable=False),
        TableColumn(
            name="margin", type=pa.float32(), meaning="score minus the second best brand's", unit="0 to 2", nullable=False
        ),
        SPACE_ID,
    ),
    freshness_hours=24,
)


@dataclass(frozen=True, kw_only=True)
class BrandSettings:
    """Which brands get a centroid."""

    # 2 at least, because a listing is scored without its own vector.
    min_listings: int = flag(3, "--brand-min-listings", "least listings of a brand")
    max_brands: int = 50_000  # brands, those with most listings; every task carries their centroids, 150 MB at 384 dimensions

    def __post_init__(self) -> None:
        rules = {
            f"min_listings must be at least 2, is {self.min_listings!r}": is_whole(self.min_listings, 2),
            f"max_brands must be at least 1, is {self.max_brands!r}": is_whole(self.max_brands, 1),
        }
        require("BrandSettings", rules)


@dataclass(frozen=True, kw_only=True)
class BrandCentroids:
    """The brands that compete, in ascending order of their keys."""

    keys: tuple[str, ...]  # B normalised names
    names: tuple[str, ...]  # B names as most listings spell them
    totals_BD: NDArray[np.float64]  # sums of their listings' vectors

    @cached_property
    def unit_BD(self) -> Scores:
        return to_unit_length(self.totals_BD)

    @cached_property
    def rough_DB(self) -> NDArray[np.float32]:
        return self.unit_BD.astype(np.float32).T

    def best_two(self, vectors_ND: NDArray[np.float32], own_N: NDArray[np.int64]) -> tuple[NDArray[np.int64], Scores]:
        """``brand_N2`` and ``micro_N2``: the two nearest centroids (one where B is 1), cosines in millionths.

        ``own_N`` is the brand that the listing itself belongs to, or -1: that centroid is taken without the listing, so
        that its score does not profit from its own vector (leave one out).
        """
        wide_ND = vectors_ND.astype(np.float64)
        rows = np.flatnonzero(own_N >= 0)
        others_ND = to_unit_length(self.totals_BD[own_N[rows]] - wide_ND[rows])
        own_score_N = np.full(len(wide_ND), np.nan)
        own_score_N[rows] = np.einsum("nd,nd->n", others_ND, wide_ND[rows])
        rough_NB = vectors_ND @ self.rough_DB
        rough_NB[rows, own_N[rows]] = own_score_N[rows]

        def score(row: NDArray[np.int64], brand: NDArray[np.int64]) -> Scores:
            return np.where(own_N[row] == brand, own_score_N[row], score_pairs(wide_ND, self.unit_BD, row, brand))

        return best_of_rough(rough_NB, score, 2)


def build_brands(inputs: ViewInputs, settings: BrandSettings) -> DataFrame:
    """A row per listing of the catalogue, or none where there is no brand.

    Brands span locales, as the space does. Collects at most ``max_brands`` centroids, by a Spark job of its own. The margin
    of the only brand is its score + 1: as if the second best had the lowest cosine there is.
    """
    listings = describe_listings(inputs.catalogue, "vector")
    rows = listings.mapInArrow(make_brand_rows(inputs.require_sums(), settings), SCORED)
    return rows.withColumn("space_id", F.lit(inputs.space_id))


def describe_listings(listings: DataFrame, *further: str) -> DataFrame:
    """What a row follows from: locale, item_id, brand, brand_key, and the ``further`` columns."""
    described = listings.select("locale", "item_id", "brand", *further)
    return described.select("locale", "item_id", "brand", brand_key(F.col("brand")).alias("brand_key"), *further)


def make_brand_rows(sums: DataFrame, settings: BrandSettings) -> Callable[[Batches], Batches]:
    """Makes rows of SCORED of what ``describe_listings`` gives and the vector. The centroids travel in the function."""
    return _scorer(collect_centroids(sums, settings))


def sum_spellings(catalogue: DataFrame) -> DataFrame:
    """spelling, rows, total: the listings and the exact sum of vectors of every way to spell a brand."""
    spelled = catalogue.select(spell_brand(F.col("brand")).alias("spelling"), "vector")
    return sum_vectors(spelled.where(F.length("spelling") > 0), "spelling")


def brand_key(brand: Column) -> Column:
    """The name by which spellings of a brand are one: trimmed, inner white space single, lower case; null where empty."""
    key = F.lower(spell_brand(brand))
    return F.when(F.length(key) > 0, key)


def spell_brand(brand: Column) -> Column:
    return F.trim(F.regexp_replace(brand, r"\s+", " "))


def name_brands(sums: DataFrame, settings: BrandSettings) -> DataFrame:
    """brand_key, name: brands with enough listings; the name is the most frequent spelling, the first of equal ones."""
    most_frequent = F.min(F.struct((-F.col("rows")).alias("order"), "spelling"))
    spelled = sums.withColumn("brand_key", brand_key(F.col("spelling")))
    brands = spelled.groupBy("brand_key").agg(F.sum("rows").alias("listings"), most_frequent.alias("best"))
    largest = brands.where(F.col("listings") >= settings.min_listings).orderBy(F.desc("listings"), "brand_key")
    return largest.limit(settings.max_brands).select("brand_key", F.col("best.spelling").alias("name"))


def collect_centroids(sums: DataFrame, settings: BrandSettings) -> BrandCentroids:
    """Bring the centroids to the driver, from where the tasks get them. ``sums`` as ``sum_spellings`` gives them."""
    brands = name_brands(sums, settings)
    spelled = sums.withColumn("brand_key", brand_key(F.col("spelling"))).join(F.broadcast(brands), "brand_key")
    table = spelled.select("brand_key", "name", "total").toArrow().sort_by("brand_key")
    keys, starts = np.unique(np.array(table["brand_key"].to_pylist(), object), return_index=True)
    if not len(keys):
        return BrandCentroids(keys=(), names=(), totals_BD=np.zeros((0, 0)))
    whole_SD = table["total"].combine_chunks().flatten().to_numpy().reshape(table.num_rows, -1)
    return BrandCentroids(
        keys=tuple(keys.tolist()),
        names=tuple(table["name"].take(pa.array(starts)).to_pylist()),
        totals_BD=np.add.reduceat(whole_SD, starts, axis=0) / FIXED_POINT,
    )


def _scorer(centroids: BrandCentroids) -> Callable[[Batches], Batches]:
    def score(batches: Batches) -> Batches:
        position = {key: row for row, key in enumerate(centroids.keys)}
        for batch in batches if position else ():
            if batch.num_rows:
                yield score_batch(batch, position)

    def score_batch(batch: pa.RecordBatch, position: dict[str, int]) -> pa.RecordBatch:
        own_N = np.array([position.get(key, -1) for key in batch["brand_key"].to_pylist()], np.int64)
        vectors_ND = vectors_from_arrow(batch["vector"])
        blocks = rough_blocks(batch.num_rows, len(position))
        found = zip(*(centroids.best_two(vectors_ND[block], own_N[block]) for block in blocks), strict=True)
        brand_N2, micro_N2 = (np.concatenate(parts) for parts in found)
        second_N = micro_N2[:, 1] if len(position) > 1 else np.full(len(own_N), -MICRO)
        columns = {name: batch[name] for name in ("locale", "item_id", "brand")}
        columns |= {
            "nearest_brand": pa.array(centroids.names, pa.string()).take(pa.array(brand_N2[:, 0])),
            "score": pa.array((micro_N2[:, 0] / MICRO).astype(np.float32)),
            "margin": pa.array(((micro_N2[:, 0] - second_N) / MICRO).astype(np.float32)),
        }
        return pa.RecordBatch.from_pydict(columns)

    return score


RECIPE = ViewRecipe(
    view=VIEW,
    depends_on=("group",),
    reads=("brand",),
    settings=BrandSettings(),
    build=build_brands,
    sums=KeptSums(key="spelling", sum_up=sum_spellings, describe=describe_listings, make_rows=make_brand_rows),
)
