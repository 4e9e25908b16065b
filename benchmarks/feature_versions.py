"""Are versions of a view exact? Profiles, differences and rollbacks under random publications, and rollbacks that are killed.

    python benchmarks/feature_versions.py [--rows 100000] [--publications 20] [--kills 20]

Counts what is wrong: profiles made from changed files beside profiles of all rows, differences beside a dictionary of the rows,
bytes after a rollback, readers that saw a half, repeats that failed, files left over. All must be 0. No Spark.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake

from m5model.features.difference import compare_versions
from m5model.features.holds import find_hold, release_view
from m5model.features.measure import measure_rows
from m5model.features.profiles import describe_columns, describe_key, find_profile
from m5model.features.publications import describe_commit, read_publications
from m5model.features.rollback import roll_back
from m5model.features.scanning import scan_files
from schemas.workspace import Workspace

VIEW = "scores"
COLUMNS = [{"name": "locale", "type": "string"}, {"name": "item_id", "type": "string"}]
COLUMNS += [{"name": "score", "type": "float", "unit": "-1 to 1"}, {"name": "brand", "type": "string"}]
DECLARED = {"name": VIEW, "key": ["locale", "item_id"], "columns": [{"unit": "", "meaning": "", **one} for one in COLUMNS]}
SCHEMA = pa.schema([("locale", pa.string()), ("item_id", pa.string()), ("score", pa.float32()), ("brand", pa.string())])
FILES = 20  # a publication replaces some of them, as a MERGE does
Rows = dict[tuple[str, str], tuple[float, str | None]]


def draw_row(draw: random.Random) -> tuple[float, str | None]:
    return round(draw.uniform(-1, 1) * 1024) / 1024, draw.choice(["Acme", "Zephyr", None])


def publish(path: str, rows: Rows, parts: set[int]) -> None:
    """Replace the rows whose key falls into ``parts``, in one commit."""
    chosen = {key: values for key, values in rows.items() if int(key[1]) % FILES in parts}
    table = pa.Table.from_pylist(
        [{"locale": key[0], "item_id": key[1], "score": one[0], "brand": one[1]} for key, one in chosen.items()], SCHEMA
    )
    metadata = describe_commit("publish", {"space_id": "drawn", "listings_version": 0}, {}, DECLARED)
    commit = CommitProperties(custom_metadata={"userMetadata": metadata})
    table = table.append_column("part", pa.array([int(key[1]) % FILES for key in chosen], pa.int32()))
    predicate = f"part IN ({', '.join(map(str, sorted(parts)))})" if DeltaTable.is_deltatable(path) else None
    write_deltalake(path, table, mode="overwrite", partition_by=["part"], predicate=predicate, commit_properties=commit)


def change(rows: Rows, parts: set[int], draw: random.Random) -> Rows:
    """Some rows of those parts come, go and change."""
    changed = dict(rows)
    for key in [key for key in rows if int(key[1]) % FILES in parts]:
        fate = draw.random()
        if fate < 0.01:
            del changed[key]
        elif fate < 0.05:
            changed[key] = draw_row(draw)
    for _ in range(len(rows) // 1000):
        number = draw.randrange(10**9) // FILES * FILES + draw.choice(sorted(parts))
        changed[draw.choice(["DE", "JP", "US"]), str(number)] = draw_row(draw)
    return changed


def count_wrong_differences(workspace: Workspace, old: int, new: int, before: Rows, after: Rows) -> int:
    found = compare_versions(workspace, VIEW, old, new).rows
    both = before.keys() & after.keys()
    changed = sum(before[key] != after[key] for key in both)
    expected = (len(after) - len(both), len(before) - len(both), changed, len(both) - changed)
    return int((found.added, found.removed, found.changed, found.same) != expected)


def is_profile_wrong(workspace: Workspace, path: str) -> int:
    published = read_publications(path)
    table = DeltaTable(path)
    whole = measure_rows(scan_files(table), describe_columns(table, published[-1]), describe_key(published[-1]))
    return int(find_profile(workspace, VIEW, published).profile != whole)


def read_files(path: str, version: int | None = None) -> dict[str, bytes]:
    return {Path(file).name: Path(file).read_bytes() for file in DeltaTable(path, version=version).file_uris()}


def kill_rollbacks(workspace: Workspace, path: str, versions: list[int], kills: int, draw: random.Random) -> dict[str, int]:
    """Start a rollback, kill it at a random moment, look at what readers see, and repeat it."""
    command = [sys.executable, "-c", "import sys; from m5model.cli import main; sys.exit(main())", "features", "rollback", VIEW]
    began = time.monotonic()
    subprocess.run([*command, str(versions[0]), "--workspace", workspace.root], check=True, capture_output=True)
    whole_seconds = time.monotonic() - began
    counts = {"kills": 0, "done_before_the_kill": 0, "half_seen": 0, "repeats_failed": 0}
    for number in range(kills):
        target = versions[1 + number % (len(versions) - 1)]
        before, wanted = read_files(path), read_files(path, target)
        process = subprocess.Popen([*command, str(target), "--workspace", workspace.root], stdout=subprocess.DEVNULL)
        time.sleep(draw.uniform(0.5, 1.3) * whole_seconds)
        process.kill()
        counts["kills"] += 1
        process.wait()
        seen = read_files(path)
        counts["half_seen"] += seen not in (before, wanted)
        counts["done_before_the_kill"] += seen == wanted
        roll_back(workspace, VIEW, target)
        hold = find_hold(path)
        counts["repeats_failed"] += read_files(path) != wanted or hold is None or hold.restored != target
    return counts


def left_over(path: str) -> int:
    """Data files that no version knows, and files that a commit was still to become."""
    known = {name for version in range(DeltaTable(path).version() + 1) for name in read_files(path, version)}
    data = [file for file in Path(path).rglob("*.parquet") if "_delta_log" not in file.parts]
    return sum(file.name not in known for file in data) + len(list(Path(path).rglob("*.tmp")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--publications", type=int, default=20)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    draw = random.Random(given.seed)
    with tempfile.TemporaryDirectory(prefix="m5-versions-") as folder:
        sys.stdout.write(json.dumps(measure(Workspace(folder), given, draw)) + "\n")


def measure(workspace: Workspace, given: argparse.Namespace, draw: random.Random) -> dict[str, Any]:
    path = workspace.table(f"features/{VIEW}")
    rows: Rows = {(draw.choice(["DE", "JP", "US"]), str(number)): draw_row(draw) for number in range(given.rows)}
    publish(path, rows, set(range(FILES)))
    wrong = {"profiles": is_profile_wrong(workspace, path), "differences": 0, "rollbacks": 0}
    began = time.monotonic()
    for number in range(given.publications):
        parts = set(draw.sample(range(FILES), draw.randrange(1, 4)))
        after = change(rows, parts, draw)
        publish(path, after, parts)
        wrong["profiles"] += is_profile_wrong(workspace, path)
        wrong["differences"] += count_wrong_differences(workspace, number, number + 1, rows, after)
        rows = after
    seconds = time.monotonic() - began
    versions = [one.version for one in read_publications(path)]
    for target in draw.sample(versions, min(5, len(versions))):
        wanted = read_files(path, target)
        roll_back(workspace, VIEW, target)
        wrong["rollbacks"] += (read_files(path) != wanted) + is_profile_wrong(workspace, path)
    killed = kill_rollbacks(workspace, path, draw.sample(versions, min(6, len(versions))), given.kills, draw)
    released = release_view(workspace, VIEW) is not None and find_hold(path) is None
    return {
        "rows": given.rows,
        "publications": given.publications,
        "wrong": wrong,
        "killed": killed,
        "left_over": left_over(path),
        "released": released,
        "seconds_of_publications": round(seconds, 1),
    }


if __name__ == "__main__":
    main()
