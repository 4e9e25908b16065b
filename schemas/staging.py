"""The staging table holds the judged records of a feed from the one pass over it until the commit; then it is deleted.

A listing's row is what ``listings`` gets: where a feed brings nothing but new listings, the files themselves move there. So
they lack the columns that only rejects need, which then read as null.
"""

import dataclasses

import pyarrow as pa

from schemas.listing import ITEM_ID, LISTINGS, LOCALE
from schemas.reject import LISTING_REJECTS
from schemas.tables import INSTANT, TEXT, Column, Table

LISTING, TOMBSTONE, REJECT = "listing", "tombstone", "reject"
KNOWN = "known"  # a listing that stands in ``listings`` as it is: its key, time and origin alone

# What a reject brings to ``listing_rejects``.
REJECT_COLUMNS = ("reasons", "detail", "raw", "raw_format", "source_file")

# Where a record came from: its file, its place and size there, and when it was received, where that was not in this run.
ORIGIN = ("source_file", "place", "size", "received_at")

STAGED_RECORDS = Table(
    name="staging/ingest",
    columns=(
        Column(name="state", type=TEXT, meaning="listing, known, tombstone or reject", nullable=False),
        *(dataclasses.replace(column, nullable=True) for column in LISTINGS.columns),
        Column(name="rejected_locale", type=TEXT, meaning="a reject's locale, which may be any text; ``locale`` is null then"),
        *(dataclasses.replace(column, nullable=True) for column in LISTING_REJECTS.columns if column.name in REJECT_COLUMNS),
        Column(name="place", type=pa.int64(), meaning="grows from record to record of a file"),
        Column(name="size", type=pa.int64(), meaning="bytes that the record takes in its file; 1 where the file is of rows"),
        Column(name="received_at", type=INSTANT, meaning="when an earlier run received the record; null: this run did"),
    ),
    key=(LOCALE.name, ITEM_ID.name),
    partition_by=("state", LOCALE.name),
    properties=LISTINGS.properties,
)
