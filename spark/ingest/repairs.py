"""Repairs that save a record instead of rejecting it: the JVM finds the records that need any, Python makes them.

Most records are sound, and only a cheap look at them can say so. All texts of a record are joined once; one pattern
clears nearly all of them, and only what it does not clear is looked at for each kind of damage.
"""

import json
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.functions import pandas_udf
from pyspark.sql.types import ArrayType, StringType, StructField, StructType

from schemas.listing import FEED_FIELDS
from spark.ingest import mixed_charsets, text_repairs
from spark.ingest.candidates import UNCLEAR, no_names
from spark.ingest.detection import detect_languages
from spark.ingest.language import DETECTION_CHARACTERS, text_to_detect
from spark.ingest.text_repairs import repair_record

ABSENT = "\u0000"
DETECT = "L"  # begins a request for a language; a record begins with a brace
TEXTS = tuple(name for name in FEED_FIELDS if name not in ("bullets", "attributes"))

# A class of one range is some nanoseconds a character; of several, the JVM tests one after the other.
_ASCII = "[ -~]"
# What one look clears. Accented letters that no signature of mixed-up character sets ends in, up to three in a row before
# plain ASCII; lone signs such as dashes and quotes, at least two characters apart; Japanese; Arabic, unless two of the
# letters that UTF-8 read as cp1256 begins with stand one apart.
_LETTERS = "[\u00c0-\u0151\u0154-\u015f\u0162-\u0177\u0179-\u017c]"
_SIGNS = "[\u00a1-\u00bf\u0152\u0153\u2010-\u2027\u2030-\u205e\u20a0-\u2122]"
_KANA_AND_IDEOGRAPHS = "[\u3001-\u3098\u309b-\u30ff\u4e00-\u7e39\u7e3b-\u7e5c\u7e5e-\u7e66\u7e68-\u9fff\uff01-\uff60]"
_ARABIC = "[\u060c-\u0636\u0639-\u0652\u0660-\u06ff]"
CLEAR = (
    f"^(?:{_ASCII}+|{_LETTERS}{{1,3}}+(?![^ -~])|{_SIGNS}(?=[ -~]{{2}}|[ -~]?$)"
    f"|{_KANA_AND_IDEOGRAPHS}++|{_ARABIC}++|[\u0637\u0638](?!.[\u0637\u0638]))*+$"
)
# Characters that no repair touches by themselves: no control character, no white space but the blank, nothing composable.
SOUND = (
    "^[ -~\u00a1-\u02ff\u0370-\u0652\u0656-\u10ff\u1200-\u167f\u1681-\u1fff\u200b-\u2027\u202a-\u202e\u2030-\u205e"
    "\u2060-\u2125\u2127-\u2129\u212c-\u2fff\u3001-\u3098\u309b-\ud7ff\ufb00-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]++$"
)
SIGNATURES = (text_repairs.MOJIBAKE, *mixed_charsets.CHEAP_SIGNATURES)
HTML = f"(?i:{text_repairs.TAG}|{text_repairs.ENTITY})"
_UNITS = "|".join(text_repairs.UNITS)
_ONE_SPELLING = f"[0-9]{{1,9}}(?:\\.[0-9]{{1,9}})? (?:{'|'.join(text_repairs.UNITS.values())})"
# One value a line: a number with a unit that is not yet in the one spelling.
MISSPELLED_QUANTITY = f"(?m)^(?!{_ONE_SPELLING}$)[0-9]{{1,9}}(?:[.,][0-9]{{1,9}})? ?(?i:{_UNITS})$"


def find_suspects(df: DataFrame) -> DataFrame:
    """Adds ``is_suspect``: the candidate needs a closer look, or Python, for a repair or for its language.

    What is rejected whatever its texts are, because it could not be read or holds a wrong type, is none.
    """
    df = df.withColumn("_texts", _all_texts())
    is_undeclared = F.col("language").isNull() & text_to_detect().isNotNull()
    is_lost = F.col("unreadable").isNotNull() | F.coalesce(F.size("wrong_types") > 0, F.lit(False))
    is_unclear = F.coalesce(F.col("unreadable") == UNCLEAR, F.lit(False))
    needs_python = needs_repair(F.col("_texts")) | is_undeclared
    return df.withColumn("is_suspect", is_unclear | (~is_lost & needs_python)).drop("_texts")


def leave_texts(df: DataFrame) -> DataFrame:
    """Candidates that are no suspects, as ``repair_texts`` would return them."""
    df = df.withColumn("attributes", F.map_from_entries(_sorted_entries()))
    return df.withColumn("repairs", no_names()).withColumn("detected", F.lit(None).cast("string"))


