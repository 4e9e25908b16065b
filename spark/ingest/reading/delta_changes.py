"""The change feed of a table of Delta, from one version to another, as lines of JSON: of each key its last change.

A row that was inserted or updated is a record; one that was deleted, or that an update took another key from, is a deletion
with the row's own time. Only a key's last change counts, whatever the times of its rows say: a table that is overwritten
deletes and inserts every row in one version. So a table that keeps no change feed (``delta.enableChangeDataFeed``) will do,
too: then the rows of files that were removed and added are read. The changes are held in memory, each as a line.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from m5model.feeds.mapping import FeedMapping
from m5model.feeds.parquet_rows import BATCH_ROWS, encode_rows
from m5model.feeds.records import add_constants
from schemas.errors import BadDataError
from schemas.listing import DELETED, LISTING_KEY
from schemas.locales import find_locale

KIND, VERSION, TIME = "_change_type", "_commit_version", "_commit_timestamp"
OLD_KINDS = ("delete", "update_preimage")
_DELETION = f'"{DELETED}":true}}'.encode()
_Key = tuple[str, str]


@dataclass
class NetChanges:
    """The last change of each key. What has no readable key is kept by itself: judging names what is wrong with it."""

    mapping: FeedMapping | None = None
    _by_key: dict[_Key, bytes] = field(default_factory=dict)
    _others: list[bytes] = field(default_factory=list)

    def add(self, line: bytes) -> None:
        key = self._key_of(line)
        if key is None:
            self._others.append(line)
        else:
            self._by_key.pop(key, None)  # the order is that of the last changes
            self._by_key[key] = line

    @property
    def lines(self) -> Sequence[bytes]:
        return [*self._others, *self._by_key.values()]

    def _key_of(self, line: bytes) -> _Key | None:
        mapped = add_constants(self.mapping.apply_to_line(line), self.mapping.constants) if self.mapping else line
        record: Mapping[str, object] = msgspec.json.decode(mapped)
        locale, item_id = (record.get(name) for name in LISTING_KEY)
        if not isinstance(locale, str) or not isinstance(item_id, str | int):
            return None
        found = find_locale(locale)
        return (found[0] if found else locale.strip()), str(item_id)


def read_net_changes(root: str, table: DeltaTable, first: int, last: int, mapping: FeedMapping | None) -> Sequence[bytes]:
    """The changes of versions ``first`` to ``last``. Raises BadDataError where the table did not keep them all."""
    changes = NetChanges(mapping)
    try:
        for version in range(first, last + 1):
            rows = pa.table(table.load_cdf(starting_version=version, ending_version=version))
            for line in _as_lines(rows):
                changes.add(line)
    except (DeltaError, pa.ArrowException, OSError) as error:
        what = next(iter(str(error).splitlines()), type(error).__name__)
        raise BadDataError(
            f"{root} does not say what changed in its versions {first} to {last}: {what}",
            next_step="ingest the whole table once, without --changes-only, and keep its log and the files of its older "
            "versions for longer than the time between two ingests",
        ) from error
    return changes.lines


def _as_lines(rows: pa.Table) -> Iterator[bytes]:
    """What a version deleted, then what it brought."""
    kinds = rows[KIND].to_pylist()
    batches = rows.drop_columns([KIND, VERSION, TIME]).to_batches(max_chunksize=BATCH_ROWS)
    records = [record for batch in batches for record in encode_rows(batch)]
    yield from (_as_deletion(record) for record, kind in zip(records, kinds, strict=True) if kind in OLD_KINDS)
    yield from (record for record, kind in zip(records, kinds, strict=True) if kind not in OLD_KINDS)


def _as_deletion(record: bytes) -> bytes:
    return record[:-1] + (b"" if record == b"{}" else b",") + _DELETION
