"""Declares tables: columns with type, unit and meaning. Spark and Arrow schemas both derive from this."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import pyarrow as pa

TEXT = pa.string()
TEXTS = pa.list_(pa.string())
TEXT_MAP = pa.map_(pa.string(), pa.string())
VECTOR = pa.list_(pa.float32())
INSTANT = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table."""

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""
    nullable: bool = True


@dataclass(frozen=True, kw_only=True)
class Table:
    """A Delta table: its columns, its key, and how its files are laid out."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition_by: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def arrow_schema(self) -> pa.Schema:
        """Arrow schema with the columns in their declared order."""
        return pa.schema([pa.field(column.name, column.type, nullable=column.nullable) for column in self.columns])

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)
