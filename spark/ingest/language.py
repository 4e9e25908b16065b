"""The language of each listing: what the feed declares, else what the text says (py3langid, offline, 10 languages)."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.functions import pandas_udf
from pyspark.sql.types import StringType

from schemas.locales import LANGUAGES

# A detector gains nothing from more text than this.
DETECTION_CHARACTERS = 400


def normalise_language(df: DataFrame) -> DataFrame:
    """``de-DE`` and ``DE`` become ``de``."""
    return df.withColumn("language", F.lower(F.regexp_replace("language", "[-_].*$", "")))


def settle_language(df: DataFrame) -> DataFrame:
    """Adds ``language_source``; detects ``language`` where the feed does not declare it. Declared rows cost nothing."""
    text = F.left(F.concat_ws(" ", "title", "description"), F.lit(DETECTION_CHARACTERS))
    undeclared = F.col("language").isNull()
    df = df.withColumn("_detected", detect_language(F.when(undeclared, text)))
    df = df.withColumn("language_source", F.when(undeclared, "detected").otherwise("declared"))
    return df.withColumn("language", F.coalesce("language", "_detected")).drop("_detected")


@pandas_udf(StringType())  # type: ignore[call-overload]
def detect_language(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
    """Null stays null."""
    for texts in batches:
        yield texts.map(lambda text: _detector().classify(text)[0], na_action="ignore").astype(object)


@lru_cache(maxsize=1)
def _detector() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    identifier.set_languages(list(LANGUAGES))
    return identifier
