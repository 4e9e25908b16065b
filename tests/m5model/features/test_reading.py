import io
import json
from pathlib import Path

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from m5model.features.publications import read_publications
from m5model.features.reading import open_view
from m5model.features.writing import WRITERS
from schemas.errors import ConfigurationError, SpaceMismatchError
from schemas.workspace import Workspace
from tests.m5model.features.views import OLD_SPACE, SPACE, brand_row, publish_view


@pytest.fixture
def path(workspace: Workspace) -> str:
    publish_view(workspace, [brand_row("A")], space=OLD_SPACE)
    publish_view(workspace, [brand_row("A"), brand_row("B", brand=None)])
    return workspace.table("features/brands")


def test_a_version_is_named_by_its_number_or_by_a_time(workspace: Workspace, path: str) -> None:
    first, second = read_publications(path)
    for as_of, rows in ((0, 1), ("1", 2), (first.committed_at.isoformat(), 1), ("2999-01-01", 2), (None, 2)):
        assert open_view(workspace, "brands", as_of=as_of).reader().read_all().num_rows == rows
    with pytest.raises(ConfigurationError, match="first version that is known, 0,"):
        open_view(workspace, "brands", as_of="2001-01-01")
    with pytest.raises(ConfigurationError, match="neither a version nor a time"):
        open_view(workspace, "brands", as_of="yesterday")


def test_a_reader_gets_the_space_that_it_declares_or_learns_what_to_do(workspace: Workspace, path: str) -> None:
    assert open_view(workspace, "brands", space_id=SPACE).published.version == 1
    assert open_view(workspace, "brands", space_id=OLD_SPACE, as_of=0).published.version == 0
    with pytest.raises(SpaceMismatchError, match="this reader declares") as refused:
        open_view(workspace, "brands", space_id=OLD_SPACE)
    assert f"train it anew on {SPACE}" in refused.value.next_step
    assert "as of version 0" in refused.value.next_step


def test_while_a_window_is_open_each_reader_gets_its_own_space(workspace: Workspace) -> None:
    publish_view(workspace, [brand_row("A", score=0.25)], space=OLD_SPACE)
    publish_view(workspace.next, [brand_row("A", score=0.75)], space=SPACE)
    for space, score in ((OLD_SPACE, 0.25), (SPACE, 0.75), (None, 0.25)):
        assert open_view(workspace, "brands", space_id=space).reader(["score"]).read_all()["score"].to_pylist() == [score]
    with pytest.raises(SpaceMismatchError):
        open_view(workspace, "brands", space_id="c" * 16)


def test_what_is_published_meanwhile_does_not_touch_a_reader(workspace: Workspace, path: str) -> None:
    opened = open_view(workspace, "brands")
    publish_view(workspace, [brand_row("C")])
    assert opened.reader(["item_id"]).read_all()["item_id"].to_pylist() == ["A", "B"]


def test_columns_and_rows_are_chosen_and_unknown_columns_are_named(workspace: Workspace, path: str) -> None:
    opened = open_view(workspace, "brands")
    assert opened.reader(["score", "item_id"], limit=1).read_all().to_pylist() == [{"score": 0.5, "item_id": "A"}]
    assert opened.reader(limit=0).read_all().num_rows == 0
    with pytest.raises(ConfigurationError, match="no column colour"):
        opened.reader(["item_id", "colour"])


def test_a_version_without_its_files_is_refused(workspace: Workspace, path: str) -> None:
    Path(DeltaTable(path, version=0).file_uris()[0]).unlink()
    with pytest.raises(ConfigurationError, match=r"can be read \(1\)"):
        open_view(workspace, "brands", as_of=0)


def test_rows_are_the_same_in_every_format(workspace: Workspace, path: str) -> None:
    opened = open_view(workspace, "brands")
    written = {}
    for name, write in WRITERS.items():
        stream = io.BytesIO()
        write(opened.schema(), opened.batches(), stream)
        written[name] = stream.getvalue()
    rows = opened.reader().read_all().to_pylist()
    assert [json.loads(line) for line in written["jsonl"].splitlines()] == rows
    assert pq.read_table(io.BytesIO(written["parquet"])).to_pylist() == rows
    csv = pa_csv.read_csv(io.BytesIO(written["csv"])).to_pylist()
    assert [json.loads(row["vector"]) for row in csv] == [row["vector"] for row in rows]
    assert [row["item_id"] for row in csv] == ["A", "B"]
