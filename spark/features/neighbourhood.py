"""The neighbours that views share: searched whole once, then following the listings that change.

They are kept in a table of their own beside the views. A version of it names the source that it is of, and a view looks for the
versions of its old and of its new source. So a run that was killed between the two commits is simply repeated: it finds the
newer version there already.
"""

from collections import Counter
from dataclasses import asdict, dataclass

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from m5model.files.delta import open_delta
from m5model.files.delta_log import list_versions
from schemas.embedding import EMBEDDINGS
from schemas.workspace import Workspace
from spark.delta.changed_files import list_data_files
from spark.delta.data_rows import to_frame
from spark.features.changes import KEY, ListingChanges
from spark.features.publication import FeatureSource
from spark.features.recipe import ViewInputs
from spark.features.settings import FeatureSettings
from spark.neighbours import SpaceRows
from spark.neighbours.follow import Search, VectorChanges, follow_changes
from spark.neighbours.kept import KeptCells, keep_cells, read_cells
from spark.neighbours.list_rows import ListSizes
from spark.neighbours.list_scan import Touch, find_touched
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

    def touched(self, spark: SparkSession, listings: pa.Table) -> pa.Table:
        """The lists that are others now, those of ``listings`` (locale, item_id), and those that one of them is in.

        ROWS of spark.neighbours.list_rows, with ``is_moved``: the neighbours that views see are others now.
        """
        touch = Touch(path=self.lists.path, listings=listings, older_version=self.older_version, seen=self.seen)
        return find_touched(spark, self.lists.files(), touch)


def search_whole(
    inputs: ViewInputs, space: SpaceRows, source: FeatureSource, settings: FeatureSettings
) -> tuple[DataFrame, str]:
    """The neighbours of all listings, and the name of the cells that they were searched in.

    Those that a killed run found already are taken.
    """
    spark, search = inputs.catalogue.sparkSession, settings.search
    folder = settings.state_folder(inputs.require_workspace(), source.space_id)
    vectors = _with_bucket(inputs.catalogue).select(*KEY, "space_id", "vector", "bucket")
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


def _with_bucket(catalogue: DataFrame) -> DataFrame:
    """Lists of vectors that lie in no table of buckets are kept, but cannot be followed."""
    return catalogue if "bucket" in catalogue.columns else catalogue.withColumn("bucket", F.lit(0))


def follow_neighbours(
    spark: SparkSession,
    workspace: Workspace,
    settings: FeatureSettings,
    newer: FeatureSource,
    changes: ListingChanges,
) -> Neighbourhood | str:
    """The neighbours at the newer source; or why they must be searched whole."""
    folder = settings.state_folder(workspace, newer.space_id)
    cells = read_cells(folder)
    before = find_lists(folder, asdict(changes.source), settings.cells) if cells else None
    if cells is None or before is None:
        return "the neighbours of what it was made from are not kept any more"
    after = find_lists(folder, asdict(newer), settings.cells)
    if after is None:
        if list_versions(before.path)[-1] != before.version:
            return "the kept neighbours are those of a later source than its own"
        followed = _follow(spark, workspace, settings, cells, before, newer, changes)
        if isinstance(followed, str):
            return followed
        after = followed
        drop_old_versions(after)
    return Neighbourhood(lists=after, older_version=before.version, seen=settings.seen)


def _follow(
    spark: SparkSession,
    workspace: Workspace,
    settings: FeatureSettings,
    cells: KeptCells,
    before: NeighbourLists,
    newer: FeatureSource,
    changes: ListingChanges,
) -> NeighbourLists | str:
    search, folder = settings.search, settings.state_folder(workspace, newer.space_id)
    if not len(changes.keys(())):
        return name_again(before, describe_lists(asdict(newer), settings.cells))
    moved = changes.newer(())
    arrived = {locale: rows for locale, rows in Counter(moved["locale"].to_pylist()).items() if locale not in cells.rows}
    if arrived:
        cells = keep_cells(folder, to_frame(spark, moved), arrived, search)
    vectors_path = workspace.table(EMBEDDINGS.name)
    return follow_changes(
        spark,
        before,
        VectorChanges(older=changes.older(()), newer=moved),
        Search(
            vectors_path=vectors_path,
            vectors=list_data_files(open_delta(vectors_path, newer.embeddings_version)),
            space_id=newer.space_id,
            cells=cells,
            settings=search,
        ),
        ListSizes(kept=search.k, seen=settings.seen),
        describe_lists(asdict(newer), cells.generation),
    )
