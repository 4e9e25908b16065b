"""The language of each listing: what the feed declares, else what the text says (spark.ingest.detection).

A declaration is checked by script alone, in the JVM; a disagreement is a warning (schemas.listing.WARNINGS), never a rejection.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.locales import LOCALES
from spark.ingest.candidates import names_of, no_names

# The detector gains nothing from more text than this.
DETECTION_CHARACTERS = 150
# A detection below this is not held against a locale: titles of two words and a brand say little.
CONFIDENT = 0.9

# A text is in such a script where it has several of its letters in a row: a brand's one sign is not a language.
SCRIPTS = {"ar": "[\u0621-\u064a]{3}", "ja": "[\u3041-\u30ff\u4e00-\u9fff]{2}"}
LATIN = "[A-Za-z\u00c0-\u024f]{3}"


def normalise_language(df: DataFrame) -> DataFrame:
    """``de-DE`` and ``DE`` become ``de``."""
    primary = F.substring_index(F.substring_index("language", "-", 1), "_", 1)
    return df.withColumn("language", F.lower(primary))


def settle_language(df: DataFrame) -> DataFrame:
    """Adds ``language_source``, ``language_confidence`` and ``warnings``; fills ``language`` where it is not declared.

    ``detected`` is language and probability, with a space between, of the texts without a declaration.
    """
    undeclared = F.col("language").isNull()
    df = df.withColumn("_found", F.split("detected", " "))
    df = df.withColumn("language_source", F.when(undeclared, "detected").otherwise("declared"))
    df = df.withColumn("language_confidence", F.col("_found")[1].cast("float"))
    df = df.withColumn("language", F.coalesce(F.col("language"), F.col("_found")[0]))
    declared = F.col("language_source") == "declared"
    df = df.withColumn("_disagrees", declared & _is_in_another_script()).withColumn("_foreign", _is_foreign_to_locale())
    warned = names_of({"language_disagrees": F.col("_disagrees"), "language_not_of_locale": F.col("_foreign")})
    df = df.withColumn("warnings", F.coalesce(warned, no_names()))
    return df.drop("_found", "_disagrees", "_foreign", "detected")


def text_to_detect() -> Column:
    """What of a candidate is enough to tell its language; null where it has no text."""
    return F.nullif(F.left(F.concat_ws(" ", "title", "description"), F.lit(DETECTION_CHARACTERS)), F.lit(""))


def _is_in_another_script() -> Column:
    """The title has letters of another script and none of the declared language's own."""
    own = F.lit(False)
    for language, letters in SCRIPTS.items():
        own = F.when(F.col("language") == language, ~F.col("title").rlike(letters) & F.col("title").rlike(LATIN)).otherwise(own)
    ascii_only = F.octet_length("title") == F.length("title")
    foreign = ~ascii_only & ~F.col("title").rlike(LATIN) & F.col("title").rlike("|".join(SCRIPTS.values()))
    return F.coalesce(F.when(F.col("language").isin(*SCRIPTS), own).otherwise(foreign), F.lit(False))


def _is_foreign_to_locale() -> Column:
    # One look-up in a set, and no comparison for each locale: the code of a record's whole way must stay short.
    spoken = [f"{locale.code} {language}" for locale in LOCALES.values() for language in locale.languages]
    pair = F.concat_ws(" ", "locale", "language")
    return ~pair.isin(spoken) & (F.coalesce("language_confidence", F.lit(1.0)) >= CONFIDENT)
