"""Thousands of damaged feeds in every form: nothing is lost, nothing is deleted wrongly, and every byte is accounted for.

    python benchmarks/ingest_under_fire.py [--feeds 10000] [--batch 500]

A batch is ingested twice. First sound: JSON in four spellings, CSV in many dialects, RSS and Parquet, in three encodings,
plain and compressed, in folders with odd names, markers and links. Then anew with ``--full``, with other content, some records
gone, and the bytes of files flipped, cut, doubled and spliced; every third batch is sound then, too, so that records that are
gone are deleted. Then a file that may not be read is ingested. The last line of stdout is one JSON object:

    bytes_unaccounted   bytes and rows of files that no record, header, separator or blank line accounts for
    lost                records whose id is in a file and neither in ``listings`` of that run nor in a reject's bytes
    in_both             records that are in ``listings`` of that run and in a reject, though their file has them once
    deleted_wrongly     listings that were deleted as absent, though their id is in a file
    not_refused         files that had to be refused by name with exit code 3 and were not
    stack_traces        those in the log of this process and of its JVM, of log_bytes
"""

import argparse
import json
import os
import random
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

from deltalake import DeltaTable
from inputs.damaged_feeds import KINDS, Record, decode_reject, read_text, write_feed, write_refused
from inputs.listings import REAL_CATALOGUE
from pyspark.sql import SparkSession

from m5model.training.progress import say
from schemas.errors import BadDataError
from schemas.workspace import Workspace
from spark.ingest.ingest import IngestResult, ingest_feed
from spark.setup.session import build_session

