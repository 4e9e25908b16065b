"""Building the feature views from listings and embeddings, and publishing those whose source or settings changed.

``build_view`` and what it calls are pure; ``publish_features`` is the one that writes.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_type

from schemas.checks import require
from schemas.embedding import EMBEDDINGS
from schemas.errors import ConfigurationError, SpaceMismatchError
from schemas.features import DECLARATION_PROPERTY, FEATURE_VIEWS, SOURCE_PROPERTY, FeatureView
from schemas.listing import LISTINGS
from schemas.report import JsonValue
from schemas.workspace import Workspace
from spark.delta.changes import last_change
from spark.delta.tables import read_table, replace_table, table_properties
from spark.features.recipes.attributes import AttributeSettings, build_attributes
from spark.features.recipes.brands import BrandSettings, build_brands
from spark.features.recipes.ctr import build_ctr
from spark.features.recipes.duplicates import DuplicateSettings, build_duplicates
from spark.features.recipes.search import build_search
from spark.neighbours import NeighbourSettings, find_neighbours, require_one_space

SETTINGS_PROPERTY = "m5.settings"
RECIPE = 1  # raise it when the same source and settings would give other rows
MADE_BY = {
    LISTINGS.name: "spark-submit jobs/ingest_catalog.py --feed FEED",
    EMBEDDINGS.name: "spark-submit jobs/embed_catalog.py",
}
FROM_NEIGHBOURS = ("duplicates", "attributes")


@dataclass(frozen=True, kw_only=True)
class FeatureSource:
    """What views are made from."""

    space_id: str
    embeddings_version: int  # Delta version of the embeddings
    listings_version: int  # Delta version of the listings

    def to_json(self) -> str:
        """What stands under SOURCE_PROPERTY."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True, kw_only=True)
class FeatureSettings:
    """Which views are published, and how."""

    views: tuple[str, ...] = tuple(FEATURE_VIEWS)
    duplicates: DuplicateSettings = field(default_factory=DuplicateSettings)
    brands: BrandSettings = field(default_factory=BrandSettings)
    attributes: AttributeSettings = field(default_factory=AttributeSettings)
    neighbours: NeighbourSettings = field(default_factory=NeighbourSettings)  # k and min_cosine follow from the views

    def __post_init__(self) -> None:
        unknown = [name for name in self.views if name not in FEATURE_VIEWS]
        rules = {
            f"no view {', '.join(unknown)}; there are {', '.join(FEATURE_VIEWS)}": not unknown,
            "neighbours are searched within a locale": self.neighbours.partition_columns == ("locale",),
        }
        require("FeatureSettings", rules)

    @property
    def neighbour_search(self) -> NeighbourSettings:
        """One search that is enough for both views made from neighbours."""
        return replace(
            self.neighbours,
            k=max(self.duplicates.neighbours, self.attributes.neighbours),
            min_cosine=min(self.duplicates.threshold, self.attributes.min_cosine),
        )

    def to_json(self, view: str) -> str:
        """All that decides the rows of ``view``, beside its source."""
        own = {"duplicates": self.duplicates, "brands": self.brands, "attributes": self.attributes}
        settings: dict[str, object] = {"recipe": RECIPE}
        if view in own:
            settings["view"] = asdict(own[view])  # type: ignore[call-overload]
        if view in FROM_NEIGHBOURS:
            settings["neighbours"] = asdict(self.neighbour_search)
        return json.dumps(settings, sort_keys=True)


@dataclass(frozen=True, kw_only=True)
class PublishedView:
    """What became of one view."""

    name: str
    rows_read: int  # listings with a vector; 0 where the view was left as it is
    rows_made: int
    unchanged: bool  # source and settings are those of the published table, so it was not built again

    def as_json(self) -> dict[str, JsonValue]:
        return asdict(self)


def newest_source(spark: SparkSession, workspace: Workspace, space_id: str) -> FeatureSource:
    """The tables as they are now. Raises ``ConfigurationError`` naming the job to run where there is none."""
    versions = {name: last_change(workspace.table(name), made_by=job) for name, job in MADE_BY.items()}
    return FeatureSource(
        space_id=space_id, embeddings_version=versions[EMBEDDINGS.name], listings_version=versions[LISTINGS.name]
    )


def publish_source(
    spark: SparkSession, workspace: Workspace, *, source: FeatureSource, settings: FeatureSettings
) -> list[PublishedView]:
    """``publish_features`` of the workspace's own tables at the versions of ``source``."""
    versions = {LISTINGS.name: source.listings_version, EMBEDDINGS.name: source.embeddings_version}
    listings, embeddings = (
        read_table(spark, workspace.table(name), made_by=MADE_BY[name], version=version) for name, version in versions.items()
    )
    of_space = embeddings.where(F.col("space_id") == source.space_id)
    return publish_features(spark, workspace, listings, of_space, source=source, settings=settings)


