"""One lazy Spark session for all tests of this folder, built as jobs build theirs."""

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    from spark.setup.session import build_session

    quick = {
        "spark.master": "local[2,4]",
        "spark.sql.shuffle.partitions": "4",
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
    }
    session = build_session("m5 tests", settings=lambda _: quick)
    yield session
    session.stop()
