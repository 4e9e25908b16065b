"""Ingest against a plain copy of the same feed: read by Spark with its schema and written as a Delta table.

    python benchmarks/ingest_throughput.py [--rows 1000000] [--rounds 3]

Same session, cores and files; Spark's start is left out, and both have run on a tenth of the rows before. ``ingest_to_copy``
is the copy's rows/s over ingest's where the feed declares its languages, ``ingest_to_copy_detecting`` where no record does.
In every round each stands between two copies, and counts against their mean; the round of the median counts, ``ratios`` are
all of them. ``csv_to_copy`` and ``parquet_to_copy`` are the same for these forms (a copy of CSV leaves lists and maps as
texts), and ``csv_to_json`` and ``parquet_to_json`` are their seconds over those of JSON Lines. ``copy_to_copy`` is the
slowest copy over the fastest: how much the machine itself changed meanwhile. ``unchanged_to_new`` and ``unchanged_to_copy``
are of a second ingest of the same feed, which finds nothing new; ``reordered_to_new`` is of a feed with the same records in
another order, in other files, with their fields in another order, so that no file has bytes that were read before.
``cpu`` has these ratios over seconds of a core, which what others do on the machine changes less, and ``cpu_us_per_record``
what they are of.
``pass_share`` is the pass's part of an ingest: reading,
repairing, judging, writing and counting every record; the rest settles and commits. The last line of stdout is one JSON
object.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from inputs.feeds import write_feed, write_reordered
from inputs.memory import live_heap_mb
from inputs.process_tree import cpu_seconds_of_tree
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from m5model.training.progress import say
from schemas.listing import FEED_COLUMNS, LISTINGS
from schemas.workspace import Workspace
from spark.delta.tables import spark_schema
from spark.ingest import ingest
from spark.setup.session import build_session

WARM_UP_ROWS = 5_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="records of the large feed (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of copy, ingest, copy (default: %(default)s)")
    arguments = parser.parse_args()
    rows, tenth = arguments.rows, max(1, arguments.rows // 10)
    spark = build_session("m5 ingest_throughput")
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(spark, Path(scratch))
        for declared in (True, False):
            bench.ingest(WARM_UP_ROWS, declared=declared)
        bench.copy(WARM_UP_ROWS)
        small = bench.ingest(tenth, declared=True)
        small_heap = live_heap_mb(spark)
        bench.copy(tenth)
        copies, ingests, passes, detectings = [bench.copy(rows)], [], [], []
        for _ in range(arguments.rounds):
            ingests.append(bench.ingest(rows, declared=True))
            passes.append(bench.stage_seconds)
            copies.append(bench.copy(rows))
            detectings.append(bench.ingest(rows, declared=False))
            copies.append(bench.copy(rows))
        large_heap = live_heap_mb(spark)
        again = [bench.ingest(rows, declared=True, again=True) for _ in range(arguments.rounds)]
        reordered = [bench.ingest(rows, declared=True, again=True, reordered=True) for _ in range(arguments.rounds)]
        forms = {form: bench.compare(rows, form, arguments.rounds) for form in ("csv", "parquet")}
    large, copied = statistics.median(ingests), statistics.median(copies)
    around = [(before + after) / 2 for before, after in zip(copies, copies[1:], strict=False)]
    ratios = [seconds / copy for seconds, copy in zip(ingests, around[::2], strict=True)]
    detecting = [seconds / copy for seconds, copy in zip(detectings, around[1::2], strict=True)]
    figures = {
        "benchmark": "ingest_throughput",
        "rows": rows,
        "ingest_rows_per_s": round(rows / large),
        "copy_rows_per_s": round(rows / copied),
        "ingest_to_copy": round(statistics.median(ratios), 3),
        "ingest_to_copy_detecting": round(statistics.median(detecting), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "copy_to_copy": round(max(copies) / min(copies), 3),
        **{f"{form}_to_copy": round(ratio, 3) for form, (ratio, _) in forms.items()},
        **{f"{form}_to_json": round(seconds / large, 3) for form, (_, seconds) in forms.items()},
        "unchanged_to_copy": round(statistics.median(again) / copied, 3),
        "unchanged_to_new": round(statistics.median(again) / large, 3),
        "reordered_to_new": round(statistics.median(reordered) / large, 3),
        "cpu": bench.compare_cpu(rows),
        "cpu_us_per_record": bench.cpu_per_record(rows),
        "rejected_share": bench.rejected / rows,
        f"seconds_at_{_short(tenth)}": round(small, 1),
        f"seconds_at_{_short(rows)}": round(large, 1),
        "ten_times_the_rows": round(large / small, 2),
        "pass_share": round(statistics.median(passes) / large, 3),
        "heap_growth_mb": round(large_heap - small_heap, 1),
    }
    spark.stop()
    print(json.dumps(figures))
    return 0


class Bench:
    """Feeds are written once; every timed run goes into a workspace of its own, but for a repeated one."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self._spark, self._folder = spark, folder
        self._copies = 0
        self._ingests: dict[str, int] = {}
        self._cpu: dict[tuple[str, str, int], list[float]] = {}  # seconds of a core, by what, form and rows
        self.rejected = 0
        self.stage_seconds = 0.0

    def compare(self, rows: int, form: str, rounds: int) -> tuple[float, float]:
        """Ingest over a copy of the same form, and ingest's seconds; medians."""
        for warm_up in (self.copy, lambda count, form: self.ingest(count, declared=True, form=form)):
            warm_up(WARM_UP_ROWS, form)
        copies, ingests = [self.copy(rows, form)], []
        for _ in range(rounds):
            ingests.append(self.ingest(rows, declared=True, form=form))
            copies.append(self.copy(rows, form))
        around = [(before + after) / 2 for before, after in zip(copies, copies[1:], strict=False)]
        ratios = [seconds / copy for seconds, copy in zip(ingests, around, strict=True)]
        return statistics.median(ratios), statistics.median(ingests)

    def ingest(self, rows: int, *, declared: bool, again: bool = False, form: str = "jsonl", reordered: bool = False) -> float:
        """Seconds. ``again``: into the workspace that has these records already."""
        first = self._feed(rows, declared, form)
        feed = self._feed(rows, declared, form, reordered=True) if reordered else first
        if not again:
            self._ingests[first] = self._ingests.get(first, 0) + 1
        workspace = Workspace(f"{first}-workspace-{self._ingests[first]}")
        started, cpu = time.monotonic(), cpu_seconds_of_tree(os.getpid())
        with self._timed_pass():
            result = ingest.ingest_feed(self._spark, workspace, [feed], run_id=f"run-{again}", max_reject_share=1)
        seconds = time.monotonic() - started
        result.accounting.verify("ingest")
        self.rejected = result.accounting.rejected
        if again and result.accounting.unchanged != rows - self.rejected:
            raise SystemExit(f"a feed that brings nothing new changed something: {result.accounting}")
        kind = "reordered" if reordered else "again" if again else "declared" if declared else "detecting"
        self._keep_cpu(kind, form, rows, cpu)
        say(f"ingest {form} {kind}: {rows:,} in {seconds:.1f} s, the pass {self.stage_seconds:.1f} s")
        return seconds

    def copy(self, rows: int, form: str = "jsonl") -> float:
        """Seconds to read the declared feed with its schema and write it as it is."""
        feed = self._feed(rows, True, form)
        schema = spark_schema(LISTINGS)
        fields = [schema[column.name] for column in FEED_COLUMNS]
        self._copies += 1
        started, cpu = time.monotonic(), cpu_seconds_of_tree(os.getpid())
        records = self._read(feed, type(schema)(fields), form)
        records.write.format("delta").partitionBy("locale").save(f"{feed}-copy-{self._copies}")
        seconds = time.monotonic() - started
        self._keep_cpu("copy", form, rows, cpu)
        say(f"copy {form}: {rows:,} in {seconds:.1f} s")
        return seconds

    def _keep_cpu(self, kind: str, form: str, rows: int, before: float) -> None:
        self._cpu.setdefault((kind, form, rows), []).append(cpu_seconds_of_tree(os.getpid()) - before)

    def compare_cpu(self, rows: int) -> dict[str, float]:
        """The ratios once more, over seconds of a core: what others do on the machine is not in them."""
        median = {key: statistics.median(seconds) for key, seconds in self._cpu.items()}
        new = median["declared", "jsonl", rows]
        ratios = {
            f"{'ingest' if form == 'jsonl' else form}_to_copy": median["declared", form, rows] / median["copy", form, rows]
            for form in ("jsonl", "csv", "parquet")
        }
        ratios |= {
            f"{name}_to_new": median[kind, "jsonl", rows] / new
            for name, kind in (("unchanged", "again"), ("reordered", "reordered"))
        }
        return {name: round(ratio, 3) for name, ratio in ratios.items()}

    def cpu_per_record(self, rows: int) -> dict[str, float]:
        """Microseconds of a core for a record, medians, by what and form."""
        of_rows = {key[:2]: statistics.median(seconds) for key, seconds in self._cpu.items() if key[2] == rows}
        return {f"{kind}_{form}": round(seconds / rows * 1e6, 1) for (kind, form), seconds in sorted(of_rows.items())}

    def _read(self, feed: str, schema: StructType, form: str) -> DataFrame:
        if form == "csv":
            texts = ", ".join(f"{field.name} string" for field in schema.fields)
            reader = self._spark.read.schema(texts).option("header", "true").option("multiLine", "true").option("escape", '"')
            return reader.csv(feed)
        return self._spark.read.schema(schema).format({"jsonl": "json"}.get(form, form)).load(feed)

    def _feed(self, rows: int, declared: bool, form: str, *, reordered: bool = False) -> str:
        path = self._folder / f"{rows}-{'declared' if declared else 'undeclared'}-{form}"
        feed = str(path) if path.exists() else write_feed(self._spark, self._folder, rows, declared=declared, form=form)
        if reordered and not Path(f"{feed}-reordered").exists():
            write_reordered(self._spark, feed)
        return f"{feed}-reordered" if reordered else feed

    @contextmanager
    def _timed_pass(self) -> Iterator[None]:
        original = ingest.stage_records

        @contextmanager
        def timed(*arguments):  # type: ignore[no-untyped-def]
            started = time.monotonic()
            with original(*arguments) as stage:
                self.stage_seconds = time.monotonic() - started
                yield stage

        with mock.patch.object(ingest, "stage_records", timed):
            yield


def _short(rows: int) -> str:
    return f"{rows // 1_000_000}m" if rows % 1_000_000 == 0 else f"{rows // 1_000}k" if rows % 1_000 == 0 else str(rows)


if __name__ == "__main__":
    sys.exit(main())
