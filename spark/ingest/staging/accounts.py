"""Counts where the bytes of each file went while they are read and judged; the driver adds up the counts of all tasks."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from m5model.feeds.blocks import Block
from schemas.feed_account import FileAccount, Share
from spark.ingest.judging.judge import Judged
from spark.ingest.reading.lines import Lines, Origin

GOOD, REJECTED = "good", "rejected"
COUNTERS = ("other", "records", "sizes", "known")


@dataclass
class FileTally:
    """Counts of one file, or of a part of it."""

    unit: str = "bytes"
    read_as: str = ""
    total: int = 0
    other: Counter[str] = field(default_factory=Counter)
    records: Counter[str] = field(default_factory=Counter)  # by GOOD or REJECTED
    sizes: Counter[str] = field(default_factory=Counter)
    rejected_lines: int = 0
    known: Counter[str] = field(default_factory=Counter)  # "records" and "size" of good ones that stand in ``listings``

    def add(self, other: "FileTally") -> None:
        """Add another's counts."""
        self.unit = other.unit if other.total else self.unit
        self.read_as = self.read_as or other.read_as
        self.total += other.total
        self.rejected_lines += other.rejected_lines
        for name in COUNTERS:
            getattr(self, name).update(getattr(other, name))

    def share_of(self, name: str) -> Share:
        """Records that are GOOD, or REJECTED."""
        return Share(records=self.records[name], size=self.sizes[name])

    @property
    def known_share(self) -> Share:
        return Share(**self.known)

    def as_account(self, file: str, outcomes: Mapping[str, Share] | None = None) -> FileAccount:
        """``outcomes`` of the good records, where they are known."""
        shares = {name: self.share_of(name) for name in self.records if self.records[name]}
        good = {GOOD: shares.pop(GOOD)} if GOOD in shares else {}
        return FileAccount(
            file=file,
            unit=self.unit,
            read_as=self.read_as,
            total=self.total,
            records={**shares, **(good if outcomes is None else outcomes)},
            other=dict(self.other),
            rejected_lines=self.rejected_lines,
        )


class FileTallies(dict[str, FileTally]):
    """Counts by file, a URI."""

    def of(self, file: str) -> FileTally:
        return self.setdefault(file, FileTally())

    def count_block(self, file: str, block: Block) -> None:
        """What is no record of a block."""
        tally = self.of(file)
        tally.unit = block.unit if block.total else tally.unit
        tally.read_as = tally.read_as or block.read_as
        tally.total += block.total
        tally.other.update(block.other)

    def count_records(self, judged: Judged, lines: Lines, origin: Origin) -> None:
        """A batch, which is of one file."""
        if origin.sizes is None or not len(origin.sizes):
            return
        tally = self.of(origin.files[0].as_py())
        rejected = pa.array(sorted(judged.verdicts), pa.int64())
        size = pc.sum(origin.sizes).as_py()
        size_rejected = pc.sum(origin.sizes.take(rejected)).as_py() or 0
        tally.sizes.update({GOOD: size - size_rejected, REJECTED: size_rejected})
        tally.records.update({GOOD: len(origin.sizes) - len(rejected), REJECTED: len(rejected)})
        tally.rejected_lines += sum(lines.physical_lines.get(i, 1) - 1 for i in judged.verdicts)
        if judged.known:
            size_known = pc.sum(origin.sizes.take(pa.array(judged.known, pa.int64()))).as_py()
            tally.known.update({"records": len(judged.known), "size": size_known})

    def add_json(self, values: Mapping[str, Mapping[str, Any]]) -> None:
        """Adds what ``as_json`` made."""
        for file, counts in values.items():
            counters = {name: Counter(counts[name]) for name in COUNTERS}
            self.of(file).add(FileTally(**{**counts, **counters}))

    def as_json(self) -> dict[str, Any]:
        return {file: vars(tally) for file, tally in self.items()}

    def as_accounts(self, outcomes: Mapping[str, Mapping[str, Share]] | None = None) -> list[FileAccount]:
        """Accounts of all files. ``outcomes`` of good records by file; without it they are just good."""
        return [
            tally.as_account(file, None if outcomes is None else outcomes.get(file, {})) for file, tally in sorted(self.items())
        ]


def sum_lines(tallies: Iterable[FileTally]) -> int:
    """Physical lines of rejected regions, beyond one a region."""
    return sum(tally.rejected_lines for tally in tallies)
