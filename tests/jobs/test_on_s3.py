"""The flow with its workspace on a real S3 server (versitygw on loopback)."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import m5model
from jobs import embed_catalog, ingest_catalog, sample_training_set
from m5model.cli import main
from m5model.files import storage
from m5model.files.checksums import sha256_of
from m5model.files.copies import local_copy
from m5model.files.lease import Lease
from schemas.workspace import Workspace
from tests.m5model.features.views import brand_row, publish_view


def test_a_feed_on_s3_becomes_listings_a_training_set_and_embeddings_on_s3(
    s3: str, trained, report_of, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [{"locale": "US", "item_id": str(i), "language": "en", "title": f"red cotton shirt {i}"} for i in range(20)]
    storage.write_bytes(f"{s3}/feeds/day-1.jsonl", "\n".join(map(json.dumps, records)).encode())
    workspace = f"{s3}/workspace"
    ingested = report_of(ingest_catalog, "--workspace", workspace, "--feed", f"{s3}/feeds/*.jsonl")
    assert ingested["accounting"]["written"] == 20
    sampled = report_of(sample_training_set, "--workspace", workspace, "--plan", "natural", "--keep-duplicates")
    assert sampled["accounting"]["written"] == 20
    storage.upload_folder(trained.student_folder, f"{workspace}/bundles/{trained.student.id}")
    with Lease(f"{workspace}/leases/embeddings", "embed-of-another-team"):
        assert embed_catalog.main(["--workspace", workspace]) == 2
    assert "embeddings is being written by embed-of-another-team" in capsys.readouterr().err
    embedded = report_of(embed_catalog, "--workspace", workspace)
    assert embedded["accounting"]["written"] == 20
    _require_site(workspace, f"{s3}/site")


def _require_site(workspace: str, out: str) -> None:
    """The site of a workspace on S3, on S3: a browser is told that its pages are pages, and a repeat has the same bytes."""
    import boto3

    pages = []
    for _ in range(2):
        assert main(["report", "--workspace", workspace, "--out", out]) == 0
        pages.append({name: storage.read_bytes(f"{out}/{name}") for name in storage.list_files(out)})
    assert pages[0] == pages[1]
    assert b"<b>20</b><span>listings" in pages[0]["index.html"]
    assert b"Not readable" not in pages[0]["index.html"]
    bucket, _, key = out.removeprefix("s3a://").partition("/")
    assert boto3.client("s3").head_object(Bucket=bucket, Key=f"{key}/index.html")["ContentType"] == "text/html; charset=utf-8"


def test_views_on_s3_are_listed_compared_read_and_rolled_back(s3: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    workspace = Workspace(f"{s3}/views")

    def ask(*command: str) -> list[dict[str, Any]]:
        assert main(["features", *command, "--workspace", workspace.root, "--json"]) == 0
        return [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]

    publish_view(workspace, [brand_row("A")])
    publish_view(workspace, [brand_row("A", score=0.75), brand_row("B")])
    assert [(view["view"], view["rows"], view["readable"]) for view in ask("list")] == [("brands", 2, True)]
    assert (ask("diff", "brands", "0", "1")[0]["added"], ask("show", "brands")[0]["version"]) == (1, 1)
    assert ask("rollback", "brands", "0")[0]["restored"] == 0
    assert [row["score"] for row in ask("read", "brands")] == [0.5]
    assert ask("release", "brands")[0]["was_held_at"] == 0


def test_a_bundle_on_s3_gives_the_vectors_of_the_local_one(s3: str, trained) -> None:
    storage.upload_folder(trained.student_folder, f"{s3}/bundles/student")
    texts = ["red cotton shirt", "blaue schuhe"]
    remote = m5model.load(f"{s3}/bundles/student").encode(texts)
    assert np.array_equal(remote, m5model.load(str(trained.student_folder)).encode(texts))


def test_a_file_is_created_on_s3_only_where_there_is_none(s3: str) -> None:
    assert storage.write_new(f"{s3}/once.json", b"first")
    assert not storage.write_new(f"{s3}/once.json", b"second")
    assert storage.read_bytes(f"{s3}/once.json") == b"first"


def test_large_files_go_to_s3_and_come_back_whole_and_a_damaged_copy_is_fetched_again(s3: str, tmp_path: Path) -> None:
    content = os.urandom(2 * storage.BLOCK_BYTES + 3)
    (tmp_path / "big.bin").write_bytes(content)
    storage.upload_folder(tmp_path, f"{s3}/large")
    files = {"big.bin": sha256_of(f"{s3}/large/big.bin")}
    assert files == {"big.bin": hashlib.sha256(content).hexdigest()}
    copy = local_copy(f"{s3}/large", files)
    (copy / "big.bin").write_bytes(content[:-1])
    assert (local_copy(f"{s3}/large", files) / "big.bin").read_bytes() == content


def test_an_upload_that_breaks_off_leaves_nothing_on_s3(s3: str) -> None:
    with pytest.raises(RuntimeError, match="broken"), storage.open_output(f"{s3}/broken.bin") as stream:
        stream.write(b"half")
        raise RuntimeError("broken")
    assert not storage.exists(f"{s3}/broken.bin")


def test_feeds_of_every_form_are_read_from_s3(s3: str, report_of) -> None:
    import pyarrow as pa
    from deltalake import DeltaTable, write_deltalake

    from m5model.files.delta import delta_options, delta_uri

    workspace, feed = f"{s3}/forms", f"{s3}/forms-feed"
    records = [{"locale": "DE", "item_id": str(i), "language": "de", "title": f"Größe {i}"} for i in range(12)]
    table = f"{feed}/table"
    storage.write_bytes(f"{feed}/locale=DE/wrapped.json", json.dumps({"data": {"items": records[:4]}}).encode())
    lines = [f"{row['locale']};{row['item_id']};{row['language']};{row['title']}" for row in records[4:8]]
    storage.write_bytes(f"{feed}/coded.csv", "\n".join(["locale;item_id;language;title", *lines]).encode("cp1252"))
    rows = pa.Table.from_pylist(records[8:])
    kept = {"delta.enableChangeDataFeed": "true"}
    write_deltalake(delta_uri(table), rows, storage_options=delta_options(table), configuration=kept)
    first = report_of(ingest_catalog, "--workspace", workspace, "--feed", feed, "--encoding", "cp1252", "--changes-only")
    assert (first["inserted"], first["bytes_unaccounted"]) == (12, 0)
    assert {account.get("read_as") for account in first["accounts"]} == {None, "cp1252", "cp1252, records in data.items"}
    DeltaTable(delta_uri(table), storage_options=delta_options(table)).delete("item_id = '8'")
    second = report_of(ingest_catalog, "--workspace", workspace, "--feed", table, "--changes-only")
    assert (second["deleted"], second["accounting"]["rows_in"]) == (1, 1)
