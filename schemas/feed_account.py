"""The account of a feed's files: every byte is a record's, a header's, a separator's or a blank line's."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.errors import GateRefusedError
from schemas.report import JsonValue

MAX_FILES = 1_000  # in a report, each by itself


@dataclass(frozen=True, kw_only=True)
class Share:
    """Records of one outcome."""

    records: int = 0
    size: int = 0  # in the file's unit

    def __add__(self, other: "Share") -> "Share":
        return Share(records=self.records + other.records, size=self.size + other.size)

    def __sub__(self, other: "Share") -> "Share":
        return Share(records=self.records - other.records, size=self.size - other.size)


@dataclass(frozen=True, kw_only=True)
class FileAccount:
    """Where the bytes of one file went; of Parquet, its rows."""

    file: str
    unit: str = "bytes"
    read_as: str = ""  # its character set and where its records lie, where that is not plain
    total: int = 0  # as they came out of the file
    records: Mapping[str, Share] = field(default_factory=dict)  # by outcome
    other: Mapping[str, int] = field(default_factory=dict)  # header, separators, blank
    rejected_lines: int = 0  # physical lines of rejected regions, beyond one a region

    @property
    def unaccounted(self) -> int:
        """Below zero where something was counted twice."""
        return self.total - sum(share.size for share in self.records.values()) - sum(self.other.values())

    def as_json(self) -> dict[str, JsonValue]:
        return {
            "file": self.file,
            "unit": self.unit,
            "total": self.total,
            **({"read_as": self.read_as} if self.read_as else {}),
            **{name: size for name, size in sorted(self.other.items()) if size},
            "records": {name: {"records": share.records, "size": share.size} for name, share in sorted(self.records.items())},
            "unaccounted": self.unaccounted,
        }


def verify_accounts(accounts: Iterable[FileAccount]) -> None:
    """Raises GateRefusedError naming files of which bytes are in no record, or in two."""
    open_accounts = [account for account in accounts if account.unaccounted]
    if open_accounts:
        first = open_accounts[0]
        raise GateRefusedError(
            f"the account of {len(open_accounts):,} files does not close, that of {first.file} by {first.unaccounted:,} of "
            f"{first.total:,} {first.unit} ({first.as_json()})",
            next_step="this is a defect of M5, not of the feed: listings were left as they were; report it with this message",
        )


def sum_accounts(accounts: Sequence[FileAccount]) -> dict[str, int]:
    """Returns ``bytes`` and ``bytes_unaccounted`` of all files, ``rows`` of Parquet apart."""
    of_bytes = [account for account in accounts if account.unit != "rows"]
    return {
        "bytes": sum(account.total for account in of_bytes),
        "parquet_rows": sum(account.total for account in accounts if account.unit == "rows"),
        "bytes_unaccounted": sum(abs(account.unaccounted) for account in accounts),
    }


def list_accounts(accounts: Sequence[FileAccount]) -> list[JsonValue]:
    """Returns the accounts as a report has them: the largest files, each by itself."""
    largest = sorted(accounts, key=lambda account: (-abs(account.unaccounted), -account.total, account.file))[:MAX_FILES]
    return [account.as_json() for account in sorted(largest, key=lambda account: account.file)]
