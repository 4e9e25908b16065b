"""Two tables: ``embeddings``, a vector per listing and space; ``embedding_rejects``, listings that the model failed on."""

import pyarrow as pa

from schemas.listing import ITEM_ID, LOCALE
from schemas.tables import INSTANT, TEXT, VECTOR, Column, Table

# The key's hash bucket is the partition: a wave writes whole buckets, so its MERGE reads those buckets and nothing else.
# The number is fixed when the table is made. 100,000 vectors of 384 dimensions are a file of about 150 MB.
ROWS_PER_BUCKET = 100_000
MIN_BUCKETS, MAX_BUCKETS = 8, 8_192
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

# Why a listing has no vector. The listing itself stays where it is.
FAILURES = {
    "model_failed": "onnxruntime ended the call with an error",
    "not_finite": "the vector holds NaN or infinity",
}

EMBEDDING_REJECTS = Table(
    name="embedding_rejects",
    columns=(
        LOCALE,
        ITEM_ID,
        Column(name="space_id", type=TEXT, meaning="the vector space that it has no vector in", nullable=False),
        Column(name="fingerprint", type=TEXT, meaning="hash of the rendered text that failed", nullable=False),
        Column(name="reason", type=TEXT, meaning="a name from schemas.embedding.FAILURES", nullable=False),
        Column(name="detail", type=TEXT, meaning="what the model said"),
        Column(name="rejected_at", type=INSTANT, meaning="when the run tried it last", nullable=False),
        Column(name="run_id", type=TEXT, meaning="the embed run that tried it last", nullable=False),
    ),
    key=("locale", "item_id", "space_id"),
)


def choose_buckets(rows: int) -> int:
    """Buckets of a new table for a catalogue of ``rows`` listings: a power of two."""
    wanted = max(1, -(-rows // ROWS_PER_BUCKET))
    return min(MAX_BUCKETS, max(MIN_BUCKETS, 1 << (wanted - 1).bit_length()))
