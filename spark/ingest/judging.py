"""What a candidate becomes, as one projection: repaired, judged, with its language, hashes and warnings.

Nearly all records are sound and say their language: Spark judges them by itself. The others are suspects, set aside raw, read
closely and then judged with Python's help. Rows that pass through Python cost half as much again, whether it looks at them or
not. In a feed that consists of suspects, because it does not declare languages, all are shown to Python at once.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.staging import LISTING, REJECT, REJECT_COLUMNS, STAGED_RECORDS, SUSPECT, TOMBSTONE
from spark.ingest.hashing import hash_contents, hash_texts
from spark.ingest.language import normalise_language, settle_language
from spark.ingest.repairs import find_suspects, leave_texts, repair_texts
from spark.ingest.rules import Limits, judge_candidates

SAMPLE = 1_000


def mark_suspects(candidates: DataFrame) -> DataFrame:
    """Candidates with ``is_suspect``."""
    return find_suspects(normalise_language(candidates))


def share_of_suspects(marked: DataFrame) -> float:
    """Out of the feed's first records."""
    first = marked.select("is_suspect").head(SAMPLE)
    return sum(row["is_suspect"] for row in first) / max(1, len(first))


def judge_marked(marked: DataFrame, limits: Limits, run_id: str) -> DataFrame:
    """Marked candidates → rows of STAGED_RECORDS, suspects among them as they are."""
    return _lay_out(_settle(judge_candidates(leave_texts(marked), limits)), F.col("is_suspect"), run_id)


def judge_suspects(candidates: DataFrame, limits: Limits, run_id: str) -> DataFrame:
    """Candidates → rows of STAGED_RECORDS, each repaired where it needs that, and its language detected."""
    judged = judge_candidates(repair_texts(normalise_language(candidates)), limits)
    return _lay_out(_settle(judged), F.lit(False), run_id)


def _settle(judged: DataFrame) -> DataFrame:
    judged = hash_contents(judged.withColumn("updated_at", F.col("updated_at").try_cast("timestamp")))
    return hash_texts(settle_language(judged))


def _lay_out(judged: DataFrame, is_suspect: Column, run_id: str) -> DataFrame:
    bad = F.col("is_bad")
    state = F.when(is_suspect, SUSPECT).when(bad, REJECT).when(F.col("is_tombstone"), TOMBSTONE).otherwise(LISTING)
    judged = judged.withColumn("state", state).withColumn("is_raw", is_suspect | bad)
    raw = F.col("is_raw")
    columns: Mapping[str, Column] = {
        "locale": F.when(~raw, F.col("locale")),
        "rejected_locale": F.when(bad, F.col("locale")),
        "ingested_at": F.lit(datetime.now(UTC)),
        "run_id": F.lit(run_id),
        **{name: F.when(raw, F.col(name)) for name in REJECT_COLUMNS if name != "source_file"},
    }
    return judged.select(*[columns.get(name, F.col(name)).alias(name) for name in STAGED_RECORDS.column_names])
