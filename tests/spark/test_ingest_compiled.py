"""The way of a sound record stays fast: nothing on it is too long for the JVM to compile, and nothing goes through Python."""

import re

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark.ingest.json_lines import skim_json_lines
from spark.ingest.judging import judge_marked, mark_suspects
from spark.ingest.rules import Limits

# HotSpot never compiles longer methods (-XX:HugeMethodLimit): a projection of one is interpreted, three times as slow.
HUGE_METHOD_BYTES = 8_000


@pytest.fixture(scope="module")
def judged(spark) -> DataFrame:
    lines = spark.range(1).select(F.col("id").cast("string").alias("value"), F.lit("file").alias("file"))
    return judge_marked(mark_suspects(skim_json_lines(lines)), Limits(), "run")


def _explain(df: DataFrame, mode: str) -> str:
    return df.sparkSession._jvm.PythonSQLUtils.explainString(df._jdf.queryExecution(), mode)


def test_no_generated_method_is_too_long_to_be_compiled(judged: DataFrame) -> None:
    sizes = [int(size) for size in re.findall(r"maxMethodCodeSize:(\d+)", _explain(judged, "codegen"))]
    assert len(sizes) >= 2
    assert max(sizes) < HUGE_METHOD_BYTES


def test_no_record_goes_through_python(judged: DataFrame) -> None:
    assert "Python" not in _explain(judged, "simple")
