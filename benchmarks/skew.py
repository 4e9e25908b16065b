"""What skew costs the embed job: one locale with 90% of the rows; texts from 1 to 100,000 characters.

    python benchmarks/skew.py [--rows 20000] [--preset mini]

Three workspaces of the same number of listings: even; all but a tenth moved into one locale; and of a hundred listings one
with a title of 1 character alone, one with a title of 100,000. The job runs on each, ``--rounds`` times in turn, Spark's start
left out; medians are compared: rows/s for the locale, tokens/s (of what the model reads) for the lengths. The last line of
stdout is one JSON object.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from inputs.catalogue import write_listings
from inputs.embeddings import embed
from inputs.listings import read_texts
from inputs.students import make_student
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from m5model.files import storage
from m5model.training.progress import say
from schemas.listing import LISTINGS
from schemas.workspace import Workspace
from spark.embedding.engine import engine_settings
from spark.setup.session import build_session

LONGEST = 100_000
WARM_UP_ROWS = 2_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000, help="listings (default: %(default)s)")
    parser.add_argument("--preset", default="mini", help="size of the student (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="timings of each (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "student").mkdir()
        model = make_student(Path(scratch) / "student", arguments.preset, read_texts(20_000, seed=1)[0])
        spark = build_session("skew", settings=engine_settings)
        warm_up = Workspace(f"{scratch}/warm-up")
        write_listings(spark, warm_up, WARM_UP_ROWS)
        embed(spark, warm_up, model)
        workspaces = {name: Workspace(f"{scratch}/{name}") for name in ("even", "locale", "lengths")}
        for name, workspace in workspaces.items():
            write_listings(spark, workspace, arguments.rows)
            skew(spark, workspace, name)
        rows_per_s: dict[str, list[float]] = {name: [] for name in workspaces}
        tokens_per_s: dict[str, list[float]] = {name: [] for name in workspaces}
        for _ in range(arguments.rounds):
            for name, workspace in workspaces.items():
                storage.delete_folder(workspace.table("embeddings"))
                started = time.perf_counter()
                result = embed(spark, workspace, model)
                seconds = time.perf_counter() - started
                rows_per_s[name].append(result.totals.rows / seconds)
                tokens_per_s[name].append(result.totals.tokens / seconds)
                say(f"{name}: {result.totals.rows:,} rows, {result.totals.tokens:,} tokens in {seconds:.1f} s")
        spark.stop()
    rows = {name: statistics.median(rates) for name, rates in rows_per_s.items()}
    tokens = {name: statistics.median(rates) for name, rates in tokens_per_s.items()}
    figures = {
        "benchmark": "skew",
        "rows": arguments.rows,
        "preset": arguments.preset,
        "rows_per_s": {name: round(rate, 1) for name, rate in rows.items()},
        "tokens_per_s": {name: round(rate) for name, rate in tokens.items()},
        "locale_cost": round(1 - rows["locale"] / rows["even"], 3),
        "lengths_cost": round(1 - tokens["lengths"] / tokens["even"], 3),
    }
    print(json.dumps(figures))
    return 0


def skew(spark: SparkSession, workspace: Workspace, kind: str) -> None:
    """Change the listings of a workspace in place."""
    if kind == "even":
        return
    path = workspace.table(LISTINGS.name)
    rows = spark.read.format("delta").load(path)
    place = F.pmod(F.xxhash64("locale", "item_id"), F.lit(100))
    if kind == "locale":
        moved = F.concat("locale", F.lit("-"), "item_id")  # the key stays unique
        rows = rows.withColumn("item_id", F.when(place < 90, moved).otherwise(F.col("item_id")))
        rows = rows.withColumn("locale", F.when(place < 90, F.lit("US")).otherwise(F.col("locale")))
    else:
        long = F.substring(F.repeat(F.concat("title", F.lit(" ")), LONGEST // 4), 1, LONGEST)
        title = F.when(place == 0, F.left("title", F.lit(1))).when(place == 1, long)
        rows = rows.withColumn("title", F.coalesce(title, F.col("title")))
        for name in ("description", "brand", "category"):
            rows = rows.withColumn(name, F.when(place > 0, F.col(name)))
    rows.localCheckpoint().write.format("delta").mode("overwrite").save(path)


if __name__ == "__main__":
    sys.exit(main())
