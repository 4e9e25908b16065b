"""Registers published views in a catalog of the session: external tables with comments, tags and keys.

The rows stay where they are, and so does the table's log: what is registered is a name for the folder.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pyspark import SparkConf
from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import SparkSession
from pyspark.sql.types import StructField, StructType

from m5model.features.publications import PublishedVersion, read_publications
from m5model.features.tags import describe_tags
from schemas.checks import require
from schemas.errors import ConfigurationError
from schemas.features import FOLDER
from schemas.workspace import Workspace

log = logging.getLogger(__name__)

SESSION_CATALOG = "spark_catalog"
HIVE = "spark.sql.catalogImplementation"


@dataclass(frozen=True, kw_only=True)
class Registry:
    """Where views are registered: ``CATALOG.DATABASE.VIEW``."""

    catalog: str = SESSION_CATALOG
    database: str

    def __post_init__(self) -> None:
        names = {"catalog": self.catalog, "database": self.database}
        rules = {f"{what} is {name!r}, expected letters, digits and _": name.isidentifier() for what, name in names.items()}
        require("Registry", rules)

    def table(self, view: str) -> str:
        return f"`{self.catalog}`.`{self.database}`.`{view}`"


def catalog_settings(registry: Registry, conf: SparkConf) -> dict[str, str]:
    """Spark settings of a session that registers views: Hive's metastore, unless somebody chose otherwise.

    Delta makes the entry without columns; a metastore takes a table's own columns afterwards only where it is told to.
    """
    if registry.catalog != SESSION_CATALOG or conf.contains(HIVE):
        return {}
    return {HIVE: "hive", "spark.hadoop.hive.metastore.disallow.incompatible.col.type.changes": "false"}


def require_lasting(spark: SparkSession, registry: Registry) -> None:
    """Raise ConfigurationError where the session's catalog ends with the session."""
    if registry.catalog == SESSION_CATALOG and spark.conf.get(HIVE) == "in-memory":
        raise ConfigurationError(
            "this session's catalog is in memory: what is registered in it ends with the session",
            next_step=f"start the session with {HIVE}=hive, or name another --catalog",
        )


def register_views(spark: SparkSession, workspace: Workspace, views: Iterable[str], registry: Registry) -> dict[str, str]:
    """Register the views as they are published now; safe to repeat. Returns their names in the catalog.

    Raises ConfigurationError where a name is taken by a table at another place.
    """
    spark.sql(f"CREATE DATABASE IF NOT EXISTS `{registry.catalog}`.`{registry.database}`")
    names = {}
    for view in views:
        path = workspace.table(f"{FOLDER}/{view}")
        _register(spark, path, registry.table(view))
        published = read_publications(path)[-1]
        _describe(spark, registry, view, published, describe_tags(workspace, published))
        names[view] = f"{registry.catalog}.{registry.database}.{view}"
    return names


def _register(spark: SparkSession, path: str, name: str) -> None:
    place = path.replace("'", "\\'")
    try:
        spark.sql(f"CREATE TABLE IF NOT EXISTS {name} USING delta LOCATION '{place}'")
        found = _location(spark, name)
    except AnalysisException as error:
        raise ConfigurationError(
            f"cannot register {path} as {name}: {str(error).splitlines()[0]}",
            next_step="drop the table of that name, or give another --database",
        ) from error
    if found != path.rstrip("/"):
        raise ConfigurationError(
            f"{name} is registered already, at {found}; these views lie at {path}",
            next_step=f"give another --database, or run DROP TABLE {name} (which leaves its files as they are)",
        )


def _location(spark: SparkSession, name: str) -> str:
    detail = spark.sql(f"DESCRIBE DETAIL {name}").collect()[0]["location"]
    return str(detail).removeprefix("file://").removeprefix("file:").rstrip("/")


def _describe(spark: SparkSession, registry: Registry, view: str, published: PublishedVersion, tags: Mapping[str, str]) -> None:
    """Give the table its comment, its columns' comments and its tags, in the catalog alone: Delta's log is not written to."""
    if registry.catalog == SESSION_CATALOG:
        _alter_entry(spark, registry, view, published, tags)
    else:
        _set_tags(spark, registry.table(view), tags)


def _alter_entry(
    spark: SparkSession, registry: Registry, view: str, published: PublishedVersion, tags: Mapping[str, str]
) -> None:
    """The entry of Hive's metastore (or of a catalog that stands for it, such as Glue's), by Spark's own door to it."""
    session, jvm = spark._jsparkSession, spark._jvm
    catalog = session.sharedState().externalCatalog()
    schema = jvm.org.apache.spark.sql.types.DataType.fromJson(_commented_schema(spark, registry.table(view), published).json())  # type: ignore[union-attr]
    if catalog.getTable(registry.database, view).schema() != schema:
        catalog.alterTableSchema(registry.database, view, schema)
    entry = catalog.getTable(registry.database, view)
    properties = entry.properties()
    for name, value in tags.items():
        properties = properties.updated(name, value)
    comment = jvm.scala.Option.apply(str(published.declaration.get("description", "")))  # type: ignore[union-attr]
    changed = {"properties": properties, "comment": comment}
    fields = [entry.productElementName(place) for place in range(entry.productArity())]
    catalog.alterTable(entry.copy(*(changed.get(name, entry.productElement(place)) for place, name in enumerate(fields))))
    spark.catalog.refreshTable(registry.table(view))


def _commented_schema(spark: SparkSession, name: str, published: PublishedVersion) -> StructType:
    """The table's columns, each with what the view declares that it means."""
    columns = published.declaration.get("columns")
    declared = [one for one in columns if isinstance(one, dict)] if isinstance(columns, list) else []
    meanings = {str(one["name"]): str(one["meaning"]) for one in declared}
    fields = spark.table(name).schema.fields
    return StructType(
        [
            StructField(one.name, one.dataType, one.nullable, {**one.metadata, "comment": meanings.get(one.name, "")})
            for one in fields
        ]
    )


def _set_tags(spark: SparkSession, name: str, tags: Mapping[str, str]) -> None:
    """Unity's tags. A catalog that does not know them keeps the table without."""
    listed = ", ".join(f"'{key}' = '{value}'" for key, value in tags.items())
    try:
        spark.sql(f"ALTER TABLE {name} SET TAGS ({listed})")
    except (AnalysisException, ParseException) as error:
        log.warning("%s is registered without tags: %s", name, str(error).splitlines()[0])
