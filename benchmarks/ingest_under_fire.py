"""Thousands of damaged feeds: no crash, and every record in ``listings`` or in ``listing_rejects`` with a reason, none in both.

    python benchmarks/ingest_under_fire.py [--feeds 10000]

Each feed is a JSON Lines or CSV file of some listings whose bytes are mutated: flipped, cut, doubled, spliced with control
characters, quotes, braces and invalid UTF-8. Feeds are ingested some hundred at a time. Of every line of JSON is checked where
it ended; of CSV, where damage moves the borders of records, the accounting and the tables' counts. The last line of stdout
is one JSON object.
"""

import argparse
import hashlib
import json
import random
import sys
import tempfile
from pathlib import Path

from deltalake import DeltaTable
from inputs.listings import REAL_CATALOGUE
from pyspark.sql import SparkSession

from m5model.training.progress import say
from schemas.workspace import Workspace
from spark.ingest.ingest import ingest_feed
from spark.setup.session import build_session

BATCH = 500
RECORDS = 6
SPLICES = (
    *(b"\x00", b"\xff\xfe", b'"', b"}", b"{", b"\\", b"\n", b"\r\n", b",", b"null"),
    *(b"\xc3", b"\xed\xa0\x80", b"[[", b"\xef\xbb\xbf"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--feeds", type=int, default=10_000, help="damaged files (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the damage (default: %(default)s)")
    arguments = parser.parse_args()
    spark = build_session("m5 ingest_under_fire")
    random_source = random.Random(arguments.seed)
    records = read_records()
    totals = {"records": 0, "written": 0, "unchanged": 0, "superseded": 0, "rejected": 0, "lost": 0, "in_both": 0}
    for start in range(0, arguments.feeds, BATCH):
        with tempfile.TemporaryDirectory() as scratch:
            add = ingest_batch(spark, Path(scratch), records, min(BATCH, arguments.feeds - start), start, random_source)
        totals = {name: totals[name] + add[name] for name in totals}
        say(f"{min(start + BATCH, arguments.feeds):,} feeds: {totals}")
    spark.stop()
    print(json.dumps({"benchmark": "ingest_under_fire", "feeds": arguments.feeds, "crashes": 0, **totals}))
    return 0 if not totals["lost"] and not totals["in_both"] else 1


def read_records() -> list[dict[str, object]]:
    import pyarrow.parquet as pq

    files = sorted(REAL_CATALOGUE.glob("*.parquet"))
    if not files:
        from jobs.make_sample_catalog import main as make_sample_catalog

        folder = tempfile.mkdtemp()
        make_sample_catalog(["--out", folder, "--rows", "2000"])
        files = sorted((Path(folder) / "feeds").glob("*.parquet"))
    rows = [row for file in files for row in pq.read_table(file).slice(0, 400).to_pylist()]
    wanted = ("locale", "language", "title", "description", "brand", "category")
    return [{name: row.get(name) for name in wanted} | {"bullets": ["one", "two"]} for row in rows]


def ingest_batch(
    spark: SparkSession, folder: Path, records: list[dict[str, object]], feeds: int, start: int, source: random.Random
) -> dict[str, int]:
    """Damage, ingest and check one batch; counts by outcome."""
    lines: set[bytes] = set()
    (folder / "feed").mkdir()
    for number in range(feeds):
        chosen = [{**source.choice(records), "item_id": f"{start + number}-{i}"} for i in range(RECORDS)]
        if number % 5:
            data = damage(b"\n".join(json.dumps(record, ensure_ascii=False).encode() for record in chosen), source)
            (folder / "feed" / f"{number}.jsonl").write_bytes(data)
            lines |= {line for line in data.split(b"\n") if line.strip(b" \r")}
        else:
            (folder / "feed" / f"{number}.csv").write_bytes(damage(as_csv(chosen), source, skip=60))
    workspace = Workspace(str(folder / "workspace"))
    result = ingest_feed(spark, workspace, [str(folder / "feed")], run_id="fire", max_reject_share=1)
    account = result.accounting
    account.verify("ingest")
    listings = DeltaTable(workspace.table("listings")).to_pyarrow_table(columns=["locale", "item_id", "run_id"]).to_pylist()
    rejects = DeltaTable(workspace.table("listing_rejects")).to_pyarrow_table().to_pylist()
    keys = {(row["locale"], row["item_id"]) for row in listings}
    ids = {row["reject_id"] for row in rejects}
    lost = abs(account.written - result.deleted - len(listings)) + abs(
        account.rejected - sum(row["occurrences"] for row in rejects)
    )
    lost += sum(not row["reasons"] for row in rejects)
    accepted: set[tuple[str, str]] = set()
    for line in lines:
        if hashlib.sha256(line).hexdigest() not in ids:
            key = key_of(line)
            lost += key is None or (key not in keys and not is_tombstone(line))
            accepted |= {key} if key else set()
    of_rejects = {key_of(row["raw"]) for row in rejects if row["raw_format"] == "json"}
    in_both = len((of_rejects & keys) - accepted)
    return {
        "records": account.rows_in,
        "written": account.written,
        "unchanged": account.unchanged,
        "superseded": account.superseded,
        "rejected": account.rejected,
        "lost": lost,
        "in_both": in_both,
    }


def damage(data: bytes, source: random.Random, skip: int = 0) -> bytes:
    """Some mutations behind the first ``skip`` bytes; one feed in ten stays sound."""
    if source.random() < 0.1:
        return data
    for _ in range(source.randint(1, 6)):
        at = source.randrange(skip, max(skip + 1, len(data)))
        end = min(len(data), at + source.randint(1, 40))
        kind = source.randrange(6)
        if kind == 0:
            data = data[:at] + bytes([source.randrange(256)]) + data[at + 1 :]
        elif kind == 1:
            data = data[:at] + source.choice(SPLICES) + data[at:]
        elif kind == 2:
            data = data[:at] + data[end:]
        elif kind == 3:
            data = data[:end] + data[at:end] + data[end:]
        elif kind == 4:
            data = data[: max(skip, at)] if source.random() < 0.2 else data
        else:
            data = data[:at] + bytes(source.randrange(256) for _ in range(3)) + data[at:]
    return data


def as_csv(records: list[dict[str, object]]) -> bytes:
    import csv
    import io

    names = ["locale", "item_id", "language", "title", "description", "brand", "category", "bullets"]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(names)
    for record in records:
        writer.writerow([json.dumps(record[name]) if name == "bullets" else record.get(name) or "" for name in names])
    return out.getvalue().encode()


def key_of(line: bytes) -> tuple[str, str] | None:
    """The key as ingest has it; None where Python's own parser cannot read the line."""
    from schemas.locales import find_locale

    record = parse(line)
    if not isinstance(record, dict):
        return None
    locale, item = str(record.get("locale")), str(record.get("item_id"))
    found = find_locale(locale)
    return (found[0] if found else locale.strip(), item) if locale.strip() and item.strip() else None


def is_tombstone(line: bytes) -> bool:
    record = parse(line)
    return isinstance(record, dict) and str(record.get("deleted")).lower() == "true"


def parse(line: bytes) -> object:
    try:
        return json.loads(line.decode("utf-8-sig"), strict=False)
    except (UnicodeDecodeError, json.JSONDecodeError):
        return None


if __name__ == "__main__":
    sys.exit(main())
