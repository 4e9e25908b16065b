"""The engine: exact, restartable, and only what is missing."""

import math
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors
from pyspark import SparkConf
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

import m5model
from m5model.bundles.find import open_bundle
from m5model.runtime.encoder import read_model
from m5model.runtime.rendering import DEFAULT_RENDERING, render
from schemas.errors import BadDataError, ConfigurationError
from schemas.listing import LISTINGS
from schemas.workspace import Workspace
from spark.delta.tables import append_rows, create_table, is_untouched, merge_rows, spark_schema
from spark.embedding import embed as embed_module
from spark.embedding.embed import EmbedResult, EmbedSettings, embed_catalog, plan_catalog
from spark.embedding.engine import encode_batches
from spark.embedding.failures import Failure, record_failures, refuse_many_failures
from spark.embedding.pending import count_changes, find_orphans, find_pending
from spark.embedding.target import Target
from spark.embedding.totals import EmbedTotals
from spark.embedding.wave_run import count_tasks, log_progress
from spark.embedding.waves import Wave, plan_waves, select_wave
from spark.rendering import render_listings
from spark.setup.parallelism import executor_cores

ROWS = 60


def _write_listings(spark, workspace: Workspace, rows: list[dict]) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    fixed = {"language_source": "declared", "text_hash": "t", "ingested_at": now, "run_id": "r", "language": "en"}
    full = [{**dict.fromkeys(LISTINGS.column_names), **fixed, "content_hash": row["title"], **row} for row in rows]
    create_table(spark, workspace.table("listings"), LISTINGS)
    frame = spark.createDataFrame(full, spark_schema(LISTINGS))
    if is_untouched(workspace.table("listings")):
        append_rows(frame, workspace.table("listings"), LISTINGS)
    else:
        merge_rows(frame, workspace.table("listings"), LISTINGS, update_when="s.content_hash <> t.content_hash")


def _rows(count: int = ROWS) -> list[dict]:
    words = ["red", "cotton", "shirt", "blue", "leather", "shoes", "running", "kitchen", "knife", "steel", "bottle"]
    titles = [" ".join(words[(i + k) % len(words)] for k in range(1 + i % 9)) + f" {i}" for i in range(count)]
    return [{"locale": "US" if i % 3 else "UK", "item_id": f"i{i}", "title": title} for i, title in enumerate(titles)]


def _embed(spark, workspace: Workspace, trained, **options: object) -> EmbedResult:
    folder, manifest = open_bundle(str(trained.student_folder))
    model = read_model(folder, manifest, "int8")
    settings = EmbedSettings(threads=2, **options)
    result = embed_catalog(spark, workspace, model, settings)
    result.accounting.verify("embed")
    return result


def _vectors(workspace: Workspace) -> dict[str, bytes]:
    rows = DeltaTable(workspace.table("embeddings")).to_pyarrow_table().to_pylist()
    assert len({(row["locale"], row["item_id"]) for row in rows}) == len(rows)
    return {row["item_id"]: np.asarray(row["vector"], np.float32).tobytes() for row in rows}


def _copy(workspace: Workspace, folder: Path) -> Workspace:
    """A workspace of the same tables: a Delta log names files by paths within the table."""
    shutil.copytree(workspace.root, folder, dirs_exist_ok=True)
    return Workspace(str(folder))


def _copy_listings(workspace: Workspace, folder: Path) -> Workspace:
    """A workspace of the same listings that was never embedded."""
    shutil.copytree(workspace.table("listings"), folder / "listings")
    return Workspace(str(folder))


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


def test_a_second_run_writes_nothing_and_sends_no_model_to_the_executors(
    spark, trained, embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed_module, "embed_waves", None)
    version = DeltaTable(embedded[0].table("embeddings")).version()
    again = _embed(spark, embedded[0], trained)
    assert (again.accounting.written, again.accounting.unchanged, again.totals.waves) == (0, ROWS, [])
    assert DeltaTable(embedded[0].table("embeddings")).version() == version


