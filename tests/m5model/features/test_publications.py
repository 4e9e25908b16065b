import json
from pathlib import Path

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake

from m5model.features.publications import describe_commit, read_publications
from schemas.features import DECLARATION_PROPERTY, SETTINGS_PROPERTY, SOURCE_PROPERTY
from schemas.workspace import Workspace
from tests.m5model.features.views import BRANDS, OLD_SPACE, SPACE, brand_row, publish_view

ROWS = pa.Table.from_pylist([brand_row("A")], BRANDS.table().arrow_schema())


def test_where_there_is_no_table_nothing_is_published(workspace: Workspace) -> None:
    assert read_publications(workspace.table("features/brands")) == []


def test_each_published_version_says_what_it_was_made_from(workspace: Workspace) -> None:
    publish_view(workspace, [brand_row("A")], space=OLD_SPACE, listings=3, min_listings=2.0)
    publish_view(workspace, [brand_row("B")], listings=5)
    first, second = read_publications(workspace.table("features/brands"))
    assert (first.version, first.operation, first.space_id) == (0, "publish", OLD_SPACE)
    assert first.settings == {"min_listings": 2}
    assert second.source == {"space_id": SPACE, "listings_version": 5, "embeddings_version": 5}
    assert second.declaration["name"] == "brands"
    assert first.committed_at <= second.committed_at


def test_the_properties_count_where_a_commit_says_nothing(workspace: Workspace) -> None:
    path = workspace.table("features/brands")
    _publish_as_earlier_code(path, {"space_id": OLD_SPACE})
    write_deltalake(path, ROWS, mode="append")
    made, appended = read_publications(path)
    assert (made.operation, made.space_id, made.settings) == ("publish", OLD_SPACE, {"recipe": 1})
    assert (appended.operation, appended.space_id) == ("write", OLD_SPACE)


def test_properties_are_known_where_the_log_was_cut(workspace: Workspace) -> None:
    path = workspace.table("features/brands")
    _publish_as_earlier_code(path, {"space_id": OLD_SPACE})
    write_deltalake(path, ROWS, mode="append")
    DeltaTable(path).create_checkpoint()
    Path(f"{path}/_delta_log/{0:020d}.json").unlink()
    (left,) = read_publications(path)
    assert (left.version, left.space_id) == (1, OLD_SPACE)


def test_a_log_that_cannot_be_opened_any_more_loses_what_only_properties_said(workspace: Workspace) -> None:
    path = workspace.table("features/brands")
    _publish_as_earlier_code(path, {"space_id": OLD_SPACE})
    write_deltalake(path, ROWS, mode="append")
    publish_view(workspace, [brand_row("A")])
    Path(f"{path}/_delta_log/{0:020d}.json").unlink()  # and no checkpoint
    unknown, known = read_publications(path)
    assert (unknown.version, unknown.space_id, unknown.source) == (1, "", {})
    assert (known.version, known.space_id) == (2, SPACE)


def test_maintenance_is_no_publication(workspace: Workspace) -> None:
    path = workspace.table("features/brands")
    publish_view(workspace, [brand_row("A")])
    write_deltalake(path, DeltaTable(path).to_pyarrow_table(), mode="append")
    DeltaTable(path).optimize.compact()
    DeltaTable(path).vacuum(dry_run=False, retention_hours=0, enforce_retention_duration=False)
    assert [found.operation for found in read_publications(path)] == ["publish", "write"]


def test_metadata_of_others_is_theirs(workspace: Workspace) -> None:
    path = workspace.table("features/brands")
    publish_view(workspace, [brand_row("A")])
    for words in ("a note", "[1]", '{"theirs": 1}'):
        commit = CommitProperties(custom_metadata={"userMetadata": words})
        write_deltalake(path, DeltaTable(path).to_pyarrow_table(), mode="append", commit_properties=commit)
    assert [found.operation for found in read_publications(path)] == ["publish", "write", "write", "write"]


def test_equal_publications_are_described_by_equal_text() -> None:
    described = describe_commit("publish", {"b": 1, "a": 2.0}, {}, {})
    assert described == describe_commit("publish", {"a": 2, "b": 1}, {}, {})


def _publish_as_earlier_code(path: str, source: dict[str, str]) -> None:
    """The description among the table's properties; delta-rs does not write such properties, Spark does."""
    table = BRANDS.table()
    DeltaTable.create(path, schema=table.arrow_schema())
    log = Path(f"{path}/_delta_log/{0:020d}.json")
    properties = {
        SOURCE_PROPERTY: json.dumps(source),
        SETTINGS_PROPERTY: json.dumps({"recipe": 1}),
        DECLARATION_PROPERTY: BRANDS.declaration(),
    }
    text = log.read_text().replace('"configuration":{}', f'"configuration":{json.dumps(properties)}')
    log.write_text(text.replace('"operation":"CREATE TABLE"', '"operation":"CREATE OR REPLACE TABLE AS SELECT"'))
