"""The ``embeddings`` table: one unit vector per listing and space."""

import pyarrow as pa

from schemas.listing import ITEM_ID, LOCALE
from schemas.tables import INSTANT, TEXT, VECTOR, Column, Table

# The key's hash bucket is the partition: a wave writes whole buckets, so its MERGE reads those buckets and nothing else.
# 64 buckets keep files near 128 MB at about 5 million vectors of 384 dimensions; larger catalogues want more.
DEFAULT_BUCKETS = 64
BUCKETS_PROPERTY = "m5.buckets"

EMBEDDINGS = Table(
    name="embeddings",
    columns=(
        LOCALE,
        ITEM_ID,
        Column(name="space_id", type=TEXT, meaning="the vector space, see schemas.space", nullable=False),
        Column(name="fingerprint", type=TEXT, meaning="hash of the rendered text that was encoded", nullable=False),
        Column(name="vector", type=VECTOR, unit="unit length", meaning="the embedding", nullable=False),
        Column(name="embedded_at", type=INSTANT, meaning="when the wave started that wrote it", nullable=False),
        Column(name="run_id", type=TEXT, meaning="the embed run that wrote it", nullable=False),
        Column(name="bucket", type=pa.int32(), meaning="pmod(xxhash64(locale, item_id), buckets)", nullable=False),
    ),
    key=("locale", "item_id", "space_id"),
    partition_by=("bucket",),
)
