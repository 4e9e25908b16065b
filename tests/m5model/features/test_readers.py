"""Views as partners read them: by the toolkit, and by pandas, Polars and DuckDB as docs/catalogs.md shows."""

import pytest
from deltalake import DeltaTable

import m5model
from schemas.errors import SpaceMismatchError
from schemas.workspace import Workspace
from tests.m5model.features.views import OLD_SPACE, SPACE, brand_row, publish_view


@pytest.fixture
def root(workspace: Workspace) -> str:
    publish_view(workspace, [brand_row("A")], space=OLD_SPACE)
    publish_view(workspace, [brand_row("A", score=0.25), brand_row("B", "JP")])
    return workspace.root


def test_the_toolkit_gives_the_space_that_is_declared_or_an_error(root: str) -> None:
    frame = m5model.read_features("brands", space=SPACE, columns=["item_id", "score"], workspace=root).read_pandas()
    assert frame.to_dict("list") == {"item_id": ["A", "B"], "score": [0.25, 0.5]}
    with pytest.raises(SpaceMismatchError, match="train it anew"):
        m5model.read_features("brands", space=OLD_SPACE, workspace=root)
    assert m5model.read_features("brands", space=OLD_SPACE, as_of=0, workspace=root).read_all().num_rows == 1
    assert m5model.read_features("brands", space=None, workspace=root).read_all().num_rows == 2


def test_pandas_reads_a_view_through_delta_rs(root: str) -> None:
    frame = DeltaTable(f"{root}/features/brands").to_pandas(columns=["locale", "score"])
    assert frame.groupby("locale").score.mean().to_dict() == {"DE": 0.25, "JP": 0.5}
    assert len(DeltaTable(f"{root}/features/brands", version=0).to_pandas()) == 1


def test_polars_reads_a_view(root: str) -> None:
    pl = pytest.importorskip("polars", reason="Polars is not installed")
    rows = pl.scan_delta(f"{root}/features/brands").filter(pl.col("score") > 0.3).select("item_id").collect()
    assert rows["item_id"].to_list() == ["B"]
    assert pl.from_arrow(m5model.read_features("brands", space=SPACE, workspace=root)).height == 2


def test_duckdb_reads_a_view(root: str) -> None:
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")
    brands = DeltaTable(f"{root}/features/brands").to_pyarrow_dataset()  # noqa: F841  # DuckDB finds it by its name
    assert duckdb.sql("SELECT item_id FROM brands WHERE score > 0.3").fetchall() == [("B",)]
    rows = m5model.read_features("brands", space=SPACE, workspace=root)  # noqa: F841
    assert duckdb.sql("SELECT count(*) FROM rows").fetchall() == [(2,)]
