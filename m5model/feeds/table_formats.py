"""Recognises tables of Delta, Iceberg and Hudi: their files alone are not their rows."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from m5model.files import storage

DELTA = "Delta"
FOLDERS = {"_delta_log": DELTA, ".hoodie": "Hudi"}
ICEBERG_FOLDER, ICEBERG_ENDING = "metadata", ".metadata.json"


@dataclass(frozen=True)
class FoundTable:
    """A table of another format than a feed's."""

    root: str
    kind: str

    def __str__(self) -> str:
        advice = "Write its rows to plain Parquet or JSON Lines with a reader of that format, and give those"
        if self.kind == DELTA:
            advice = f"Give the whole table as a feed ({self.root}), or write its rows to plain Parquet or JSON Lines"
        return f"{self.root} is a table of {self.kind}: among its files are rows that were changed or deleted since. {advice}"


def find_table_of(file: str) -> FoundTable | None:
    """The table that ``file`` is a part of the log of."""
    parts = file.split("/")
    for folder, kind in FOLDERS.items():
        if folder in parts:
            return FoundTable("/".join(parts[: parts.index(folder)]), kind)
    if file.endswith(ICEBERG_ENDING) and parts[-2:-1] == [ICEBERG_FOLDER]:
        return FoundTable("/".join(parts[:-2]), "Iceberg")
    return None


def find_table_around(files: Iterable[str]) -> FoundTable | None:
    """A table that one of ``files`` lies in, in one of its partitions for example."""
    folders: set[tuple[str, PurePosixPath]] = set()
    for file in files:
        scheme, mark, rest = file.rpartition("://")
        folders.update((scheme + mark, folder) for folder in PurePosixPath(rest).parents if folder.parts)
    for prefix, folder in sorted(folders, key=lambda found: (-len(found[1].parts), found)):
        if kind := _table_at(f"{prefix}{folder}"):
            return FoundTable(f"{prefix}{folder}", kind)
    return None


def _table_at(folder: str) -> str | None:
    for name, kind in FOLDERS.items():
        if storage.exists(f"{folder}/{name}"):
            return kind
    metadata = storage.list_files(f"{folder}/{ICEBERG_FOLDER}")
    return "Iceberg" if any(file.endswith(ICEBERG_ENDING) for file in metadata) else None
