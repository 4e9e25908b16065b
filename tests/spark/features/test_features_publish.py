"""Publication: what partners read without Spark, and when a view is left as it is."""

import json
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs.publish_features import main
from m5model.features.profiles import describe_key, find_profile, read_profile
from m5model.features.publications import read_publications
from m5model.features.rollback import roll_back
from schemas.bundle import BundleManifest
from schemas.errors import ConfigurationError, SpaceMismatchError
from schemas.features import DECLARATION_PROPERTY, SOURCE_PROPERTY
from schemas.manifests import to_json
from schemas.workspace import Workspace
from spark.features.profile import profile_rows
from spark.features.publication import FeatureSource, plan_publication
from spark.features.publish import publish_features
from spark.features.published import PublishedView
from spark.features.recipes.brands import BrandSettings
from spark.features.registry import load_recipes
from spark.features.settings import FeatureSettings

LISTINGS = "locale string, item_id string, language string, brand string, attributes map<string, string>, text_hash string"
EMBEDDINGS = "locale string, item_id string, space_id string, vector array<float>"
SOURCE = FeatureSource(space_id="space-a", embeddings_version=3, listings_version=7)
SETTINGS = FeatureSettings(recipes={"brands": BrandSettings(min_listings=2)})


def published(
    workspace: Workspace,
    listings: DataFrame,
    embeddings: DataFrame,
    source: FeatureSource = SOURCE,
    settings: FeatureSettings = SETTINGS,
) -> list[PublishedView]:
    return publish_features(workspace, listings, embeddings, plan_publication(workspace, source, settings))


@pytest.fixture(scope="module")
def listings(spark: SparkSession) -> DataFrame:
    rows = [
        ("DE", "a", "de", "Acme", {"colour": "red"}, "text-1"),
        ("DE", "b", "de", "Acme", {"colour": "red"}, "text-1"),
        ("DE", "c", "de", None, {}, "text-2"),
        ("DE", "without a vector", "de", None, {}, "text-3"),
    ]
    return spark.createDataFrame(rows, LISTINGS)


@pytest.fixture(scope="module")
def embeddings(spark: SparkSession) -> DataFrame:
    rows = [
        ("DE", "a", "space-a", [1.0, 0.0]),
        ("DE", "b", "space-a", [1.0, 0.0]),
        ("DE", "c", "space-a", [0.8, 0.6]),
        ("DE", "without a listing", "space-a", [1.0, 0.0]),
    ]
    return spark.createDataFrame(rows, EMBEDDINGS)


