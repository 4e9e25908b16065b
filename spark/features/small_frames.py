"""Makes frames of the rows that a change concerns. Few rows are worked on by one task, and nothing is shuffled."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from spark.delta.data_rows import to_frame

# One task takes some seconds for as many; more are worth the shuffles that several tasks need.
ONE_TASK_ROWS = 50_000
# For frames of one partition. To broadcast a side of a join, or to plan again by its size, would be jobs of their own, which
# take longer than the join.
SETTINGS: Mapping[str, str] = {
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.autoBroadcastJoinThreshold": "-1",
    "spark.sql.shuffle.partitions": "1",
}


@dataclass(frozen=True, kw_only=True)
class SmallFrames:
    """Makes frames that are joined with one another."""

    session: SparkSession
    one_task: bool

    def of(self, rows: pa.Table) -> DataFrame:
        frame = to_frame(self.session, rows)
        return frame.coalesce(1) if self.one_task else frame


def small_frames(spark: SparkSession, rows: int) -> SmallFrames:
    """For frames of at most ``rows`` rows."""
    if rows > ONE_TASK_ROWS:
        return SmallFrames(session=spark, one_task=False)
    session = spark.newSession()
    of_caller = {name: value for name, value in spark.conf.getAll.items() if spark.conf.isModifiable(name)}
    for name, value in {**of_caller, **SETTINGS}.items():
        session.conf.set(name, value)
    return SmallFrames(session=session, one_task=True)
