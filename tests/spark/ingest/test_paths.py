"""A path is a path: no character of it means anything to a glob, a URI or SQL."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from m5model.files.delta import open_delta
from schemas.errors import ConfigurationError
from schemas.workspace import Workspace
from spark.ingest.ingest import ingest_feed

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
