"""The flow with its workspace on a real S3 server (versitygw on loopback). Skipped, by name, where it is not installed."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import m5model
from m5model import storage

ROOT = Path(__file__).parents[2]
SERVER = shutil.which("versitygw") or str(Path(os.environ.get("M5_TOOLS") or Path.home() / ".cache" / "m5-tools") / "versitygw")

pytestmark = pytest.mark.skipif(not Path(SERVER).exists(), reason="S3 server versitygw is not installed")


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A fresh bucket."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
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
        _wait_for_port(port)
        import boto3

        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="m5-tests")
        yield "s3a://m5-tests"
        server.terminate()
        server.wait()


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("the S3 server did not start")


def _run_job(job: str, *arguments: str) -> dict:
    command = [sys.executable, str(ROOT / "jobs" / job), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    assert answer.returncode == 0, answer.stderr[-3_000:]
    return json.loads(answer.stdout.splitlines()[-1])


def test_a_feed_on_s3_becomes_listings_a_training_set_and_embeddings_on_s3(s3: str, trained) -> None:
    records = [{"locale": "US", "item_id": str(i), "language": "en", "title": f"red cotton shirt {i}"} for i in range(20)]
    lines = "\n".join(json.dumps(record) for record in records)
    storage.write_bytes(f"{s3}/feeds/day-1.jsonl", lines.encode())
    workspace = f"{s3}/workspace"
    ingested = _run_job("ingest_catalog.py", "--workspace", workspace, "--feed", f"{s3}/feeds/*.jsonl")
    assert ingested["accounting"]["written"] == 20
    sampled = _run_job("sample_training_set.py", "--workspace", workspace, "--plan", "natural")
    assert sampled["accounting"]["written"] == 20
    storage.upload_folder(trained.student_folder, f"{workspace}/bundles/{trained.student.id}")
    embedded = _run_job("embed_catalog.py", "--workspace", workspace)
    assert embedded["accounting"]["written"] == 20
    again = _run_job("embed_catalog.py", "--workspace", workspace)
    assert (again["accounting"]["written"], again["accounting"]["unchanged"], again["waves"]) == (0, 20, 0)


def test_a_bundle_on_s3_gives_the_vectors_of_the_local_one(s3: str, trained) -> None:
    storage.upload_folder(trained.student_folder, f"{s3}/bundles/student")
    texts = ["red cotton shirt", "blaue schuhe"]
    remote = m5model.load(f"{s3}/bundles/student").encode(texts)
    assert np.array_equal(remote, m5model.load(str(trained.student_folder)).encode(texts))


def test_a_file_is_created_on_s3_only_where_there_is_none(s3: str) -> None:
    assert storage.write_new(f"{s3}/once.json", b"first")
    assert not storage.write_new(f"{s3}/once.json", b"second")
    assert storage.read_bytes(f"{s3}/once.json") == b"first"
