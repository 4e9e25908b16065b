"""Training sets: the same rows anywhere, pinned for good."""

from pathlib import Path

import pytest
from datasets import load_dataset
from delta.tables import DeltaTable

from schemas.errors import GateRefusedError
from schemas.training_set import DATA_FOLDER
from schemas.workspace import Workspace
from spark.ingest.ingest import ingest_feed
from spark.sampling import sample as sample_module
from spark.sampling.balance import BalancePlan, cap_floor
from spark.sampling.draw import draw_rows, shape_training_rows
from spark.sampling.sample import SampleResult, sample_training_set
from spark.sampling.versions import hash_content

PLAN = BalancePlan(name="p", cap=0.5, floor=0.2)


def _feed(folder: Path) -> str:
    shares = {("US", "en"): 60, ("DE", "de"): 25, ("JP", "ja"): 12}
    lines = [
        f'{{"locale":"{locale}","language":"{language}","item_id":"{i}","title":"title {i}","attributes":{{"b":"2","a":"1"}}}}'
        for (locale, language), count in shares.items()
        for i in range(count)
    ]
    file = folder / "feed.jsonl"
    file.write_text("\n".join(lines))
    return str(file)


def _sample(spark, workspace: Workspace, **options: object) -> SampleResult:
    values: dict = {"name": "set", "plan": PLAN, "seed": 0, "vocabulary": None, **options}
    return sample_training_set(spark, workspace, **values)


@pytest.fixture(scope="module")
def workspace(spark, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("sampling")
    workspace = Workspace(str(folder / "workspace"))
    ingest_feed(spark, workspace, [_feed(folder)], run_id="r")
    return workspace


def test_the_same_plan_gives_the_same_version_and_nothing_is_written_twice(spark, workspace: Workspace) -> None:
    first, again = _sample(spark, workspace), _sample(spark, workspace)
    assert first.manifest.rows == 60
    assert first.manifest.rows_by_language == {"de": 18, "en": 30, "ja": 12}
    assert (again.is_new, again.manifest) == (False, first.manifest)
    first.accounting.verify("sample")
    assert _sample(spark, workspace, seed=1).manifest.content_hash != first.manifest.content_hash


def test_rows_and_hash_do_not_depend_on_how_the_table_is_laid_out(spark, workspace: Workspace) -> None:
    listings = spark.read.format("delta").load(workspace.table("listings"))
    counts, available = {"en": 30, "de": 18, "ja": 12}, {"en": 60, "de": 25, "ja": 12}
    drawn = [shape_training_rows(draw_rows(listings.repartition(n), counts, available, seed=3)) for n in (1, 7)]
    assert drawn[0].count() == 60
    assert hash_content(drawn[0]) == hash_content(drawn[1])


def test_a_training_set_survives_what_happens_to_the_listings(spark, tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path / "w"))
    ingest_feed(spark, workspace, [_feed(tmp_path)], run_id="r")
    manifest = _sample(spark, workspace).manifest
    data = Path(workspace.training_set("set", manifest.version)) / DATA_FOLDER
    before = {file.name: file.read_bytes() for file in data.glob("*.parquet")}
    listings = DeltaTable.forPath(spark, workspace.table("listings"))
    listings.update(set={"title": "'overwritten'"})
    spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    listings.vacuum(0)
    spark.conf.unset("spark.databricks.delta.retentionDurationCheck.enabled")
    assert {file.name: file.read_bytes() for file in data.glob("*.parquet")} == before
    opened = load_dataset("parquet", data_files=[str(file) for file in data.glob("*.parquet")], cache_dir=str(tmp_path / "hf"))
    rows = opened["train"]
    assert rows.num_rows == manifest.rows
    assert all(title.startswith("title ") for title in rows["title"])
    assert rows[0]["attributes"] == [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]


def test_a_draw_that_breaks_the_plan_is_refused(spark, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_module, "allocate_rows", lambda plan, available: {"en": 58, "de": 1, "ja": 1})
    with pytest.raises(GateRefusedError, match="en has 96.67%"):
        _sample(spark, workspace, plan=cap_floor())
