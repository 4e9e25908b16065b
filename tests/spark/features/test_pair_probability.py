"""The duplicates view carries the probability of a partner's experiment."""

from dataclasses import replace

import pytest
from pyspark.sql import DataFrame, SparkSession

from m5model.partners.experiment import Plan, run_experiment
from m5model.partners.finished import newest_scorer
from m5model.partners.records import open_experiment, write_experiment
from m5model.partners.strategies.frozen import Settings
from schemas.errors import ConfigurationError, SpaceMismatchError
from schemas.workspace import Workspace
from spark.features.recipe import ViewInputs
from spark.features.recipes.duplicates import DuplicateSettings, build_duplicates, pin_experiment
from spark.features.settings import FeatureSettings
from tests.m5model.partners.conftest import SPACE, open_rows, pair_rows, product_vectors

LISTINGS = (
    "locale string, item_id string, title string, brand string, category string, bullets array<string>, description string, "
    "attributes map<string, string>, text_hash string, vector array<float>"
)
NEIGHBOURS = "locale string, item_id string, neighbour_item_id string, cosine double, rank int"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    rows = pair_rows()
    data = open_rows(tmp_path_factory.mktemp("pairs"), rows)
    return Plan(data=data, vectors=product_vectors(rows), strategy="frozen", settings=Settings(trees=40, min_rows=3))


@pytest.fixture(scope="module")
def workspace(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with one experiment."""
    workspace = Workspace(str(tmp_path_factory.mktemp("workspace")))
    write_experiment(workspace, run_experiment(plan), "")
    return workspace


@pytest.fixture(scope="module")
def inputs(spark: SparkSession, plan: Plan, workspace: Workspace) -> ViewInputs:
    """Two listings of the experiment's first test match, and one of another product, as a catalogue."""
    tested = plan.data.select(plan.data.rows_of("test"))
    texts = [*dict.fromkeys([*tested.texts("left_")[:2], *tested.texts("right_")[:2]])]
    vectors = plan.vectors.of(texts).tolist() if plan.vectors else []
    rows = [
        ("US", f"{place:02d}", text, None, None, [], None, {}, text, vector)
        for place, (text, vector) in enumerate(zip(texts, vectors, strict=True))
    ]
    near = [("US", "00", f"{place:02d}", 0.99, place) for place in range(1, len(texts))]
    return ViewInputs(
        catalogue=spark.createDataFrame(rows, LISTINGS),
        space_id=SPACE,
        neighbours=spark.createDataFrame(near, NEIGHBOURS),
        workspace=workspace,
    )


def test_every_pair_has_the_probability_that_the_model_gives_its_texts_and_vectors(
    inputs: ViewInputs, plan: Plan, workspace: Workspace
) -> None:
    settings = pin_experiment(DuplicateSettings(experiment="newest"), workspace, SPACE)
    opened = open_experiment(workspace, "duplicates", settings.experiment)
    titles = {row.item_id: row.title for row in inputs.catalogue.collect()}
    found = {
        (titles[row.item_id], titles[row.other_item_id]): row.probability
        for row in build_duplicates(inputs, settings).collect()
    }
    tested = plan.data.select(plan.data.rows_of("test"))
    known = {pair: row for row, pair in enumerate(zip(tested.texts("left_"), tested.texts("right_"), strict=True))}
    both = found.keys() & known.keys()
    assert both
    assert opened.calibration is not None
    for pair in both:
        scores = opened.fitted.scores(tested, plan.vectors, [known[pair]]).values  # type: ignore[arg-type]
        assert found[pair] == pytest.approx(float(opened.calibration.apply(scores)[0]), abs=1e-6)


def test_without_an_experiment_the_probability_is_null_and_no_further_column_is_read(inputs: ViewInputs) -> None:
    settings = DuplicateSettings()
    narrow: DataFrame = inputs.catalogue.select("locale", "item_id", "text_hash", "vector")
    rows = build_duplicates(replace(inputs, catalogue=narrow), settings).collect()
    assert rows and {row.probability for row in rows} == {None}


def test_the_newest_experiment_is_pinned_by_its_id_so_that_a_newer_one_makes_the_view_stale(workspace: Workspace) -> None:
    asked = FeatureSettings(views=("duplicates",), recipes={"duplicates": DuplicateSettings(experiment="newest")})
    pinned = asked.pinned(workspace, SPACE).of_view("duplicates")
    assert pinned.experiment == newest_scorer(workspace, "duplicates", SPACE) != ""
    assert asked.pinned(workspace, "another space").of_view("duplicates").experiment == "none"


def test_an_experiment_of_another_space_and_one_that_is_not_there_are_refused(inputs: ViewInputs, workspace: Workspace) -> None:
    known = newest_scorer(workspace, "duplicates", SPACE)
    with pytest.raises(SpaceMismatchError, match=SPACE):
        build_duplicates(replace(inputs, space_id="another space"), DuplicateSettings(experiment=known))
    with pytest.raises(ConfigurationError, match=f"there is {known}"):
        build_duplicates(inputs, DuplicateSettings(experiment="frozen-none"))
