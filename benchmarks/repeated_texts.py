"""Each distinct text is computed once: a run over a feed of repeated texts against one of as many that are all different.

    python benchmarks/repeated_texts.py [--rows 8000] [--share 0.3] [--preset mini] [--rounds 1]

``distinct_to_repeated``: seconds of the one by seconds of the other; ``copies_free``: what it would be if copies cost nothing.
``search_share``: what looking for repeats takes of a run that has none. ``vectors_differing``: vectors of the repeated feed
that are not those which the other run computed of the same text. The last line of stdout is one JSON object.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from inputs.catalogue import listing_rows
from inputs.embeddings import embed, read_vectors
from inputs.listings import read_texts
from inputs.stopwatch import Stopwatch
from inputs.students import make_student
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from m5model.runtime.encoder import ModelBytes
from schemas.listing import LISTINGS
from schemas.workspace import Workspace
from spark.delta.tables import create_table, merge_rows
from spark.embedding import embed as embed_module
from spark.embedding.engine import engine_settings
from spark.embedding.repeats import Repeats, find_repeats
from spark.setup.session import build_session

WARM_UP_ROWS = 500
AGAIN = " again"  # behind the id of a listing that has the text of another one


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=8_000, help="listings of each feed (default: %(default)s)")
    parser.add_argument("--share", type=float, default=0.3, help="whose text another one has (default: %(default)s)")
    parser.add_argument("--preset", default="mini", help="size of the student (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=1, help="runs of each feed (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="m5-repeated-") as scratch:
        Path(f"{scratch}/student").mkdir()
        model = make_student(Path(f"{scratch}/student"), arguments.preset, read_texts(20_000, seed=1)[0])
        spark = build_session("repeated-texts", settings=engine_settings)
        result = _measure(spark, scratch, model, arguments)
        spark.stop()
    print(json.dumps({"benchmark": "repeated_texts", **vars(arguments), **result}))
    return 0


def _measure(spark: SparkSession, scratch: str, model: ModelBytes, arguments: argparse.Namespace) -> dict[str, Any]:
    embed(spark, _write(spark, f"{scratch}/warm-up", listing_rows(spark, WARM_UP_ROWS)), model)
    feeds = {"distinct": listing_rows(spark, arguments.rows), "repeated": _repeat(spark, arguments.rows, arguments.share)}
    stopwatch, runs = Stopwatch(), list[Run]()
    for number in range(arguments.rounds):
        for name, rows in feeds.items():
            workspace = _write(spark, f"{scratch}/{name}-{number}", rows)
            runs.append(Run(name, workspace))
            runs[-1].seconds = stopwatch(lambda run=runs[-1]: run.embed(spark, model))  # type: ignore[misc]
    seconds = {name: statistics.median(run.seconds for run in runs if run.name == name) for name in feeds}
    vectors = {run.name: read_vectors(run.workspace.table("embeddings"))[0] for run in runs}
    computed = vectors["distinct"]
    differing = [key for key, vector in vectors["repeated"].items() if computed[key[0], key[1].removesuffix(AGAIN)] != vector]
    return {
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "distinct_to_repeated": round(seconds["distinct"] / seconds["repeated"], 3),
        "copies_free": round(1 / (1 - arguments.share), 3),
        "copied_rows": [run.copied for run in runs if run.name == "repeated"][0],
        "search_share": round(statistics.median(run.searched / run.seconds for run in runs if run.name == "distinct"), 4),
        "vectors_compared": len(vectors["repeated"]),
        "vectors_differing": len(differing),
        "others_share": round(stopwatch.others_share, 3),
    }


@dataclass
class Run:
    """One embed run, and how long it looked for repeats."""

    name: str
    workspace: Workspace
    seconds: float = 0.0
    searched: float = 0.0
    copied: int = 0

    def embed(self, spark: SparkSession, model: ModelBytes) -> None:
        @contextmanager
        def timed(*arguments: Any) -> Iterator[Repeats]:
            started = time.perf_counter()
            with find_repeats(*arguments) as repeats:
                self.searched = time.perf_counter() - started
                yield repeats

        with mock.patch.object(embed_module, "find_repeats", timed):
            self.copied = embed(spark, self.workspace, model).totals.copied


def _repeat(spark: SparkSession, rows: int, share: float) -> DataFrame:
    """So many listings, a share of which have the text of another one."""
    copies = int(rows * share)
    different = listing_rows(spark, rows - copies).localCheckpoint()
    again = different.orderBy(F.xxhash64("locale", "item_id", F.lit("again"))).limit(copies)
    return different.unionByName(again.withColumn("item_id", F.concat("item_id", F.lit(AGAIN))))


def _write(spark: SparkSession, folder: str, rows: DataFrame) -> Workspace:
    workspace = Workspace(folder)
    create_table(spark, workspace.table(LISTINGS.name), LISTINGS)
    merge_rows(rows, workspace.table(LISTINGS.name), LISTINGS, update_when=None)
    return workspace


if __name__ == "__main__":
    sys.exit(main())
