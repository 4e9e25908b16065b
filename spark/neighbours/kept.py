"""Keeps the cells of a space, so that neighbours are searched in the same cells by every publication.

Cells of a locale are trained when it first appears. All are trained anew when one locale has outgrown its own, or when a person
deletes the file; they are another generation then, and what was found in the old ones is not comparable.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame

from m5model.files import storage
from schemas.space import sha256_hex
from spark.neighbours.cells import LocaleCells
from spark.neighbours.settings import NeighbourSettings
from spark.neighbours.training import TRAINED_TABLE, cut_cells, train_centres

FILE = "cells.parquet"
# Times the rows that a locale had when its cells were trained; by then it wants some 1.4 times as many cells.
OUTGROWN = 2.0
_GENERATION, _ROWS = b"m5.generation", b"m5.rows"


@dataclass(frozen=True, kw_only=True)
class KeptCells:
    """Holds the cells of all locales that were seen so far."""

    generation: str
    trained: pa.Table  # of TRAINED_TABLE: locales of more than one cell
    rows: Mapping[str, int]  # by locale, when its cells were trained

    def cut(self, rows: Mapping[str, int], settings: NeighbourSettings) -> dict[str, LocaleCells]:
        """The cells of the locales of ``rows``, in blocks for as many rows."""
        return cut_cells(self.trained, rows, settings)

    def has_outgrown(self, rows: Mapping[str, int], settings: NeighbourSettings) -> bool:
        """Whether a locale has so many more rows by now that its cells should be more, too."""
        return any(
            count > OUTGROWN * self.rows[locale] and settings.cells_for(count) > settings.cells_for(self.rows[locale])
            for locale, count in rows.items()
            if locale in self.rows
        )


def read_generation(folder: str) -> str:
    """The name of the cells that are kept there; empty where there are none."""
    cells = read_cells(folder)
    return cells.generation if cells else ""


def read_cells(folder: str) -> KeptCells | None:
    path = f"{folder}/{FILE}"
    if not storage.exists(path):
        return None
    table = pq.read_table(io.BytesIO(storage.read_bytes(path)))
    kept = table.schema.metadata
    rows = dict(zip(*_decode(kept[_ROWS]), strict=True))
    return KeptCells(generation=kept[_GENERATION].decode(), trained=table.replace_schema_metadata(None), rows=rows)


def delete_cells(folder: str) -> None:
    storage.delete_file(f"{folder}/{FILE}")


def keep_cells(folder: str, embeddings: DataFrame, rows: Mapping[str, int], settings: NeighbourSettings) -> KeptCells:
    """The cells that are kept, with those of locales that are new; all trained anew where one was outgrown."""
    kept = read_cells(folder)
    if kept is None or kept.has_outgrown(rows, settings):
        trained = train_centres(embeddings, rows, settings)
        cells = KeptCells(generation=_name(trained, rows), trained=trained, rows=dict(rows))
    elif new := {locale: count for locale, count in rows.items() if locale not in kept.rows}:
        trained = pa.concat_tables([kept.trained, train_centres(embeddings, new, settings)])
        cells = KeptCells(generation=kept.generation, trained=trained, rows={**kept.rows, **new})
    else:
        return kept
    _write(folder, cells)
    return cells


def _name(trained: pa.Table, rows: Mapping[str, int]) -> str:
    centroids = _centroid_bytes(trained.sort_by([("locale", "ascending"), ("cell", "ascending")]))
    return sha256_hex(centroids + _encode(rows))[:16]


def _centroid_bytes(trained: pa.Table) -> bytes:
    """The centroids' bytes."""
    return trained["centroid"].combine_chunks().flatten().to_numpy().tobytes()


def _write(folder: str, cells: KeptCells) -> None:
    metadata = {_GENERATION: cells.generation.encode(), _ROWS: _encode(cells.rows)}
    buffer = io.BytesIO()
    pq.write_table(cells.trained.cast(TRAINED_TABLE).replace_schema_metadata(metadata), buffer)
    storage.write_bytes(f"{folder}/{FILE}", buffer.getvalue())


def _encode(rows: Mapping[str, int]) -> bytes:
    return "\n".join(f"{locale}\t{count}" for locale, count in sorted(rows.items())).encode()


def _decode(text: bytes) -> tuple[list[str], list[int]]:
    pairs = [line.split("\t") for line in text.decode().splitlines()]
    return [locale for locale, _ in pairs], [int(count) for _, count in pairs]