def repair_texts(df: DataFrame) -> DataFrame:
    """Repair all texts of candidates; adds ``repairs`` (names, sorted) and ``detected``, see language.

    Texts that end up empty become null. What Python says of a record, its repairs or its language, comes in one exchange.
    """
    df = df.withColumn("_texts", _all_texts())
    df = df.withColumn("_suspect", needs_repair(F.col("_texts")))
    record = F.to_json(F.struct(*TEXTS, "bullets", F.map_entries("attributes").alias("attributes")))
    undeclared = F.when(F.col("language").isNull(), F.concat(F.lit(DETECT), text_to_detect()))
    df = df.withColumn("_answer", ask_python(F.when(F.col("_suspect"), record).otherwise(undeclared)))
    df = df.withColumn("_is_repaired", F.coalesce(F.col("_answer").startswith("{"), F.lit(False)))
    df = df.withColumn("_repaired", F.from_json(F.when(F.col("_is_repaired"), F.col("_answer")), _REPAIRED))
    repaired = F.col("_is_repaired")
    for name in (*TEXTS, "bullets"):
        df = df.withColumn(name, F.when(repaired, F.col(f"_repaired.{name}")).otherwise(F.col(name)))
    pairs = F.when(repaired, F.col("_repaired.attributes")).otherwise(_sorted_entries())
    df = df.withColumn("attributes", F.map_from_entries(pairs))
    repairs = F.coalesce(F.col("_repaired.repairs"), no_names())
    detected = F.when(repaired, F.col("_repaired.detected")).otherwise(F.col("_answer"))
    df = df.withColumn("repairs", repairs).withColumn("detected", detected)
    return df.drop("_texts", "_suspect", "_answer", "_is_repaired", "_repaired")


def _sorted_entries() -> Column:
    """Entries of attributes in the order of their names, so that equal maps are equal bytes."""
    return F.sort_array(F.map_entries("attributes"))


def needs_repair(texts: Column) -> Column:
    """True where a repair would change the record. Joined by one space, an empty or untrimmed text shows as two."""
    spaces = (texts == "") | texts.startswith(" ") | texts.endswith(" ") | texts.contains("  ")
    # Joined, with a control character for what is absent: a function called for each element costs ten times as much.
    bullets, values = (F.array_join(name, "\n", ABSENT) for name in ("bullets", F.map_values("attributes")))
    holes = F.when(F.size("bullets") > 0, bullets.contains(ABSENT))
    of_values = F.when(F.size("attributes") > 0, values.contains(ABSENT) | values.rlike(MISSPELLED_QUANTITY))
    may_be_html = (texts.contains("&") | texts.contains("<")) & texts.rlike(HTML)
    suspect = may_be_html | (~texts.rlike(CLEAR) & looks_damaged(texts))
    return reduce(Column.__or__, [F.coalesce(part, F.lit(False)) for part in (spaces, suspect, holes, of_values)])


def looks_damaged(texts: Column) -> Column:
    """The look at each kind of damage in characters, for the few texts that CLEAR does not clear. CLEAR implies not this."""
    return ~texts.rlike(SOUND) | reduce(Column.__or__, [texts.rlike(signature) for signature in SIGNATURES])


def _all_texts() -> Column:
    return F.concat_ws(" ", *TEXTS, "bullets", F.map_keys("attributes"), F.map_values("attributes"))


_PAIR = StructType([StructField("key", StringType(), False), StructField("value", StringType())])
_REPAIRED = StructType(
    [StructField(name, StringType()) for name in TEXTS]
    + [
        StructField("bullets", ArrayType(StringType())),
        StructField("attributes", ArrayType(_PAIR)),
        StructField("repairs", ArrayType(StringType())),
        StructField("detected", StringType()),
    ]
)


@pandas_udf(StringType())  # type: ignore[call-overload]
def ask_python(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
    """Records as JSON → the same repaired; DETECT and a text → its language and probability. Null stays null.

    One column of nearly only nulls, in one exchange: a second one would copy every row once more.
    """
    for batch in batches:
        yield pd.Series(_answer(list(batch)), dtype=object)


def _answer(requests: list[str | None]) -> list[str | None]:
    repaired = {i: _repair(request) for i, request in enumerate(requests) if request and not request.startswith(DETECT)}
    texts = {i: request[len(DETECT) :] for i, request in enumerate(requests) if request and request.startswith(DETECT)}
    texts |= {i: text for i, record in repaired.items() if (text := _text_to_detect(record))}
    found = detect_languages(list(texts.values()))
    languages = {i: f"{name} {probability:.4f}" for i, (name, probability) in zip(texts, found, strict=True)}
    records = {i: {**record, "detected": languages.get(i)} for i, record in repaired.items()}
    return [json.dumps(records[i], ensure_ascii=False) if i in records else languages.get(i) for i in range(len(requests))]


def _repair(text: str) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(text)
    pairs = row.get("attributes")
    attributes = None if pairs is None else [(pair["key"], pair.get("value")) for pair in pairs]
    record = repair_record({name: row.get(name) for name in TEXTS}, row.get("bullets"), attributes)
    entries = None if record.attributes is None else [{"key": k, "value": v} for k, v in record.attributes.items()]
    return {**record.texts, "bullets": record.bullets, "attributes": entries, "repairs": record.repairs}


def _text_to_detect(record: Mapping[str, Any]) -> str | None:
    """As ``text_to_detect`` of language, of a repaired record."""
    if record["language"] is not None:
        return None
    return " ".join(part for part in (record["title"], record["description"]) if part)[:DETECTION_CHARACTERS]
