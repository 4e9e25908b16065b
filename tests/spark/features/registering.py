"""Registers views in a Hive metastore, in a session of its own: python -m tests.spark.features.registering FOLDER [NAME=VALUE…]

The last line of stdout is what the catalog knows afterwards, as JSON. Spark settings follow the folder.
"""

import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

import pyspark
from deltalake import DeltaTable
from pyspark import SparkContext

from schemas.errors import ConfigurationError
from schemas.workspace import Workspace
from spark.features.registration import Registry, catalog_settings, register_views
from spark.setup.session import build_session, launch_jvm
from tests.m5model.features.views import OLD_SPACE, brand_row, publish_view

QUICK = {
    "spark.master": "local[1]",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
    "spark.databricks.delta.snapshotPartitions": "1",
}

# As Hive itself sets up what keeps its objects: they decide the names of columns.
HIVE_NAMES = {
    "javax.jdo.PersistenceManagerFactoryClass": "org.datanucleus.api.jdo.JDOPersistenceManagerFactory",
    "datanucleus.identifierFactory": "datanucleus1",
    "datanucleus.rdbms.useLegacyNativeValueStrategy": "true",
}


def main(folder: str, given: dict[str, str]) -> dict[str, Any]:
    workspace, registry = Workspace(f"{folder}/workspace"), Registry(database="partners")
    publish_view(workspace, [brand_row("A"), brand_row("B")], space=OLD_SPACE)
    if "postgresql" in given.get("spark.hadoop.javax.jdo.option.ConnectionURL", ""):
        make_schema(given)
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
        "comments": [_entry(spark).schema().apply(name).getComment().get() for name in ("brand", "vector")],
        "entry": _entry(spark).toString(),
        "refused": refused,
        "version": DeltaTable(workspace.table("features/brands")).version(),
    }


def make_schema(given: dict[str, str]) -> None:
    """Make the metastore's tables in an empty PostgreSQL, as Hive's own schematool does for a team.

    Left to be made on the way, a table waits for the transaction that asked for it.
    """
    launch_jvm()
    jvm: Any = SparkContext._jvm
    names = jvm.java.util.HashSet()
    for name in _model_classes():
        names.add(f"org.apache.hadoop.hive.metastore.model.{name}")
    properties = jvm.java.util.Properties()
    for name, value in HIVE_NAMES.items():
        properties.put(name, value)
    for name, value in given.items():
        if name.startswith(("spark.hadoop.javax.jdo.", "spark.hadoop.datanucleus.")):
            properties.put(name.removeprefix("spark.hadoop."), value)
    factory = jvm.javax.jdo.JDOHelper.getPersistenceManagerFactory(properties)
    factory.getNucleusContext().getStoreManager().createSchemaForClasses(names, jvm.java.util.Properties())
    factory.close()


def _model_classes() -> list[str]:
    """Classes that the metastore keeps, as its jar lists them."""
    (jar,) = (Path(pyspark.__file__).parent / "jars").glob("hive-metastore-*.jar")
    with zipfile.ZipFile(jar) as archive:
        return re.findall(r'<class name="(M\w+)"', archive.read("package.jdo").decode())


def _entry(spark: Any) -> Any:
    return spark._jsparkSession.sharedState().externalCatalog().getTable("partners", "brands")


def _tags(spark: Any) -> dict[str, str]:
    properties = _entry(spark).properties()
    names = ("space_id", "key", "owner", "version")
    return {name: properties.get(f"m5.{name}").get() for name in names}


if __name__ == "__main__":
    found = main(sys.argv[1], dict(argument.split("=", 1) for argument in sys.argv[2:]))
    Path(f"{sys.argv[1]}/found.json").write_text(json.dumps(found), encoding="utf-8")
