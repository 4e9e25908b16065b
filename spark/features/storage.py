"""Delta tables of the feature views: read, what they were made from, and the one write."""

from collections.abc import Mapping

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession

# Readable by delta-rs, DuckDB and pandas: neither deletion vectors nor column mapping.
PORTABLE = {"delta.enableDeletionVectors": "false"}


def read_properties(spark: SparkSession, path: str) -> dict[str, str]:
    """Table properties of the Delta table at ``path``; none where there is no table."""
    if not DeltaTable.isDeltaTable(spark, path):
        return {}
    row = DeltaTable.forPath(spark, path).detail().select("properties").first()
    return dict(row["properties"]) if row else {}


def replace_table(spark: SparkSession, rows: DataFrame, path: str, properties: Mapping[str, str]) -> int:
    """Rows, schema and properties of the Delta table at ``path`` replaced in one commit; returns its number of rows.

    Readers see the old table or the new one, never rows under another's properties.
    """
    writer = rows.writeTo(f"delta.`{path}`").using("delta")
    for name, value in {**PORTABLE, **properties}.items():
        writer = writer.tableProperty(name, value)
    writer.createOrReplace()
    return spark.read.format("delta").load(path).count()  # from the statistics in the log, not from the files
