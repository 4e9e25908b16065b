"""Retention: what is old goes, what is live stays with its chain named, and nothing goes unless it is applied."""

import json
import os
import shutil
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake
from pyspark.sql import functions as F

from m5model.features.publications import read_publications
from m5model.features.states import list_states
from m5model.features.versions import list_readable
from m5model.reports.feature_listing import states_as_text
from schemas.bundle import BundleManifest
from schemas.errors import ConfigurationError, GateRefusedError
from schemas.labels import LabelSetManifest
from schemas.listing import LISTING_TOMBSTONES, LISTINGS
from schemas.manifests import to_json
from schemas.reject import LISTING_REJECTS
from schemas.retention import RETENTION, with_days
from schemas.space import SameSpace
from schemas.training_set import TrainingSetManifest
from schemas.workspace import Workspace
from spark.delta.tables import add_new_columns, append_rows, create_table, spark_schema
from spark.retention.apply import apply_drops
from spark.retention.plan import Drop, plan_drops, plan_retention
from spark.retention.references import References, find_references, link
from tests.m5model.features.views import SPACE, brand_row, publish_view

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def _bundle(bundle_id: str, kind: str, *, days: float, parent: str | None = None, version: str = "v1") -> BundleManifest:
    return BundleManifest(
        id=bundle_id,
        space_id=f"space-{bundle_id}",
        space_id_fp32=f"fp32-{bundle_id}",
        kind="teacher" if kind == "teacher" else "student",
        preset="tiny",
        created_at=(NOW - timedelta(days=days)).isoformat(),
        parameters=1,
        hidden_size=1,
        layers=1,
        vocabulary_size=1,
        max_tokens=1,
        pooling="mean",
        rendering={},
        runtime="",
        quantization="none",
        training_set={"name": "base", "version": version, "content_hash": ""} if kind == "teacher" else None,
        parent=parent,
        gate=(),
        files={},
    )


def _training_set(version: str, *, days: float) -> TrainingSetManifest:
    empty = {str: "", int: 0, list[str]: []}
    values: dict[str, object] = {field.name: empty.get(field.type, {}) for field in fields(TrainingSetManifest)}
    values |= {"name": "base", "version": version, "created_at": (NOW - timedelta(days=days)).isoformat(), "rows": 1}
    return TrainingSetManifest(**values)  # type: ignore[arg-type]


BUNDLES = [
    _bundle("t1", "teacher", days=400, version="v1"),
    _bundle("s1", "student", days=390, parent="t1"),
    _bundle("t2", "teacher", days=300, version="v2"),
    _bundle("s2", "student", days=290, parent="t2"),
    _bundle("t3", "teacher", days=10, version="v3"),
    _bundle("s3", "student", days=9, parent="t3"),
]
VIEWS = {"search": {"space_id": "space-s2", "listings_version": 1, "embeddings_version": 3}}


def test_chains_lead_from_a_thing_to_what_is_live_by_itself() -> None:
    references = link(BUNDLES, VIEWS, {"embed-1": 7})
    assert references.chain("training_sets/base/v2") == (
        "training_sets/base/v2",
        "bundles/t2",
        "bundles/s2",
        "spaces/space-s2",
        "features/search",
    )
    assert references.chain("bundles/t3")[-1] == "the newest teacher"
    assert references.chain("listings@7")[-1].startswith("runs/embed-1")
    assert not references.chain("bundles/t1") and not references.chain("spaces/space-s1")


def test_a_student_for_queries_is_kept_with_the_documents_space_and_is_not_the_newest_student() -> None:
    other = SameSpace(bundle="s2", space_id="space-s2")
    queries = replace(BUNDLES[-1], id="q", space_id="space-q", same_space=(other,))
    references = link([*BUNDLES, queries], VIEWS, {})
    assert references.chain("bundles/q") == ("bundles/q", "spaces/space-s2", "features/search")
    assert references.chain("bundles/s3")[-1] == "the newest student"
    lonely = replace(queries, same_space=(replace(other, space_id="space-s1"),))
    assert not link([*BUNDLES, lonely], VIEWS, {}).chain("bundles/q")


