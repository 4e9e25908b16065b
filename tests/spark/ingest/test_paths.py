"""A path is a path: no character of it means anything to a glob, a URI or SQL."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import BadDataError, ConfigurationError
from schemas.workspace import Workspace
from spark.delta.files import open_delta
from spark.ingest.ingest import ingest_feed
from spark.ingest.reading.csv_files import _group_by_header
from spark.ingest.reading.json_files import Split, read_blocks
from spark.ingest.reading.parquet_files import _group_by_schema

NAME = "job_feature [x]{y} #1?a=b&c+100% größe ほげ"
FEED_NAME = f"login%2F%25 {NAME}"
RECORD = {"locale": "DE", "item_id": "json", "language": "de", "title": "Lampe"}


def test_workspaces_and_feeds_may_have_any_name(spark, tmp_path: Path) -> None:
    workspace, feed = Workspace.resolve(str(tmp_path / "w" / NAME)), tmp_path / "f" / FEED_NAME
    feed.mkdir(parents=True)
    (feed / f"{FEED_NAME}.jsonl").write_text(json.dumps(RECORD))
    assert ingest_feed(spark, workspace, [str(feed)], run_id="adopts").inserted == 1
    (feed / f"{FEED_NAME}.csv").write_text("locale,item_id,language,title\nDE,csv,de,Stuhl\n")
    pq.write_table(pa.table({k: [v] for k, v in {**RECORD, "item_id": "parquet"}.items()}), feed / f"{FEED_NAME}.parquet")
    (feed / f"{FEED_NAME}.jsonl").write_text(json.dumps({**RECORD, "title": "Neue Lampe"}) + "\n{")
    result = ingest_feed(spark, workspace, [str(feed)], run_id="merges", max_reject_share=1)
    assert (result.inserted, result.updated, result.accounting.rejected) == (2, 1, 1)
    rows = open_delta(workspace.table("listings")).to_pyarrow_table().to_pylist()
    assert {row["item_id"]: row["title"] for row in rows} == {"json": "Neue Lampe", "csv": "Stuhl", "parquet": "Lampe"}
    assert [path.name for path in (tmp_path / "w").iterdir()] == [NAME]
    assert {path.name for path in tmp_path.iterdir()} == {"w", "f"}


@pytest.mark.parametrize("name", ["a%2Fb", "%25", "feature%20x/w", "s3a://bucket/a%2fb"])
def test_a_workspace_that_readers_would_take_for_another_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"% and two digits.*\n.*give a --workspace"):
        Workspace.resolve(name)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" + b"x" * 100, b'{"locale": "DE"}'])
def test_a_damaged_file_of_parquet_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "good.parquet").write_bytes(b"")
    pq.write_table(pa.table({"locale": ["DE"]}), tmp_path / "good.parquet")
    (tmp_path / "bad.parquet").write_bytes(data)
    with pytest.raises(BadDataError, match=r"bad\.parquet cannot be read: (?s:.)*What to do: ") as error:
        _group_by_schema([str(tmp_path / "good.parquet"), str(tmp_path / "bad.parquet")])
    assert error.value.exit_code == 3


def test_a_damaged_file_of_csv_is_named_and_a_blank_first_line_is_no_header(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n \nlocale,item_id\nDE,1\n")
    (tmp_path / "b.csv").write_text("\ufefflocale,item_id\nDE,1\n")
    (tmp_path / "c.csv").write_text("\n\n")
    assert list(_group_by_header([str(tmp_path / f"{name}.csv") for name in "abc"])) == [("locale", "item_id")]
    (tmp_path / "d.csv.gz").write_bytes(b"locale,item_id\n")
    with pytest.raises(BadDataError, match=r"d\.csv\.gz cannot be read"):
        _group_by_header([str(tmp_path / "d.csv.gz")])


def test_a_file_that_may_not_be_read_is_no_bad_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pq, "read_schema", refuse)
    with pytest.raises(ConfigurationError, match=r"feed\.parquet may not be read"):
        _group_by_schema([str(tmp_path / "feed.parquet")])


def test_a_file_that_becomes_shorter_while_it_is_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "feed.jsonl").write_bytes(b"{}\n{}\n")
    with pytest.raises(BadDataError, match=r"feed\.jsonl became shorter .*: 9 bytes expected, 6 found"):
        list(read_blocks(Split(str(tmp_path / "feed.jsonl"), 0, 9)))
