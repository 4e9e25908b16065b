"""Damaged CSVs through the reader alone, without Spark: every byte is accounted for, and no id is lost.

    python benchmarks/csv_under_fire.py [--feeds 12000] [--seed 100]

Files are made and damaged as in ingest_under_fire.py; every thousand has a seed of its own. The last line of stdout is one JSON
object:

    unaccounted   files whose account does not close over their bytes
    lost          ids that stand in a file, and neither in a record's item_id nor in a reject's bytes
    kept          ids of records that were read
    rejected      ids that are in rejects alone
"""

import argparse
import json
import random
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

from ingest_under_fire import ID, RECORDS, read_records
from inputs.damaged_feeds import KINDS, Record, damage, decode

from m5model.feeds.csv_rows import read_csv_text
from m5model.feeds.opening import open_text
from schemas.errors import BadDataError

EACH_SEED = 1_000
_, write_csv, SPARED_BYTES = KINDS["csv"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--feeds", type=int, default=12_000, help="files (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=100, help="of the first thousand (default: %(default)s)")
    arguments = parser.parse_args()
    totals: Counter[str] = Counter(unaccounted=0, lost=0)
    records = read_records()
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(arguments.feeds):
            if number % EACH_SEED == 0:
                source = random.Random(arguments.seed + number // EACH_SEED)
            totals.update(_read_one(Path(scratch) / "feed.csv", number % EACH_SEED, records, source))
    named = {"benchmark": "csv_under_fire", "feeds": arguments.feeds, "seed": arguments.seed}
    print(json.dumps({**named, **totals}))
    return 1 if totals["lost"] or totals["unaccounted"] else 0


def _read_one(path: Path, number: int, records: list[Record], source: random.Random) -> Counter[str]:
    """Makes, damages and reads one file."""
    feed = [{**source.choice(records), "item_id": f"i{number}-{i}x", "source": "d"} for i in range(RECORDS)]
    data = damage(write_csv(feed, source), source, SPARED_BYTES)
    path.write_bytes(data)
    try:
        size, kept, rejected = _ids_that_came(path)
    except BadDataError:
        return Counter(refused=1)
    ids = set(re.findall(ID, decode(data)))
    names = " ".join(kept)  # damage may have put an id into a longer name
    lost = [each for each in ids if each not in rejected and each not in names]
    return Counter(
        unaccounted=size != len(data), lost=len(lost), ids=len(ids), kept=len(ids & kept), rejected=len(ids & rejected - kept)
    )


def _ids_that_came(path: Path) -> tuple[int, set[str], set[str]]:
    """Bytes accounted for, ids of records, ids within rejects."""
    kept: set[str] = set()
    rejected: set[str] = set()
    with open_text(str(path)) as text:
        size = text.mark_bytes
        for block in read_csv_text(text):
            size += sum(block.sizes) + sum(block.other.values())
            for i, record in enumerate(block.records):
                if i in block.damage:
                    rejected |= set(ID.findall(record.decode("utf-8", "replace")))
                else:
                    kept.add(str(json.loads(record).get("item_id")))
    return size, kept, rejected


if __name__ == "__main__":
    sys.exit(main())