def test_a_run_killed_between_waves_and_started_again_does_only_what_is_missing(
    spark, trained, embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = _copy_listings(embedded[0], tmp_path)
    written: list[int] = []
    write = Target.write

    def write_once(target: Target, frame, buckets, started) -> None:
        if written:
            raise KeyboardInterrupt
        write(target, frame, buckets, started)
        written.append(frame.count())

    monkeypatch.setattr(Target, "write", write_once)
    with pytest.raises(KeyboardInterrupt):
        _embed(spark, workspace, trained, rows_per_wave=ROWS // 3)
    monkeypatch.undo()
    rest = _embed(spark, workspace, trained)
    assert rest.accounting.written == ROWS - written[0]
    assert _vectors(workspace) == _vectors(embedded[0])


def test_only_changed_listings_are_embedded_again_and_removed_ones_lose_their_vector(
    spark, trained, embedded, tmp_path: Path
) -> None:
    from delta.tables import DeltaTable as SparkTable

    workspace = _copy(embedded[0], tmp_path)
    before = _vectors(workspace)
    changed = {**_rows()[2], "title": "something else"}
    same_text = {**_rows()[3], "seller": "another", "content_hash": "changed"}
    _write_listings(spark, workspace, [changed, same_text])
    SparkTable.forPath(spark, workspace.table("listings")).delete(F.col("item_id") == "i5")
    result = _embed(spark, workspace, trained)
    assert (result.accounting.written, result.accounting.unchanged, result.removed) == (1, ROWS - 2, 1)
    after = _vectors(workspace)
    assert set(before) - set(after) == {"i5"}
    assert [k for k in after if after[k] != before[k]] == ["i2"]
    assert after["i2"] == m5model.load(str(trained.student_folder)).encode([render(changed)])[0].tobytes()


def _repeated() -> list[dict]:
    """Six listings of three texts."""
    return [{"locale": "US" if i % 2 else "UK", "item_id": f"r{i}", "title": f"blue knife {i % 3}"} for i in range(6)]


def _alone(trained, rows: list[dict]) -> dict[str, bytes]:
    encoder = m5model.load(str(trained.student_folder))
    return {row["item_id"]: encoder.encode([row])[0].tobytes() for row in rows}


def test_a_text_that_many_listings_have_is_computed_once_and_all_have_its_vector(spark, trained, tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    _write_listings(spark, workspace, _repeated())
    result = _embed(spark, workspace, trained)
    assert (result.totals.rows, result.totals.copied, result.accounting.written) == (3, 3, 6)
    assert _vectors(workspace) == _alone(trained, _repeated())


def test_a_text_that_has_a_vector_already_is_not_computed_even_if_its_listing_has_another_text_now(
    spark, trained, embedded, tmp_path: Path
) -> None:
    workspace = _copy(embedded[0], tmp_path)
    same = {**_rows()[7], "item_id": "same"}
    moved = {**_rows()[8], "title": "something new"}
    its_old_text = {**_rows()[8], "item_id": "takes over"}
    _write_listings(spark, workspace, [same, moved, its_old_text])
    result = _embed(spark, workspace, trained)
    assert (result.totals.rows, result.totals.copied, result.accounting.written) == (1, 2, 3)
    assert _vectors(workspace) == {**_vectors(embedded[0]), **_alone(trained, [same, moved, its_old_text])}


def test_a_run_killed_before_its_copies_makes_them_when_started_again(
    spark, trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(str(tmp_path))
    _write_listings(spark, workspace, _repeated())
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(embed_module, "copy_vectors", _killed)
        _embed(spark, workspace, trained)
    again = _embed(spark, workspace, trained)
    assert (again.totals.rows, again.totals.copied, again.accounting.unchanged) == (0, 3, 3)
    assert _vectors(workspace) == _alone(trained, _repeated())


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_listings_whose_common_text_the_model_fails_on_are_all_rejected(
    spark, trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(str(tmp_path))
    _write_listings(spark, workspace, _repeated())
    monkeypatch.setattr(embed_module, "embed_waves", _fail_on_all)
    result = _embed(spark, workspace, trained, max_reject_share=1.0)
    assert (result.accounting.written, result.accounting.rejected) == (0, 6)
    rejects = DeltaTable(workspace.table("embedding_rejects")).to_pyarrow_table().to_pylist()
    assert {(row["item_id"], row["reason"], row["detail"]) for row in rejects} == {
        (row["item_id"], "model_failed", "no luck") for row in _repeated()
    }


def _fail_on_all(pending, waves, target, model, *, threads: int, totals: EmbedTotals) -> list[Failure]:
    rows = pending.select("locale", "item_id", "fingerprint").collect()
    totals.failed = len(rows)
    return [Failure(**row.asDict(), reason="model_failed", detail="no luck") for row in rows]


def test_changes_are_counted_by_bucket_and_agree_with_what_is_found(spark) -> None:
    fields = [field for field in spark_schema(LISTINGS) if field.name in ("locale", "item_id", *DEFAULT_RENDERING.fields)]
    rows = [
        tuple(values.get(field.name) for field in fields)
        for values in (*_rows(4), {"locale": "US", "item_id": "new", "title": "x"})
    ]
    listings = spark.createDataFrame(rows, StructType(fields))
    stored = render_listings(listings.where("item_id <> 'new'"), DEFAULT_RENDERING).select("locale", "item_id", "fingerprint")
    changed = stored.withColumn("fingerprint", F.when(F.col("item_id") == "i2", "old").otherwise(F.col("fingerprint")))
    gone = spark.createDataFrame([("UK", "gone", "f")], stored.schema)
    vectors = changed.unionByName(gone).withColumn("space_id", F.lit("s"))
    changes = count_changes(listings, vectors, rendering=DEFAULT_RENDERING, buckets=8)
    assert (changes.listings, changes.pending_rows, changes.orphan_rows) == (5, 2, 1)
    pending = find_pending(listings, vectors, rendering=DEFAULT_RENDERING, buckets=8)
    found = {(row["item_id"], row["bucket"]) for row in pending.collect()}
    assert {item for item, _ in found} == {"i2", "new"}
    assert sorted(bucket for _, bucket in found) == sorted(b for b, count in changes.pending.items() for _ in range(count))
    assert [row["item_id"] for row in find_orphans(listings, vectors).collect()] == ["gone"]


@pytest.mark.parametrize(
    "wrong",
    [{"threads": 0}, {"rows_per_wave": 0}, {"rows_per_wave": -5}, {"max_reject_share": math.nan}, {"max_reject_share": -0.1}],
)
def test_impossible_settings_of_a_run_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=f"{next(iter(wrong))} is"):
        EmbedSettings(**{"threads": 1, **wrong})


def test_a_first_wave_without_a_row_does_not_end_the_run(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        log_progress(1, 5, 5, EmbedTotals())
    assert "wave 1 of 5: 0 of about 5 rows" in caplog.text


def test_waves_are_whole_buckets_of_about_the_wanted_size() -> None:
    waves = [((1, 2), 8), ((3,), 5), ((9,), 19)]
    assert plan_waves({3: 5, 1: 4, 2: 4, 9: 19}, 10) == [Wave(buckets=buckets, rows=rows) for buckets, rows in waves]
    assert plan_waves({}, 10) == []


def test_a_large_bucket_is_cut_into_slices_that_hold_every_row_once(spark) -> None:
    pending = spark.createDataFrame([("US", f"i{i}", 3) for i in range(40)], "locale string, item_id string, bucket int")
    waves = plan_waves({3: 40}, 10)
    assert [(wave.buckets, wave.part, wave.parts) for wave in waves] == [((3,), part, 4) for part in range(4)]
    found = [row["item_id"] for wave in waves for row in select_wave(pending, wave).collect()]
    assert sorted(found) == sorted(f"i{i}" for i in range(40))


@pytest.mark.parametrize(
    ("rows", "executors", "tasks"), [(1, 8, 1), (3_000, 1, 2), (100_000, 1, 13), (9_000, 3, 9), (50_000, 2, 8)]
)
def test_a_wave_is_cut_into_tasks_that_keep_every_executor_busy(rows: int, executors: int, tasks: int) -> None:
    assert count_tasks(rows, executors) == tasks


class FailingSession:
    """Ends a call with onnxruntime's error, or with NaN, where a text of so many tokens is among them."""

    def __init__(self, session, fail_at: int, nan_at: int) -> None:
        self._session, self._fail_at, self._nan_at = session, fail_at, nan_at

    def get_inputs(self):
        return self._session.get_inputs()

    def run(self, names, inputs):
        rows, length = inputs["input_ids"].shape
        if length == self._fail_at:
            raise ort_errors.Fail("no such luck")
        vectors = self._session.run(names, inputs)[0]
        if length == self._nan_at:
            vectors[0] = np.nan
        return [vectors]


def test_texts_that_the_model_fails_on_are_rejected_by_name_and_the_others_get_their_vectors(
    spark, trained, embedded, tmp_path: Path
) -> None:
    encoder = m5model.load(str(trained.student_folder))
    counts = encoder.encode_texts([row["title"] for row in _rows()]).token_counts
    encoder._session = FailingSession(encoder._session, fail_at=int(counts[1]), nan_at=int(counts[2]))
    batch = pa.RecordBatch.from_pylist(
        [{"locale": r["locale"], "item_id": r["item_id"], "fingerprint": "f", "text": r["title"]} for r in _rows()]
    )
    rows = pa.Table.from_batches(encode_batches(iter([batch]), encoder)).to_pylist()
    failed = {row["item_id"]: row["failure"] for row in rows if row["failure"]}
    assert failed["i1"].startswith("model_failed: ")
    assert failed["i2"] == "not_finite"
    assert set(failed) == {f"i{i}" for i in np.flatnonzero(counts == counts[1])} | {"i2"}
    whole = _vectors(embedded[0])
    assert {row["item_id"]: np.asarray(row["vector"], np.float32).tobytes() for row in rows if not row["failure"]} == {
        name: vector for name, vector in whole.items() if name not in failed
    }


def test_failures_of_a_run_replace_those_of_the_run_before(spark, tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    failure = Failure(locale="US", item_id="i1", fingerprint="f", reason="not_finite", detail=None)
    rejects = lambda: DeltaTable(workspace.table("embedding_rejects")).to_pyarrow_table().to_pylist()  # noqa: E731
    record_failures(spark, workspace, [], space_id="s", run_id="r")
    assert not Path(workspace.table("embedding_rejects")).exists()
    record_failures(spark, workspace, [failure], space_id="s", run_id="r")
    assert [(row["item_id"], row["reason"], row["space_id"]) for row in rejects()] == [("i1", "not_finite", "s")]
    record_failures(spark, workspace, [], space_id="s", run_id="r")
    assert rejects() == []


def test_a_model_that_fails_on_too_many_texts_ends_the_run_with_the_reasons() -> None:
    failure = Failure(locale="US", item_id="i1", fingerprint="f", reason="not_finite", detail=None)
    refuse_many_failures([failure], tried=100, max_share=0.05)
    with pytest.raises(BadDataError, match="not_finite 1"):
        refuse_many_failures([failure], tried=10, max_share=0.05)


def test_a_plan_counts_what_is_pending_and_writes_no_vector(spark, trained, embedded, tmp_path: Path) -> None:
    workspace = _copy_listings(embedded[0], tmp_path)
    folder, manifest = open_bundle(str(trained.student_folder))
    plan = plan_catalog(spark, workspace, read_model(folder, manifest, "int8"), EmbedSettings(threads=2))
    expected = m5model.load(str(trained.student_folder)).encode_texts([row["title"] for row in _rows()]).token_counts.sum()
    assert (plan.rows, plan.repeats, plan.waves, plan.tokens) == (ROWS, 0, 1, expected)
    assert plan.seconds > 0
    assert DeltaTable(workspace.table("embeddings")).to_pyarrow_table().num_rows == 0


def test_two_runs_at_once_on_one_local_table_both_finish_right(spark, trained, embedded, tmp_path: Path) -> None:
    workspace = _copy_listings(embedded[0], tmp_path)
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(_embed, spark, workspace, trained) for _ in range(2)]
        assert [run.result().accounting.rows_in for run in runs] == [ROWS, ROWS]
    assert _vectors(workspace) == _vectors(embedded[0])


@pytest.mark.parametrize(("master", "cores"), [("local[3]", 3), ("local[2,4]", 2), ("local", 1), ("spark://h:7077", None)])
def test_the_cores_of_an_executor_are_read_from_the_master(master: str, cores: int | None) -> None:
    conf = SparkConf(loadDefaults=False)
    conf.set("spark.master", master)
    assert executor_cores(conf) == cores
