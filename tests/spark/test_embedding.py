"""The engine: exact, restartable, and only what is missing."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from deltalake import DeltaTable
from pyspark import SparkConf
from pyspark.sql import functions as F

import m5model
from m5model.bundles import open_bundle
from m5model.rendering import Rendering, render
from m5model.runtime.encoder import read_model
from schemas.listing import LISTINGS
from schemas.workspace import Workspace
from spark.embedding import embed as embed_module
from spark.embedding.embed import EmbedResult, WaveWriter, embed_catalog
from spark.embedding.waves import Wave, plan_waves
from spark.parallelism import executor_cores
from spark.tables import create_table, merge_rows, spark_schema

ROWS = 60


def _write_listings(spark, workspace: Workspace, rows: list[dict]) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    fixed = {"language_source": "declared", "text_hash": "t", "ingested_at": now, "run_id": "r", "language": "en"}
    full = [{**dict.fromkeys(LISTINGS.column_names), **fixed, "content_hash": row["title"], **row} for row in rows]
    create_table(spark, workspace.table("listings"), LISTINGS)
    frame = spark.createDataFrame(full, spark_schema(LISTINGS))
    merge_rows(frame, workspace.table("listings"), LISTINGS, update_when="s.content_hash <> t.content_hash")


def _rows(count: int = ROWS) -> list[dict]:
    words = ["red", "cotton", "shirt", "blue", "leather", "shoes", "running", "kitchen", "knife", "steel", "bottle"]
    titles = [" ".join(words[(i + k) % len(words)] for k in range(1 + i % 9)) + f" {i}" for i in range(count)]
    return [{"locale": "US" if i % 3 else "UK", "item_id": f"i{i}", "title": title} for i, title in enumerate(titles)]


def _embed(spark, workspace: Workspace, trained, **options: object) -> EmbedResult:
    folder, manifest = open_bundle(str(trained.student_folder))
    model = read_model(folder, manifest, "int8")
    result = embed_catalog(spark, workspace, model, Rendering.from_json(manifest.rendering), threads=2, **options)
    result.accounting.verify("embed")
    return result


def _vectors(workspace: Workspace) -> dict[str, bytes]:
    rows = DeltaTable(workspace.table("embeddings")).to_pyarrow_table().to_pylist()
    assert len({(row["locale"], row["item_id"]) for row in rows}) == len(rows)
    return {row["item_id"]: np.asarray(row["vector"], np.float32).tobytes() for row in rows}


@pytest.fixture(scope="module")
def embedded(spark, trained, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, EmbedResult]:
    workspace = Workspace(str(tmp_path_factory.mktemp("embedded")))
    _write_listings(spark, workspace, _rows())
    return workspace, _embed(spark, workspace, trained)


def test_every_listing_gets_the_vector_that_the_toolkit_gives_it_alone(embedded, trained) -> None:
    encoder = m5model.load(str(trained.student_folder))
    alone = {row["item_id"]: encoder.encode([row])[0].tobytes() for row in _rows()}
    assert embedded[1].accounting.written == ROWS
    assert _vectors(embedded[0]) == alone


def test_a_second_run_writes_nothing(spark, trained, embedded) -> None:
    version = DeltaTable(embedded[0].table("embeddings")).version()
    again = _embed(spark, embedded[0], trained)
    assert (again.accounting.written, again.accounting.unchanged, again.waves) == (0, ROWS, 0)
    assert DeltaTable(embedded[0].table("embeddings")).version() == version


def test_a_run_killed_between_waves_and_started_again_does_only_what_is_missing(
    spark, trained, embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(str(tmp_path))
    _write_listings(spark, workspace, _rows())
    written: list[Wave] = []
    write = WaveWriter.write

    def write_once(writer: WaveWriter, frame, wave: Wave, started) -> None:
        if written:
            raise KeyboardInterrupt
        write(writer, frame, wave, started)
        written.append(wave)

    monkeypatch.setattr(embed_module.WaveWriter, "write", write_once)
    with pytest.raises(KeyboardInterrupt):
        _embed(spark, workspace, trained, rows_per_wave=ROWS // 3)
    monkeypatch.undo()
    rest = _embed(spark, workspace, trained)
    assert rest.accounting.written == ROWS - written[0].rows
    assert _vectors(workspace) == _vectors(embedded[0])


def test_only_changed_listings_are_embedded_again_and_removed_ones_lose_their_vector(spark, trained, tmp_path: Path) -> None:
    from delta.tables import DeltaTable as SparkTable

    workspace = Workspace(str(tmp_path))
    _write_listings(spark, workspace, _rows(6))
    _embed(spark, workspace, trained)
    before = _vectors(workspace)
    changed = {**_rows(6)[2], "title": "something else"}
    same_text = {**_rows(6)[3], "seller": "another", "content_hash": "changed"}
    _write_listings(spark, workspace, [changed, same_text])
    SparkTable.forPath(spark, workspace.table("listings")).delete(F.col("item_id") == "i5")
    result = _embed(spark, workspace, trained)
    assert (result.accounting.written, result.accounting.unchanged, result.removed) == (1, 4, 1)
    after = _vectors(workspace)
    assert set(before) - set(after) == {"i5"}
    assert [k for k in after if after[k] != before[k]] == ["i2"]
    assert after["i2"] == m5model.load(str(trained.student_folder)).encode([render(changed)])[0].tobytes()


def test_waves_are_whole_buckets_of_about_the_wanted_size() -> None:
    assert plan_waves({3: 5, 1: 4, 2: 4, 9: 20}, 10) == [Wave((1, 2), 8), Wave((3,), 5), Wave((9,), 20)]
    assert plan_waves({}, 10) == []


@pytest.mark.parametrize(("master", "cores"), [("local[3]", 3), ("local[2,4]", 2), ("local", 1), ("spark://h:7077", None)])
def test_the_cores_of_an_executor_are_read_from_the_master(master: str, cores: int | None) -> None:
    conf = SparkConf(loadDefaults=False)
    conf.set("spark.master", master)
    assert executor_cores(conf) == cores
