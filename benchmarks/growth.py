"""The embed job at growing sizes, everything included but Spark's start: does it slow down, does memory grow?

    python benchmarks/growth.py [--rows 10000 100000 1000000] [--preset tiny]

Each size is a workspace of its own, in one Spark session, smallest first. Memory: the driver's live heap after a collection,
the largest Python worker's peak of resident memory. The last line of stdout is one JSON object.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from inputs.catalogue import write_listings
from inputs.embeddings import embed
from inputs.listings import read_texts
from inputs.memory import live_heap_mb, resident_mb
from inputs.students import make_student

from schemas.workspace import Workspace
from spark.embedding.engine import engine_settings
from spark.setup.session import build_session


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], help="sizes (default: %(default)s)"
    )
    parser.add_argument("--preset", default="tiny", help="size of the student (default: %(default)s)")
    arguments = parser.parse_args()
    sizes = []
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "student").mkdir()
        model = make_student(Path(scratch) / "student", arguments.preset, read_texts(20_000, seed=1)[0])
        spark = build_session("growth", settings=engine_settings)
        warm_up = Workspace(f"{scratch}/warm-up")
        write_listings(spark, warm_up, 2_000)
        embed(spark, warm_up, model)
        for rows in arguments.rows:
            workspace = Workspace(f"{scratch}/{rows}")
            write_listings(spark, workspace, rows)
            started = time.perf_counter()
            result = embed(spark, workspace, model)
            seconds = time.perf_counter() - started
            memory = {"driver": live_heap_mb(spark), "worker": resident_mb()["worker"]}
            figures = {"rows": rows, "seconds": round(seconds, 1), "rows_per_s": round(rows / seconds, 1)}
            figures |= {"wave_rows_per_s": round(result.totals.rows_per_s, 1), "waves": len(result.totals.waves)}
            sizes.append(figures | {f"{name}_mb": round(value, 1) for name, value in memory.items()})
            print(sizes[-1], file=sys.stderr, flush=True)
        spark.stop()
    first, last = sizes[0], sizes[-1]
    growth = {name: last[f"{name}_mb"] - first[f"{name}_mb"] for name in ("driver", "worker")}
    figures = {
        "benchmark": "growth",
        "preset": arguments.preset,
        "sizes": sizes,
        "rows_per_s_ratio": round(last["rows_per_s"] / first["rows_per_s"], 3),
        "driver_heap_growth_mb": round(growth["driver"], 1),
        "worker_rss_growth_mb": round(growth["worker"], 1),
        "rss_growth_mb": round(max(growth.values()), 1),
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
