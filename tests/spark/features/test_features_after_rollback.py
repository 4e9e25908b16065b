"""What is published over a released rollback follows the changes since the source that it went back to."""

import random
from pathlib import Path

from pyspark.sql import SparkSession

from m5model.features.holds import release_view
from m5model.features.profiles import find_profile
from m5model.features.publications import read_publications
from m5model.features.rollback import roll_back
from schemas.workspace import Workspace
from spark.features.settings import FeatureSettings
from tests.spark.features.test_features_update import Catalogue, publish, rebuilt, rows_of


def test_the_next_publication_after_a_rollback_gives_the_rows_of_a_whole_rebuild(spark: SparkSession, tmp_path: Path) -> None:
    catalogue = Catalogue(spark=spark, workspace=Workspace(str(tmp_path / "workspace")), dice=random.Random(7))
    catalogue.start(60)
    settings = FeatureSettings(views=("search",))
    publish(catalogue, settings)
    first = rows_of(catalogue.workspace, settings)
    catalogue.change()
    publish(catalogue, settings)
    assert rows_of(catalogue.workspace, settings) != first
    roll_back(catalogue.workspace, "search", 0)
    release_view(catalogue.workspace, "search")
    assert rows_of(catalogue.workspace, settings) == first
    catalogue.change()
    assert publish(catalogue, settings) == {"search": "changed"}
    assert rows_of(catalogue.workspace, settings) == rebuilt(catalogue, settings)
    published = read_publications(catalogue.workspace.table("features/search"))
    assert [one.operation for one in published] == ["publish", "publish", "rollback", "publish"]
    rows = len(rows_of(catalogue.workspace, settings)["search"])
    assert find_profile(catalogue.workspace, "search", published).profile.rows == rows
