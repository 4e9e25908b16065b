"""Feed files of any format become candidates: the feed's columns, typed, beside the raw record and what was unreadable.

A candidate has every column of schemas.listing.FEED_COLUMNS (``updated_at`` still as text), and
    raw            binary   the record as it stood, kept only for rejects
    raw_format     string   json or csv
    source_file    string
    unreadable     string   a name from schemas.reject.UNREADABLE, or null
    wrong_types    array    names of the fields that hold another type than their column's
"""

from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StringType, StructField, StructType, TimestampType

from m5model import storage
from schemas.listing import FEED_COLUMNS
from schemas.reject import MAX_RECORD_BYTES
from spark.ingest.sources import FeedFiles

LISTS = ("bullets",)
MAPS = ("attributes",)
NAMES = tuple(column.name for column in FEED_COLUMNS)
TEXTS = tuple(name for name in NAMES if name not in LISTS + MAPS)

# Integers are accepted where a key is expected: many catalogues number their items.
TEXT_TYPES = {"item_id": ("STRING", "BIGINT")}
JSON_OPTIONS = {"allowSingleQuotes": "false", "allowNonNumericNumbers": "false"}
CORRUPT = "_corrupt"


def read_candidates(spark: SparkSession, files: FeedFiles) -> DataFrame:
    """All records of all files, in one frame."""
    frames = []
    if files.json:
        frames.append(parse_json_lines(spark.read.text(files.json, lineSep="\n").withColumn("file", F.input_file_name())))
    frames += [parse_csv_rows(_read_csv(spark, group)) for group in _group_by_header(files.csv)]
    frames += [parse_parquet_rows(_read_parquet(spark, group)) for group in _group_by_schema(spark, files.parquet)]
    return reduce(DataFrame.unionByName, frames)


def parse_json_lines(df: DataFrame) -> DataFrame:
    """``value`` (one line of JSON) and ``file`` → candidates. Blank lines are not records."""
    line = F.regexp_replace("value", "^\ufeff", "")  # a byte order mark, as some editors leave at a file's start
    df = df.where(F.length(F.trim("value")) > 0).withColumn("line", line)
    too_large = F.octet_length("value") > MAX_RECORD_BYTES
    invalid_utf8 = ~F.is_valid_utf8("value")
    # Inside brackets, so that anything behind the object (a second record, garbage) makes the parse fail.
    schema = f"array<struct<{', '.join(f'{name}: variant' for name in NAMES)}>>"
    text = F.when(~(too_large | invalid_utf8), F.concat(F.lit("["), F.col("line"), F.lit("]")))
    df = df.withColumn("docs", F.from_json(text, schema, JSON_OPTIONS))
    df = df.withColumn("doc", F.when(F.size("docs") == 1, F.col("docs")[0]))
    truncated = ~F.rtrim("line").endswith("}")
    unreadable = (
        F.when(too_large, "record_too_large")
        .when(invalid_utf8, "invalid_utf8")
        .when(F.col("doc").isNull() & truncated, "truncated_record")
        .when(F.col("doc").isNull(), "invalid_record")
    )
    return _candidates(
        df,
        {name: _from_variant(name, F.col(f"doc.{name}")) for name in NAMES},
        raw=F.col("value").cast("binary"),
        raw_format="json",
        unreadable=unreadable,
        wrong_types=[F.when(_is_wrong_variant(name, F.col(f"doc.{name}")), F.lit(name)) for name in NAMES],
    )


