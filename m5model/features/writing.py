"""Writes rows of a view as JSON Lines, CSV or Parquet, batch by batch."""

import json
from collections.abc import Callable, Iterable
from typing import BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

Batches = Iterable[pa.RecordBatch]


def _write_jsonl(schema: pa.Schema, batches: Batches, out: BinaryIO) -> None:
    encode = msgspec.json.Encoder().encode
    for batch in batches:
        out.write(b"".join(encode(row) + b"\n" for row in batch.to_pylist()))


def _write_csv(schema: pa.Schema, batches: Batches, out: BinaryIO) -> None:
    """Lists are JSON in their cell: CSV has none."""
    nested = [pa.types.is_nested(field.type) for field in schema]
    flat = pa.schema(
        [pa.field(one.name, pa.string() if is_nested else one.type) for one, is_nested in zip(schema, nested, strict=True)]
    )
    with pa_csv.CSVWriter(out, flat) as writer:
        for batch in batches:
            columns = [_as_json(one) if is_nested else one for one, is_nested in zip(batch.columns, nested, strict=True)]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=flat))


def _write_parquet(schema: pa.Schema, batches: Batches, out: BinaryIO) -> None:
    with pq.ParquetWriter(out, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _as_json(values: pa.Array) -> pa.Array:
    return pa.array([None if value is None else json.dumps(value) for value in values.to_pylist()], pa.string())


WRITERS: dict[str, Callable[[pa.Schema, Batches, BinaryIO], None]] = {
    "jsonl": _write_jsonl,
    "csv": _write_csv,
    "parquet": _write_parquet,
}
