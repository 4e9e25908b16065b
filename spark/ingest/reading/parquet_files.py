"""Files of Parquet become lines of JSON in which no value of another type looks like a field's.

JSON has text, numbers, booleans, lists and objects. A value of a type that JSON could only write as text (a date, bytes, a
float, which may be infinite) is written as ``[{"TYPE": "text"}]``: no field accepts a list of objects, nor does a list or map
of texts accept a list in it, so the record has a wrong type today and when it is replayed. Attributes are the exception: they
are a map of texts, and JSON's numbers and booleans become texts there, so what has one clear text becomes that.
"""

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegralType,
    MapType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from m5model.files import storage
from schemas.listing import FEED_FIELDS
from spark.ingest.reading.lines import JSON
from spark.ingest.reading.spark_lines import PLACE, SOURCE, cannot_read, literal_paths, make_lines, refuse_unread

WRITTEN_AS_IT_IS = (StringType, BooleanType, IntegralType, DecimalType)
FLOATS = (FloatType, DoubleType)
HAS_ONE_TEXT = (*WRITTEN_AS_IT_IS, *FLOATS, TimestampType, TimestampNTZType, DateType)


def read_parquet_files(spark: SparkSession, files: list[str]) -> list[DataFrame]:
    """Lines of all rows, a frame for each schema that the files have. Raises BadDataError naming a file that is damaged."""
    return [_make_lines(_read_rows(spark, group)) for group in _group_by_schema(files)]


def _make_lines(rows: DataFrame) -> DataFrame:
    fields = [field for field in rows.schema.fields if field.name not in (SOURCE, PLACE) and not _is_left_out(field)]
    cells = [cell for field in fields for cell in _write_field(field)]
    return make_lines(rows, F.to_json(F.struct(*cells)).cast("binary"), JSON, F.lit(None))


def _is_left_out(field: StructField) -> bool:
    """Images and vectors that M5 ignores: they may be large, and no rule reads them."""
    return field.name not in FEED_FIELDS and isinstance(field.dataType, (BinaryType, ArrayType, MapType, StructType))


def _write_field(field: StructField) -> list[Column]:
    cell = F.col(f"`{field.name}`")
    if isinstance(field.dataType, TimestampType) and field.name == "updated_at":
        return [cell.cast("string").alias(field.name)]  # JSON's own has milliseconds only
    if field.name == "attributes" and isinstance(field.dataType, (MapType, StructType)):
        return [attributes.alias(field.name) for attributes in _write_attributes(cell, field.dataType)]
    return [_write(cell, field.dataType).alias(field.name)]


def _write(cell: Column, kind: DataType) -> Column:
    """Returns ``cell`` in types that JSON can tell from text."""
    if _is_written_as_it_is(kind):
        return cell
    if isinstance(kind, ArrayType):
        return F.transform(cell, lambda item: _write(item, kind.elementType))
    if isinstance(kind, StructType):
        parts = [_write(cell[field.name], field.dataType).alias(field.name) for field in kind.fields]
        return F.when(cell.isNotNull(), F.struct(*parts))
    if isinstance(kind, MapType) and isinstance(kind.keyType, StringType):
        return F.transform_values(cell, lambda _, value: _write(value, kind.valueType))
    return _wrap(cell, kind)


def _is_written_as_it_is(kind: DataType) -> bool:
    if isinstance(kind, ArrayType):
        return _is_written_as_it_is(kind.elementType)
    if isinstance(kind, StructType):
        return all(_is_written_as_it_is(field.dataType) for field in kind.fields)
    if isinstance(kind, MapType):
        return isinstance(kind.keyType, StringType) and _is_written_as_it_is(kind.valueType)
    return isinstance(kind, WRITTEN_AS_IT_IS)


def _wrap(cell: Column, kind: DataType) -> Column:
    text = F.base64(cell) if isinstance(kind, BinaryType) else cell.cast("string")
    return F.when(cell.isNotNull(), F.array(F.struct(text.alias(kind.simpleString()))))


def _write_attributes(cell: Column, kind: MapType | StructType) -> list[Column]:
    """Values that have one clear text become that; of a struct, null means that the attribute is absent.

    Several columns of one name, of which at most one is not null: to_json writes that one alone.
    """
    if isinstance(kind, StructType):
        parts = [part.alias(field.name) for field in kind.fields for part in _write_attribute(cell[field.name], field.dataType)]
        return [F.when(cell.isNotNull(), F.struct(*parts))]
    if not isinstance(kind.keyType, StringType) or not isinstance(kind.valueType, HAS_ONE_TEXT):
        return [_write(cell, kind)]
    texts = cell.cast("map<string,string>")
    if not isinstance(kind.valueType, FLOATS):
        return [texts]
    are_numbers = ~F.exists(F.map_values(cell), lambda value: F.coalesce(~_is_number(value), F.lit(False)))
    return [F.when(are_numbers, texts), F.when(~are_numbers, _write(cell, kind))]


def _write_attribute(value: Column, kind: DataType) -> list[Column]:
    if not isinstance(kind, HAS_ONE_TEXT):
        return [_write(value, kind)]
    text = value.cast("string")
    return (
        [F.when(_is_number(value), text), F.when(~_is_number(value), _wrap(value, kind))]
        if isinstance(kind, FLOATS)
        else [text]
    )


def _is_number(value: Column) -> Column:
    """Neither infinite nor NaN, which is above all."""
    return F.abs(value) < F.lit(float("inf"))


def _read_rows(spark: SparkSession, files: list[str]) -> DataFrame:
    try:
        rows = spark.read.parquet(*literal_paths(files))
    except AnalysisException as error:
        raise cannot_read(files[0], error) from error
    refuse_unread(rows, files)
    row_index = rows.metadataColumn("_metadata")["row_index"]
    return rows.withColumn(PLACE, row_index).withColumn(SOURCE, F.input_file_name())


def _group_by_schema(files: list[str]) -> list[list[str]]:
    """Files with the same columns and types are read together."""
    groups: dict[str, list[str]] = {}
    for file in files:
        groups.setdefault(str(_read_schema(file)), []).append(file)
    return list(groups.values())


def _read_schema(file: str) -> pa.Schema:
    filesystem, inner = storage.open_filesystem(file)
    try:
        return pq.read_schema(inner, filesystem=filesystem).remove_metadata()
    except (pa.ArrowException, OSError) as error:
        raise cannot_read(file, error) from error
