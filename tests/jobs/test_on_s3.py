"""The flow with its workspace on a real S3 server (versitygw on loopback)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

import m5model
from m5model.files import storage
from m5model.files.lease import Lease

ROOT = Path(__file__).parents[2]


def _start_job(job: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "jobs" / job), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)


def _run_job(job: str, *arguments: str) -> dict:
    answer = _start_job(job, *arguments)
    assert answer.returncode == 0, answer.stderr[-3_000:]
    return json.loads(answer.stdout.splitlines()[-1])


def test_a_feed_on_s3_becomes_listings_a_training_set_and_embeddings_on_s3(s3: str, trained) -> None:
    records = [{"locale": "US", "item_id": str(i), "language": "en", "title": f"red cotton shirt {i}"} for i in range(20)]
    lines = "\n".join(json.dumps(record) for record in records)
    storage.write_bytes(f"{s3}/feeds/day-1.jsonl", lines.encode())
    workspace = f"{s3}/workspace"
    ingested = _run_job("ingest_catalog.py", "--workspace", workspace, "--feed", f"{s3}/feeds/*.jsonl")
    assert ingested["accounting"]["written"] == 20
    sampled = _run_job("sample_training_set.py", "--workspace", workspace, "--plan", "natural", "--keep-duplicates")
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


def test_a_second_run_on_one_s3_table_is_refused_and_told_who_writes(s3: str, trained) -> None:
    workspace = f"{s3}/leased"
    storage.write_bytes(f"{s3}/feeds/leased.jsonl", b'{"locale": "US", "item_id": "1", "language": "en", "title": "red shirt"}')
    _run_job("ingest_catalog.py", "--workspace", workspace, "--feed", f"{s3}/feeds/leased.jsonl")
    storage.upload_folder(trained.student_folder, f"{workspace}/bundles/{trained.student.id}")
    with Lease(f"{workspace}/leases/embeddings", "embed-of-another-team"):
        refused = _start_job("embed_catalog.py", "--workspace", workspace)
    assert refused.returncode == 2
    assert "embeddings is being written by embed-of-another-team" in refused.stderr
    assert _run_job("embed_catalog.py", "--workspace", workspace)["accounting"]["written"] == 1
