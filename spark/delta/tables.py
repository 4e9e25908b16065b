"""The door to Delta tables: create, read, append, merge, delete. Paths and columns come from schemas.

Whole files that another table's commit wrote come in through spark.delta.files.
"""

import logging
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from delta.exceptions import (
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
    ConcurrentTransactionException,
    ConcurrentWriteException,
    MetadataChangedException,
    ProtocolChangedException,
)
from delta.tables import DeltaTable
from pyarrow.fs import FileType
from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from m5model.files import storage
from m5model.files.delta import open_delta
from schemas.errors import ConfigurationError
from schemas.tables import Table
from spark.delta.missing import missing_table

log = logging.getLogger(__name__)

# Another writer's commit came between (they share no base class). A commit that is safe to repeat is repeated.
CONFLICTS = (
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
    ConcurrentTransactionException,
    ConcurrentWriteException,
    MetadataChangedException,
    ProtocolChangedException,
)
COMMIT_ATTEMPTS = 12
CREATION_SECONDS = 10.0

# Kept off so that every Delta reader, not only Spark's, can open the tables.
READABLE_EVERYWHERE = {"delta.enableDeletionVectors": "false", "delta.columnMapping.mode": "none"}


def spark_schema(table: Table) -> StructType:
    """The table's schema as Spark sees it, derived from its Arrow schema."""
    return from_arrow_schema(table.arrow_schema())


def table_exists(spark: SparkSession, path: str) -> bool:
    return DeltaTable.isDeltaTable(spark, path)


def is_untouched(path: str) -> bool:
    """True only where the table was made empty and not written to since: known from its first commit alone."""
    first, second = (f"{path}/_delta_log/{version:020d}.json" for version in range(2))
    return storage.exists(first) and not storage.exists(second) and b'"add"' not in storage.read_bytes(first)


def create_table(spark: SparkSession, path: str, table: Table, properties: Mapping[str, str] | None = None) -> None:
    """Make an empty table with the declared columns and properties; nothing happens where there is one already."""
    if table_exists(spark, path):
        return
    builder = DeltaTable.createIfNotExists(spark).location(path).addColumns(spark_schema(table))
    if table.partition_by:
        builder = builder.partitionedBy(*table.partition_by)
    for name, value in {**READABLE_EVERYWHERE, **table.properties, **(properties or {})}.items():
        builder = builder.property(name, value)
    try:
        commit_beside_others(builder.execute, path)
    except AnalysisException as error:
        if _appears(spark, path):  # another run is making the same table at this moment
            return
        raise ConfigurationError(
            f"cannot make the table {path}: {_first_line(error)}", next_step="check that the folder is empty and can be written"
        ) from error


def add_new_columns(spark: SparkSession, path: str, table: Table) -> None:
    """Give a table that was made earlier the columns that its declaration has by now: null in the rows that it holds."""
    present = {field.name for field in open_delta(path).schema().fields}
    new = [f"`{field.name}` {field.dataType.simpleString()}" for field in spark_schema(table) if field.name not in present]
    if new:
        commit_beside_others(lambda: spark.sql(f"ALTER TABLE {_quote(path)} ADD COLUMNS ({', '.join(new)})"), path)


def read_table(spark: SparkSession, path: str, *, made_by: str, version: int | None = None) -> DataFrame:
    """The table at ``path``, at ``version`` or now. ``made_by`` is the command to name where there is none."""
    if not table_exists(spark, path):
        raise missing_table(path, made_by)
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    return reader.load(path)


def replace_table(
    rows: DataFrame, path: str, properties: Mapping[str, str], metadata: str, *, partition_by: Sequence[str] = ()
) -> None:
    """Replace rows, schema and properties of the table in one commit, with that user metadata.

    Readers see the old table or the new one, never rows under another's properties.
    """
    writer = rows.writeTo(_quote(path)).using("delta").option("userMetadata", metadata)
    for name, value in {**READABLE_EVERYWHERE, **properties}.items():
        writer = writer.tableProperty(name, value)
    if partition_by:
        writer = writer.partitionedBy(*map(F.col, partition_by))
    writer.createOrReplace()


def append_rows(df: DataFrame, path: str, table: Table) -> None:
    """Add the rows of ``df`` in one commit. Not safe to repeat: the caller knows that their keys are new."""
    df.select(*table.column_names).write.format("delta").mode("append").save(path)


