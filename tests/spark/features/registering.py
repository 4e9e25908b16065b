"""Registers views in a Hive metastore, in a session of its own: python -m tests.spark.features.registering FOLDER [NAME=VALUE…]

The last line of stdout is what the catalog knows afterwards, as JSON. Spark settings follow the folder.
"""

import json
import sys
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from schemas.errors import ConfigurationError
from schemas.workspace import Workspace
from spark.features.registration import Registry, catalog_settings, register_views
from spark.setup.session import build_session
from tests.m5model.features.views import OLD_SPACE, brand_row, publish_view

QUICK = {
    "spark.master": "local[1]",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
    "spark.databricks.delta.snapshotPartitions": "1",
}


def main(folder: str, given: dict[str, str]) -> dict[str, Any]:
    workspace, registry = Workspace(f"{folder}/workspace"), Registry(database="partners")
    publish_view(workspace, [brand_row("A"), brand_row("B")], space=OLD_SPACE)
    spark = build_session("m5 catalogs", settings=lambda conf: {**QUICK, **given, **catalog_settings(registry, conf)})
    names = register_views(spark, workspace, ["brands"], registry)
    first = _tags(spark)
    publish_view(workspace, [brand_row("A"), brand_row("B"), brand_row("C")])
    again = [register_views(spark, workspace, ["brands"], registry) for _ in range(2)]
    elsewhere = Workspace(f"{folder}/elsewhere")
    publish_view(elsewhere, [brand_row("A")])
    try:
        register_views(spark, elsewhere, ["brands"], registry)
        refused = ""
    except ConfigurationError as error:
        refused = str(error)
    rows = spark.table("partners.brands")
    return {
        "names": [names, *again],
        "tags": [first, _tags(spark)],
        "rows": rows.count(),
        "comments": {row["col_name"]: row["comment"] for row in spark.sql("DESCRIBE partners.brands").collect()},
        "entry": _entry(spark).toString(),
        "refused": refused,
        "version": DeltaTable(workspace.table("features/brands")).version(),
    }


def _entry(spark: Any) -> Any:
    return spark._jsparkSession.sharedState().externalCatalog().getTable("partners", "brands")


def _tags(spark: Any) -> dict[str, str]:
    properties = _entry(spark).properties()
    names = ("space_id", "key", "owner", "version")
    return {name: properties.get(f"m5.{name}").get() for name in names}


if __name__ == "__main__":
    found = main(sys.argv[1], dict(argument.split("=", 1) for argument in sys.argv[2:]))
    Path(f"{sys.argv[1]}/found.json").write_text(json.dumps(found), encoding="utf-8")
