"""Checks published views against building them whole: row for row, without writing anything."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from schemas.errors import GateRefusedError
from schemas.workspace import Workspace
from spark.delta.tables import read_table
from spark.features.catalogue import conform, read_source
from spark.features.neighbourhood import search_again
from spark.features.opening import open_catalogue
from spark.features.publication import Publication, view_path
from spark.features.recipe import ViewInputs, ViewRecipe
from spark.features.registry import load_recipes
from spark.features.settings import FeatureSettings

PUBLISH_JOB = "spark-submit jobs/publish_features.py"


@dataclass(frozen=True, kw_only=True)
class ViewDifference:
    """Holds how a published view differs from one that is built whole."""

    name: str
    rows: int  # of the one that is built whole
    missing: int  # rows that the published view lacks
    superfluous: int  # rows that it has beyond

    @property
    def differing(self) -> int:
        return self.missing + self.superfluous


def verify_views(spark: SparkSession, workspace: Workspace, publication: Publication) -> list[ViewDifference]:
    """Build the views of the publication whole, in the cells that are kept, and compare them with what readers see."""
    names, source, settings = publication.settings.views, publication.source, publication.settings
    listings, embeddings = read_source(spark, workspace, source)
    with open_catalogue(workspace, listings, embeddings, publication, names) as (inputs, space):
        if any(load_recipes()[name].needs_neighbours for name in names):
            inputs = replace(inputs, neighbours=search_again(inputs, space, source, settings).localCheckpoint())
        return [_compare(spark, publication.target, name, _build(name, inputs, settings)) for name in names]


def _build(name: str, inputs: ViewInputs, settings: FeatureSettings) -> DataFrame:
    recipe: ViewRecipe[Any] = load_recipes()[name]
    if recipe.sums:
        inputs = replace(inputs, sums=recipe.sums.sum_up(inputs.catalogue))
    return recipe.build(inputs, settings.of_view(name))


def _compare(spark: SparkSession, target: Workspace, name: str, built: DataFrame) -> ViewDifference:
    recipe: ViewRecipe[Any] = load_recipes()[name]
    whole = conform(built, recipe.view).localCheckpoint()
    published = read_table(spark, view_path(target, name), made_by=PUBLISH_JOB).select(*whole.columns)
    missing, superfluous = whole.exceptAll(published).count(), published.exceptAll(whole).count()
    return ViewDifference(name=name, rows=whole.count(), missing=missing, superfluous=superfluous)


def require_same(differences: Sequence[ViewDifference]) -> None:
    """Raise GateRefusedError with a table of the views that differ."""
    found = [difference for difference in differences if difference.differing]
    if found:
        header = f"{'view':<14}{'rows':>12}{'missing':>10}{'superfluous':>13}"
        lines = [f"{one.name:<14}{one.rows:>12,}{one.missing:>10,}{one.superfluous:>13,}" for one in found]
        raise GateRefusedError(
            "published views are not what building them whole gives\n  " + "\n  ".join([header, *lines]),
            next_step=f"build them whole: {PUBLISH_JOB} --whole " + " ".join(f"--view {one.name}" for one in found),
        )