RECORDS = 12
ID = re.compile(r"(?<![\w-])i\d+-\d+x(?!\w)")  # an id that damage has not cut or changed at an end
GONE = 0.1  # of the records, the second time
MUST_BE_ZERO = ("bytes_unaccounted", "lost", "in_both", "deleted_wrongly", "not_refused", "stack_traces")
STACK_TRACE = re.compile(rb"^Traceback \(most recent|^\tat [\w.$]+\(|^Caused by: ", re.MULTILINE)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--feeds", type=int, default=10_000, help="files (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=500, help="files that are ingested at once (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the damage (default: %(default)s)")
    arguments = parser.parse_args()
    totals: Counter[str] = Counter(dict.fromkeys(MUST_BE_ZERO, 0))
    with tempfile.NamedTemporaryFile(suffix=".log") as log:
        _keep_log(log.fileno())
        spark = build_session("m5 ingest_under_fire")
        records, source = read_records(), random.Random(arguments.seed)
        for start in range(0, arguments.feeds, arguments.batch):
            feeds = min(arguments.batch, arguments.feeds - start)
            with tempfile.TemporaryDirectory() as scratch:
                batch = Batch(spark, Path(scratch), records, range(start, start + feeds), source)
                totals.update(batch.run(damaged=start // arguments.batch % 3 != 2))
            say(f"{start + feeds:,} feeds: {dict(totals)}")
        spark.stop()
        said = Path(log.name).read_bytes()
        totals.update(stack_traces=len(STACK_TRACE.findall(said)), log_bytes=len(said))
    print(json.dumps({"benchmark": "ingest_under_fire", "feeds": arguments.feeds, "seed": arguments.seed, **totals}))
    return 1 if any(totals[name] for name in MUST_BE_ZERO) else 0


def _keep_log(log: int) -> None:
    """What this process and its JVM say on stderr goes into the log; ``say`` still reaches the terminal."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    os.dup2(log, 2)


def read_records() -> list[Record]:
    import pyarrow.parquet as pq

    files = sorted(REAL_CATALOGUE.glob("*.parquet"))
    if not files:
        from jobs.make_sample_catalog import main as make_sample_catalog

        folder = tempfile.mkdtemp()
        make_sample_catalog(["--out", folder, "--rows", "2000"])
        files = sorted((Path(folder) / "feeds").glob("*.parquet"))
    rows = [row for file in files for row in pq.read_table(file).slice(0, 400).to_pylist()]
    wanted = ("locale", "language", "title", "description", "brand", "category")
    return [{name: row.get(name) for name in wanted} | {"bullets": ["one", "two"]} for row in rows if row.get("title")]


class Batch:
    """Some files that are ingested twice."""

    def __init__(self, spark: SparkSession, folder: Path, records: list[Record], numbers: range, source: random.Random) -> None:
        self._spark, self._source = spark, source
        self._folder, self._workspace = folder, Workspace(str(folder / "workspace"))
        self._kinds = {number: source.choice([*KINDS, "csv", "json_lines"]) for number in numbers}
        self._records = {
            number: [{**source.choice(records), "item_id": f"i{number}-{i}x"} for i in range(RECORDS)] for number in numbers
        }
        self._files: dict[Path, int] = {}

    def run(self, *, damaged: bool) -> Counter[str]:
        """Counts of what must be zero, and of what happened."""
        first = self._ingest("day1", damaged=False)
        # What a title alone makes a reject of is no listing on either day.
        counts = Counter(sound_rejected=first.accounting.rejected)
        before = self._listings()
        result = self._ingest("day2", damaged=damaged)
        counts += Counter(files=len(self._files), records=result.accounting.rows_in, rejected=result.accounting.rejected)
        counts += Counter(written=result.accounting.written, deleted_as_absent=result.deleted_as_absent)
        counts += self._check_bytes(result) + self._check_records(before)
        return counts + self._check_refused()

    def _ingest(self, day: str, *, damaged: bool) -> IngestResult:
        feed = self._folder / day
        self._files = {}
        for number, kind in self._kinds.items():
            records = [{**record, "source": day} for record in self._records[number]]
            if day == "day2":
                records = [record for record in records if self._source.random() > GONE] or records[:1]
            self._files[write_feed(feed, number, kind, records, self._source, damaged=damaged)] = number
        (feed / "_SUCCESS").touch()
        (feed / "empty.jsonl").touch()
        link = feed / "link.jsonl"
        (self._folder / f"{day}.txt").write_text('{"locale": "DE", "item_id": "linked", "title": "a title"}\n')
        link.symlink_to(self._folder / f"{day}.txt")
        result = ingest_feed(self._spark, self._workspace, [str(feed)], run_id=day, max_reject_share=1, full=True)
        result.accounting.verify("ingest")
        return result

    def _listings(self) -> dict[str, str]:
        """The run that wrote each listing, by item."""
        table = DeltaTable(self._workspace.table("listings")).to_pyarrow_table(columns=["item_id", "run_id"])
        return dict(zip(table["item_id"].to_pylist(), table["run_id"].to_pylist(), strict=True))

    def _check_bytes(self, result: IngestResult) -> Counter[str]:
        totals = {account.file: account.total for account in result.accounts if account.unit != "rows"}
        expected = {path.as_uri(): len(read_text(path)[0]) for path in self._files if path.suffix.lower() != ".parquet"}
        differing = sum(abs(totals.get(file, 0) - size) for file, size in expected.items())
        return Counter(bytes_unaccounted=differing + sum(abs(account.unaccounted) for account in result.accounts))

    def _check_records(self, before: dict[str, str]) -> Counter[str]:
        """Ids that stand in a file are searched for: a record may be damaged anywhere, and its id be in several."""
        after = self._listings()
        written = {item for item, run in after.items() if run == "day2"}
        rejects = DeltaTable(self._workspace.table("listing_rejects")).to_pyarrow_table().to_pylist()
        rejected = Counter(
            item for row in rejects for item in set(ID.findall(decode_reject(row["raw"]))) if row["run_id"] == "day2"
        )
        whole_names = " ".join(written)
        found = Counter(item for path in self._files for item in self._ids_in(path))
        lost = [item for item in found if item not in written and item not in rejected and item not in whole_names]
        # Of records that stay as they were, nothing is written; of sound ones, the content has changed.
        deleted = before.keys() - after.keys()
        in_both = [item for item in found if found[item] == 1 and item in written and item in rejected]
        for name, items in (("lost", lost), ("in both", in_both), ("deleted wrongly", sorted(deleted & found.keys()))):
            if items:
                say(f"{name}: {[(item, self._kinds[int(item[1:].partition('-')[0])]) for item in items[:5]]}")
        return Counter(lost=len(lost), in_both=len(in_both), deleted_wrongly=len(deleted & found.keys()))

    def _ids_in(self, path: Path) -> list[str]:
        if path.suffix.lower() == ".parquet":
            import pyarrow.parquet as pq

            ids: list[str] = pq.ParquetFile(path).read(columns=["item_id"])["item_id"].to_pylist()
            return ids
        return ID.findall(read_text(path)[1])

    def _check_refused(self) -> Counter[str]:
        """A file that cannot be read is named, and changes nothing."""
        feed = self._folder / "refused"
        feed.mkdir()
        path, before = write_refused(feed, self._source), self._listings()
        try:
            ingest_feed(self._spark, self._workspace, [str(feed)], run_id="refused", max_reject_share=1, full=True)
        except BadDataError as error:
            if path.name in str(error) and error.next_step and self._listings() == before:
                return Counter(refused=1)
        say(f"not refused: {path.name}")
        return Counter(not_refused=1)


if __name__ == "__main__":
    sys.exit(main())
