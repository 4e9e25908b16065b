"""What publishing costs after a change: views of a whole catalogue, then after 1% of it changed, then with nothing changed.

    python benchmarks/publish_growth.py [--rows 200000] [--changed 0.01] [--change-sets 20] [--rows-of-change-sets 3000]

Vectors of 384 dimensions (those of the preset mini) are drawn around a few thousand directions; some are equal. One Spark
session, its start left out. First a smaller catalogue goes through random change sets of inserts, updates, deletes; each time
the views are compared row for row with building them whole. The last line of stdout is one JSON object.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter

from inputs.catalogue import listing_rows
from inputs.changes import ChangeSet, change_catalogue
from inputs.drawn_vectors import SPACE, draw_embeddings
from pyspark.sql import SparkSession

from m5model.training.progress import say
from schemas.embedding import EMBEDDINGS
from schemas.listing import LISTINGS
from schemas.workspace import Workspace
from spark.delta.tables import append_rows, create_table
from spark.features.publication import newest_source, plan_publication
from spark.features.publish import publish_source
from spark.features.settings import FeatureSettings
from spark.features.verify import verify_views
from spark.setup.session import build_session

DIMENSIONS = 384


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000, help="listings (default: %(default)s)")
    parser.add_argument("--changed", type=float, default=0.01, help="share of listings that change (default: %(default)s)")
    parser.add_argument("--change-sets", type=int, default=20, help="random change sets (default: %(default)s)")
    parser.add_argument("--rows-of-change-sets", type=int, default=3_000, help="listings that they meet (default: %(default)s)")
    parser.add_argument("--view", action="append", help="a view to publish, repeatable; all otherwise")
    arguments = parser.parse_args()
    settings = FeatureSettings(follow_from=0, **({"views": tuple(arguments.view)} if arguments.view else {}))
    spark = build_session("publish_growth")
    with tempfile.TemporaryDirectory() as scratch:
        small = Workspace(f"{scratch}/small")
        exact = follow_change_sets(spark, small, settings, arguments.rows_of_change_sets, arguments.change_sets)
        timed = time_publications(spark, Workspace(f"{scratch}/large"), settings, arguments.rows, arguments.changed)
    spark.stop()
    print(json.dumps({"benchmark": "publish_growth", "rows": arguments.rows, "changed": arguments.changed, **timed, **exact}))
    return 0


def time_publications(spark: SparkSession, workspace: Workspace, settings: FeatureSettings, rows: int, changed: float) -> dict:
    make_catalogue(spark, workspace, rows)
    whole, _ = publish(spark, workspace, settings)
    count = round(rows * changed)
    tenth = count // 10
    change_catalogue(spark, workspace, ChangeSet(inserts=tenth, deletes=tenth, updates=count - 2 * tenth, seed=1), DIMENSIONS)
    followed, built = publish(spark, workspace, settings)
    nothing, unchanged = publish(spark, workspace, settings)
    differing = count_differing(spark, workspace, settings)
    return {
        "whole_seconds": round(whole, 1),
        "changed_seconds": round(followed, 1),
        "noop_seconds": round(nothing, 3),
        "changed_to_whole": round(followed / whole, 4),
        "noop_to_whole": round(nothing / whole, 4),
        "built_after_change": built,
        "built_after_nothing": unchanged,
        "rows_differing_at_size": differing,
    }


def follow_change_sets(spark: SparkSession, workspace: Workspace, settings: FeatureSettings, rows: int, sets: int) -> dict:
    """Rows that differ from building whole, added up over all change sets and views."""
    make_catalogue(spark, workspace, rows)
    publish(spark, workspace, settings)
    differing, built = 0, Counter[str]()
    for seed in range(sets):
        share = max(1, rows // 300)
        change = ChangeSet(
            inserts=share * (seed % 3), deletes=share * ((seed + 1) % 3), updates=share * (1 + seed % 2), seed=seed
        )
        change_catalogue(spark, workspace, change, DIMENSIONS)
        _, how = publish(spark, workspace, settings)
        built.update(how)
        differing += count_differing(spark, workspace, settings)
        say(f"change set {seed + 1} of {sets}: {dict(how)}, {differing} rows differ so far")
    return {"change_sets": sets, "built_by_change_sets": dict(built), "rows_differing_from_rebuild": differing}


def make_catalogue(spark: SparkSession, workspace: Workspace, rows: int) -> None:
    for table in (LISTINGS, EMBEDDINGS):
        create_table(spark, workspace.table(table.name), table)
    append_rows(listing_rows(spark, rows), workspace.table(LISTINGS.name), LISTINGS)
    listings = spark.read.format("delta").load(workspace.table(LISTINGS.name))
    vectors = draw_embeddings(listings, dimensions=DIMENSIONS)
    append_rows(vectors, workspace.table(EMBEDDINGS.name), EMBEDDINGS)


def publish(spark: SparkSession, workspace: Workspace, settings: FeatureSettings) -> tuple[float, dict[str, int]]:
    """Seconds, and how many views were built how."""
    started = time.perf_counter()
    publication = plan_publication(workspace, newest_source(workspace, SPACE), settings)
    views = publish_source(spark, workspace, publication) if publication.stale else []
    seconds = time.perf_counter() - started
    print(
        {view.name: (view.built, view.because, view.rows_made) for view in views},
        round(seconds, 1),
        file=sys.stderr,
        flush=True,
    )
    return seconds, dict(Counter(view.built for view in views))


def count_differing(spark: SparkSession, workspace: Workspace, settings: FeatureSettings) -> int:
    publication = plan_publication(workspace, newest_source(workspace, SPACE), settings)
    return sum(difference.differing for difference in verify_views(spark, workspace, publication))


if __name__ == "__main__":
    raise SystemExit(main())
