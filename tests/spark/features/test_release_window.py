"""A release with a new space breaks nobody: what readers find while its window is open, after its end, and after a rollback."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from jobs.publish_features import main
from m5model.bundles.released import append_release
from m5model.releases.restoring import restore_views
from schemas.release import Action, Aliases, ReleaseRecord, SpaceBundle, Window
from schemas.workspace import Workspace

LISTINGS = "locale string, item_id string, language string"
EMBEDDINGS = "locale string, item_id string, space_id string, vector array<float>"
OLD, NEW = (SpaceBundle(bundle=f"student-{name}", space_id=f"space-{name}") for name in ("old", "new"))
NOW = datetime.now(UTC)
WINDOW = Window(old=OLD, new=NEW, opened_at=NOW.isoformat(), ends_at=(NOW + timedelta(days=1)).isoformat())


def decide(workspace: Workspace, number: int, action: Action, aliases: Aliases, window: Window | None = None) -> None:
    record = ReleaseRecord(
        number=number, action=action, alias="champion", bundle="", at=NOW.isoformat(), aliases=aliases, window=window
    )
    append_release(workspace, record)


def rows_of(workspace: Workspace) -> list[dict[str, object]]:
    table: pa.Table = deltalake.DeltaTable(workspace.table("features/search")).to_pyarrow_table()
    return sorted(table.to_pylist(), key=lambda row: str(row["item_id"]))


def space_of(workspace: Workspace) -> str:
    (space,) = {row["space_id"] for row in rows_of(workspace)}
    return str(space)


def test_an_old_consumer_keeps_reading_through_a_whole_window(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = Workspace(str(tmp_path))

    def publish() -> dict[str, object]:
        assert main(["--workspace", workspace.root, "--view", "search"]) == 0
        return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))

    spark.createDataFrame([("DE", "a", "de"), ("DE", "b", "de")], LISTINGS).write.format("delta").save(f"{tmp_path}/listings")
    vectors = [("DE", item, f"space-{space}", [1.0, float(len(space))]) for item in "ab" for space in ("old", "newer")]
    made = [(locale, item, space.replace("newer", "new"), vector) for locale, item, space, vector in vectors]
    spark.createDataFrame(made, EMBEDDINGS).write.format("delta").save(f"{tmp_path}/embeddings")

    decide(workspace, 1, "release", Aliases(champion=OLD))
    publish()
    before = rows_of(workspace)

    decide(workspace, 2, "release", Aliases(champion=NEW, previous=OLD), WINDOW)
    report = publish()
    assert rows_of(workspace) == before and space_of(workspace.next) == NEW.space_id
    assert report["views"]["search"]["unchanged"] and not report["next"]["views"]["search"]["unchanged"]  # type: ignore[index]

    decide(workspace, 3, "close", Aliases(champion=NEW, previous=OLD))
    assert "next" not in publish()
    assert space_of(workspace) == NEW.space_id
    assert not Path(workspace.next.root).exists()

    decide(workspace, 4, "rollback", Aliases(champion=OLD))
    assert dict(restore_views(workspace)) == {"search": 0}
    assert rows_of(workspace) == before
    assert dict(restore_views(workspace)) == {}  # as after a kill
    assert publish()["held"] == {}
    assert rows_of(workspace) == before