@pytest.fixture(scope="module")
def workspace(
    spark: SparkSession, listings: DataFrame, embeddings: DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Workspace:
    """A workspace with all five views published."""
    workspace = Workspace(str(tmp_path_factory.mktemp("workspace")))
    made = published(workspace, listings, embeddings)
    counts = {view.name: (view.rows_read, view.rows_made, view.unchanged) for view in made}
    assert counts == {
        "duplicates": (3, 1, False),
        "brands": (3, 3, False),
        "ctr": (3, 3, False),
        "search": (3, 3, False),
        "attributes": (3, 1, False),
    }
    return workspace


def opened(workspace: Workspace, name: str) -> deltalake.DeltaTable:
    return deltalake.DeltaTable(workspace.table(f"features/{name}"))


@pytest.mark.parametrize("name", load_recipes())
def test_every_view_opens_without_spark_with_the_declared_columns_and_its_declaration(workspace: Workspace, name: str) -> None:
    table, view = opened(workspace, name), load_recipes()[name].view
    assert table.metadata().configuration[DECLARATION_PROPERTY] == view.declaration()
    assert json.loads(table.metadata().configuration[SOURCE_PROPERTY]) == {
        "space_id": "space-a",
        "embeddings_version": 3,
        "listings_version": 7,
    }
    rows = table.to_pyarrow_table()
    assert [(field.name, plain(field.type)) for field in rows.schema] == [(c.name, plain(c.type)) for c in view.columns]
    assert {c.name for c in view.columns if not c.nullable and rows[c.name].null_count} == set()


def plain(kind: pa.DataType) -> str:
    """A type's name without the name of a list's items."""
    return f"list<{kind.value_type}>" if pa.types.is_list(kind) else str(kind)


def test_readers_without_spark_learn_what_each_version_was_made_from(workspace: Workspace) -> None:
    newest = read_publications(workspace.table("features/brands"))[-1]
    assert (newest.operation, newest.space_id) == ("publish", "space-a")
    assert newest.settings["view"] == {"min_listings": 2, "max_brands": 50_000}
    assert newest.declaration["name"] == "brands"


@pytest.mark.parametrize("name", ["brands", "duplicates"])
def test_executors_and_the_driver_measure_one_profile(spark: SparkSession, workspace: Workspace, name: str) -> None:
    published = read_publications(workspace.table(f"features/{name}"))
    stored = find_profile(workspace, name, published)
    rows = spark.read.format("delta").load(workspace.table(f"features/{name}")).repartition(3)
    assert profile_rows(rows, stored.columns, describe_key(published[-1])) == stored.profile
    assert sum(stored.profile.rows_by_locale.values()) == rows.count()


def test_the_rows_are_those_of_the_listings_that_have_a_vector(workspace: Workspace) -> None:
    assert opened(workspace, "duplicates").to_pyarrow_table().to_pylist() == [
        {
            "locale": "DE",
            "item_id": "a",
            "other_item_id": "b",
            "cosine": 1.0,
            "same_text": True,
            "space_id": "space-a",
            "probability": None,
        }
    ]
    attribute = opened(workspace, "attributes").to_pyarrow_table().to_pylist()[0]
    assert (attribute["item_id"], attribute["attribute"], attribute["value"], attribute["votes"]) == ("c", "colour", "red", 2)


def test_publishing_the_same_source_again_leaves_the_tables_as_they_are(
    spark: SparkSession, workspace: Workspace, listings: DataFrame, embeddings: DataFrame
) -> None:
    before = {name: opened(workspace, name).version() for name in load_recipes()}
    made = published(workspace, listings, embeddings)
    assert [(view.unchanged, view.rows_made) for view in made] == [(True, 0)] * 5
    assert {name: opened(workspace, name).version() for name in load_recipes()} == before


def test_other_settings_build_the_views_again_that_depend_on_them_each_in_one_commit(
    spark: SparkSession, workspace: Workspace, listings: DataFrame, embeddings: DataFrame
) -> None:
    before = {name: opened(workspace, name).version() for name in load_recipes()}
    settings = FeatureSettings(recipes={"brands": BrandSettings(min_listings=3)}, views=("brands", "ctr"))
    made = published(workspace, listings, embeddings, settings=settings)
    assert {view.name: (view.unchanged, view.rows_made) for view in made} == {"brands": (False, 0), "ctr": (True, 0)}
    after = {name: opened(workspace, name).version() for name in load_recipes()}
    assert after == before | {"brands": before["brands"] + 1}


def test_a_newer_source_replaces_the_rows_and_says_so(
    spark: SparkSession, listings: DataFrame, embeddings: DataFrame, tmp_path: Path
) -> None:
    workspace, settings = Workspace(str(tmp_path)), FeatureSettings(views=("ctr",))
    published(workspace, listings, embeddings, settings=settings)
    newer = FeatureSource(space_id="space-a", embeddings_version=4, listings_version=7)
    made = published(workspace, listings.where("item_id = 'a'"), embeddings, newer, settings)
    assert [(view.rows_made, view.unchanged) for view in made] == [(1, False)]
    table = opened(workspace, "ctr")
    assert table.to_pyarrow_table()["item_id"].to_pylist() == ["a"]
    assert json.loads(table.metadata().configuration[SOURCE_PROPERTY])["embeddings_version"] == 4


def test_vectors_of_another_space_are_refused_before_anything_is_written(
    spark: SparkSession, listings: DataFrame, embeddings: DataFrame, tmp_path: Path
) -> None:
    source = FeatureSource(space_id="space-b", embeddings_version=0, listings_version=0)
    with pytest.raises(SpaceMismatchError, match="space-b .* space-a"):
        published(Workspace(str(tmp_path)), listings, embeddings, source)
    assert list(tmp_path.iterdir()) == []


def test_no_embeddings_are_refused_with_the_command_that_makes_them(
    spark: SparkSession, listings: DataFrame, tmp_path: Path
) -> None:
    none = spark.createDataFrame([], EMBEDDINGS)
    with pytest.raises(ConfigurationError, match=r"jobs/embed_catalog\.py"):
        published(Workspace(str(tmp_path)), listings, none)


def student(tmp_path: Path) -> None:
    """The manifest of a student bundle of space-a."""
    manifest = BundleManifest(
        id="student-1",
        space_id="space-a",
        space_id_fp32="space-f",
        kind="student",
        preset="tiny",
        created_at="2021-03-01T00:00:00Z",
        parameters=1,
        hidden_size=2,
        layers=1,
        vocabulary_size=1,
        max_tokens=8,
        pooling="mean",
        rendering={},
        runtime="",
        quantization="none",
        training_set=None,
        parent=None,
        gate=(),
        files={},
    )
    folder = tmp_path / "bundles" / "student-1"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(to_json(manifest))


def test_the_job_publishes_the_space_of_the_newest_student_and_prints_its_report(
    spark: SparkSession, listings: DataFrame, embeddings: DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    student(tmp_path)
    listings.write.format("delta").save(f"{tmp_path}/listings")
    other_space = spark.createDataFrame([("DE", "a", "space-b", [1.0])], EMBEDDINGS)
    embeddings.unionByName(other_space).write.format("delta").save(f"{tmp_path}/embeddings")
    assert main(["--workspace", str(tmp_path), "--view", "duplicates", "--duplicate-threshold", "0.79"]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["source"] == {"space_id": "space-a", "embeddings_version": 0, "listings_version": 0}
    assert {name: view["rows_made"] for name, view in report["views"].items()} == {"duplicates": 3}
    assert read_profile(Workspace(str(tmp_path)), "duplicates", 0) is not None

    # A rollback holds: what the schedule would build next is left as it is, and the report says so.
    roll_back(Workspace(str(tmp_path)), "duplicates", 0)
    before = deltalake.DeltaTable(f"{tmp_path}/features/duplicates").version()
    assert main(["--workspace", str(tmp_path), "--view", "duplicates"]) == 0
    held = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (held["views"], held["held"]) == ({}, {"duplicates": 0})
    assert "m5 features release duplicates" in held["warnings"][0]
    assert deltalake.DeltaTable(f"{tmp_path}/features/duplicates").version() == before


def test_a_job_that_finds_every_view_current_starts_no_spark_session(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spark.features.targets.newest_source", lambda workspace, space_id: SOURCE)
    monkeypatch.setattr("spark.setup.session.job_session", None)
    assert main(["--workspace", workspace.root, "--space", "space-a", "--view", "ctr", "--view", "search"]) == 0
    views = json.loads(capsys.readouterr().out.splitlines()[-1])["views"]
    assert {name: view["unchanged"] for name, view in views.items()} == {"ctr": True, "search": True}


def test_the_job_without_embeddings_ends_with_2_and_names_the_command(
    spark: SparkSession, listings: DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listings.write.format("delta").save(f"{tmp_path}/listings")
    assert main(["--workspace", str(tmp_path), "--space", "space-a"]) == 2
    assert "run spark-submit jobs/embed_catalog.py" in capsys.readouterr().err


def test_the_job_without_a_student_ends_with_2_and_names_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--workspace", str(tmp_path)]) == 2
    assert "jobs/distill_student.py" in capsys.readouterr().err
