"""Records of any format become candidates: the feed's columns, typed, beside the raw record and what was unreadable.

A candidate has every field of schemas.listing.FEED_FIELDS (``updated_at`` and ``deleted`` still as text), and
    raw            binary   the record as it stood, kept only for rejects
    raw_format     string   json or csv
    source_file    string
    unreadable     string   a name from schemas.reject.UNREADABLE, or null; UNCLEAR where only a closer look can tell
    wrong_types    array    names of the fields that hold another type than their column's; null or empty where none does
"""

from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BooleanType, DataType, MapType, StringType, TimestampType

from schemas.listing import FEED_FIELDS

LISTS = ("bullets",)
MAPS = ("attributes",)
NAMES = FEED_FIELDS
TEXTS = tuple(name for name in NAMES if name not in LISTS + MAPS)

# Integers are accepted where a key is expected: many catalogues number their items.
TEXT_TYPES = {"item_id": ("STRING", "BIGINT"), "deleted": ("STRING", "BOOLEAN")}
UNCLEAR = "unclear"
# Named so that no column of a feed is called the same.
CORRUPT, UNREADABLE = "_corrupt", "_unreadable"


def parse_csv_rows(df: DataFrame) -> DataFrame:
    """Rows of Latin-1 text (every byte survives that way) → candidates. List and map cells hold JSON."""
    columns = [name for name in df.columns if name not in (CORRUPT, "file")]
    bytes_of = {name: F.encode(F.col(f"`{name}`"), "ISO-8859-1").cast("string") for name in columns}
    row = F.to_json(F.struct(*[F.make_valid_utf8(text).alias(name) for name, text in bytes_of.items()]))
    invalid_utf8 = reduce(Column.__or__, [F.coalesce(~F.is_valid_utf8(text), F.lit(False)) for text in bytes_of.values()])
    return _candidates_of_cells(
        df,
        bytes_of,
        raw=F.coalesce(F.encode(F.col(CORRUPT), "ISO-8859-1"), row.cast("binary")),
        unreadable=F.when(F.col(CORRUPT).isNotNull(), "invalid_record").when(invalid_utf8, "invalid_utf8"),
    )


def parse_csv_rejects(df: DataFrame) -> DataFrame:
    """Rejected CSV rows (``raw``, ``reasons``, ``file``) → candidates. Raw is the row as a JSON object of its cells.

    A row that did not fit its header is no object and stays unreadable; of one with invalid UTF-8 the bytes are lost.
    """
    cells = F.from_json(F.col("raw").cast("string"), "map<string,string>")
    unreadable = F.when(cells.isNull(), "invalid_record").when(F.array_contains("reasons", "invalid_utf8"), "invalid_utf8")
    bytes_of = {name: F.try_element_at(cells, F.lit(name)) for name in NAMES}
    return _candidates_of_cells(df, bytes_of, raw=F.col("raw"), unreadable=unreadable)


def _candidates_of_cells(df: DataFrame, texts: dict[str, Column], *, raw: Column, unreadable: Column) -> DataFrame:
    # An unreadable row has no fields: its cells may hold bytes that are no text, which no string column may hold.
    df = df.withColumn(UNREADABLE, unreadable)
    is_readable = F.col(UNREADABLE).isNull()
    cells = {
        name: F.when(is_readable, F.nullif(texts[name], F.lit(""))) if name in texts else F.lit(None).cast("string")
        for name in NAMES
    }
    variants = {name: F.try_parse_json(cells[name]) for name in LISTS + MAPS}
    wrong = names_of(
        {
            name: cells[name].isNotNull() & (variants[name].isNull() | is_wrong_variant(name, variants[name]))
            for name in LISTS + MAPS
        }
    )
    return candidates_of(
        df,
        {name: from_variant(name, variants[name]) if name in variants else cells[name] for name in NAMES},
        raw=raw,
        raw_format="csv",
        unreadable=F.col(UNREADABLE),
        wrong_types=wrong,
    )


def parse_parquet_rows(df: DataFrame) -> DataFrame:
    """Typed rows → candidates. A column of another type is a wrong type in every row that fills it."""
    types = {field.name: field.dataType for field in df.schema.fields}
    fits = {name: name in types and _fits(name, types[name]) for name in NAMES}
    filled = {name: (F.col(f"`{name}`") if fits[name] else F.lit(None)).cast(candidate_type(name)) for name in NAMES}
    wrong = names_of({name: F.col(f"`{name}`").isNotNull() for name in NAMES if name in types and not fits[name]})
    # What fits stands in the raw record as it stands in the candidate, so that reading it again is exact.
    cells = {name: filled[name] if fits.get(name) else F.col(f"`{name}`") for name in types if name != "file"}
    row = F.to_json(F.struct(*[cell.alias(name) for name, cell in cells.items()]))
    return candidates_of(
        df,
        filled,
        raw=row.cast("binary"),
        raw_format="json",
        unreadable=F.lit(None).cast("string"),
        wrong_types=wrong,
    )


def candidates_of(
    df: DataFrame, values: dict[str, Column], *, raw: Column, raw_format: str, unreadable: Column, wrong_types: Column
) -> DataFrame:
    """``df`` (with the column ``file``) as candidates."""
    return df.select(
        *[value.alias(name) for name, value in values.items()],
        raw.alias("raw"),
        F.lit(raw_format).alias("raw_format"),
        F.col("file").alias("source_file"),
        unreadable.alias("unreadable"),
        wrong_types.alias("wrong_types"),
    )


def names_of(conditions: dict[str, Column]) -> Column:
    """Array of the names of the conditions that are true, in their order; null where none is. Names have no commas.

    By way of a text: array_compact is interpreted, and keeps the whole projection from being compiled.
    """
    names = [F.when(condition, F.lit(name)) for name, condition in conditions.items()]
    return F.split(F.nullif(F.concat_ws(",", *names), F.lit("")), ",") if names else F.lit(None).cast("array<string>")


def no_names() -> Column:
    return F.array().cast("array<string>")


def candidate_type(name: str) -> str:
    return "array<string>" if name in LISTS else "map<string,string>" if name in MAPS else "string"


def from_variant(name: str, variant: Column) -> Column:
    """Null where the variant holds another type: the caller has named that already."""
    return F.when(~is_wrong_variant(name, variant), variant.try_cast(candidate_type(name)))


def is_wrong_variant(name: str, variant: Column) -> Column:
    """JSON null and an absent field are no value, hence never a wrong type."""
    kind = F.schema_of_variant(variant)
    if name in LISTS:
        right = kind.isin("ARRAY<STRING>", "ARRAY<VOID>")
    elif name in MAPS:
        values = F.map_values(variant.try_cast("map<string,variant>"))
        right = kind.startswith("OBJECT<") & ~F.exists(values, lambda v: F.schema_of_variant(v).rlike("^(ARRAY|OBJECT)<"))
    else:
        right = kind.isin(*TEXT_TYPES.get(name, ("STRING",)))
    return F.coalesce(~(right | (kind == "VOID")), F.lit(False))


def _fits(name: str, data_type: DataType) -> bool:
    if name in LISTS:
        return isinstance(data_type, ArrayType) and isinstance(data_type.elementType, StringType)
    if name in MAPS:
        return isinstance(data_type, MapType) and isinstance(data_type.keyType, StringType)
    if name == "updated_at" and isinstance(data_type, TimestampType):
        return True
    if name == "deleted" and isinstance(data_type, BooleanType):
        return True
    return isinstance(data_type, StringType) or (name == "item_id" and data_type.typeName() in ("long", "integer"))
