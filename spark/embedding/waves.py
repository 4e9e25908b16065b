"""The work is cut into waves: whole key buckets, together about as many rows as one commit is worth."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Wave:
    """Buckets that are embedded and committed together."""

    buckets: tuple[int, ...]
    rows: int


def plan_waves(rows_by_bucket: Mapping[int, int], rows_per_wave: int) -> list[Wave]:
    """Consecutive buckets up to ``rows_per_wave`` rows a wave; a larger bucket is a wave of its own."""
    waves: list[Wave] = []
    buckets: list[int] = []
    rows = 0
    for bucket, count in sorted(rows_by_bucket.items()):
        if buckets and rows + count > rows_per_wave:
            waves.append(Wave(tuple(buckets), rows))
            buckets, rows = [], 0
        buckets.append(bucket)
        rows += count
    if buckets:
        waves.append(Wave(tuple(buckets), rows))
    return waves
