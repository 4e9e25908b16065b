"""One sampling run: listings at a pinned version in, one training-set version out."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from schemas.checks import MAX_WHOLE, is_whole, require, require_name
from schemas.listing import LISTINGS
from schemas.report import Accounting
from schemas.training_set import TrainingSetManifest
from schemas.workspace import Workspace
from spark.delta.changes import last_change
from spark.delta.tables import read_table
from spark.sampling.balance import Allocation, Cell, allocate, verify_allocation
from spark.sampling.draw import CELL, draw_rows, draw_tokens, shape_training_rows
from spark.sampling.duplicates import count_duplicates, label_duplicates
from spark.sampling.plans import BalancePlan
from spark.sampling.tokens import add_tokens
from spark.sampling.versions import find_version, hash_content, name_version, utc_now, write_version

log = logging.getLogger(__name__)

MADE_BY = "jobs/ingest_catalog.py --feed FEED"


@dataclass(frozen=True, kw_only=True)
class SampleSettings:
    """What is drawn."""

    name: str
    plan: BalancePlan
    seed: int = 0  # which rows
    vocabulary: str | None = None  # bundle whose vocabulary counts tokens; characters otherwise
    keep_duplicates: bool = False

    def __post_init__(self) -> None:
        require_name("training set", self.name)
        require(
            "sampling",
            {f"seed is {self.seed!r}, expected a whole number of 32 bits": is_whole(self.seed, -MAX_WHOLE - 1)},
        )


@dataclass(frozen=True, kw_only=True)
class SampleResult:
    """The version, and whether it had to be written."""

    manifest: TrainingSetManifest
    is_new: bool
    accounting: Accounting


@dataclass(frozen=True, kw_only=True)
class Stock:
    """What there is to draw from."""

    labelled: DataFrame  # persisted: all listings, with ``duplicate`` and ``tokens``
    token_unit: str
    counts: Mapping[tuple[str, str, str | None], int]  # rows by (language, locale, duplicate label)
    tokens: Mapping[Cell, int]
    longest: int  # tokens of the longest row

    @property
    def rows(self) -> DataFrame:
        """The listings that can be drawn."""
        return self.labelled.where("duplicate IS NULL")

    def available(self, unit: str) -> dict[Cell, int]:
        """Rows or tokens that can be drawn, by (language, locale)."""
        if unit == "tokens":
            return dict(self.tokens)
        return {cell: self.counts.get((*cell, None), 0) for cell in self.tokens}


def sample_training_set(spark: SparkSession, workspace: Workspace, settings: SampleSettings) -> SampleResult:
    """Draw a training set and pin it. The same plan and seed on the same listings give the same version.

    Raises ConfigurationError for an impossible plan, GateRefusedError where what was drawn is not what was planned.
    """
    path = workspace.table(LISTINGS.name)
    version = last_change(path, made_by=MADE_BY)
    listings = read_table(spark, path, made_by=MADE_BY, version=version)
    stock = take_stock(listings, settings)
    try:
        unit = settings.plan.unit
        allocation = allocate(settings.plan, stock.available(unit))
        log.info("%s", allocation.describe())
        draw = draw_tokens if unit == "tokens" else draw_rows
        drawn = draw(stock.rows, allocation.cells, stock.available(unit), settings.seed).persist(StorageLevel.DISK_ONLY)
        try:
            return _pin(drawn, workspace, settings, allocation, stock, version)
        finally:
            drawn.unpersist()
    finally:
        stock.labelled.unpersist()


def take_stock(listings: DataFrame, settings: SampleSettings) -> Stock:
    """Find duplicates and count everything (two passes)."""
    labelled = listings.withColumn("duplicate", F.lit(None).cast("string"))
    if not settings.keep_duplicates:
        labelled = label_duplicates(listings)
    with_tokens, unit = add_tokens(labelled, settings.vocabulary)
    rows = with_tokens.persist(StorageLevel.DISK_ONLY)
    groups = rows.groupBy(*CELL, "duplicate")
    sums = groups.agg(
        F.count(F.lit(1)).alias("rows"), F.sum("tokens").alias("tokens"), F.max("tokens").alias("longest")
    ).collect()
    kept = [row for row in sums if row["duplicate"] is None]
    return Stock(
        labelled=rows,
        token_unit=unit,
        counts={(row["language"], row["locale"], row["duplicate"]): row["rows"] for row in sums},
        tokens={(row["language"], row["locale"]): row["tokens"] for row in kept},
        longest=max((row["longest"] for row in kept), default=0),
    )


def _pin(
    drawn: DataFrame, workspace: Workspace, settings: SampleSettings, allocation: Allocation, stock: Stock, version: int
) -> SampleResult:
    """Verify what was drawn, and write it where it is new."""
    sums = drawn.groupBy(*CELL).agg(
        F.count(F.lit(1)).alias("rows"),
        F.sum((F.col("copy") == 0).cast("int")).alias("listings"),
        F.sum("tokens").alias("tokens"),
    )
    realised = {(row["language"], row["locale"]): row for row in sums.collect()}
    slack = stock.longest if settings.plan.unit == "tokens" else 0
    verify_allocation(allocation, {cell: row[settings.plan.unit] for cell, row in realised.items()}, slack)
    rows = shape_training_rows(drawn)
    content_hash = hash_content(rows)
    manifest = TrainingSetManifest(
        name=settings.name,
        version=name_version(version, content_hash),
        created_at=utc_now(),
        source_table=workspace.table(LISTINGS.name),
        source_version=version,
        filters=[] if settings.keep_duplicates else ["exact and near duplicates left out"],
        plan=settings.plan.as_json(),
        seed=settings.seed,
        rows=sum(row["rows"] for row in realised.values()),
        content_hash=content_hash,
        available_rows_by_language=_sum_by(0, stock.available("rows")),
        rows_by_language=_sum_by(0, {cell: row["rows"] for cell, row in realised.items()}),
        listings_by_language=_sum_by(0, {cell: row["listings"] for cell, row in realised.items()}),
        rows_by_locale=_sum_by(1, {cell: row["rows"] for cell, row in realised.items()}),
        duplicates_by_locale=count_duplicates(stock.counts),
        token_unit=stock.token_unit,
        tokens_by_language=_sum_by(0, {cell: row["tokens"] for cell, row in realised.items()}),
        tokens_by_locale=_sum_by(1, {cell: row["tokens"] for cell, row in realised.items()}),
        files={},
    )
    accounting = account_sample(stock.counts, manifest.listings_by_language)
    existing = find_version(workspace, manifest.name, manifest.version)
    if existing is not None:
        log.info("training set %s/%s exists already", manifest.name, manifest.version)
        return SampleResult(manifest=existing, is_new=False, accounting=accounting)
    return SampleResult(manifest=write_version(rows, workspace, manifest), is_new=True, accounting=accounting)


def account_sample(counts: Mapping[tuple[str, str, str | None], int], drawn: Mapping[str, int]) -> Accounting:
    """Listings, not their copies. What was not drawn is left out: as a duplicate, or for balance by language."""
    left_out: dict[str, int] = {}
    for (language, _, label), count in counts.items():
        reason = label or f"balance:{language}"
        left_out[reason] = left_out.get(reason, 0) + count
    for language, count in drawn.items():
        left_out[f"balance:{language}"] -= count
    left_out = {reason: count for reason, count in sorted(left_out.items()) if count}
    return Accounting(rows_in=sum(counts.values()), written=sum(drawn.values()), left_out=left_out)


def _sum_by(place: int, cells: Mapping[Cell, int]) -> dict[str, int]:
    """Sums by language (place 0) or locale (place 1), sorted."""
    sums: dict[str, int] = {}
    for cell, count in sorted(cells.items()):
        sums[cell[place]] = sums.get(cell[place], 0) + count
    return dict(sorted(sums.items()))
