"""Does the site of a workspace cost what its rows or what its files cost? Workspaces of one row a file up to billions of rows.

    python benchmarks/site_growth.py [--files 1000 20000]

Each workspace has listings of 15 locales and embeddings in buckets: so many files each (hard links of a few), whose statistics
state 100,000 rows. Logs and statistics are those of a large table; bytes that are read of data files are real, and bounded.
Small: a workspace of 1,200 listings that are what they state. The last line of stdout is one JSON object.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake

from m5model.reports.site.gather import gather_facts
from m5model.reports.site.writing import write_site
from schemas.locales import LOCALES
from schemas.workspace import Workspace

STATED_ROWS = 100_000  # of a file of the large workspaces
BUCKETS = 512
DIMENSIONS = 384
SPACE = "5" * 16


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--files", type=int, nargs="+", default=[1_000, 20_000], help="files of each table (default: %(default)s)"
    )
    arguments = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        measure(_small(Workspace(f"{scratch}/warm")), f"{scratch}/out")
        found.append({"files": 30, **measure(_small(Workspace(f"{scratch}/small")), f"{scratch}/out-small")})
        for files in arguments.files:
            workspace = _large(Workspace(f"{scratch}/{files}"), files)
            found.append({"files": 2 * files, **measure(workspace, f"{scratch}/out-{files}")})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    slowest = found[-1]["seconds"] / found[0]["seconds"]
    print(json.dumps({"sites": found, "largest_to_small": round(slowest, 1), "peak_mb": round(peak)}))
    return 0


def measure(workspace: Workspace, out: str) -> dict[str, Any]:
    started = time.perf_counter()
    facts = gather_facts(workspace)
    site = write_site(facts, out)
    seconds = time.perf_counter() - started
    listings = facts.table("listings")
    return {
        "rows": listings.rows if listings else None,
        "seconds": round(seconds, 2),
        "site_kb": round(site.bytes / 1e3),
        "not_readable": [one.message for one in facts.broken],
    }


def _small(workspace: Workspace) -> Workspace:
    rows = _listings(80)
    write_deltalake(workspace.table("listings"), rows, partition_by=["locale"])
    write_deltalake(workspace.table("embeddings"), _embeddings(rows, 8), partition_by=["bucket"])
    return workspace


def _large(workspace: Workspace, files: int) -> Workspace:
    rows = _listings(80)
    write_deltalake(workspace.table("listings"), rows, partition_by=["locale"])
    write_deltalake(workspace.table("embeddings"), _embeddings(rows, BUCKETS), partition_by=["bucket"])
    for name in ("listings", "embeddings"):
        _multiply(Path(workspace.table(name)), files)
    return workspace


def _multiply(table: Path, files: int) -> None:
    """Let the table have so many files, hard links of those that it has, which state STATED_ROWS each."""
    log = table / "_delta_log" / f"{0:020d}.json"
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    added = [action["add"] for action in actions if "add" in action]
    kept = [action for action in actions if "add" not in action]
    for number in range(files):
        original = added[number % len(added)]
        stats = json.loads(original["stats"]) | {"numRecords": STATED_ROWS}
        path = original["path"].replace(".parquet", f"-{number}.parquet")
        os.link(table / original["path"], table / path)
        kept.append({"add": {**original, "path": path, "stats": json.dumps(stats)}})
    log.write_text("".join(json.dumps(action) + "\n" for action in kept))


def _listings(of_locale: int) -> pa.Table:
    rows = [
        {"locale": code, "item_id": f"{code}{number:06}", "language": locale.languages[0], "title": f"title {number} of {code}"}
        for code, locale in LOCALES.items()
        for number in range(of_locale)
    ]
    return pa.Table.from_pylist(rows)


def _embeddings(listings: pa.Table, buckets: int) -> pa.Table:
    vectors = np.random.default_rng(0).normal(size=(listings.num_rows, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return pa.table(
        {
            "locale": listings["locale"],
            "item_id": listings["item_id"],
            "space_id": [SPACE] * listings.num_rows,
            "vector": pa.array(list(vectors), pa.list_(pa.float32())),
            "bucket": pa.array(np.arange(listings.num_rows) % buckets, pa.int32()),
        }
    )


if __name__ == "__main__":
    sys.exit(main())
