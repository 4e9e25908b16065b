"""The Spark session of a job: Delta, UTC, this interpreter for the workers, S3 where a path asks for it."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from m5model.files import s3
from schemas.errors import ConfigurationError
from spark.setup.charset import check_paths
from spark.setup.failures import explain
from spark.setup.java import check_java
from spark.setup.quick_start import forget_quick_start

DELTA_EXTENSION = "io.delta.sql.DeltaSparkSessionExtension"

SETTINGS: Mapping[str, str] = {
    "spark.sql.extensions": DELTA_EXTENSION,
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    # INT96, the default, is nanoseconds to other readers, which 64 bits hold for the years 1678 to 2261 only.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # A Parquet file may hold a map that has a name twice: the last value is taken, and the job does not fail.
    "spark.sql.mapKeyDedupPolicy": "LAST_WIN",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.ui.showConsoleProgress": "false",
}

DEFAULT_LOG_LEVEL = "ERROR"

# What these log when a task fails, the driver raises as an exception, once instead of once an attempt.
REPEATING_LOGGERS = (
    "org.apache.spark.executor.Executor",
    "org.apache.spark.scheduler.TaskSetManager",
    "org.apache.spark.sql.execution.datasources.FileFormatWriter",
    "org.apache.spark.util.Utils",
)

# One retry-less attempt is local[N]'s default: a lost Python worker would end the job.
LOCAL_MASTER = "local[*,4]"


@contextmanager
def job_session(
    name: str, *, paths: Iterable[str] = (), settings: Callable[[SparkConf], Mapping[str, str]] | None = None
) -> Iterator[SparkSession]:
    """``build_session`` for the length of one job: the session is stopped on every way out.

    A session that was there before the job (a notebook's) is used as it is, and left running. What Spark raises becomes an
    error of M5 with a class, advice and an exit code, where spark.setup.failures knows it.
    """
    session = None
    is_own = SparkContext._active_spark_context is None
    try:
        session = build_session(name, paths=paths, settings=settings)
        yield session
    except Exception as error:
        known = explain(error)
        if known is None or known is error:
            raise
        raise known from error
    finally:
        if session is not None and is_own:
            with suppress(Py4JError, OSError):  # a JVM that is gone has nothing to stop
                session.stop()


def build_session(
    name: str, *, paths: Iterable[str] = (), settings: Callable[[SparkConf], Mapping[str, str]] | None = None
) -> SparkSession:
    """A session that can read and write Delta tables at ``paths``.

    The master comes from spark-submit or spark-defaults.conf, else all local cores. ``settings`` are a job's own Spark
    defaults, given what is configured. Raises ConfigurationError where Java or the Delta jars are missing.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    launch_jvm()
    paths = list(paths)
    check_paths(paths)
    conf = SparkConf()
    chosen = {**SETTINGS, **s3_settings(paths), **(settings(conf) if settings else {})}
    builder = SparkSession.builder.appName(name)
    if not conf.contains("spark.master"):
        builder = builder.master(LOCAL_MASTER)
    for key, value in chosen.items():
        builder = builder.config(key, value)
    _silence_start()
    session = builder.getOrCreate()
    _set_log_level(session)
    _check_delta(session)
    return session


def launch_jvm() -> None:
    """Start the JVM, so that a SparkConf holds what spark-submit and spark-defaults.conf say.

    Under spark-submit it runs already. Raises ConfigurationError where there is no Java that Spark can run on.
    """
    if SparkContext._gateway is None and "PYSPARK_GATEWAY_PORT" not in os.environ:
        check_java()
    SparkContext._ensure_initialized()
    forget_quick_start(os.environ)


def s3_settings(paths: Iterable[str]) -> dict[str, str]:
    """Hadoop's S3A settings where one of ``paths`` is on S3, from the same AWS variables that the rest of M5 reads."""
    if not any(path.startswith(("s3://", "s3a://")) for path in paths):
        return {}
    return s3.spark_settings()


def _log_level() -> str | None:
    return os.environ.get("M5_SPARK_LOG_LEVEL")


def _silence_start() -> None:
    """Sets the log level before Spark starts, which logs some forty lines: a session's own setLogLevel comes after them."""
    jvm: Any = SparkContext._jvm
    with suppress(Py4JError):  # these are no public functions: another Spark, which has not got them, logs its lines
        utils = jvm.java.lang.Class.forName("org.apache.spark.util.Utils$").getField("MODULE$").get(None)  # a Scala object
        utils.initializeLogIfNecessary(False)  # else Spark sets its own level as soon as it logs a line
        utils.setLogLevel(jvm.org.apache.logging.log4j.Level.toLevel(_log_level() or DEFAULT_LOG_LEVEL))


def _set_log_level(session: SparkSession) -> None:
    """``$M5_SPARK_LOG_LEVEL``, else errors alone, each of them once."""
    level = _log_level()
    session.sparkContext.setLogLevel(level or DEFAULT_LOG_LEVEL)
    if level is None:
        log4j: Any = session.sparkContext._jvm.org.apache.logging.log4j  # type: ignore[union-attr]
        for logger in REPEATING_LOGGERS:
            log4j.core.config.Configurator.setLevel(logger, log4j.Level.OFF)


def _check_delta(session: SparkSession) -> None:
    jvm: Any = session.sparkContext._jvm
    loader = jvm.org.apache.spark.util.Utils.getContextOrSparkClassLoader()
    if loader.getResource(DELTA_EXTENSION.replace(".", "/") + ".class") is None:
        session.stop()
        raise ConfigurationError(
            "Spark was started without the Delta jars",
            next_step="run `make setup`, or give --packages io.delta:delta-spark_4.2_2.13:4.4.0 to spark-submit",
        )
