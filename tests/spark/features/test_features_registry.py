"""One more view is one file."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import deltalake
import pytest
from pyspark.sql import SparkSession

from jobs.publish_features import _parser, feature_settings
from schemas.errors import ConfigurationError
from schemas.workspace import Workspace
from spark.features import recipes
from spark.features.lanes import plan_lanes
from spark.features.publication import FeatureSource, plan_publication
from spark.features.publish import publish_features
from spark.features.recipe import NeighbourNeed, NoSettings, ViewInputs, ViewRecipe
from spark.features.recipes.ctr import RECIPE as CTR
from spark.features.registry import load_recipes
from spark.features.settings import FeatureSettings

SIXTH = """
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from schemas.features import SPACE_ID, FeatureView
from schemas.listing import ITEM_ID, LOCALE
from schemas.tables import Column
from spark.features.recipe import ViewRecipe, flag


@dataclass(frozen=True, kw_only=True)
class LengthSettings:
    added: int = flag(0, "--length-added", "characters to add")


VIEW = FeatureView(
    name="lengths",
    owner="test",
    description="Characters of every title.",
    key=("locale", "item_id"),
    columns=(LOCALE, ITEM_ID, Column(name="characters", type=pa.int32(), meaning="length of the title"), SPACE_ID),
    freshness_hours=24,
)


def measure(titles, added):
    return pc.cast(pc.add(pc.utf8_length(titles), added), pa.int32())


def build_lengths(inputs, settings):
    def run(batches):
        for batch in batches:
            columns = {name: batch[name] for name in ("locale", "item_id", "space_id")}
            yield pa.RecordBatch.from_pydict(columns | {"characters": measure(batch["title"], settings.added)})

    columns = inputs.catalogue.select("locale", "item_id", "space_id", "title")
    return columns.mapInArrow(run, "locale string, item_id string, space_id string, characters int")


RECIPE = ViewRecipe(view=VIEW, depends_on=("row",), reads=("title",), settings=LengthSettings(), build=build_lengths)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose files are recipes, too."""
    monkeypatch.setattr(recipes, "__path__", [*recipes.__path__, str(tmp_path)])
    yield tmp_path
    for file in tmp_path.glob("*.py"):
        sys.modules.pop(f"{recipes.__name__}.{file.stem}", None)


def test_a_sixth_view_is_one_file_published_by_executors_that_cannot_import_it_and_read_without_spark(
    spark: SparkSession, folder: Path
) -> None:
    (folder / "lengths.py").write_text(SIXTH)
    listings = spark.createDataFrame([("DE", "a", "Hut"), ("DE", "b", "ohne")], "locale string, item_id string, title string")
    columns = "locale string, item_id string, space_id string, vector array<float>"
    embeddings = spark.createDataFrame([("DE", "a", "s", [1.0])], columns)
    settings = feature_settings(_parser().parse_args(["--view", "lengths", "--length-added", "2"]))
    source = FeatureSource(space_id="s", embeddings_version=0, listings_version=0)
    workspace = Workspace(str(folder / "workspace"))
    publish_features(workspace, listings, embeddings, plan_publication(workspace, source, settings))
    rows = deltalake.DeltaTable(workspace.table("features/lengths")).to_pyarrow_table().to_pylist()
    assert rows == [{"locale": "DE", "item_id": "a", "characters": 5, "space_id": "s"}]


def test_the_views_that_share_a_neighbour_search_are_built_one_after_the_other_and_the_others_beside_them() -> None:
    assert plan_lanes(("attributes", "brands", "ctr", "duplicates")) == [("attributes", "duplicates"), ("brands",), ("ctr",)]
    assert plan_lanes(("search",)) == [("search",)]


def test_one_neighbour_search_is_enough_for_all_views_that_depend_on_their_neighbourhood() -> None:
    searches = {views: FeatureSettings().search_for(views) for views in (("attributes", "duplicates"), ("duplicates",))}
    assert [(search.k, search.min_cosine) for search in searches.values()] == [(10, 0.5), (10, 0.9)]


def test_a_file_without_a_recipe_of_its_name_is_refused(folder: Path) -> None:
    (folder / "nothing.py").write_text("VIEW = None\n")
    with pytest.raises(ConfigurationError, match=r"nothing\.py holds no recipe of a view 'nothing'"):
        load_recipes()


def test_a_recipe_names_all_its_errors_at_once() -> None:
    with pytest.raises(ConfigurationError, match="depends_on must be .*; search must be given .*; the key .*"):
        replace(
            CTR,
            view=replace(CTR.view, key=("price",)),
            depends_on=("weather",),  # type: ignore[arg-type]
            search=lambda _: NeighbourNeed(k=1, min_cosine=0.0),
        )


def test_a_view_that_does_not_say_that_it_depends_on_its_neighbourhood_gets_no_neighbours(spark: SparkSession) -> None:
    recipe = ViewRecipe(
        view=CTR.view,
        depends_on=("row",),
        reads=(),
        settings=NoSettings(),
        build=lambda inputs, _: inputs.require_neighbours(),
    )
    with pytest.raises(ConfigurationError, match="let its recipe depend on the neighbourhood"):
        recipe.build(ViewInputs(catalogue=spark.range(1), space_id="s"), NoSettings())


def test_unknown_views_and_settings_of_another_view_are_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="no view prices; .*; the settings of brands are"):
        FeatureSettings(views=("prices",), recipes={"brands": NoSettings()})
