"""A real S3 server (versitygw on loopback) for the tests of this folder. Skipped, by name, where it is not installed."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.inputs.cluster import free_port, wait_for_port

SERVER = shutil.which("versitygw") or str(Path(os.environ.get("M5_TOOLS") or Path.home() / ".cache" / "m5-tools") / "versitygw")


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A fresh bucket; the environment names the server."""
    if not Path(SERVER).exists():
        pytest.skip("S3 server versitygw is not installed")
    port = free_port()
    folder = tmp_path_factory.mktemp("s3")
    keys = {"ROOT_ACCESS_KEY": "m5test", "ROOT_SECRET_KEY": "m5test-secret"}
    (folder / "data").mkdir()
    command = [SERVER, "--port", f"127.0.0.1:{port}", "posix", str(folder / "data")]
    with (folder / "server.log").open("w") as log, pytest.MonkeyPatch.context() as environment:
        server = subprocess.Popen(command, env={**os.environ, **keys}, stdout=log, stderr=log)
        environment.setenv("AWS_ACCESS_KEY_ID", keys["ROOT_ACCESS_KEY"])
        environment.setenv("AWS_SECRET_ACCESS_KEY", keys["ROOT_SECRET_KEY"])
        environment.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        environment.setenv("AWS_REGION", "us-east-1")
        environment.setenv("M5_CACHE", str(folder / "cache"))
        wait_for_port(port)
        import boto3

        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="m5-tests")
        yield "s3a://m5-tests"
        server.terminate()
        server.wait()
