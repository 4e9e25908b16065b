"""Finds the listings of a locale that share a value of a column: the bodies of tasks, a file each."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession

from schemas.listing import LISTINGS
from spark.delta.data_files import DataFile
from spark.delta.data_rows import KEY, join_keys, read_rows, run_tasks


@dataclass(frozen=True, kw_only=True)
class _Asked:
    path: str
    schema: pa.Schema  # locale, item_id and the column
    names: tuple[str, str]  # columns that are compared
    wanted: pa.Array  # their values, see join_keys


def find_sharing(spark: SparkSession, path: str, files: Sequence[DataFile], name: str, values: pa.Table) -> pa.Table:
    """Locale, item_id of the listings that have one of the values (locale, ``name``). No value is shared by none."""
    return _find(spark, path, files, name, ("locale", name), values).select(list(KEY))


def read_values(spark: SparkSession, path: str, files: Sequence[DataFile], name: str, listings: pa.Table) -> pa.Table:
    """Locale, ``name`` of the listings (locale, item_id)."""
    return _find(spark, path, files, name, ("locale", "item_id"), listings).select(["locale", name])


def _find(
    spark: SparkSession, path: str, files: Sequence[DataFile], name: str, names: tuple[str, str], values: pa.Table
) -> pa.Table:
    schema = pa.schema([(column, LISTINGS.arrow_schema().field(column).type) for column in (*KEY, name)])
    wanted = pc.unique(join_keys(values, names).drop_null())
    found = run_tasks(spark, files, _look, _Asked(path=path, schema=schema, names=names, wanted=wanted))
    return pa.concat_tables([schema.empty_table(), *found])


def _look(file: DataFile, asked: _Asked) -> pa.Table:
    found = (
        rows.filter(pc.is_in(join_keys(rows, asked.names), asked.wanted)) for rows in read_rows(asked.path, file, asked.schema)
    )
    return pa.concat_tables([asked.schema.empty_table(), *found])
