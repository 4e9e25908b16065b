"""Looks once at every vector of a bucket, beside the lists of its listings: the body of a task.

Lists lie in the same buckets as vectors, so that a task has both and writes the lists that change. What the changed listings
themselves find lies in all buckets; that is merged, see Found.plus.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark.delta.data_files import DataFile
from spark.delta.data_rows import WrittenFile, join_keys, read_rows, write_rows
from spark.neighbours.cells import LocaleCells
from spark.neighbours.list_rows import HITS, ROWS, Gained, ListSizes, find_gone, follow_lists, keep_nearest
from spark.neighbours.near_changes import Searched, Sought, Text, Whole, find_near
from spark.neighbours.settings import NeighbourSettings
from spark.vectors.columns import Vectors, vectors_from_arrow
from spark.vectors.top_k import MICRO

FARTHEST = MICRO  # of distances, which are negative millionths of a cosine
BLOCK_ROWS = 8_192  # vectors that are looked at together: 25 MB at 384 dimensions, as float64
VECTORS = pa.schema(
    [
        pa.field("locale", pa.string()),
        pa.field("item_id", pa.string()),
        pa.field("space_id", pa.string()),
        pa.field("vector", pa.list_(pa.float32())),
    ]
)
KEYS = VECTORS.field(0), VECTORS.field(1)
SHORT = pa.schema([*KEYS, pa.field("vector", pa.list_(pa.float32())), pa.field("bucket", pa.int32())])


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """The files of one bucket."""

    bucket: str
    lists: tuple[DataFile, ...]
    vectors: tuple[DataFile, ...]


@dataclass(frozen=True, kw_only=True)
class Pass:
    """Holds what the tasks of one pass have in common."""

    lists_path: str
    vectors_path: str
    space_id: str
    cells: Mapping[str, LocaleCells]
    settings: NeighbourSettings
    sizes: ListSizes
    gone: pa.Table  # locale, item_id of listings whose lists there were, and which are gone or have another vector
    new: pa.Array  # keys of listings that are new or have another vector, see join_keys
    sought: Mapping[str, Sought]
    writes: str  # what names of new files begin with; empty where lists are only read
    version: int  # that the lists will have


@dataclass(frozen=True, kw_only=True)
class BucketLists:
    """Says what became of the lists of a bucket."""

    bucket: str
    files: tuple[str, ...]  # that held them; empty where they stay as they are
    written: WrittenFile | None


@dataclass(frozen=True, kw_only=True)
class Found:
    """Holds what a pass found, of one bucket or of several."""

    hits: pa.Table  # HITS of those that were sought
    short: pa.Table  # SHORT: lists of which too little is left
    lists: tuple[BucketLists, ...]
    matched: int  # vectors that belong to a list or to a new listing
    expected: Mapping[str, int]  # lists that were not gone, by locale
    kept: int  # neighbours of a listing

    def plus(self, other: "Found") -> "Found":
        return Found(
            hits=keep_nearest(pa.concat_tables([self.hits, other.hits]), self.kept),
            short=pa.concat_tables([self.short, other.short]),
            lists=(*self.lists, *other.lists),
            matched=self.matched + other.matched,
            expected=Counter(self.expected) + Counter(other.expected),
            kept=self.kept,
        )


def look_at_bucket(bucket: Bucket, shared: Pass) -> Found:
    """Search the sought among the bucket's listings; where lists are written, offer them to the lists, too."""
    everything = _concat(ROWS, (rows for file in bucket.lists for rows in read_rows(shared.lists_path, file, ROWS)))
    is_gone = pc.is_in(join_keys(everything), join_keys(shared.gone))
    lists = everything.filter(pc.invert(is_gone))
    near = _Near(lists=lists, shared=shared)
    for file in bucket.vectors:
        for rows in read_rows(shared.vectors_path, file, VECTORS):
            near.look_at(rows)
    hits = keep_nearest(_concat(HITS, near.hits), shared.sizes.kept)
    short, outcome = SHORT.empty_table(), BucketLists(bucket=bucket.bucket, files=(), written=None)
    if shared.writes:
        short, outcome = _write_lists(bucket, shared, lists, near.gained(), is_same=len(lists) == len(everything))
    expected = Counter(lists["locale"].to_pylist())
    return Found(hits=hits, short=short, lists=(outcome,), matched=near.matched, expected=expected, kept=shared.sizes.kept)