def test_the_space_of_a_version_that_can_be_gone_back_to_is_kept() -> None:
    references = link(BUNDLES, VIEWS, {}, {"search@3": "space-s1"})
    assert references.chain("bundles/t1")[-2:] == (
        "spaces/space-s1",
        "features/search@3, which m5 features rollback can go back to",
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(str(tmp_path))
    for bundle in BUNDLES:
        folder = Path(workspace.bundle(bundle.id))
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(to_json(bundle))
        (folder / "model.safetensors").write_bytes(b"weights")
    for version, days in (("v1", 401.0), ("v2", 301.0), ("v3", 100.0)):
        folder = Path(workspace.training_set("base", version))
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(to_json(_training_set(version, days=days)))
    return workspace


def test_old_bundles_and_sets_go_unless_a_chain_keeps_them(spark, workspace: Workspace) -> None:
    references = link(BUNDLES, VIEWS, {})
    drops = plan_retention(spark, workspace, RETENTION, references, NOW)
    assert {drop.what for drop in drops if not drop.kept_by} == {"training_sets/base/v1", "bundles/t1", "bundles/s1"}
    kept = {drop.what: drop.kept_by[-1] for drop in drops if drop.kept_by}
    assert kept == {
        "training_sets/base/v2": "features/search",
        "training_sets/base/v3": "the newest teacher",
        "bundles/t2": "features/search",
        "bundles/s2": "features/search",
    }
    assert Path(workspace.bundle("t1")).exists(), "a plan drops nothing"
    apply_drops(spark, workspace, drops)
    assert {path.name for path in Path(workspace.bundles).iterdir()} == {"t2", "s2", "t3", "s3"}
    assert {path.name for path in (Path(workspace.training_sets) / "base").iterdir()} == {"v2", "v3"}


def test_old_label_sets_go_unless_a_live_bundle_learned_from_them(spark, workspace: Workspace) -> None:
    used, unused, newest = (
        LabelSetManifest(
            name="pairs", version=version, kind="pairs", created_at=(NOW - timedelta(days=days)).isoformat(), source="",
            listings_version=None, seed=0, shares={}, rows=1, rows_by_split={}, entities_by_split={}, rejected={},
            content_hash="", files={},
        )
        for version, days in (("a", 300.0), ("b", 200.0), ("c", 100.0))
    )  # fmt: skip
    for manifest in (used, unused, newest):
        folder = Path(workspace.label_set("pairs", manifest.version))
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(to_json(manifest))
    learned = replace(BUNDLES[-2], label_sets={"pairs": {"name": "pairs", "version": "a", "content_hash": ""}})
    references = link([*BUNDLES[:-2], learned, BUNDLES[-1]], VIEWS, {})
    drops = [drop for drop in plan_retention(spark, workspace, RETENTION, references, NOW) if drop.subject == "label_set"]
    assert {drop.what: drop.kept_by[-1] if drop.kept_by else "" for drop in drops} == {
        "label_sets/pairs/a": "the newest teacher",
        "label_sets/pairs/b": "",
        "label_sets/pairs/c": "the newest of its name",
    }
    apply_drops(spark, workspace, drops)
    assert {path.name for path in (Path(workspace.label_sets) / "pairs").iterdir()} == {"a", "c"}
    assert plan_drops(spark, workspace, ["label_sets/pairs/c"], references)[0].subject == "label_set"


def test_naming_what_is_referred_to_is_refused_with_the_chain(spark, workspace: Workspace) -> None:
    references = link(BUNDLES, VIEWS, {})
    with pytest.raises(
        GateRefusedError, match="training_sets/base/v2 ← bundles/t2 ← bundles/s2 ← spaces/space-s2 ← features/search"
    ):
        plan_drops(spark, workspace, ["training_sets/base/v1", "training_sets/base/v2"], references)
    with pytest.raises(ConfigurationError, match="there is no bundles/nowhere"):
        plan_drops(spark, workspace, ["bundles/nowhere"], references)
    assert [drop.what for drop in plan_drops(spark, workspace, ["bundles/s1"], references)] == ["bundles/s1"]


@pytest.mark.parametrize(
    "name",
    [
        "training_sets/../bundles/s3",
        "training_sets/base/../../bundles/s3",
        "bundles/../bundles/s3",
        "bundles/./s3",
        "bundles//s3",
        "bundles/s3/onnx/..",
        "training_sets/base/../../../work/bundles/s3",
        "spaces/../bundles/s3",
        "training_sets/base",
        "bundles/..",
    ],
)
def test_a_detour_to_something_live_names_nothing(workspace: Workspace, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spark.retention.plan._space_ages", lambda *_: [])
    with pytest.raises(ConfigurationError, match="there is no "):
        plan_drops(None, workspace, [name], link(BUNDLES, VIEWS, {}))  # type: ignore[arg-type]
    with pytest.raises((ConfigurationError, TypeError)):
        apply_drops(None, workspace, [Drop(what=name, subject="bundle", policy="--drop", reason="named")])  # type: ignore[arg-type]
    assert Path(workspace.bundle("s3")).exists()


def test_a_folder_that_holds_the_manifest_of_another_is_never_dropped_in_its_place(workspace: Workspace) -> None:
    for name, live in (("bundles/copy", "bundles/s1"), ("training_sets/base/copy", "training_sets/base/v1")):
        shutil.copytree(f"{workspace.root}/{live}", f"{workspace.root}/{name}")
        shutil.rmtree(f"{workspace.root}/{live}")
    policies = [policy for policy in RETENTION if policy.subject in ("bundle", "training_set")]
    drops = plan_retention(None, workspace, policies, References(), NOW)  # type: ignore[arg-type]
    named = {drop.what for drop in drops}
    assert named and not named & {"bundles/copy", "bundles/s1", "training_sets/base/copy", "training_sets/base/v1"}


def test_history_reaches_back_to_a_version_that_is_referred_to(spark, tmp_path: Path) -> None:
    path = str(tmp_path / "listings")
    create_table(spark, path, LISTINGS)
    row = {"locale": "US", "item_id": "a", "title": "t", "language_source": "declared", "content_hash": "", "text_hash": ""}
    for number in range(3):  # versions 1 to 3, each replacing the one before
        values = {**row, "title": str(number), "ingested_at": NOW, "run_id": "r"}
        rows = spark.createDataFrame([tuple(values.get(name) for name in LISTINGS.column_names)], spark_schema(LISTINGS))
        rows.write.format("delta").mode("overwrite").save(path)
    policies = [replace(policy, keep_days=0) for policy in RETENTION if policy.name == "listings.history"]
    now = datetime.now(UTC)
    needed = References({"listings@1": ("features/search",)})
    assert not [d for d in plan_retention(spark, Workspace(str(tmp_path)), policies, needed, now) if not d.kept_by]
    free = plan_retention(spark, Workspace(str(tmp_path)), policies, References(), now)
    assert [(drop.what, drop.files > 0) for drop in free] == [("listings", True)]
    apply_drops(spark, Workspace(str(tmp_path)), free)
    assert spark.read.format("delta").load(path).select("title").collect()[0][0] == "2"
    assert len(list(Path(path).rglob("part-*.parquet"))) == len(DeltaTable(path).file_uris())


def test_published_versions_that_the_policy_counts_stay_readable_and_the_others_files_go(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    for item in "ABCDEF":
        publish_view(workspace, [brand_row(item)])
    (policy,) = (replace(one, keep_days=0, keep_versions=3) for one in RETENTION if one.name == "features.history")
    drops = plan_retention(None, workspace, [policy], References(), datetime.now(UTC))  # type: ignore[arg-type]
    assert [(drop.files, drop.kept_by) for drop in drops] == [
        (3, ()),
        (2, ("features/brands@3", "the newest 3 published versions")),
    ]
    apply_drops(None, workspace, drops)  # type: ignore[arg-type]
    path = workspace.table("features/brands")
    assert [found.version for found in list_readable(path, read_publications(path))] == [3, 4, 5]
    assert DeltaTable(path, version=3).to_pyarrow_table()["item_id"].to_pylist() == ["D"]
    assert find_references(workspace, 3).users[f"spaces/{SPACE}"][0] == "features/brands"


def test_what_is_kept_to_follow_changes_goes_once_no_published_view_can_follow_by_it(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    publish_view(workspace, [brand_row("A")], listings=2)
    for name, version in (("brands-now", 2), ("brands-before", 1), ("duplicates-now", 2)):
        source = {"space_id": SPACE, "listings_version": version, "embeddings_version": version}
        metadata = CommitProperties(custom_metadata={"userMetadata": json.dumps({"m5": "sums", "source": source})})
        write_deltalake(f"{workspace.view_state(name)}/sums", pa.table({"rows": [1]}), commit_properties=metadata)
    (policy,) = (one for one in RETENTION if one.subject == "view_state")
    young = plan_retention(None, workspace, [policy], References(), datetime.now(UTC))  # type: ignore[arg-type]
    drops = plan_retention(None, workspace, [policy], References(), datetime.now(UTC) + timedelta(days=8))  # type: ignore[arg-type]
    assert young == []
    assert [(drop.what, drop.kept_by) for drop in drops] == [
        ("view_state/brands-before", ()),
        ("view_state/brands-now", ("view_state/brands-now", "features/brands")),
        ("view_state/duplicates-now", ()),
    ]
    apply_drops(None, workspace, drops)  # type: ignore[arg-type]
    assert [(state.name, state.used_by) for state in list_states(workspace)] == [("brands-now", ("features/brands",))]
    assert "view_state/brands-now" in states_as_text(list_states(workspace))


def test_rejects_older_than_their_policy_go_and_newer_ones_stay(spark, tmp_path: Path) -> None:
    path = str(tmp_path / "listing_rejects")
    create_table(spark, path, LISTING_REJECTS)
    for days in (10, 100):
        values = {"reject_id": str(days), "reasons": ["unknown_locale"], "raw": b"{}", "raw_format": "json", "source_file": "f"}
        values |= {"rejected_at": NOW - timedelta(days=days), "run_id": "r"}
        rows = [tuple(values.get(name) for name in LISTING_REJECTS.column_names)]
        spark.createDataFrame(rows, spark_schema(LISTING_REJECTS)).write.format("delta").mode("append").save(path)
    policies = [policy for policy in RETENTION if policy.subject == "rows"]
    drops = plan_retention(spark, Workspace(str(tmp_path)), policies, References(), NOW)
    assert [(drop.what, drop.rows) for drop in drops] == [("listing_rejects", 1)]
    apply_drops(spark, Workspace(str(tmp_path)), drops)
    assert [row[0] for row in spark.read.format("delta").load(path).select(F.col("reject_id")).collect()] == ["10"]


def test_days_come_from_a_file_and_unknown_policies_are_named() -> None:
    changed = {policy.name: policy.keep_days for policy in with_days('{"spaces": 3}', "f.json")}
    assert changed["spaces"] == 3 and changed["bundles"] == 180
    values = ("-1", '"3"', "true", "null", "NaN", "Infinity", "1e300", "[3]")
    for text in ('{"space": 3}', *(f'{{"spaces": {value}}}' for value in values), "[3]", "{"):
        with pytest.raises(ConfigurationError, match="f.json"):
            with_days(text, "f.json")
    with pytest.raises(ConfigurationError, match="no policy 'space'.*spaces is -1.*bundles is 'x'"):
        with_days('{"space": 3, "spaces": -1, "bundles": "x"}', "f.json")
    (history,) = (one for one in with_days('{"features.history": {"versions": 9}}', "f.json") if one.keep_versions)
    assert (history.keep_days, history.keep_versions) == (7, 9)
    for text in ('{"features.history": {"versions": 0}}', '{"features.history": {"v": 1}}', '{"spaces": {"versions": 1}}'):
        with pytest.raises(ConfigurationError, match="f.json"):
            with_days(text, "f.json")


def test_a_table_whose_history_is_young_gets_no_commit_and_is_not_named(spark, tmp_path: Path) -> None:
    path = str(tmp_path / "listings")
    create_table(spark, path, LISTINGS)  # with change data, which lies in folders of its own
    row = {"locale": "US", "item_id": "a", "title": "t", "language_source": "declared", "content_hash": "", "text_hash": ""}
    values = {**row, "ingested_at": NOW, "run_id": "r"}
    rows = spark.createDataFrame([tuple(values.get(name) for name in LISTINGS.column_names)], spark_schema(LISTINGS))
    rows.write.format("delta").mode("append").save(path)
    spark.sql(f"UPDATE delta.`{path}` SET title = 'other'")
    old = (datetime.now(UTC) - timedelta(days=90)).timestamp()
    for folder in [folder for folder in Path(path).rglob("*") if folder.is_dir()]:
        os.utime(folder, (old, old))
    policies = [policy for policy in RETENTION if policy.name == "listings.history"]
    version = DeltaTable(path).version()
    drops = plan_retention(spark, Workspace(str(tmp_path)), policies, References(), datetime.now(UTC))
    assert drops == []
    apply_drops(spark, Workspace(str(tmp_path)), drops)
    assert DeltaTable(path).version() == version


def test_tombstones_age_by_when_they_were_recorded_and_those_that_do_not_say_stay(spark, tmp_path: Path) -> None:
    path = str(tmp_path / "listing_tombstones")
    older = replace(LISTING_TOMBSTONES, columns=LISTING_TOMBSTONES.columns[:-1])
    create_table(spark, path, older)
    long_ago = NOW - timedelta(days=3_000)
    append_rows(spark.createDataFrame([("US", "before", long_ago, "r")], spark_schema(older)), path, older)
    policies = [policy for policy in RETENTION if policy.name == "listing_tombstones.rows"]
    assert plan_retention(spark, Workspace(str(tmp_path)), policies, References(), NOW) == []
    add_new_columns(spark, path, LISTING_TOMBSTONES)
    recorded = {"yesterday": NOW - timedelta(days=1), "two years ago": NOW - timedelta(days=730)}
    rows = [("US", name, long_ago, "r", when) for name, when in recorded.items()]
    append_rows(spark.createDataFrame(rows, spark_schema(LISTING_TOMBSTONES)), path, LISTING_TOMBSTONES)
    drops = plan_retention(spark, Workspace(str(tmp_path)), policies, References(), NOW)
    assert [drop.rows for drop in drops] == [1]
    apply_drops(spark, Workspace(str(tmp_path)), drops)
    left = DeltaTable(path).to_pyarrow_table().column("item_id").to_pylist()
    assert sorted(left) == ["before", "yesterday"]
