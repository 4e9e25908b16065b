"""What is published over a released rollback follows the changes since the source that it went back to."""

import json
import random
from pathlib import Path

import deltalake
from pyspark.sql import SparkSession

from m5model.features.holds import release_view
from m5model.features.profiles import find_profile
from m5model.features.publications import read_publications
from m5model.features.rollback import roll_back
from schemas.workspace import Workspace
from spark.features.settings import FeatureSettings
from tests.spark.features.test_features_update import Catalogue, differing, publish


def rows_of(workspace: Workspace) -> list[str]:
    rows = deltalake.DeltaTable(workspace.table("features/search")).to_pyarrow_table().to_pylist()
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


def test_the_next_publication_after_a_rollback_gives_the_rows_of_a_whole_rebuild(spark: SparkSession, tmp_path: Path) -> None:
    catalogue = Catalogue(spark=spark, workspace=Workspace(str(tmp_path / "workspace")), dice=random.Random(7))
    catalogue.start(60)
    settings = FeatureSettings(views=("search",), follow_from=0)
    publish(catalogue, settings)
    first = rows_of(catalogue.workspace)
    catalogue.change()
    publish(catalogue, settings)
    assert rows_of(catalogue.workspace) != first
    roll_back(catalogue.workspace, "search", 0)
    release_view(catalogue.workspace, "search")
    assert rows_of(catalogue.workspace) == first
    catalogue.change()
    assert publish(catalogue, settings) == {"search": "changed"}
    assert differing(catalogue, settings) == {}
    published = read_publications(catalogue.workspace.table("features/search"))
    assert [one.operation for one in published] == ["publish", "publish", "rollback", "publish"]
    rows = len(rows_of(catalogue.workspace))
    assert find_profile(catalogue.workspace, "search", published).profile.rows == rows
