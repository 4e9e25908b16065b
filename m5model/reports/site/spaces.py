"""Counts vectors by space: from the statistics of files that hold one space, by reading a few of those that hold several."""

from collections import Counter

import pyarrow.compute as pc

from m5model.reports.site.data_files import read_batches
from m5model.reports.site.tables import OpenTable

READ_FILES = 64  # of those that hold several spaces; the others are taken to have the same shares


def count_spaces(embeddings: OpenTable) -> tuple[dict[str, int], bool]:
    """Rows by space, the largest first; and whether they are counted, not estimated."""
    single, mixed = _split(embeddings)
    read = _read(embeddings.path, [path for path, _ in mixed[:READ_FILES]])
    rest = sum(rows for _, rows in mixed[READ_FILES:])
    whole = sum(read.values()) or 1
    counts = single + Counter({space: rows + round(rest * rows / whole) for space, rows in read.items()})
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))), rest == 0


def _split(embeddings: OpenTable) -> tuple[Counter[str], list[tuple[str, int]]]:
    """Rows by space of the files that hold one; and the others with their rows, sorted by path."""
    names = ("path", "num_records", "min.space_id", "max.space_id")
    columns = [embeddings.files.column(name).to_pylist() for name in names]
    single: Counter[str] = Counter()
    mixed = []
    for path, rows, low, high in zip(*columns, strict=True):
        if low is not None and low == high:
            single[low] += rows
        elif rows:
            mixed.append((path, rows))
    return single, mixed


def _read(table: str, paths: list[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for path in paths:
        for batch in read_batches(table, path, ["space_id"]):
            counts.update({entry["values"]: entry["counts"] for entry in pc.value_counts(batch.column("space_id")).to_pylist()})
    return counts
