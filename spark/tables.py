"""The only door to Delta tables: create, read, append, merge, delete. Paths and columns come from schemas."""

from collections.abc import Mapping

from delta.tables import DeltaTable
from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from schemas.errors import ConfigurationError
from schemas.tables import Table

# Kept off so that every Delta reader, not only Spark's, can open the tables.
READABLE_EVERYWHERE = {"delta.enableDeletionVectors": "false", "delta.columnMapping.mode": "none"}


def spark_schema(table: Table) -> StructType:
    """The table's schema as Spark sees it, derived from its Arrow schema."""
    return from_arrow_schema(table.arrow_schema())


def table_exists(spark: SparkSession, path: str) -> bool:
    return DeltaTable.isDeltaTable(spark, path)


def create_table(spark: SparkSession, path: str, table: Table, properties: Mapping[str, str] | None = None) -> None:
    """Make an empty table with the declared columns and properties; nothing happens where there is one already."""
    builder = DeltaTable.createIfNotExists(spark).location(path).addColumns(spark_schema(table))
    if table.partition_by:
        builder = builder.partitionedBy(*table.partition_by)
    for name, value in {**READABLE_EVERYWHERE, **table.properties, **(properties or {})}.items():
        builder = builder.property(name, value)
    try:
        builder.execute()
    except AnalysisException as error:
        raise ConfigurationError(
            f"cannot make the table {path}: {_first_line(error)}", next_step="check that the folder is empty and can be written"
        ) from error


def read_table(spark: SparkSession, path: str, *, made_by: str, version: int | None = None) -> DataFrame:
    """The table at ``path``, at ``version`` or now. ``made_by`` is the command to name where there is none."""
    if not table_exists(spark, path):
        raise ConfigurationError(f"there is no table {path}", next_step=f"run {made_by}, or give another --workspace")
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    return reader.load(path)


def table_version(spark: SparkSession, path: str) -> int:
    """The newest version of the table."""
    return int(DeltaTable.forPath(spark, path).history(1).select("version").collect()[0][0])


def table_properties(spark: SparkSession, path: str) -> dict[str, str]:
    """The table's properties; none where there is no table."""
    if not table_exists(spark, path):
        return {}
    return dict(DeltaTable.forPath(spark, path).detail().select("properties").collect()[0][0])


def replace_table(spark: SparkSession, rows: DataFrame, path: str, properties: Mapping[str, str]) -> int:
    """Rows, schema and properties of the table replaced in one commit; returns its number of rows.

    Readers see the old table or the new one, never rows under another's properties.
    """
    writer = rows.writeTo(f"delta.`{path}`").using("delta")
    for name, value in {**READABLE_EVERYWHERE, **properties}.items():
        writer = writer.tableProperty(name, value)
    writer.createOrReplace()
    return spark.read.format("delta").load(path).count()  # from the statistics in the log, not from the files


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
    source = df.select(*table.column_names, *([delete_marker] if delete_marker else []))
    merge = DeltaTable.forPath(df.sparkSession, path).alias("t").merge(source.alias("s"), condition)
    if delete_marker:
        merge = merge.whenMatchedDelete(condition=f"s.{delete_marker}")
    if update_when is not None:
        merge = merge.whenMatchedUpdateAll(condition=update_when)
    inserted_when = F.expr(f"NOT s.{delete_marker}") if delete_marker else F.lit(True)
    columns = {name: f"s.{name}" for name in table.column_names}
    merge.whenNotMatchedInsert(condition=inserted_when, values=dict[str, str | Column](columns)).execute()


def delete_keys(keys: DataFrame, path: str, table: Table, *, prune: Column) -> None:
    """Delete the rows whose key is in ``keys`` (the table's key columns). ``prune`` narrows what is read."""
    condition = prune
    for name in table.key:
        condition = condition & (F.col(f"t.{name}") == F.col(f"s.{name}"))
    DeltaTable.forPath(keys.sparkSession, path).alias("t").merge(keys.alias("s"), condition).whenMatchedDelete().execute()


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
