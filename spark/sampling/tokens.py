"""Measures the texts of a training set: in tokens of a vocabulary where one is given, else in characters."""

from collections.abc import Iterator

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.functions import pandas_udf
from pyspark.sql.types import LongType

from m5model.bundles.find import open_bundle
from m5model.runtime.rendering import DEFAULT_RENDERING
from m5model.runtime.tokens import open_tokenizer
from schemas.bundle import TOKENIZER_FILE
from spark.rendering import render_listings

CHARACTERS = "characters"


def add_tokens(listings: DataFrame, vocabulary: str | None) -> tuple[DataFrame, str]:
    """``listings`` with a column ``tokens`` (int64), and the unit's name. ``vocabulary`` is a bundle's path."""
    rendered = render_listings(listings, DEFAULT_RENDERING)
    if vocabulary is None:
        return rendered.withColumn("tokens", F.length("text").cast("long")).drop("text", "fingerprint"), CHARACTERS
    folder, manifest = open_bundle(vocabulary)
    tokenizer_json = (folder / TOKENIZER_FILE).read_bytes()

    @pandas_udf(LongType())  # type: ignore[call-overload]
    def count(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        tokenizer = open_tokenizer(tokenizer_json)
        for texts in batches:
            yield pd.Series([len(encoding.ids) for encoding in tokenizer.encode_batch_fast(texts.tolist())], dtype="int64")

    return rendered.withColumn("tokens", count("text")).drop("text", "fingerprint"), f"tokens of {manifest.id}"
