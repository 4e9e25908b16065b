"""The report that a job ends with: every row accounted for, by named reason."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from schemas.errors import GateRefusedError

# Share of bad records beyond which ingest and embed end with exit code 3.
DEFAULT_MAX_REJECT_SHARE = 0.05

_START = r"\d{8}T\d{6}-[0-9a-f]{8}"

JsonValue = int | float | str | bool | None | list["JsonValue"] | dict[str, "JsonValue"]


@dataclass(frozen=True, kw_only=True)
class Accounting:
    """rows in = written + unchanged + superseded + left out + rejected.

    ``left_out`` and ``rejected_records`` are by reason. A rejected record can have several reasons but is counted once in
    ``rejected``; ``rejected_reasons`` counts reasons and may add up to more.
    """

    rows_in: int
    written: int
    unchanged: int = 0
    superseded: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    rejected: int = 0
    rejected_reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def accounted(self) -> int:
        return self.written + self.unchanged + self.superseded + sum(self.left_out.values()) + self.rejected

    def verify(self, job: str) -> None:
        """Raise ``GateRefusedError`` unless every row in is accounted for exactly once."""
        if self.accounted != self.rows_in:
            raise GateRefusedError(
                f"{job} does not account for every row: {self.rows_in} in, {self.accounted} accounted for ({self.as_json()})",
                next_step="this is a defect of M5, not of the data: keep the workspace and report it with this message",
            )

    def as_json(self) -> dict[str, JsonValue]:
        return {
            "rows_in": self.rows_in,
            "written": self.written,
            "unchanged": self.unchanged,
            "superseded": self.superseded,
            "left_out": dict(self.left_out),
            "rejected": self.rejected,
            "rejected_reasons": dict(self.rejected_reasons),
        }


def new_start() -> str:
    """A name that no other start of any job has: when, and a random part."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"


def report_name(run_id: str, start: str) -> str:
    """The report's name, without ending. A run id may be that of several starts (a run that was resumed); a report's is not."""
    return run_id if run_id.endswith(start) else f"{run_id}-{start}"


def is_report_of(run_id: str, file: str) -> bool:
    """Is ``file`` the name of a report of that run? Those of older versions are named by the run alone."""
    return re.fullmatch(rf"{re.escape(run_id)}(-{_START})?\.json", file) is not None


@dataclass(frozen=True, kw_only=True)
class JobReport:
    """The last line that a job prints, and a file of its own in ``reports``."""

    job: str
    run_id: str  # names the work: the same for a run and what resumes it
    report: str  # the file
    workspace: str
    seconds: float
    figures: Mapping[str, JsonValue]  # what is particular to the job
    accounting: Accounting | None = None  # ingest, sample and embed; the other jobs report rows read and made in figures
    warnings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, JsonValue]:
        report: dict[str, JsonValue] = {
            "job": self.job,
            "run_id": self.run_id,
            "report": self.report,
            "workspace": self.workspace,
            "seconds": round(self.seconds, 3),
            **dict(self.figures),
            "warnings": list(self.warnings),
        }
        if self.accounting is not None:
            report["accounting"] = self.accounting.as_json()
        return report