class _Near:
    """Collects what blocks of vectors bring."""

    def __init__(self, lists: pa.Table, shared: Pass) -> None:
        self._shared, self._keys = shared, join_keys(lists)
        worst = pc.fill_null(pc.struct_field(lists["bound"].combine_chunks(), "distance"), FARTHEST)
        self._worst_N = worst.to_numpy(zero_copy_only=False)
        self._lowest = float(np.rint(shared.settings.min_cosine * MICRO))
        self._gained: list[Gained] = []
        self.hits: list[pa.Table] = []
        self.matched = 0

    def look_at(self, rows: pa.Table) -> None:
        """Rows of VECTORS; those of another space, and of listings that there are not, are passed by."""
        keys = join_keys(rows)
        place = pc.index_in(keys, self._keys)
        is_listing = pc.and_(
            pc.or_(place.is_valid(), pc.is_in(keys, self._shared.new)),
            pc.equal(rows["space_id"].combine_chunks(), self._shared.space_id),
        ).to_numpy(zero_copy_only=False)
        self.matched += int(is_listing.sum())
        place_N = pc.fill_null(place, -1).to_numpy(zero_copy_only=False)
        vectors_ND = vectors_from_arrow(rows["vector"].combine_chunks())
        ids_N = np.array(rows["item_id"].to_pylist(), object)
        # In the order of ids, so that equal distances come in it, too.
        order = pc.sort_indices(rows.select(["item_id"]), [("item_id", "ascending")]).to_numpy()
        locales = pc.dictionary_encode(rows["locale"].combine_chunks())
        for code, locale in enumerate(locales.dictionary.to_pylist()):
            if locale in self._shared.sought:
                mine = order[(locales.indices.to_numpy()[order] == code) & is_listing[order]]
                for start in range(0, len(mine), BLOCK_ROWS):
                    block = mine[start : start + BLOCK_ROWS]
                    self._look_at_block(locale, ids_N[block], vectors_ND[block], place_N[block])

    def _look_at_block(self, locale: str, ids_N: Text, vectors_ND: Vectors, place_N: Whole) -> None:
        shared, sought = self._shared, self._shared.sought[locale]
        rows = Searched(
            ids=ids_N,
            vectors_ND=vectors_ND,
            worst_N=np.where(place_N >= 0, self._worst_N[place_N] if len(self._worst_N) else 0, FARTHEST),
            cells=shared.cells[locale],
            probes=shared.settings.probes,
        )
        (found, seeker, distance), (row, other, offered) = find_near(rows, sought, shared.settings.k, self._lowest)
        others = pa.repeat(locale, len(found)), _texts(sought.ids[seeker]), distance, _texts(rows.ids[found])
        self.hits.append(pa.table(list(others), schema=HITS))
        self._gained.append(Gained(list_G=place_N[row], distance_G=offered, ids_G=_texts(sought.ids[other])))

    def gained(self) -> Gained:
        none = Gained(list_G=np.zeros(0, np.int64), distance_G=np.zeros(0, np.int64), ids_G=_texts([]))
        every = [none, *self._gained]
        return Gained(
            list_G=np.concatenate([one.list_G for one in every]),
            distance_G=np.concatenate([one.distance_G for one in every]),
            ids_G=pa.concat_arrays([one.ids_G for one in every]),
        )


def _write_lists(
    bucket: Bucket, shared: Pass, lists: pa.Table, gained: Gained, *, is_same: bool
) -> tuple[pa.Table, BucketLists]:
    """The lists of which too little is left, with their vectors; and the file of the others, where one changed."""
    followed = follow_lists(lists, find_gone(lists, shared.gone), gained, shared.sizes, shared.version)
    if is_same and not len(followed.changed_T):
        return SHORT.empty_table(), BucketLists(bucket=bucket.bucket, files=(), written=None)
    is_kept = np.ones(len(lists), bool)
    is_kept[followed.changed_T] = False
    enough = followed.rows.filter(pa.array(~followed.is_short_T))
    rows = pa.concat_tables([lists.filter(pa.array(is_kept)), enough])
    written = write_rows(shared.lists_path, f"bucket={bucket.bucket}/{shared.writes}", rows)
    outcome = BucketLists(bucket=bucket.bucket, files=tuple(file.path for file in bucket.lists), written=written)
    return _read_short(bucket, shared, followed.rows.filter(pa.array(followed.is_short_T))), outcome


def _read_short(bucket: Bucket, shared: Pass, short: pa.Table) -> pa.Table:
    if not len(short):
        return SHORT.empty_table()
    keys = join_keys(short)
    found = _concat(VECTORS, (rows for file in bucket.vectors for rows in read_rows(shared.vectors_path, file, VECTORS, keys)))
    found = found.filter(pc.equal(found["space_id"], shared.space_id)).select(["locale", "item_id", "vector"])
    return found.append_column(SHORT.field("bucket"), pa.repeat(int(bucket.bucket), len(found)).cast(pa.int32()))


def _concat(schema: pa.Schema, tables: "Iterator[pa.Table] | list[pa.Table]") -> pa.Table:
    return pa.concat_tables([schema.empty_table(), *tables])


def _texts(values: "np.ndarray | list[str]") -> pa.Array:
    return pa.array(values, pa.string())
