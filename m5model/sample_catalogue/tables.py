"""Label tables: their columns, and a writer that streams rows into Parquet."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

BATCH_ROWS = 20_000

_KEY = [("locale", pa.string()), ("item_id", pa.string())]

LABELS: Mapping[str, pa.Schema] = {
    "duplicates": pa.schema(
        [*_KEY, ("other_item_id", pa.string()), ("label", pa.int8()), ("product_line", pa.string()), ("split", pa.string())]
    ),
    # Listings of one item, whatever their locale, language and seller.
    "items": pa.schema([*_KEY, ("item", pa.int64())]),
    "brands": pa.schema([*_KEY, ("brand", pa.string())]),
    "categories": pa.schema([*_KEY, ("product_type", pa.string()), ("category", pa.string()), ("product_line", pa.string())]),
    "attributes": pa.schema([*_KEY, ("attribute", pa.string()), ("value", pa.string()), ("declared", pa.bool_())]),
    "queries": pa.schema(
        [("query_id", pa.string()), ("locale", pa.string()), ("language", pa.string()), ("query", pa.string())]
    ),
    "relevance": pa.schema(
        [
            ("query_id", pa.string()),
            ("query", pa.string()),
            ("query_language", pa.string()),
            *_KEY,
            ("grade", pa.string()),
            ("gain", pa.float32()),
            ("split", pa.string()),
        ]
    ),
    "sessions": pa.schema([("session_id", pa.string()), *_KEY, ("event", pa.string()), ("second", pa.int32())]),
    "clicks": pa.schema(
        [
            ("impression_id", pa.string()),
            ("locale", pa.string()),
            ("page_item_id", pa.string()),
            ("ad_item_id", pa.string()),
            ("gl_group", pa.string()),
            ("widget", pa.string()),
            ("search_engine", pa.string()),
            ("historical_ctr_page", pa.float32()),
            ("historical_ctr_ad", pa.float32()),
            ("clicked", pa.int8()),
        ]
    ),
    "repairs": pa.schema([*_KEY, ("repair", pa.string()), ("sound_title", pa.string())]),
}


class ParquetStream:
    """Appends rows to one Parquet file, a batch at a time, so that memory stays flat."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._schema = schema
        self._rows: list[Mapping[str, object]] = []

    def append(self, row: Mapping[str, object]) -> None:
        self._rows.append(row)
        if len(self._rows) >= BATCH_ROWS:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._rows, self._schema))
        self._rows.clear()

    def __enter__(self) -> "ParquetStream":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._flush()
        self._writer.close()
