"""Feed files in the three formats that ingest reads: JSON Lines by group of locales, one CSV, one Parquet."""

import csv
import io
import json
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import pyarrow as pa

from m5model.sample_catalogue.damage import encode_record
from m5model.sample_catalogue.tables import ParquetStream
from m5model.sample_catalogue.wording import Record
from schemas.listing import FEED_COLUMNS

FILES = {
    "americas.jsonl": ("US", "CA", "MX", "BR"),
    "europe.jsonl": ("UK", "DE", "FR", "IT"),
    "asia.jsonl": ("IN", "JP"),
    "south-and-north.csv": ("ES", "NL", "TR"),
    "gulf.parquet": ("AE", "SA"),
}
FILE_OF_LOCALE = {locale: file for file, locales in FILES.items() for locale in locales}
COLUMNS = [column.name for column in FEED_COLUMNS]
# Parquet feeds carry updated_at as text, as JSON does.
PARQUET_SCHEMA = pa.schema([(c.name, pa.string() if c.name == "updated_at" else c.type) for c in FEED_COLUMNS])


class FeedWriter:
    """Writes each record into its locale's file, and raw lines into damaged.jsonl."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._streams: dict[str, BinaryIO] = {
            name: (folder / name).open("wb") for name in (*FILES, "damaged.jsonl") if not name.endswith(".parquet")
        }
        self._parquet = ParquetStream(folder / "gulf.parquet", PARQUET_SCHEMA)
        self._streams["south-and-north.csv"].write(_csv_line(COLUMNS))

    def write(self, record: Record) -> None:
        file = FILE_OF_LOCALE[record["locale"]]
        if file.endswith(".parquet"):
            self._parquet.append({**record, "attributes": list(record["attributes"].items())})
        elif file.endswith(".csv"):
            self._streams[file].write(_csv_line([_csv_cell(record.get(name)) for name in COLUMNS]))
        else:
            self.write_raw(encode_record(record), file)

    def write_raw(self, line: bytes, file: str = "damaged.jsonl") -> None:
        self._streams[file].write(line + b"\n")

    def __enter__(self) -> "FeedWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._parquet.__exit__(kind, error, trace)
        for stream in self._streams.values():
            stream.close()


def _csv_line(cells: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def _csv_cell(value: object) -> str:
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else str(value)
