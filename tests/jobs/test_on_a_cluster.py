"""A real standalone cluster (master, two workers) with its workspace on a real S3 server; the code comes by --py-files."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

import m5model
from benchmarks.inputs.cluster import LocalCluster
from m5model.files import storage

ROWS = 40
SMALL = {
    "spark.executor.extraJavaOptions": os.environ["SPARK_SUBMIT_OPTS"],
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "1",
}

# Both jobs in one application: two of them would start two drivers and four executors.
STAGES = """
import sys
from jobs import embed_catalog, ingest_catalog
from spark.embedding.engine import engine_settings
from spark.setup.session import build_session

workspace, feed = sys.argv[1:]
build_session("stages", paths=[workspace], settings=engine_settings)
shared = ["--workspace", workspace]
sys.exit(ingest_catalog.main([*shared, "--feed", feed]) or embed_catalog.main(shared))
"""


@pytest.fixture(scope="module")
def workspace(s3: str, trained) -> str:
    """Listings with skew: one locale has nine rows in ten, and one text 100,000 characters."""
    records = [
        {"locale": "US" if i % 10 else "JP", "item_id": str(i), "language": "en", "title": f"red shirt {i}"}
        for i in range(ROWS)
    ]
    records[0]["description"] = "cotton " * 14_286
    storage.write_bytes(f"{s3}/cluster/feed.jsonl", "\n".join(map(json.dumps, records)).encode())
    workspace = f"{s3}/cluster/workspace"
    storage.upload_folder(trained.student_folder, f"{workspace}/bundles/{trained.student.id}")
    return workspace


def test_every_stage_runs_on_a_cluster_and_the_vectors_are_those_of_the_toolkit(
    workspace: str, trained, tmp_path: Path
) -> None:
    (tmp_path / "stages.py").write_text(STAGES)
    with LocalCluster(tmp_path) as cluster:
        ingested, embedded = run(
            cluster, str(tmp_path / "stages.py"), workspace, workspace.replace("/workspace", "/feed.jsonl")
        )
    assert ingested["accounting"]["written"] == ROWS
    assert embedded["accounting"]["written"] == ROWS
    from deltalake import DeltaTable

    options = {"AWS_ALLOW_HTTP": "true", "AWS_S3_ALLOW_UNSAFE_RENAME": "true"}
    table = DeltaTable(f"{workspace}/embeddings".replace("s3a://", "s3://"), storage_options=options).to_pyarrow_table()
    encoder = m5model.load(str(trained.student_folder))
    for row in table.to_pylist():
        if row["item_id"] != "0":
            assert np.array_equal(np.asarray(row["vector"], np.float32), encoder.encode([f"red shirt {row['item_id']}"])[0])
    assert table.num_rows == ROWS


def run(cluster: LocalCluster, script: str, *arguments: str) -> list[dict]:
    """The reports that the application prints, among lines of the log."""
    process = cluster.submit(script, *arguments, settings=SMALL)
    assert process.wait(timeout=300) == 0, (cluster.folder / "job.err").read_text()[-3_000:]
    logged = (cluster.folder / "job.err").read_text().splitlines()  # the JVM's; the driver's own log is in job.out
    assert [line for line in logged if re.match(r"\d\d/\d\d/\d\d .* INFO ", line)] == [], "Spark starts without a word"
    return [json.loads(line) for line in (cluster.folder / "job.out").read_text().splitlines() if line.startswith("{")]
