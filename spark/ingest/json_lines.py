"""Lines of JSON become candidates. Parsed once, as text; only records that may hold a wrong type are looked at a second time.

As text, a number and the text of that number are equal, and so are a list and its JSON. So a record in which a text looks like
JSON, or a list or map stayed empty though the line names it, is parsed again into VARIANT, which knows types exactly but costs
several times as much.
"""

from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.reject import MAX_RECORD_BYTES
from spark.ingest.candidates import LISTS, MAPS, NAMES, TEXTS, candidate_type, candidates_of, is_wrong_variant

OPTIONS = {"allowSingleQuotes": "false", "allowNonNumericNumbers": "false"}
# Inside brackets, so that anything behind the object (a second record, garbage) makes the parse fail.
AS_TEXT = f"array<struct<{', '.join(f'{name}: {candidate_type(name)}' for name in NAMES)}>>"
AS_VARIANT = f"array<struct<{', '.join(f'{name}: variant' for name in NAMES)}>>"

_OPENING = [ord(sign) for sign in "[{"]
_NUMBER_OR_WORD = [ord(sign) for sign in "-0123456789tf"]
LITERAL = "(?:-?[0-9][0-9.eE+-]*|true|false)"


def parse_json_lines(df: DataFrame) -> DataFrame:
    """``value`` (one line of JSON) and ``file`` → candidates. Blank lines are not records."""
    df = df.where(F.trim("value") != "")
    bom = "\ufeff"  # a byte order mark, as some editors leave at a file's start
    line = F.when(F.col("value").startswith(bom), F.substring("value", 2, MAX_RECORD_BYTES)).otherwise(F.col("value"))
    too_large = F.octet_length("value") > MAX_RECORD_BYTES
    df = df.withColumn("damage", F.when(too_large, "record_too_large").when(~F.is_valid_utf8("value"), "invalid_utf8"))
    # A column of its own: what stands inside from_json is interpreted, not compiled.
    df = df.withColumn("text", F.when(F.col("damage").isNull(), F.concat(F.lit("["), line, F.lit("]"))))
    df = df.withColumn("docs", F.from_json("text", AS_TEXT, OPTIONS))
    df = df.withColumn("doc", F.when(F.size("docs") == 1, F.col("docs")[0]))
    df = df.withColumn("typed", F.when(_may_hold_wrong_type(), F.from_json("text", AS_VARIANT, OPTIONS)[0]))
    unreadable = (
        F.when(F.col("damage").isNotNull(), F.col("damage"))
        .when(F.col("doc").isNull() & ~F.rtrim("value").endswith("}"), "truncated_record")
        .when(F.col("doc").isNull(), "invalid_record")
    )
    wrong = F.array_compact(F.array(*[F.when(is_wrong_variant(name, F.col(f"typed.{name}")), F.lit(name)) for name in NAMES]))
    return candidates_of(
        df,
        {name: F.col(f"doc.{name}") for name in NAMES},
        raw=F.col("value").cast("binary"),
        raw_format="json",
        unreadable=unreadable,
        wrong_types=F.when(F.col("typed").isNotNull(), wrong),
    )


def _may_hold_wrong_type() -> Column:
    texts = [_looks_like_json(F.col(f"doc.{name}"), name) for name in TEXTS]
    absent = [F.col(f"doc.{name}").isNull() & F.col("value").contains(f'"{name}"') for name in LISTS + MAPS]
    # Joined and matched as one text: a function called for each element is interpreted, and costs more than the parse.
    inside = [
        F.array_join("doc.bullets", "\n").rlike(f"(?m)^(?:[\\[{{]|{LITERAL}$)"),
        F.array_join(F.map_values("doc.attributes"), "\n").rlike("(?m)^[\\[{]"),
    ]
    return reduce(Column.__or__, [F.coalesce(part, F.lit(False)) for part in [*texts, *absent, *inside]])


def _looks_like_json(text: Column, name: str) -> Column:
    """Whole numbers are sound item_ids, and the two words are what ``deleted`` holds."""
    first = F.ascii(text)
    if name == "deleted":
        return ~F.lower(text).isin("true", "false")
    literal = text.rlike(f"^{LITERAL}$")
    if name == "item_id":
        literal = literal & ~text.rlike("^[0-9]{1,18}$")
    return first.isin(_OPENING) | (first.isin(_NUMBER_OR_WORD) & literal)
