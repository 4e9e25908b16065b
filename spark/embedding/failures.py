"""Keeps the listings that the model fails on in ``embedding_rejects``, each with a reason. Every run tries them again."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from schemas.embedding import EMBEDDING_REJECTS
from schemas.errors import BadDataError
from schemas.workspace import Workspace
from spark.delta.log import look_up
from spark.delta.tables import create_table, read_table, replace_rows, spark_schema

# More than this in one wave is no matter of single texts: the model or the machine is broken.
MAX_FAILURES_PER_WAVE = 100_000


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One listing without a vector."""

    locale: str
    item_id: str
    fingerprint: str
    reason: str
    detail: str | None


def collect_failures(embedded: DataFrame) -> list[Failure]:
    """The failed rows of EMBEDDED_COLUMNS. Raises BadDataError where they are too many to be single texts."""
    parts = F.split("failure", ": ", 2)
    failed = embedded.where(F.col("failure").isNotNull())
    failed = failed.select(
        "locale", "item_id", "fingerprint", parts[0].alias("reason"), F.try_element_at(parts, F.lit(2)).alias("detail")
    )
    rows = failed.limit(MAX_FAILURES_PER_WAVE + 1).collect()
    failures = [Failure(**row.asDict()) for row in rows]
    if len(failures) > MAX_FAILURES_PER_WAVE:
        raise BadDataError(
            f"the model fails on more than {MAX_FAILURES_PER_WAVE:,} texts of one wave, e.g. {failures[0]}",
            next_step="try the bundle by hand: m5 encode BUNDLE TEXT",
        )
    return failures


def record_failures(
    spark: SparkSession, workspace: Workspace, failures: Sequence[Failure], *, space_id: str, run_id: str
) -> None:
    """Make the failures of this run the space's rows of ``embedding_rejects``; nothing is written where nothing changes."""
    path = workspace.table(EMBEDDING_REJECTS.name)
    in_space = F.col("space_id") == space_id
    if not failures and (look_up(path) is None or read_table(spark, path, made_by="").where(in_space).isEmpty()):
        return
    create_table(spark, path, EMBEDDING_REJECTS)
    fixed = {"space_id": space_id, "rejected_at": datetime.now(UTC), "run_id": run_id}
    rows = spark.createDataFrame([asdict(failure) | fixed for failure in failures], spark_schema(EMBEDDING_REJECTS))
    replace_rows(rows, path, EMBEDDING_REJECTS, where=f"space_id = '{space_id}'")


def refuse_many_failures(failures: Sequence[Failure], tried: int, max_share: float) -> None:
    """Raise BadDataError where the model failed on more than ``max_share`` of the texts that were tried."""
    if len(failures) <= max_share * tried:
        return
    reasons = ", ".join(f"{name} {count:,}" for name, count in Counter(failure.reason for failure in failures).most_common())
    raise BadDataError(
        f"the model failed on {len(failures):,} of {tried:,} texts ({len(failures) / tried:.1%}, allowed {max_share:.1%}): "
        f"{reasons}; e.g. {failures[0]}",
        next_step=f"look at the table {EMBEDDING_REJECTS.name}; the other texts have their vectors",
    )
