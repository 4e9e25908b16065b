"""Declares what every reader of a feed yields: records of a part of a file, and what the part's other bytes are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

# What bytes of a file are, beside records.
HEADER, SEPARATORS, BLANK = "header", "separators", "blank"
BYTES, DECOMPRESSED, ROWS = "bytes", "bytes decompressed", "rows"


@dataclass(frozen=True, kw_only=True)
class Block:
    """Records in the order of the file.

    A record is one JSON object as UTF-8, or, where it is damaged, the bytes as the file has them. Readers of tables may say the
    same in ``columns``, which saves parsing: those of schemas.listing.FEED_FIELDS that the records have, as text; ``bullets``
    and ``attributes`` as lists and maps of texts, or as text that holds JSON; ``deleted`` as boolean or text. Null is an absent
    field.
    """

    records: Sequence[bytes] = ()
    columns: pa.RecordBatch | None = None  # a row per record; none is damaged, or nearly as long as a record may be
    sizes: Sequence[int] = ()  # bytes that each record takes in the file; 1 each where the unit is rows
    place: int = 0  # of the first record: grows from record to record of a file, and so by at least one
    damage: Mapping[int, str] = field(default_factory=dict)  # position → a name from schemas.reject.UNREADABLE
    lines: Mapping[int, int] = field(default_factory=dict)  # position → physical lines, of damaged records of several
    raw_form: str = "json"  # what damaged records are: json or csv
    other: Mapping[str, int] = field(default_factory=dict)  # HEADER, SEPARATORS, BLANK → bytes
    total: int = 0  # bytes that came out of the file, counted where they did; may come in any of a file's blocks
    unit: str = BYTES
    read_as: str = ""  # what the account is to say of how the file is read; comes with its total


def merge_counts(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    """The sum of two maps of counts."""
    return {name: left.get(name, 0) + right.get(name, 0) for name in {**left, **right}}
