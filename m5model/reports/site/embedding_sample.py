"""A map of a bounded sample of vectors. The sample is drawn by hash of the key, so that one table gives one map.

The key's hash bucket is the partition of ``embeddings``: the rows of one bucket are a random sample of all listings already.
Whole buckets are read, the first ones, until they hold enough rows; of these, the keys with the smallest hashes are shown.
Shape suffixes: N listings, D dimensions, K neighbours.
"""

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from m5model.reports.model.embedding_map import MINIMUM, find_neighbours, project_plane
from m5model.reports.model.facts import ShownListing
from m5model.reports.site.data_files import read_batches
from m5model.reports.site.facts import MapFacts, Near
from m5model.reports.site.tables import OpenTable
from schemas.errors import BadDataError
from schemas.locales import LOCALES

SHOWN = 1_000  # vectors
NEIGHBOURS = 3
LOOKED_UP_ROWS = 2_000_000  # listings among which languages and titles are looked up
KEY = ("locale", "item_id", "space_id")

Key = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class _Sample:
    keys: Sequence[Key]
    vectors_ND: np.ndarray
    read_rows: int


def draw_space(embeddings: OpenTable, space_id: str, rows: int, listings: OpenTable | None) -> MapFacts | None:
    """The map of a space with ``rows`` vectors; None where there are too few.

    Raises BadDataError where vectors have different lengths.
    """
    sample = _draw(embeddings, space_id)
    if len(sample.keys) < MINIMUM:
        return None
    can_look_up = listings is not None and (listings.rows or LOOKED_UP_ROWS + 1) <= LOOKED_UP_ROWS
    known = _look_up(listings, set(sample.keys)) if listings is not None and can_look_up else {}
    shown = [known.get(key) or _unknown(key) for key in sample.keys]
    return MapFacts(
        space_id=space_id,
        rows=rows,
        read_rows=sample.read_rows,
        listings=shown,
        projection=project_plane(sample.vectors_ND),
        names_are_known=can_look_up,
        near=_find_near(shown, sample.vectors_ND) if can_look_up else [],
    )


def _draw(embeddings: OpenTable, space_id: str) -> _Sample:
    hashed: list[tuple[bytes, Key]] = []
    files: list[str] = []
    read_rows = 0
    for bucket in _buckets(embeddings, space_id):
        found = [(_hash(key), key) for file in bucket for key, _ in _rows_of(embeddings.path, file, space_id, KEY)]
        hashed = heapq.nsmallest(SHOWN, [*hashed, *found])
        files += bucket
        read_rows += len(found)
        if read_rows >= SHOWN:
            break
    vectors = _read_vectors(embeddings.path, files, space_id, {key for _, key in hashed})
    keys = [key for _, key in hashed]
    return _Sample(keys=keys, vectors_ND=_stack([vectors[key] for key in keys]), read_rows=read_rows)


def _buckets(embeddings: OpenTable, space_id: str) -> Iterable[list[str]]:
    """The files of each bucket that may hold vectors of the space."""
    names = ("path", "partition.bucket", "min.space_id", "max.space_id")
    files: dict[int, list[str]] = {}
    for path, bucket, low, high in zip(*(embeddings.files.column(name).to_pylist() for name in names), strict=True):
        if low is None or low <= space_id <= high:
            files.setdefault(bucket, []).append(path)
    return [files[bucket] for bucket in sorted(files)]


def _read_vectors(table: str, files: Iterable[str], space_id: str, keys: set[Key]) -> dict[Key, np.ndarray]:
    return {key: vector for file in files for key, vector in _rows_of(table, file, space_id, (*KEY, "vector"), keys)}


def _rows_of(
    table: str, file: str, space_id: str, columns: Sequence[str], wanted: set[Key] | None = None
) -> Iterator[tuple[Key, np.ndarray]]:
    """Keys of a file's rows in the space, and their vectors where these are among the columns."""
    ids = None if wanted is None else pa.array(sorted({item_id for _, item_id in wanted}))
    for batch in read_batches(table, file, columns):
        chosen = batch.filter(pc.equal(batch.column("space_id"), space_id))
        chosen = chosen if ids is None else chosen.filter(pc.is_in(chosen.column("item_id"), value_set=ids))
        keys = zip(chosen.column("locale").to_pylist(), chosen.column("item_id").to_pylist(), strict=True)
        vectors = chosen.column("vector") if "vector" in chosen.schema.names else None
        for place, key in enumerate(keys):
            if wanted is None or key in wanted:
                yield key, np.empty(0) if vectors is None else np.asarray(vectors[place].values)


def _hash(key: Key) -> bytes:
    return hashlib.blake2b("\0".join(key).encode("utf-8", "surrogatepass"), digest_size=12).digest()


def _stack(vectors: Sequence[np.ndarray]) -> np.ndarray:
    lengths = sorted({len(vector) for vector in vectors})
    if len(lengths) > 1:
        raise BadDataError(f"vectors of one space have {lengths} dimensions", next_step="embed the catalogue anew")
    stacked_ND: np.ndarray = np.stack(vectors) if vectors else np.empty((0, 0))
    return stacked_ND


def _look_up(listings: OpenTable, keys: set[Key]) -> Mapping[Key, ShownListing]:
    """Language and title of the listings."""
    found: dict[Key, ShownListing] = {}
    locales = listings.files.column("partition.locale").to_pylist()
    for path, locale in zip(listings.files.column("path").to_pylist(), locales, strict=True):
        ids = pa.array(sorted(item_id for its, item_id in keys if its == locale), pa.string())
        for batch in read_batches(listings.path, path, ["item_id", "language", "title"]) if len(ids) else ():
            for row in batch.filter(pc.is_in(batch.column("item_id"), value_set=ids)).to_pylist():
                found[locale, row["item_id"]] = _listing(locale, row["item_id"], row["language"] or "", row["title"] or "")
    return found


def _unknown(key: Key) -> ShownListing:
    """A listing that is not there any more, or was not looked up: it counts for its locale's most usual language."""
    locale, item_id = key
    return _listing(locale, item_id, LOCALES[locale].languages[0] if locale in LOCALES else "", item_id)


def _listing(locale: str, item_id: str, language: str, title: str) -> ShownListing:
    return ShownListing(locale=locale, item_id=item_id, language=language, group="", fields={"title": title})


def _find_near(listings: Sequence[ShownListing], vectors_ND: np.ndarray) -> list[Near]:
    """The first listing of each language, and its nearest ones in the sample."""
    nearest_NK = find_neighbours(vectors_ND, NEIGHBOURS)
    unit_ND = vectors_ND / np.maximum(np.linalg.norm(vectors_ND, axis=1, keepdims=True), 1e-12)
    first: dict[str, int] = {}
    for place, listing in enumerate(listings):
        first.setdefault(listing.language, place)
    return [
        Near(
            listing=listings[place],
            others=[(listings[other], round(float(unit_ND[place] @ unit_ND[other]), 4)) for other in nearest_NK[place]],
        )
        for _, place in sorted(first.items())
    ]
