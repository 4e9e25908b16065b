"""Lines of JSON become candidates. Nearly all are told by one parse, as text; the others are to be looked at closely.

As text, a number and the text of that number are equal, and so are a list and its JSON. So where a text looks like JSON, or a
list or map stayed empty though the line names it, the line is parsed again into VARIANT, which knows types exactly but costs
several times as much. So are lines that cannot be parsed as text: a list that holds no list is a wrong type, not damage.
"""

import uuid
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.reject import MAX_RECORD_BYTES
from spark.ingest.candidates import (
    LISTS,
    MAPS,
    NAMES,
    TEXTS,
    UNCLEAR,
    candidate_type,
    candidates_of,
    is_wrong_variant,
    names_of,
)

OPTIONS = {"allowSingleQuotes": "false", "allowNonNumericNumbers": "false"}
# A line is parsed inside brackets and before a last element that no feed can know, so that nothing behind the object (a second
# record, garbage, a bracket) passes unseen: a parser stops where its value ends.
END = uuid.uuid4().hex
AS_TEXT = f"array<struct<{', '.join(f'{name}: {candidate_type(name)}' for name in NAMES)}>>"
AS_ONLY_TEXT = f"array<struct<{', '.join(f'{name}: string' for name in NAMES)}>>"
AS_VARIANT = f"array<struct<{', '.join(f'{name}: variant' for name in NAMES)}>>"
BYTE_ORDER_MARK = "\ufeff"  # as some editors leave at a file's start

NUMBER = "-?[0-9][0-9.eE+-]*"


def skim_json_lines(df: DataFrame) -> DataFrame:
    """``value`` (one line of JSON) and ``file`` → candidates, UNCLEAR where parse_json_lines must say. No blank lines."""
    df = _parse_as_text(df)
    is_clear = F.col("damage").isNull() & _is_one_object("docs") & ~_may_hold_wrong_type()
    # A function of one element, which Spark does not compile: so the compiled stage ends here, and what follows has one of its
    # own, short enough for the JVM.
    unclear = F.get(F.transform(F.array("damage"), lambda _: F.lit(UNCLEAR)), F.lit(0))
    return candidates_of(
        df,
        {name: _field("docs", name) for name in NAMES},
        raw=F.col("value").cast("binary"),
        raw_format="json",
        unreadable=F.when(~is_clear, unclear),
        wrong_types=F.lit(None).cast("array<string>"),
    )


def parse_json_lines(df: DataFrame) -> DataFrame:
    """``value`` (one line of JSON) and ``file`` → candidates. Blank lines are not records."""
    df = _parse_as_text(df)
    is_plain = _is_one_object("docs")
    # Any JSON fits a text: lines whose lists or maps are none are read that far.
    df = df.withColumn("loose", F.when(~is_plain, F.from_json(_bracketed_line(), AS_ONLY_TEXT, OPTIONS)))
    is_loose = _is_one_object("loose")
    # One expression, in which the second parse stands once: as a column of its own it would cost a copy of every row.
    wrong = F.get(F.transform(F.from_json(_bracketed_line(), AS_VARIANT, OPTIONS), _wrong_names), F.lit(0))
    df = df.withColumn("wrong", F.when(is_loose | (is_plain & _may_hold_wrong_type()), wrong))
    is_wrong = is_loose & F.coalesce(F.size("wrong") > 0, F.lit(False))
    unreadable = (
        F.when(F.col("damage").isNotNull(), F.col("damage"))
        .when(is_plain | is_wrong, None)
        .when(~F.rtrim("value").endswith("}"), "truncated_record")
        .otherwise("invalid_record")
    )
    fields = {name: F.when(is_plain, _field("docs", name)) for name in NAMES}
    fields |= {name: fields[name].when(is_wrong, _field("loose", name)) for name in TEXTS}
    return candidates_of(
        df,
        fields,
        raw=F.col("value").cast("binary"),
        raw_format="json",
        unreadable=unreadable,
        wrong_types=F.when(is_plain | is_wrong, F.col("wrong")),
    )


def _parse_as_text(df: DataFrame) -> DataFrame:
    """Adds ``damage``, where the line is no text to be parsed, and ``docs``: the line's object and END."""
    df = df.where(F.when(F.col("value").startswith(" "), F.trim("value") != "").otherwise(F.col("value") != ""))
    too_large = F.octet_length("value") > MAX_RECORD_BYTES
    df = df.withColumn("damage", F.when(too_large, "record_too_large").when(~F.is_valid_utf8("value"), "invalid_utf8"))
    return df.withColumn("docs", F.from_json(_bracketed_line(), AS_TEXT, OPTIONS))


def _bracketed_line() -> Column:
    line = F.when(F.col("value").startswith(BYTE_ORDER_MARK), F.substring("value", 2, MAX_RECORD_BYTES)).otherwise(
        F.col("value")
    )
    return F.when(F.col("damage").isNull(), F.concat(F.lit("["), line, F.lit(f',{{"item_id":"{END}"}}]')))


def _is_one_object(docs: str) -> Column:
    is_one = (F.size(docs) == 2) & (F.get(docs, F.lit(1))["item_id"] == END)
    return F.coalesce(is_one, F.lit(False))


def _field(docs: str, name: str) -> Column:
    return F.get(docs, F.lit(0))[name]


def _wrong_names(typed: Column) -> Column:
    return names_of({name: is_wrong_variant(name, typed[name]) for name in NAMES})


def _may_hold_wrong_type() -> Column:
    texts = [_looks_like_json(_field("docs", name), name) for name in TEXTS]
    absent = [_field("docs", name).isNull() & F.col("value").contains(f'"{name}"') for name in LISTS + MAPS]
    # Joined and matched as one text: a function called for each element is interpreted, and costs more than the parse.
    inside = [
        F.array_join(_field("docs", "bullets"), "\n").rlike(f"(?m)^(?:[\\[{{]|(?:{NUMBER}|true|false)$)"),
        F.array_join(F.map_values(_field("docs", "attributes")), "\n").rlike("(?m)^[\\[{]"),
    ]
    return reduce(Column.__or__, [F.coalesce(part, F.lit(False)) for part in [*texts, *absent, *inside]])


def _looks_like_json(text: Column, name: str) -> Column:
    """Whole numbers are sound item_ids, and the two words are what ``deleted`` holds. Comparisons look at a few bytes only."""
    if name == "deleted":
        return ~F.lower(text).isin("true", "false")
    number = (text >= "-") & (text < ":") & text.rlike(f"^{NUMBER}$")
    if name == "item_id":
        number = number & ~text.rlike("^[0-9]{1,18}$")
    return text.startswith("[") | text.startswith("{") | text.isin("true", "false") | number
