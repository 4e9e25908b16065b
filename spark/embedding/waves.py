"""Cuts pending rows into waves: whole key buckets, or slices of a large one, about as many rows as a commit is worth."""

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.listing import LISTING_KEY


@dataclass(frozen=True, kw_only=True)
class Wave:
    """Rows that are embedded and committed together."""

    buckets: tuple[int, ...]
    rows: int  # exact for whole buckets, about right for a slice
    part: int = 0
    parts: int = 1  # above 1: this is one of so many slices of a single bucket


def plan_waves(rows_by_bucket: Mapping[int, int], rows_per_wave: int) -> list[Wave]:
    """Consecutive buckets up to ``rows_per_wave`` rows a wave; a bucket of twice that and more is cut into slices."""
    waves: list[Wave] = []
    buckets: list[int] = []
    rows = 0
    for bucket, count in sorted(rows_by_bucket.items()):
        if buckets and rows + count > rows_per_wave:
            waves.append(Wave(buckets=tuple(buckets), rows=rows))
            buckets, rows = [], 0
        parts = count // rows_per_wave
        if parts > 1:
            waves += [Wave(buckets=(bucket,), rows=count // parts, part=part, parts=parts) for part in range(parts)]
            continue
        buckets.append(bucket)
        rows += count
    if buckets:
        waves.append(Wave(buckets=tuple(buckets), rows=rows))
    return waves


def select_wave(pending: DataFrame, wave: Wave) -> DataFrame:
    """The rows of the wave. Which rows those are depends on their keys alone."""
    rows = pending.where(F.col("bucket").isin(*wave.buckets))
    if wave.parts == 1:
        return rows
    return rows.where(F.pmod(F.xxhash64(*LISTING_KEY, F.lit("slice")), F.lit(wave.parts)) == wave.part)
