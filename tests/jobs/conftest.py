"""Jobs called in this process, and a real S3 server (versitygw on loopback), skipped by name where it is not installed."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from pyspark.sql import SparkSession

from benchmarks.inputs.cluster import free_port, wait_for_port

SERVER = shutil.which("versitygw") or str(Path(os.environ.get("M5_TOOLS") or Path.home() / ".cache" / "m5-tools") / "versitygw")

Report = Callable[..., dict]


@pytest.fixture
def report_of(spark: SparkSession, capsys: pytest.CaptureFixture[str]) -> Report:
    """``report_of(job, *arguments)`` runs the job's ``main`` in the tests' session; it must end with 0. Returns its report."""

    def run(job: ModuleType, *arguments: str) -> dict:
        capsys.readouterr()
        code = job.main(list(arguments))
        answer = capsys.readouterr()
        assert code == 0, answer.err
        return json.loads(answer.out.splitlines()[-1])

    return run


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Iterator[str]:
    """A fresh bucket. The environment, the tests' session and its Python workers name the server."""
    if not Path(SERVER).exists():
        pytest.skip("S3 server versitygw is not installed")
    port = free_port()
    folder = tmp_path_factory.mktemp("s3")
    keys = {"ROOT_ACCESS_KEY": "m5test", "ROOT_SECRET_KEY": "m5test-secret"}
    endpoint = f"http://127.0.0.1:{port}"
    variables = {
        "AWS_ACCESS_KEY_ID": keys["ROOT_ACCESS_KEY"],
        "AWS_SECRET_ACCESS_KEY": keys["ROOT_SECRET_KEY"],
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": "us-east-1",
        "M5_CACHE": str(folder / "cache"),
    }
    (folder / "data").mkdir()
    command = [SERVER, "--port", f"127.0.0.1:{port}", "posix", str(folder / "data")]
    with (folder / "server.log").open("w") as log, pytest.MonkeyPatch.context() as environment:
        server = subprocess.Popen(command, env={**os.environ, **keys}, stdout=log, stderr=log)
        for name, value in variables.items():
            environment.setenv(name, value)
            environment.setitem(spark.sparkContext.environment, name, value)
        _point_session_at(spark, endpoint, keys)
        wait_for_port(port)
        import boto3

        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="m5-tests")
        yield "s3a://m5-tests"
        server.terminate()
        server.wait()


def _point_session_at(spark: SparkSession, endpoint: str, keys: dict[str, str]) -> None:
    """A job's own session gets these when it starts; this one has been started before the server."""
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    for name, value in {
        "endpoint": endpoint,
        "endpoint.region": "us-east-1",
        "path.style.access": "true",
        "connection.ssl.enabled": "false",
        "access.key": keys["ROOT_ACCESS_KEY"],
        "secret.key": keys["ROOT_SECRET_KEY"],
    }.items():
        hadoop.set(f"fs.s3a.{name}", value)
