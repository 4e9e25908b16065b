"""What fails in Spark ends a job as an error with a class, advice and an exit code, and stops its session."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from schemas.errors import BadDataError, ConfigurationError, GateRefusedError, M5Error, StorageFullError
from spark.setup.failures import explain


def _raise_in_worker(rows):
    raise BadDataError("the file\nis damaged", next_step="write it anew")


WORKERS: dict[str, Callable[[SparkSession], object]] = {
    "mapInArrow": lambda spark: spark.range(1).mapInArrow(_raise_in_worker, "id long").collect(),
    "applyInPandas": lambda spark: spark.range(1).groupBy("id").applyInPandas(_raise_in_worker, "id long").count(),
    "a UDF": lambda spark: spark.range(1).select(F.udf(_raise_in_worker)("id")).collect(),
    "an RDD": lambda spark: spark.sparkContext.parallelize([1], 1).map(_raise_in_worker).count(),
}


@pytest.mark.parametrize("way", WORKERS)
def test_an_error_raised_in_a_worker_keeps_class_message_and_advice(spark: SparkSession, way: str) -> None:
    with pytest.raises(Exception) as raised:  # noqa: PT011  # of many classes, which is why there is explain
        WORKERS[way](spark)
    error = explain(raised.value)
    assert isinstance(error, BadDataError)
    assert str(error) == "the file\nis damaged\n  What to do: write it anew"


def _damage_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[50:2_000] = bytes(1_950)
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "is empty": lambda path: path.write_bytes(b""),
    "was cut": lambda path: path.write_bytes(path.read_bytes()[:-50]),
    "is zeros inside": _damage_middle,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_that_spark_reads_is_bad_data_and_named(spark: SparkSession, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a größe 50%.parquet"
    pq.write_table(pa.table({"a": list(range(5_000))}), path)
    DAMAGES[damage](path)
    with pytest.raises(Exception) as raised:  # noqa: PT011
        spark.read.parquet(str(path)).selectExpr("sum(a)").collect()
    error = explain(raised.value)
    assert isinstance(error, BadDataError)
    assert str(error).startswith(f"{path} cannot be read: ")


def test_a_path_that_is_not_there_is_a_wrong_argument(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(Exception) as raised:  # noqa: PT011
        spark.read.json(str(tmp_path / "absent"))
    error = explain(raised.value)
    assert isinstance(error, ConfigurationError)
    assert f"there is no {tmp_path}/absent" in str(error)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("[Errno 28] No space left on device: '/w/x'", StorageFullError),
        (
            "x: [FAILED_READ_FILE.NO_HINT] Encountered …\nCaused by: java.io.IOException: No space left on device",
            StorageFullError,
        ),
        ("Generic LocalFileSystem error: Permission denied (os error 13)", ConfigurationError),
        ("java.io.FileNotFoundException: /w/feed.csv (Permission denied)", ConfigurationError),
        ("[DELTA_TRUNCATED_TRANSACTION_LOG] s3a://b/listings: unable to reconstruct state", BadDataError),
        ("[FAILED_READ_FILE.NO_HINT] Encountered error …\nCaused by: java.net.ConnectException: refused", M5Error),
        ("When reading x: AWS Error ACCESS_DENIED during HeadObject operation: No response body.", ConfigurationError),
        ("org.apache.hadoop.fs.s3a.UnknownStoreException: `s3a://b/': Bucket does not exist", ConfigurationError),
        ("Unable to locate credentials", ConfigurationError),
        ("AWS Error NETWORK_CONNECTION during PutObject operation: curlCode: 7, Couldn't connect to server", M5Error),
        ("java.lang.OutOfMemoryError: Java heap space", M5Error),
        ("An error occurred while calling o7.save: Answer from Java side is empty", M5Error),
        ("Py4JJavaError: org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)", M5Error),
    ],
)
def test_failures_of_the_machine_have_a_class_and_advice(text: str, kind: type[M5Error]) -> None:
    error = explain(RuntimeError(text))
    assert type(error) is kind and error.next_step


def test_a_defect_is_no_error_that_a_person_can_act_on_and_an_error_of_ours_is_left_as_it_is() -> None:
    assert explain(ZeroDivisionError("division by zero")) is None
    ours = GateRefusedError("refused")
    assert explain(ours) is ours
