"""Repairs that save a record instead of rejecting it. Each is named, see schemas.reject.REPAIRS.

Cheap patterns run on every text in the JVM; only texts that a pattern suspects travel to Python, where ftfy (mojibake) and
unicodedata (normal form C) decide. So sound text costs a regular expression and nothing more.
"""

import unicodedata
from collections.abc import Iterator
from typing import Any

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.functions import pandas_udf
from pyspark.sql.types import ArrayType, BooleanType, StringType, StructField, StructType

SINGLE = ("item_id", "title", "description", "brand", "category", "seller")

# A lead byte of UTF-8 read as Latin-1 or cp1252, followed by what a continuation byte becomes there.
MOJIBAKE = (
    "[\u00c2-\u00f4][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013\u2014"
    "\u2018-\u201e\u2020-\u2022\u2026\u2030\u2039\u203a\u20ac\u2122]"
)
# Combining marks that compose with a letter before them, and characters whose canonical form is another character.
NOT_NFC = "[\u0300-\u036f\u0653-\u0655\u3099\u309a\u1161-\u11ff\u2126\u212a\u212b\uf900-\ufaff]"
CONTROL = "[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\ufeff\ufffe\uffff]"
SPACE = "[\\s\\p{Z}\u0085]+"


def repair_texts(df: DataFrame) -> DataFrame:
    """Repair all texts of candidates; adds ``repairs`` (names, sorted). Texts that end up empty become null."""
    before = _all_texts()
    df = df.withColumn("_suspect", F.when(before.rlike(f"{MOJIBAKE}|{NOT_NFC}"), _texts_as_struct()))
    df = df.withColumn("_decoded", decode_texts("_suspect"))
    for name in (*SINGLE, "bullets"):
        df = df.withColumn(name, F.coalesce(F.col(f"_decoded.{name}"), F.col(name)))
    names_repaired = F.map_from_arrays(F.col("_decoded.names"), F.col("_decoded.values"))
    df = df.withColumn("attributes", F.when(F.col("_decoded.names").isNotNull(), names_repaired).otherwise(F.col("attributes")))
    after_decoding = _all_texts()
    found = [
        F.when(F.col("_decoded.mojibake"), "mojibake"),
        F.when(F.col("_decoded.nfc"), "unicode_nfc"),
        F.when(after_decoding.rlike(CONTROL), "control_characters"),
        F.when(after_decoding.rlike("(^|\n) | (\n|$)|[^\\S\n ]|[\\p{Z}&&[^ ]]|  "), "whitespace"),
    ]
    df = df.withColumn("repairs", F.array_sort(F.array_compact(F.array(*found))))
    for name in (*SINGLE, "locale", "language", "source", "updated_at"):
        df = df.withColumn(name, clean_text(F.col(name)))
    df = df.withColumn("bullets", F.filter(F.transform("bullets", clean_text), lambda bullet: bullet.isNotNull()))
    return df.withColumn("attributes", _clean_map(F.col("attributes"))).drop("_suspect", "_decoded")


def clean_text(text: Column) -> Column:
    """Without control characters, white space single and trimmed, null where nothing is left."""
    spaced = F.regexp_replace(F.regexp_replace(text, CONTROL, ""), SPACE, " ")
    return F.nullif(F.trim(spaced), F.lit(""))


def _clean_map(attributes: Column) -> Column:
    """Entries in the order of their names, so that equal maps are equal bytes; entries without name or value are dropped."""
    entries = F.transform(
        F.map_entries(attributes), lambda e: F.struct(clean_text(e["key"]).alias("key"), clean_text(e["value"]).alias("value"))
    )
    kept = F.filter(entries, lambda e: e["key"].isNotNull() & e["value"].isNotNull())
    return F.map_from_entries(F.array_sort(kept))


def _all_texts() -> Column:
    """All texts of a record, one a line, for the patterns that look at a record once."""
    lists = [F.array_join("bullets", "\n"), F.array_join(F.map_keys("attributes"), "\n")]
    return F.concat_ws("\n", *SINGLE, *lists, F.array_join(F.map_values("attributes"), "\n"))


def _texts_as_struct() -> Column:
    keys, values = F.map_keys("attributes").alias("names"), F.map_values("attributes").alias("values")
    return F.struct(*SINGLE, F.col("bullets"), keys, values)


LISTS = ("bullets", "names", "values")
FLAGS = ("mojibake", "nfc")
_DECODED = StructType(
    [StructField(name, StringType()) for name in SINGLE]
    + [StructField(name, ArrayType(StringType())) for name in LISTS]
    + [StructField(name, BooleanType()) for name in FLAGS]
)


@pandas_udf(_DECODED)  # type: ignore[call-overload]
def decode_texts(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Mojibake undone and text composed, in rows that are not null; null rows stay null."""
    for batch in batches:
        yield pd.DataFrame([_decode_row(row) for row in batch.to_dict("records")], columns=_decoded_columns())


def _decoded_columns() -> list[str]:
    return [*SINGLE, *LISTS, *FLAGS]


def _decode_row(row: dict[str, Any]) -> dict[str, Any]:
    decoded: dict[str, Any] = dict.fromkeys(_decoded_columns())
    if row.get("item_id") is None and row.get("title") is None:
        return decoded
    flags = {"mojibake": False, "nfc": False}
    for name, value in row.items():
        decoded[name] = [_decode(text, flags) for text in value] if _is_list(value) else _decode(value, flags)
    return decoded | flags


def _is_list(value: Any) -> bool:
    return value is not None and not isinstance(value, (str, float))


def _decode(text: Any, flags: dict[str, bool]) -> str | None:
    if not isinstance(text, str):
        return None
    from ftfy import fix_encoding

    fixed = fix_encoding(text)
    composed = unicodedata.normalize("NFC", fixed)
    flags["mojibake"] |= fixed != text
    flags["nfc"] |= composed != fixed
    return composed
