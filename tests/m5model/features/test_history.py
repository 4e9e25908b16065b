from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable

from m5model.features.history import kept_versions
from m5model.features.publications import read_publications
from schemas.workspace import Workspace
from tests.m5model.features.views import brand_row, publish_view


@pytest.fixture
def path(workspace: Workspace) -> str:
    for item in "ABCD":
        publish_view(workspace, [brand_row(item)])
    return workspace.table("features/brands")


def test_the_newest_versions_are_kept_by_their_number(path: str) -> None:
    later = datetime.now(UTC) + timedelta(days=9)
    assert kept_versions(path, 2, later) == [2, 3]
    assert kept_versions(path, 0, later) == [3]
    assert kept_versions(path, 9, later) == [0, 1, 2, 3]


def test_a_version_is_young_as_long_as_readers_saw_it_of_late(path: str) -> None:
    published = read_publications(path)
    replaced = published[2].committed_at  # version 1 was seen until then
    assert kept_versions(path, 0, replaced) == [1, 2, 3]
    assert kept_versions(path, 0, replaced + timedelta(milliseconds=1)) == [2, 3]


def test_versions_that_cannot_be_read_are_not_counted(path: str) -> None:
    Path(DeltaTable(path, version=2).file_uris()[0]).unlink()
    assert kept_versions(path, 2, datetime.now(UTC) + timedelta(days=9)) == [1, 3]
