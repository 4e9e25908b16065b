from pathlib import Path

import pytest
from deltalake import DeltaTable

from m5model.features.holds import find_hold, find_holds, publishing_lease, release_view
from m5model.features.publications import read_publications
from m5model.features.rollback import roll_back
from schemas.errors import ConfigurationError, SpaceMismatchError
from schemas.workspace import Workspace
from tests.m5model.features.views import OLD_SPACE, brand_row, publish_view


def _files(path: str, version: int | None = None) -> dict[str, bytes]:
    return {Path(file).name: Path(file).read_bytes() for file in DeltaTable(path, version=version).file_uris()}


@pytest.fixture
def path(workspace: Workspace) -> str:
    """Three versions: two rows, one row, two rows of other columns' values."""
    publish_view(workspace, [brand_row("A"), brand_row("B")], listings=1, min_listings=2)
    publish_view(workspace, [brand_row("A")], listings=2, min_listings=3)
    publish_view(workspace, [brand_row("A", score=0.9), brand_row("C")], listings=3, min_listings=3)
    return workspace.table("features/brands")


def test_a_rollback_gives_readers_the_old_bytes_and_says_what_they_were_made_from(workspace: Workspace, path: str) -> None:
    old = _files(path, 0)
    done = roll_back(workspace, "brands", 0)
    assert _files(path) == old
    assert (done.before.version, done.now.version, done.now.restored, done.now.operation) == (2, 3, 0, "rollback")
    assert read_publications(path)[-1].source["listings_version"] == 1
    assert read_publications(path)[-1].settings == {"min_listings": 2}


def test_a_repeated_rollback_does_nothing_more(workspace: Workspace, path: str) -> None:
    roll_back(workspace, "brands", 1)
    again = roll_back(workspace, "brands", 1)
    assert again.repeated
    assert len(read_publications(path)) == 4


def test_a_rollback_can_be_rolled_back(workspace: Workspace, path: str) -> None:
    newest = _files(path)
    roll_back(workspace, "brands", 0)
    roll_back(workspace, "brands", 2)
    assert _files(path) == newest


def test_a_rollback_holds_until_it_is_released(workspace: Workspace, path: str) -> None:
    assert find_holds(workspace, ["brands", "search"]) == {}
    roll_back(workspace, "brands", 0)
    assert find_holds(workspace, ["brands", "search"])["brands"].restored == 0
    held = _files(path)
    released = release_view(workspace, "brands")
    assert released is not None
    assert find_hold(path) is None
    assert _files(path) == held
    assert [found.version for found in read_publications(path)] == [0, 1, 2, 3]
    assert release_view(workspace, "brands") is None


def test_the_present_version_can_be_held(workspace: Workspace, path: str) -> None:
    newest = _files(path)
    roll_back(workspace, "brands", 2)
    assert find_hold(path) is not None
    assert _files(path) == newest


def test_a_version_that_was_never_published_is_refused_with_those_that_were(workspace: Workspace, path: str) -> None:
    with pytest.raises(ConfigurationError, match="give one of: 0, 1, 2"):
        roll_back(workspace, "brands", 7)
    with pytest.raises(ConfigurationError, match="published are: brands"):
        roll_back(workspace, "search", 0)


def test_a_version_whose_files_are_gone_is_refused_with_those_that_can_be_read(workspace: Workspace, path: str) -> None:
    before = _files(path)
    Path(DeltaTable(path, version=0).file_uris()[0]).unlink()
    with pytest.raises(ConfigurationError, match=r"1 of its files are gone(.|\n)*can be read \(1, 2\)"):
        roll_back(workspace, "brands", 0)
    assert _files(path) == before
    assert find_hold(path) is None


def test_another_space_is_refused_unless_it_is_named(workspace: Workspace) -> None:
    publish_view(workspace, [brand_row("A")], space=OLD_SPACE)
    publish_view(workspace, [brand_row("A")])
    with pytest.raises(SpaceMismatchError, match=f"give --space {OLD_SPACE}"):
        roll_back(workspace, "brands", 0)
    assert roll_back(workspace, "brands", 0, space_id=OLD_SPACE).now.space_id == OLD_SPACE


def test_a_rollback_waits_for_no_publication(workspace: Workspace, path: str) -> None:
    with publishing_lease(workspace, "publish_features-1"), pytest.raises(ConfigurationError, match="publish_features-1"):
        roll_back(workspace, "brands", 0)
    assert find_hold(path) is None
