import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable

from m5model.features.facts import gather_view
from m5model.features.lineage import trace
from m5model.features.publications import PublishedVersion, read_publications
from m5model.files.delta_log import read_commit
from schemas.workspace import Workspace
from tests.m5model.features.views import PAIRS, brand_row, pair_row, publish_view, write_listings


@pytest.fixture
def now(workspace: Workspace) -> datetime:
    """A day after three listings were written."""
    write_listings(workspace, [("DE", "A"), ("DE", "B"), ("JP", "C"), ("JP", "D")])
    return read_commit(workspace.table("listings"), 0).committed_at + timedelta(hours=25)


def test_coverage_is_the_share_of_listings_that_have_a_row(workspace: Workspace, now: datetime) -> None:
    publish_view(workspace, [pair_row("A", "B"), pair_row("A", "C"), pair_row("B", "C")], view=PAIRS)
    newest = gather_view(workspace, "duplicates", now).newest
    assert newest.coverage == {"DE": 1.0, "JP": 0.0}
    assert newest.whole_coverage == 0.5
    assert newest.null_rates["cosine"] == 0


def test_a_view_is_stale_when_a_change_waits_longer_than_it_declares(workspace: Workspace, now: datetime) -> None:
    publish_view(workspace, [brand_row("A")], listings=0)
    assert gather_view(workspace, "brands", now).freshness.waiting_hours == 0
    write_listings(workspace, [("DE", "A")])
    changed = read_commit(workspace.table("listings"), 1).committed_at
    for hours, is_stale in ((23.9, False), (24.1, True)):
        freshness = gather_view(workspace, "brands", changed + timedelta(hours=hours)).freshness
        assert (round(freshness.waiting_hours, 3), freshness.declared_hours, freshness.is_stale) == (hours, 24, is_stale)


def test_drift_is_told_beside_each_version(workspace: Workspace, now: datetime) -> None:
    publish_view(workspace, [brand_row(str(i), score=0.5) for i in range(10)])
    publish_view(workspace, [brand_row(str(i), score=0.5 if i < 5 else 0.9) for i in range(10)])
    first, second = gather_view(workspace, "brands", now).versions
    assert first.drift == ()
    assert {figure.name: figure.value for figure in second.drift if not figure.holds} == {"shift of score": 0.5}


def test_a_version_that_cannot_be_read_keeps_what_was_measured(workspace: Workspace, now: datetime) -> None:
    publish_view(workspace, [brand_row("A")])
    gather_view(workspace, "brands", now)
    publish_view(workspace, [brand_row("A"), brand_row("B")])
    publish_view(workspace, [brand_row("C")])
    path = workspace.table("features/brands")
    for version in (0, 1):
        Path(DeltaTable(path, version=version).file_uris()[0]).unlink()
    first, second, third = gather_view(workspace, "brands", now).versions
    assert (first.is_readable, first.profile and first.profile.rows) == (False, 1)
    assert (second.is_readable, second.profile) == (False, None)
    assert third.is_readable


def test_the_lineage_leads_to_the_feeds_whose_ingest_made_the_listings(workspace: Workspace, now: datetime) -> None:
    publish_view(workspace, [brand_row("A")])
    committed = now - timedelta(hours=25)
    for start, seconds, feed in (
        (committed - timedelta(seconds=9), 12.0, "ours.jsonl"),
        (committed - timedelta(days=1), 60.0, "old.jsonl"),
    ):
        run_id = f"ingest_catalog-{start:%Y%m%dT%H%M%S}-0a1b2c3d"
        report = {"job": "ingest_catalog", "run_id": run_id, "seconds": seconds, "files": 1, "accounts": [{"file": feed}]}
        path = Path(workspace.report(run_id))
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(report))
    lineage = trace(workspace, read_publications(workspace.table("features/brands"))[-1])
    assert [run["feeds"] for run in lineage["ingest"]] == [["ours.jsonl"]]  # type: ignore[union-attr, index, call-overload]
    assert lineage["listings"] == {"version": 0, "committed_at": committed.isoformat()}
    assert lineage["bundle"] is None


def test_the_lineage_names_the_bundle_of_the_space_and_what_it_learned_from(trained) -> None:  # type: ignore[no-untyped-def]
    published = PublishedVersion(
        version=3,
        committed_at=datetime.now(UTC),
        operation="publish",
        source={"space_id": trained.student.space_id},
        settings={},
        declaration={},
    )
    lineage = trace(trained.workspace, published)
    assert lineage["bundle"]["id"] == trained.student.id  # type: ignore[index, call-overload]
    assert lineage["teacher"]["training_set"] == "small/v1"  # type: ignore[index, call-overload]