def parse_csv_rows(df: DataFrame) -> DataFrame:
    """Rows of Latin-1 text (every byte survives that way) → candidates. List and map cells hold JSON."""
    columns = [name for name in df.columns if name not in (CORRUPT, "file")]
    bytes_of = {name: F.encode(F.col(f"`{name}`"), "ISO-8859-1").cast("string") for name in columns}
    row = F.to_json(F.struct(*[F.make_valid_utf8(text).alias(name) for name, text in bytes_of.items()]))
    cells = {name: F.nullif(bytes_of[name], F.lit("")) if name in bytes_of else F.lit(None).cast("string") for name in NAMES}
    invalid_utf8 = reduce(Column.__or__, [F.coalesce(~F.is_valid_utf8(text), F.lit(False)) for text in bytes_of.values()])
    malformed = F.col(CORRUPT).isNotNull()
    variants = {name: F.try_parse_json(F.when(~invalid_utf8, cells[name])) for name in LISTS + MAPS}
    wrong = [
        F.when(cells[name].isNotNull() & (variants[name].isNull() | _is_wrong_variant(name, variants[name])), F.lit(name))
        for name in LISTS + MAPS
    ]
    return _candidates(
        df,
        {name: _from_variant(name, variants[name]) if name in variants else cells[name] for name in NAMES},
        raw=F.coalesce(F.encode(F.col(CORRUPT), "ISO-8859-1"), row.cast("binary")),
        raw_format="csv",
        unreadable=F.when(malformed, "invalid_record").when(invalid_utf8, "invalid_utf8"),
        wrong_types=wrong,
    )


def parse_parquet_rows(df: DataFrame) -> DataFrame:
    """Typed rows → candidates. A column of another type is a wrong type in every row that fills it."""
    types = {field.name: field.dataType for field in df.schema.fields}
    fits = {name: name in types and _fits(name, types[name]) for name in NAMES}
    filled = {name: F.col(f"`{name}`") if fits[name] else F.lit(None) for name in NAMES}
    wrong = [F.when(F.col(f"`{name}`").isNotNull(), F.lit(name)) for name in NAMES if name in types and not fits[name]]
    row = F.to_json(F.struct(*[F.col(f"`{name}`") for name in types if name != "file"]))
    return _candidates(
        df,
        {name: filled[name].cast(_candidate_type(name)) for name in NAMES},
        raw=row.cast("binary"),
        raw_format="json",
        unreadable=F.lit(None).cast("string"),
        wrong_types=wrong,
    )


def _candidates(
    df: DataFrame, values: dict[str, Column], *, raw: Column, raw_format: str, unreadable: Column, wrong_types: list[Column]
) -> DataFrame:
    wrong = F.array_compact(F.array(*wrong_types)) if wrong_types else F.array().cast("array<string>")
    return df.select(
        *[value.alias(name) for name, value in values.items()],
        raw.alias("raw"),
        F.lit(raw_format).alias("raw_format"),
        F.col("file").alias("source_file"),
        unreadable.alias("unreadable"),
        wrong.alias("wrong_types"),
    )


def _candidate_type(name: str) -> str:
    return "array<string>" if name in LISTS else "map<string,string>" if name in MAPS else "string"


def _from_variant(name: str, variant: Column) -> Column:
    """Null where the variant holds another type: the caller has named that already."""
    return F.when(~_is_wrong_variant(name, variant), variant.try_cast(_candidate_type(name)))


def _is_wrong_variant(name: str, variant: Column) -> Column:
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
    return isinstance(data_type, StringType) or (name == "item_id" and data_type.typeName() in ("long", "integer"))


def _read_csv(spark: SparkSession, group: tuple[tuple[str, ...], list[str]]) -> DataFrame:
    header, files = group
    schema = StructType([StructField(name, StringType()) for name in (*header, CORRUPT)])
    reader = spark.read.schema(schema).option("header", "true").option("multiLine", "true").option("escape", '"')
    reader = reader.option("encoding", "ISO-8859-1").option("mode", "PERMISSIVE").option("columnNameOfCorruptRecord", CORRUPT)
    return reader.csv(files).withColumn("file", F.input_file_name())


def _group_by_header(files: list[str]) -> list[tuple[tuple[str, ...], list[str]]]:
    """CSV files with the same header are read together."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for file in files:
        header = storage.read_first_line(file).decode("utf-8-sig", errors="replace").strip()
        if header:
            groups.setdefault(tuple(name.strip().strip('"') for name in header.split(",")), []).append(file)
    return list(groups.items())


def _read_parquet(spark: SparkSession, files: list[str]) -> DataFrame:
    return spark.read.parquet(*files).withColumn("file", F.input_file_name())


def _group_by_schema(spark: SparkSession, files: list[str]) -> list[list[str]]:
    """Parquet files with the same columns and types are read together."""
    groups: dict[str, list[str]] = {}
    for file in files:
        groups.setdefault(spark.read.parquet(file).schema.json(), []).append(file)
    return list(groups.values())
