"""Renders listings as Spark columns, so that texts and fingerprints are made in the JVM.

The texts are those of m5model/runtime/rendering.py, to the character: a test compares them.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from m5model.runtime.rendering import Rendering
from schemas.errors import ConfigurationError


def render_listings(df: DataFrame, rendering: Rendering) -> DataFrame:
    """Adds ``text`` (what the encoder reads) and ``fingerprint`` (32 hexadecimal digits).

    Raises ConfigurationError for a marked rendering: only teachers read marks, and executors run students.
    """
    if rendering.marked:
        raise ConfigurationError("Spark does not mark fields: the bundle is a teacher's", next_step="give a student's bundle")
    parts = [F.nullif(_render_field(field, rendering), F.lit("")) for field in rendering.fields]
    text = F.left(F.concat_ws(rendering.separator, *parts), F.lit(rendering.max_characters))
    text = F.concat(F.lit(rendering.prefix), text) if rendering.prefix else text
    prefixed = F.concat(F.lit(f"{rendering.rendering_id}\n"), F.col("text"))
    return df.withColumn("text", text).withColumn("fingerprint", F.left(F.sha2(prefixed, 256), F.lit(32)))


def _render_field(field: str, rendering: Rendering) -> Column:
    if field == "attributes":
        entries = F.filter(F.array_sort(F.map_entries("attributes")), lambda e: F.length(e["value"]) > 0)
        named = F.transform(entries, lambda e: F.concat(e["key"], F.lit(rendering.attribute_separator), e["value"]))
        return F.array_join(named, rendering.separator)
    if field == "bullets":
        return F.array_join(F.filter("bullets", lambda bullet: F.length(bullet) > 0), rendering.separator)
    return F.col(field)
