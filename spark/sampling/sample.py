"""One sampling run: listings at a pinned version in, one training-set version out."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from pyspark import StorageLevel
from pyspark.sql import SparkSession

from schemas.listing import LISTINGS
from schemas.report import Accounting
from schemas.training_set import TrainingSetManifest
from schemas.workspace import Workspace
from spark.ingest.ingest import count_by
from spark.sampling.balance import BalancePlan, allocate_rows, verify_balance
from spark.sampling.draw import draw_rows, shape_training_rows
from spark.sampling.tokens import count_tokens
from spark.sampling.versions import count_pairs, find_version, hash_content, name_version, utc_now, write_version
from spark.tables import read_table, table_version

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SampleResult:
    """The version, and whether it had to be written."""

    manifest: TrainingSetManifest
    is_new: bool
    accounting: Accounting


def sample_training_set(
    spark: SparkSession, workspace: Workspace, *, name: str, plan: BalancePlan, seed: int, vocabulary: str | None
) -> SampleResult:
    """Draw a training set by ``plan`` and pin it. The same plan and seed on the same listings give the same version."""
    path = workspace.table(LISTINGS.name)
    listings = read_table(spark, path, made_by="jobs/ingest_catalog.py --feed FEED")
    version = table_version(spark, path)
    listings = read_table(spark, path, made_by="jobs/ingest_catalog.py", version=version)
    available = count_by(listings, "language")
    counts = allocate_rows(plan, available)
    log.info("plan %s: %s", plan.name, describe_plan(counts, available))
    drawn = draw_rows(listings, counts, available, seed).persist(StorageLevel.DISK_ONLY)
    try:
        rows = shape_training_rows(drawn)
        realised = count_by(rows, "language")
        verify_balance(plan, realised)
        content_hash = hash_content(rows)
        set_version = name_version(version, content_hash)
        accounting = account_sample(available, realised)
        existing = find_version(workspace, name, set_version)
        if existing is not None:
            log.info("training set %s/%s exists already", name, set_version)
            return SampleResult(manifest=existing, is_new=False, accounting=accounting)
        tokens, unit = count_tokens(drawn, vocabulary)
        tokens = tokens.persist()
        manifest = TrainingSetManifest(
            name=name,
            version=set_version,
            created_at=utc_now(),
            source_table=path,
            source_version=version,
            filters=[],
            plan=plan.as_json(),
            seed=seed,
            rows=sum(realised.values()),
            content_hash=content_hash,
            available_rows_by_language=available,
            rows_by_language=realised,
            rows_by_locale=count_by(rows, "locale"),
            token_unit=unit,
            tokens_by_language=count_pairs(tokens, "language", "tokens"),
            tokens_by_locale=count_pairs(tokens, "locale", "tokens"),
            files={},
        )
        return SampleResult(manifest=write_version(rows, workspace, manifest), is_new=True, accounting=accounting)
    finally:
        drawn.unpersist()


def describe_plan(counts: Mapping[str, int], available: Mapping[str, int]) -> str:
    """``en 2,500 of 9,000 (25.0%), …``"""
    total = sum(counts.values())
    return ", ".join(f"{k} {count:,} of {available[k]:,} ({count / total:.1%})" for k, count in counts.items())


def account_sample(available: Mapping[str, int], realised: Mapping[str, int]) -> Accounting:
    """What was not drawn is left out, by language."""
    left_out = {f"balance:{k}": available[k] - realised.get(k, 0) for k in available if available[k] > realised.get(k, 0)}
    return Accounting(rows_in=sum(available.values()), written=sum(realised.values()), left_out=left_out)
