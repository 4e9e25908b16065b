"""``features/search``: unit vectors for a nearest neighbour index.

They are the vectors that a search experiment's listings' map gives, so that its query tower finds them; without an experiment a
random projection keeps the cosines of the bundle's vectors.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from m5model.partners.index_map import newest_map, read_map
from schemas.features import SPACE_ID, FeatureView
from schemas.listing import ITEM_ID, LOCALE
from schemas.tables import TEXT, VECTOR, Column
from schemas.workspace import Workspace
from spark.features.recipe import FewInputs, ViewInputs, ViewRecipe, flag
from spark.vectors.projection import map_column, map_vectors, project_vectors, projection

DIMENSIONS = 256  # without an experiment
NEWEST, NO_EXPERIMENT = "newest", "none"

VIEW = FeatureView(
    name="search",
    owner="semantic-search",
    description="Unit vectors for a nearest neighbour index, as a search experiment trained them; inner product is cosine.",
    key=("locale", "item_id"),
    columns=(
        LOCALE,
        ITEM_ID,
        Column(name="language", type=TEXT, meaning="language of the listing"),
        Column(
            name="vector",
            type=VECTOR,
            unit="unit length",
            meaning=f"as many dimensions as the experiment's map has, {DIMENSIONS} without one",
            nullable=False,
        ),
        Column(name="experiment", type=TEXT, meaning="whose query tower finds the vector; null: the projected query's vector"),
        SPACE_ID,
    ),
    freshness_hours=24,
)


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """Whose map the vectors go through."""

    experiment: str = flag(
        NO_EXPERIMENT,
        "--search-experiment",
        f"whose map of listings' vectors is applied: an id, {NEWEST} (of the published space), or {NO_EXPERIMENT}",
        job_default=NEWEST,
    )


def build_search(inputs: ViewInputs, settings: SearchSettings) -> DataFrame:
    """A row per listing of the catalogue."""
    listings = inputs.catalogue.select("locale", "item_id", "language", "vector")
    if settings.experiment == NO_EXPERIMENT:
        found = project_vectors(listings, inputs.space_id, DIMENSIONS, unit_length=True)
        named = found.withColumn("experiment", F.lit(None).cast("string"))
    else:
        trained = read_map(inputs.require_workspace(), VIEW.name, settings.experiment, inputs.space_id)
        named = map_vectors(listings, trained.apply).withColumn("experiment", F.lit(settings.experiment))
    return named.withColumn("space_id", F.lit(inputs.space_id))


def build_few_search(settings: SearchSettings) -> Callable[[FewInputs], pa.Table]:
    return partial(_map_few, experiment=settings.experiment)


def _map_few(inputs: FewInputs, experiment: str) -> pa.Table:
    rows, named = inputs.catalogue, None if experiment == NO_EXPERIMENT else experiment
    if named is None:
        change = projection(inputs.space_id, DIMENSIONS, unit_length=True)
    else:
        change = read_map(inputs.workspace, VIEW.name, named, inputs.space_id).apply
    columns = {name: rows[name] for name in ("locale", "item_id", "language")}
    columns["vector"] = map_column(rows["vector"].combine_chunks(), change)
    columns["experiment"] = pa.repeat(pa.scalar(named, pa.string()), len(rows))
    return pa.table(columns | {"space_id": pa.repeat(inputs.space_id, len(rows))})


def pin_experiment(settings: SearchSettings, workspace: Workspace, space_id: str) -> SearchSettings:
    """The newest experiment of that space by its id; none where there is none."""
    if settings.experiment != NEWEST:
        return settings
    return replace(settings, experiment=newest_map(workspace, VIEW.name, space_id) or NO_EXPERIMENT)


RECIPE = ViewRecipe(
    view=VIEW,
    depends_on=("row",),
    reads=("language",),
    settings=SearchSettings(),
    build=build_search,
    build_few=build_few_search,
    pin=pin_experiment,
    revision=2,
)
