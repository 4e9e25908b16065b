"""The columns of a batch of judged records that a feed brings, as Arrow, and the hashes of the good ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from schemas.listing import FEED_COLUMNS
from schemas.staging import ORIGIN, STAGED_RECORDS
from spark.ingest.judging.judge import Judged
from spark.ingest.reading.lines import Origin
from spark.ingest.staging.arrow_columns import as_array, hex_array
from spark.ingest.staging.hashing import hash_contents
from spark.ingest.staging.known_contents import KnownContents

SCHEMA = STAGED_RECORDS.arrow_schema()
BROUGHT = (*(column.name for column in FEED_COLUMNS), "language_source")


@dataclass(frozen=True)
class Contents:
    """``columns`` are BROUGHT, languages as declared, and ORIGIN, an entry per record."""

    judged: Judged
    columns: pa.RecordBatch
    origin: Origin
    digests: Sequence[bytes]  # content hashes; of rejects they say nothing

    def find_known(self, stored: KnownContents | None) -> frozenset[int]:
        """Positions of listings whose content is stored."""
        listings = self.judged.listings if stored is not None else []
        if stored is None or not listings:
            return frozenset()
        locales = self.judged.columns["locale"]
        found = stored.find([locales[i] for i in listings], [self.digests[i] for i in listings])
        return frozenset(i for i, is_known in zip(listings, found.tolist(), strict=True) if is_known)

    def take(self, rows: Sequence[int], names: Sequence[str]) -> pa.RecordBatch:
        """Columns ``names`` and the content hash of the records at ``rows``."""
        chosen = self.columns.select(names)
        if list(rows) != list(range(chosen.num_rows)):
            chosen = chosen.take(pa.array(rows))
        return chosen.append_column(SCHEMA.field("content_hash"), hex_array([self.digests[i] for i in rows]))


def hash_contents_of(judged: Judged, origin: Origin) -> Contents:
    """The contents of a batch as judge_contents left it."""
    unknown = [None] * len(judged.columns["locale"])
    sizes, received_at = (unknown if known is None else known for known in (origin.sizes, origin.received_at))
    values = {name: judged.columns[name] for name in BROUGHT}
    values |= dict(zip(ORIGIN, (origin.files, origin.places, sizes, received_at), strict=True))
    columns = as_batch(values)
    return Contents(judged, columns, origin, hash_contents(columns))


def as_batch(columns: Mapping[str, Any]) -> pa.RecordBatch:
    """Columns of the staging table."""
    fields = [SCHEMA.field(name) for name in columns]
    return pa.record_batch(list(map(as_array, columns.values(), [field.type for field in fields])), schema=pa.schema(fields))
