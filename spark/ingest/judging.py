"""What a candidate becomes, as one projection: repaired, judged, with its language, hashes and warnings.

Each record is looked at once. Python sees only records that need a repair and texts whose language is to be detected.
"""

from datetime import UTC, datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.staging import LISTING, REJECT, REJECT_COLUMNS, STAGED_RECORDS, TOMBSTONE
from spark.ingest.hashing import hash_contents, hash_texts
from spark.ingest.language import normalise_language, settle_language
from spark.ingest.repairs import repair_texts
from spark.ingest.rules import Limits, judge_candidates


def judge_records(candidates: DataFrame, limits: Limits, run_id: str) -> DataFrame:
    """Candidates → rows of STAGED_RECORDS."""
    judged = judge_candidates(repair_texts(normalise_language(candidates)), limits)
    judged = hash_contents(judged.withColumn("updated_at", F.col("updated_at").try_cast("timestamp")))
    return _lay_out(hash_texts(settle_language(judged)), run_id)


def _lay_out(judged: DataFrame, run_id: str) -> DataFrame:
    bad = F.col("is_bad")
    state = F.when(bad, REJECT).when(F.col("is_tombstone"), TOMBSTONE).otherwise(LISTING)
    columns = {
        "state": state,
        "locale": F.when(~bad, F.col("locale")),
        "rejected_locale": F.when(bad, F.col("locale")),
        "ingested_at": F.lit(datetime.now(UTC)),
        "run_id": F.lit(run_id),
        **{name: F.when(bad, F.col(name)) for name in REJECT_COLUMNS if name != "source_file"},
        # Which file a good record came from decides between records of one key and time.
        "source_file": F.col("source_file"),
    }
    return judged.select(*[columns.get(name, F.col(name)).alias(name) for name in STAGED_RECORDS.column_names])