def merge_rows(
    df: DataFrame,
    path: str,
    table: Table,
    *,
    update_when: str | None,
    delete_marker: str | None = None,
    prune: Column | None = None,
) -> None:
    """Insert the rows of ``df`` whose key is new; update the others where ``update_when`` (SQL over t and s) holds.

    Rows whose column ``delete_marker`` is true delete their key instead. Safe to repeat. ``prune`` narrows the target to
    what ``df`` can touch; keys must be unique in ``df``.
    """
    same_key = [F.col(f"t.{name}") == F.col(f"s.{name}") for name in table.key]
    condition = same_key[0]
    for part in [*same_key[1:], *([] if prune is None else [prune])]:
        condition = condition & part
    columns = dict[str, str | Column]({name: f"s.{name}" for name in table.column_names})
    source = df.select(*table.column_names, *([delete_marker] if delete_marker else []))
    inserted_when = F.expr(f"NOT s.{delete_marker}") if delete_marker else F.lit(True)

    def merge() -> None:
        builder = DeltaTable.forPath(df.sparkSession, path).alias("t").merge(source.alias("s"), condition)
        if delete_marker:
            builder = builder.whenMatchedDelete(condition=f"s.{delete_marker}")
        if update_when is not None:
            builder = builder.whenMatchedUpdate(condition=update_when, set=columns)
        builder.whenNotMatchedInsert(condition=inserted_when, values=columns).execute()

    commit_beside_others(merge, path)


def delete_keys(keys: DataFrame, path: str, table: Table, *, prune: Column) -> None:
    """Delete the rows whose key is in ``keys`` (the table's key columns). ``prune`` narrows what is read."""
    condition = prune
    for name in table.key:
        condition = condition & (F.col(f"t.{name}") == F.col(f"s.{name}"))

    def delete() -> None:
        DeltaTable.forPath(keys.sparkSession, path).alias("t").merge(keys.alias("s"), condition).whenMatchedDelete().execute()

    commit_beside_others(delete, path)


def replace_rows(rows: DataFrame, path: str, table: Table, *, where: str) -> None:
    """Replace all rows for which ``where`` (SQL) holds by ``rows``, in one commit. All of ``rows`` must fulfil it."""
    writer = rows.select(*table.column_names).write.format("delta").mode("overwrite").option("replaceWhere", where)
    commit_beside_others(lambda: writer.save(path), path)


def delete_where(spark: SparkSession, path: str, where: str) -> None:
    """Delete the rows for which ``where`` (SQL) holds. Safe to repeat."""
    commit_beside_others(lambda: DeltaTable.forPath(spark, path).delete(where), path)


def version_times(spark: SparkSession, path: str) -> dict[int, datetime]:
    """Returns when each version that the log still knows was committed."""
    history = DeltaTable.forPath(spark, path).history().select("version", F.unix_micros("timestamp").alias("micros"))
    return {row["version"]: datetime.fromtimestamp(row["micros"] / 1e6, UTC) for row in history.orderBy("version").collect()}


def removable_files(spark: SparkSession, path: str, hours: float) -> int:
    """Files that ``vacuum_table`` would delete. Delta's dry run also names folders, which are not counted."""
    with _short_history(spark):
        rows = spark.sql(f"VACUUM {_quote(path)} RETAIN {hours:.3f} HOURS DRY RUN").collect()
    return _count_files([row[0] for row in rows])


def vacuum_table(spark: SparkSession, path: str, hours: float) -> None:
    """Delete the files that no version of the last ``hours`` needs. Older versions cannot be read afterwards."""
    with _short_history(spark):
        spark.sql(f"VACUUM {_quote(path)} RETAIN {hours:.3f} HOURS")


def _count_files(uris: Sequence[str]) -> int:
    """Counts those of ``uris``, all on one filesystem, that are files."""
    found = storage.get_infos([re.sub(r"^file:/+", "/", uri) for uri in uris])
    return sum(entry.type == FileType.File for entry in found)


@contextmanager
def _short_history(spark: SparkSession) -> Iterator[None]:
    """Delta refuses less than a week by itself; here the policies decide, and references are looked at.

    Its listing of files starts 10,000 tasks by default, whatever there is to list: half a minute on a small machine.
    """
    changed = {
        "spark.databricks.delta.retentionDurationCheck.enabled": "false",
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": str(4 * spark.sparkContext.defaultParallelism),
    }
    before = {name: spark.conf.get(name, None) for name in changed}
    for name, value in changed.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, old in before.items():
            spark.conf.unset(name) if old is None else spark.conf.set(name, old)


def commit_beside_others(commit: Callable[[], object], path: str) -> None:
    """Run a commit that is safe to repeat, again after another writer was faster. Raises ConfigurationError in the end."""
    for attempt in range(COMMIT_ATTEMPTS):
        try:
            commit()
            return
        except CONFLICTS as conflict:
            log.info("another writer of %s was faster (%s): once more", path, type(conflict).__name__)
            time.sleep(random.uniform(0, min(2**attempt, 30)))
    raise ConfigurationError(
        f"{COMMIT_ATTEMPTS} commits to {path} met another writer's", next_step="let fewer jobs write to the table at once"
    )


def count_by(df: DataFrame, column: str) -> dict[str, int]:
    """Rows by value of a column of few values, sorted by value."""
    return dict(sorted((str(row[0]), row[1]) for row in df.groupBy(column).count().collect()))


def _appears(spark: SparkSession, path: str) -> bool:
    """True as soon as there is a table; False after CREATION_SECONDS without one."""
    deadline = time.monotonic() + CREATION_SECONDS
    while not table_exists(spark, path):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def _quote(path: str) -> str:
    """The table at ``path`` as SQL names it."""
    return "delta.`" + path.replace("`", "``") + "`"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