def publish_features(
    spark: SparkSession,
    workspace: Workspace,
    listings: DataFrame,
    embeddings: DataFrame,
    *,
    source: FeatureSource,
    settings: FeatureSettings,
) -> list[PublishedView]:
    """Write every view of ``settings`` whose source or settings differ from the published table's, each in one commit.

    ``listings`` and ``embeddings`` are the tables at the versions of ``source``, the embeddings of its space alone.
    Raises ``SpaceMismatchError`` naming both spaces where they are of another or of several, ``ConfigurationError`` where
    there are none.
    """
    wanted = {name: describe_view(FEATURE_VIEWS[name], source, settings) for name in settings.views}
    pending = [name for name in settings.views if not _is_current(spark, workspace, name, wanted[name])]
    results = {name: PublishedView(name=name, rows_read=0, rows_made=0, unchanged=True) for name in settings.views}
    if pending:
        require_space(embeddings, source.space_id)
        catalogue = join_vectors(listings, embeddings)
        rows_read = catalogue.count()
        with _shared_neighbours(catalogue, pending, settings) as neighbours:
            for name in pending:
                rows = conform(build_view(name, catalogue, neighbours, source.space_id, settings), FEATURE_VIEWS[name])
                rows_made = replace_table(spark, rows, _path(workspace, name), wanted[name])
                results[name] = PublishedView(name=name, rows_read=rows_read, rows_made=rows_made, unchanged=False)
    return list(results.values())


def join_vectors(listings: DataFrame, embeddings: DataFrame) -> DataFrame:
    """The listings that have a vector: locale, item_id, language, brand, attributes, text_hash, space_id, vector."""
    described = listings.select("locale", "item_id", "language", "brand", "attributes", "text_hash")
    return described.join(embeddings.select("locale", "item_id", "space_id", "vector"), ["locale", "item_id"])


def build_view(
    name: str, catalogue: DataFrame, neighbours: DataFrame | None, space_id: str, settings: FeatureSettings
) -> DataFrame:
    """The rows of one view; ``neighbours`` are needed for FROM_NEIGHBOURS only. Raises ``ConfigurationError`` without."""
    match name:
        case "brands":
            return build_brands(catalogue, space_id, settings.brands)
        case "ctr":
            return build_ctr(catalogue, space_id)
        case "search":
            return build_search(catalogue, space_id)
        case "duplicates" if neighbours is not None:
            return build_duplicates(catalogue, neighbours, space_id, settings.duplicates)
        case "attributes" if neighbours is not None:
            return build_attributes(catalogue, neighbours, space_id, settings.attributes)
    raise ConfigurationError(f"view {name!r} is unknown, or is made from neighbours and got none")


def conform(rows: DataFrame, view: FeatureView) -> DataFrame:
    """The columns as declared: order, types, and the meaning as the column's comment."""
    return rows.select(
        *(
            F.col(column.name).cast(from_arrow_type(column.type)).alias(column.name, metadata={"comment": column.meaning})
            for column in view.columns
        )
    )


def describe_view(view: FeatureView, source: FeatureSource, settings: FeatureSettings) -> dict[str, str]:
    """The properties of the published table."""
    return {
        DECLARATION_PROPERTY: view.declaration(),
        SOURCE_PROPERTY: source.to_json(),
        SETTINGS_PROPERTY: settings.to_json(view.name),
    }


def require_space(embeddings: DataFrame, space_id: str) -> None:
    """Raise ``SpaceMismatchError`` unless all embeddings are of ``space_id``, ``ConfigurationError`` where there are none."""
    found = require_one_space(embeddings)
    if found is None:
        raise ConfigurationError(f"there are no embeddings of space {space_id}", next_step="run jobs/embed_catalog.py")
    if found != space_id:
        raise SpaceMismatchError(
            f"features of space {space_id} cannot be made from vectors of space {found}",
            next_step="give the embeddings of that space, or publish the space that they are of",
        )


def _is_current(spark: SparkSession, workspace: Workspace, name: str, wanted: Mapping[str, str]) -> bool:
    return wanted.items() <= table_properties(spark, _path(workspace, name)).items()


def _path(workspace: Workspace, name: str) -> str:
    return workspace.table(FEATURE_VIEWS[name].table().name)


@contextmanager
def _shared_neighbours(catalogue: DataFrame, views: Collection[str], settings: FeatureSettings) -> Iterator[DataFrame | None]:
    """Neighbours computed once for all views made from them, kept on the executors' disks meanwhile."""
    if not set(views) & set(FROM_NEIGHBOURS):
        yield None
        return
    vectors = catalogue.select("locale", "item_id", "space_id", "vector")
    neighbours = find_neighbours(vectors, settings.neighbour_search).persist(StorageLevel.DISK_ONLY)
    try:
        yield neighbours
    finally:
        neighbours.unpersist()
