"""How long the texts of a training set are: in tokens of a vocabulary where one is given, else in characters."""

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from m5model.bundles import open_bundle
from m5model.rendering import DEFAULT_RENDERING
from schemas.bundle import TOKENIZER_FILE
from spark.rendering import render_listings


def count_tokens(listings: DataFrame, vocabulary: str | None) -> tuple[DataFrame, str]:
    """Rows of (locale, language, tokens) and the unit's name. ``vocabulary`` is a bundle's path."""
    texts = render_listings(listings, DEFAULT_RENDERING).select("locale", "language", "text")
    if vocabulary is None:
        return texts.select("locale", "language", F.length("text").cast("long").alias("tokens")), "characters"
    folder, manifest = open_bundle(vocabulary)
    tokenizer_json = (folder / TOKENIZER_FILE).read_bytes()

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_buffer(tokenizer_json)
        tokenizer.no_truncation()
        for batch in batches:
            encodings = tokenizer.encode_batch_fast(batch.column("text").to_pylist())
            lengths = pa.array([len(encoding.ids) for encoding in encodings], pa.int64())
            yield pa.RecordBatch.from_arrays(
                [batch.column("locale"), batch.column("language"), lengths], ["locale", "language", "tokens"]
            )

    return texts.mapInArrow(count, "locale string, language string, tokens bigint"), f"tokens of {manifest.id}"
