"""Texts as the frame that the engine reads."""

from pyspark.sql import DataFrame, SparkSession


def text_frame(spark: SparkSession, texts: list[str], partitions: int) -> DataFrame:
    """Rows of (locale, item_id, fingerprint, text); ``item_id`` is the text's place."""
    rows = [("US", str(i), str(i), text) for i, text in enumerate(texts)]
    return spark.createDataFrame(rows, "locale string, item_id string, fingerprint string, text string").repartition(partitions)
