"""The neighbours that views share: searched whole once, then following the listings that change.

They are kept in a table of their own beside the views. A version of it names the source that it is of, and a view looks for the
versions of its old and of its new source. So a run that was killed between the two commits is simply repeated: it finds the
newer version there already.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from m5model.files.delta_log import list_versions
from schemas.workspace import Workspace
from spark.features.catalogue import read_source
from spark.features.changes import KEY, ListingChanges
from spark.features.publication import FeatureSource
from spark.features.recipe import ViewInputs
from spark.features.settings import FeatureSettings
from spark.neighbours import SpaceRows
from spark.neighbours.follow import ListSizes, Search, VectorChanges, follow_changes
from spark.neighbours.kept import keep_cells, read_cells
from spark.neighbours.lists import NeighbourLists, describe_lists, drop_old_versions, find_lists, name_again, write_lists
from spark.neighbours.search import find_candidates, rank_candidates


@dataclass(frozen=True, kw_only=True)
class Neighbourhood:
    """The neighbours at a newer source, and which version of the table was that of the older one."""

    lists: NeighbourLists
    older_version: int
    seen: int  # neighbours of a listing that views may ask for

    def ranked(self, spark: SparkSession) -> DataFrame:
        """A row per neighbour, see spark.neighbours.find_neighbours."""
        return rank_candidates(self.lists.read(spark)).where(F.col("rank") <= self.seen)

    def changed(self, spark: SparkSession) -> DataFrame:
        """Locale, item_id of the listings whose neighbours are others now."""
        return self.lists.read(spark).where(F.col("changed_in") > self.older_version).select(*KEY)


def search_whole(
    inputs: ViewInputs, space: SpaceRows, source: FeatureSource, settings: FeatureSettings
) -> tuple[DataFrame, str]:
    """The neighbours of all listings, and the name of the cells that they were searched in.

    Those that a killed run found already are taken.
    """
    spark, search = inputs.catalogue.sparkSession, settings.search
    folder = settings.state_folder(inputs.require_workspace(), source.space_id)
    vectors = inputs.catalogue.select(*KEY, "space_id", "vector")
    cells = keep_cells(folder, vectors, space.by_locale, search)
    lists = find_lists(folder, asdict(source), cells.generation)
    if lists is None:
        candidates = find_candidates(vectors, cells.cut(space.by_locale, search), search)
        lists = write_lists(vectors, candidates, folder, search.k, describe_lists(asdict(source), cells.generation))
        drop_old_versions(lists)
    found = Neighbourhood(lists=lists, older_version=-1, seen=settings.seen)
    return found.ranked(spark), cells.generation


def search_again(inputs: ViewInputs, space: SpaceRows, source: FeatureSource, settings: FeatureSettings) -> DataFrame:
    """The neighbours of all listings, found anew in the cells that are kept, and not kept."""
    folder, search = settings.state_folder(inputs.require_workspace(), source.space_id), settings.search
    vectors = inputs.catalogue.select(*KEY, "space_id", "vector")
    cells = keep_cells(folder, vectors, space.by_locale, search)
    found = find_candidates(vectors, cells.cut(space.by_locale, search), search)
    return rank_candidates(found).where(F.col("rank") <= settings.seen)


def follow_neighbours(
    spark: SparkSession,
    workspace: Workspace,
    settings: FeatureSettings,
    newer: FeatureSource,
    changes: ListingChanges,
) -> Neighbourhood | str:
    """The neighbours at the newer source; or why they must be searched whole."""
    folder, search = settings.state_folder(workspace, newer.space_id), settings.search
    cells = read_cells(folder)
    before = find_lists(folder, asdict(changes.source), settings.cells) if cells else None
    if cells is None or before is None:
        return "the neighbours of what it was made from are not kept any more"
    after = find_lists(folder, asdict(newer), settings.cells)
    if after is None:
        if list_versions(before.path)[-1] != before.version:
            return "the kept neighbours are those of a later source than its own"
        rows = _count_rows(before.read(spark), changes)
        if cells.has_outgrown(rows, search):
            return "a locale has outgrown the cells that its neighbours are searched in"
        after = _follow(spark, workspace, settings, before, newer, changes, folder, rows)
        drop_old_versions(after)
    return Neighbourhood(lists=after, older_version=before.version, seen=settings.seen)


def _follow(
    spark: SparkSession,
    workspace: Workspace,
    settings: FeatureSettings,
    before: NeighbourLists,
    newer: FeatureSource,
    changes: ListingChanges,
    folder: str,
    rows: Mapping[str, int],
) -> NeighbourLists:
    search = settings.search
    if changes.keys(()).isEmpty():
        return name_again(before, describe_lists(asdict(newer), settings.cells))
    _, embeddings = read_source(spark, workspace, newer)
    cells = keep_cells(folder, changes.newer(()), rows, search)
    return follow_changes(
        before,
        VectorChanges(older=changes.older(()), newer=changes.newer(())),
        Search(embeddings=embeddings, cells=cells.cut(rows, search), settings=search),
        ListSizes(kept=search.k, seen=settings.seen),
        describe_lists(asdict(newer), cells.generation),
    )


def _count_rows(before: DataFrame, changes: ListingChanges) -> dict[str, int]:
    """Listings with a vector by locale, as they are now."""
    counted: Counter[str] = Counter()
    for rows, sign in ((before, 1), (changes.newer(()), 1), (changes.older(()), -1)):
        for row in rows.groupBy("locale").count().collect():
            counted[row["locale"]] += sign * row["count"]
    return {locale: count for locale, count in counted.items() if count > 0}
