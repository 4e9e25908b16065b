"""The schedule's run where little or nothing changed: ingest, embed and publish, against the first, full run.

    python benchmarks/refresh.py [--rows 200000] [--preset mini] [--changed 0.01]

One Spark session (its start left out). The feed is JSON Lines. First everything, then the same feed again, then a feed with
``--changed`` of the listings changed. The last line of stdout is one JSON object.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from inputs.catalogue import listing_rows
from inputs.embeddings import embed
from inputs.listings import read_texts
from inputs.students import make_student
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from m5model.runtime.encoder import ModelBytes
from schemas.listing import FEED_COLUMNS
from schemas.workspace import Workspace
from spark.embedding.engine import engine_settings
from spark.features.publication import newest_source, plan_publication
from spark.features.publish import publish_source
from spark.features.settings import FeatureSettings
from spark.ingest.ingest import ingest_feed
from spark.setup.session import build_session


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One refresh."""

    seconds: dict[str, float]
    rows_embedded: int
    listings_changed: int
    commits: int  # to listings, embeddings and the feature views
    built: dict[str, str]  # how each view was built, see spark.features.published

    @property
    def total(self) -> float:
        return sum(self.seconds.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000, help="listings (default: %(default)s)")
    parser.add_argument("--preset", default="mini", help="size of the student (default: %(default)s)")
    parser.add_argument("--changed", type=float, default=0.01, help="share of listings that change (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "student").mkdir()
        model = make_student(Path(scratch) / "student", arguments.preset, read_texts(20_000, seed=1)[0])
        spark = build_session("refresh", settings=engine_settings)
        feeds = write_feeds(spark, Path(scratch), arguments.rows, arguments.changed)
        workspace = Workspace(f"{scratch}/workspace")
        full, noop, changed = (refresh(spark, workspace, model, feed) for feed in (feeds[0], feeds[0], feeds[1]))
        spark.stop()
    figures = {
        "benchmark": "refresh",
        "rows": arguments.rows,
        "preset": arguments.preset,
        "full_seconds": rounded(full),
        "changed_seconds": rounded(changed),
        "noop_seconds": rounded(noop),
        "changed_rows": changed.listings_changed,
        "work_share": round(changed.rows_embedded / arguments.rows, 5),
        "noop_rows_embedded": noop.rows_embedded,
        "noop_change_rows": noop.listings_changed,
        "noop_commits": noop.commits,
        "noop_to_full_time": round(noop.total / full.total, 4),
        "changed_to_full_time": round(changed.total / full.total, 4),
        "changed_to_full_publish_time": round(changed.seconds["publish"] / full.seconds["publish"], 4),
        "changed_views": changed.built,
    }
    print(json.dumps(figures))
    return 0


def write_feeds(spark: SparkSession, scratch: Path, rows: int, changed: float) -> tuple[str, str]:
    """The whole catalogue, and the listings of it that change, as JSON Lines."""
    names = [column.name for column in FEED_COLUMNS]
    listings = listing_rows(spark, rows).select(*names).localCheckpoint()
    listings.write.json(f"{scratch}/feed")
    some = listings.orderBy(F.xxhash64("locale", "item_id", F.lit("changed"))).limit(round(rows * changed))
    some.withColumn("title", F.concat("title", F.lit(" (new)"))).write.json(f"{scratch}/changes")
    return f"{scratch}/feed", f"{scratch}/changes"


def refresh(spark: SparkSession, workspace: Workspace, model: ModelBytes, feed: str) -> Timing:
    before = commits(workspace)
    seconds = {}
    started = time.perf_counter()
    ingested = ingest_feed(spark, workspace, [feed], run_id="refresh")
    seconds["ingest"] = time.perf_counter() - started
    started = time.perf_counter()
    embedded = embed(spark, workspace, model)
    seconds["embed"] = time.perf_counter() - started
    started = time.perf_counter()
    publication = plan_publication(workspace, newest_source(workspace, model.space_id), FeatureSettings())
    views = publish_source(spark, workspace, publication) if publication.stale else []
    seconds["publish"] = time.perf_counter() - started
    timing = Timing(
        seconds=seconds,
        rows_embedded=embedded.accounting.written,
        listings_changed=ingested.accounting.written,
        commits=commits(workspace) - before,
        built={view.name: view.built for view in views},
    )
    print({name: round(value, 1) for name, value in seconds.items()}, file=sys.stderr, flush=True)
    return timing


def commits(workspace: Workspace) -> int:
    """Delta commits in the whole workspace."""
    return sum(1 for _ in Path(workspace.root).rglob("_delta_log/*.json"))


def rounded(timing: Timing) -> dict[str, float]:
    return {name: round(value, 1) for name, value in timing.seconds.items()}


if __name__ == "__main__":
    raise SystemExit(main())
