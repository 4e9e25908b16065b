"""Finds the listings of a locale that share a value of a column."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession

from schemas.listing import LISTINGS
from spark.delta.data_files import DataFile
from spark.delta.data_rows import DRIVER_BYTES, KEY, join_keys, read_file, read_rows, run_tasks, scan_files


@dataclass(frozen=True, kw_only=True)
class _Asked:
    path: str
    schema: pa.Schema  # locale, item_id and the column
    names: tuple[str, str]  # columns that are compared
    wanted: pa.Array  # their values, see join_keys


@dataclass(frozen=True, kw_only=True)
class ListingValues:
    """A column of the listings: held by the driver where their files are small, else looked up by tasks, a file each."""

    spark: SparkSession
    path: str
    files: Sequence[DataFile]
    name: str
    rows: pa.Table | None  # locale, item_id and the column, where the driver holds them

    def find_sharing(self, values: pa.Table) -> pa.Table:
        """Locale, item_id of the listings that have one of the values (locale, the column). No value is shared by none."""
        return self._find(("locale", self.name), values).select(list(KEY))

    def read_values(self, listings: pa.Table) -> pa.Table:
        """Locale and the column of the listings (locale, item_id)."""
        return self._find(("locale", "item_id"), listings).select(["locale", self.name])

    def _find(self, names: tuple[str, str], values: pa.Table) -> pa.Table:
        schema, wanted = _schema(self.name), pc.unique(join_keys(values, names).drop_null())
        asked = _Asked(path=self.path, schema=schema, names=names, wanted=wanted)
        if self.rows is not None:
            return _pick(self.rows, asked)
        return pa.concat_tables([schema.empty_table(), *run_tasks(self.spark, self.files, _look, asked)])


def open_values(spark: SparkSession, path: str, files: Sequence[DataFile], name: str) -> ListingValues:
    schema, rows = _schema(name), None
    if sum(file.size for file in files) <= DRIVER_BYTES:
        rows = pa.concat_tables([schema.empty_table(), *scan_files(spark, files, read_file, (path, schema))])
    return ListingValues(spark=spark, path=path, files=files, name=name, rows=rows)


def _schema(name: str) -> pa.Schema:
    return pa.schema([(column, LISTINGS.arrow_schema().field(column).type) for column in (*KEY, name)])


def _look(file: DataFile, asked: _Asked) -> pa.Table:
    found = (_pick(rows, asked) for rows in read_rows(asked.path, file, asked.schema))
    return pa.concat_tables([asked.schema.empty_table(), *found])


def _pick(rows: pa.Table, asked: _Asked) -> pa.Table:
    return rows.filter(pc.is_in(join_keys(rows, asked.names), asked.wanted))
