"""Holds the facts of a workspace's site as plain values: ``gather`` finds them, ``pages`` shows them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from m5model.reports.model.facts import Projection, ShownListing
from schemas.bundle import BundleManifest
from schemas.experiment import ExperimentManifest
from schemas.figure import Figure
from schemas.labels import LabelSetManifest
from schemas.release import ReleaseEvidence, ReleaseRecord
from schemas.report import JsonValue
from schemas.training_set import TrainingSetManifest


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A part of the workspace that could not be read. The site shows it, and goes on with the others."""

    page: str  # the page that it would be on
    what: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of a table, or of a view as it was published."""

    number: int
    at: str  # ISO 8601, UTC
    operation: str


@dataclass(frozen=True, kw_only=True)
class TableFacts:
    """A Delta table, as its log and the statistics of its files say it is."""

    name: str
    version: int
    at: str  # when the newest commit in the log that changed rows was made; ISO 8601, UTC
    rows: int | None  # None where a file has no statistics
    files: int
    bytes: int
    rows_by_locale: Mapping[str, int]  # empty where the log does not say
    nulls: Mapping[str, int]  # rows without a value, by column; columns that every file has statistics of
    versions: Sequence[Version]  # the newest ones that the log holds, newest first
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class LanguageCounts:
    """Listings by locale and language."""

    by_locale: Mapping[str, Mapping[str, int]]
    of_rows: int  # listings that were looked at
    is_whole: bool  # all listings were looked at; else a sample of each locale

    @property
    def by_language(self) -> dict[str, int]:
        """Sums over locales; of a sample, they say nothing, because locales are sampled alike."""
        sums: dict[str, int] = {}
        for languages in self.by_locale.values():
            for language, rows in languages.items():
                sums[language] = sums.get(language, 0) + rows
        return dict(sorted(sums.items(), key=lambda entry: (-entry[1], entry[0])))


@dataclass(frozen=True, kw_only=True)
class SpaceFacts:
    """The vectors of one space in ``embeddings``."""

    space_id: str
    rows: int
    is_counted: bool  # else estimated from some of the files
    bundles: Sequence[str]  # that give them


@dataclass(frozen=True, kw_only=True)
class Near:
    """A listing of the sample, and those of the sample that are nearest to it."""

    listing: ShownListing
    others: Sequence[tuple[ShownListing, float]]  # with their cosines, the nearest first


@dataclass(frozen=True, kw_only=True)
class MapFacts:
    """A sample of one space's vectors in two dimensions."""

    space_id: str
    rows: int  # vectors of the space
    read_rows: int  # vectors that the sample was drawn from
    listings: Sequence[ShownListing]
    projection: Projection
    names_are_known: bool  # languages and titles were looked up; else the language is the locale's most usual one
    near: Sequence[Near]


@dataclass(frozen=True, kw_only=True)
class ColumnFacts:
    """A column that a view declares."""

    name: str
    type: str
    unit: str
    meaning: str
    nulls: int | None  # rows without a value; None where the log does not say


@dataclass(frozen=True, kw_only=True)
class ViewFacts:
    """A feature view as readers see it now."""

    name: str
    owner: str
    description: str
    key: Sequence[str]
    columns: Sequence[ColumnFacts]
    freshness_hours: int | None
    table: TableFacts
    published: Sequence[Version]  # newest first
    space_id: str  # of the newest publication; empty where nobody knows
    listings_version: int | None
    embeddings_version: int | None
    waits_since: str  # when listings or vectors changed first after what it was made from; empty where it shows every change
    due: str  # when that change must show by the declaration; empty where nothing waits
    held: str  # which version a rollback holds it at, in words; empty where it is not held
    rows_by_locale: Mapping[str, int]  # empty where neither the log nor a profile says
    coverage: Mapping[str, float]  # share of the listings that have a row, by locale; empty without a profile
    drift: Sequence[Figure]  # of the newest version against the one before; empty without profiles of both


@dataclass(frozen=True, kw_only=True)
class JobFacts:
    """One start of a job, by its report."""

    job: str
    run_id: str
    at: str  # ISO 8601, UTC; empty where the report's name does not say
    seconds: float
    accounting: Mapping[str, JsonValue]
    warnings: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class ReleaseFacts:
    """A release, and the figures that it was decided by."""

    record: ReleaseRecord
    evidence: ReleaseEvidence | None  # None where nothing was compared, and for older releases


@dataclass(frozen=True, kw_only=True)
class SiteFacts:
    """One workspace as it is."""

    workspace: str
    tables: Sequence[TableFacts] = ()
    languages: LanguageCounts | None = None
    spaces: Sequence[SpaceFacts] = ()
    training_sets: Sequence[TrainingSetManifest] = ()
    label_sets: Sequence[LabelSetManifest] = ()
    bundles: Sequence[BundleManifest] = ()
    views: Sequence[ViewFacts] = ()
    experiments: Sequence[ExperimentManifest] = ()
    map: MapFacts | None = None
    jobs: Sequence[JobFacts] = ()  # newest first
    other_jobs: int = 0  # reports that are older than those of ``jobs``
    releases: Sequence[ReleaseFacts] = ()  # newest first
    broken: Sequence[Broken] = field(default=())

    def table(self, name: str) -> TableFacts | None:
        return next((table for table in self.tables if table.name == name), None)

    @property
    def at(self) -> str:
        """The newest time that anything in the workspace is of. The site has no clock: one workspace gives one site."""
        times = [table.at for table in self.tables] + [view.table.at for view in self.views] + [job.at for job in self.jobs]
        times += [one.created_at for one in self.training_sets] + [one.created_at for one in self.label_sets]
        times += [one.record.at for one in self.releases]
        times += [one.created_at for one in self.bundles] + [one.created_at for one in self.experiments]
        return max(times, default="")

    def broken_of(self, page: str) -> Sequence[Broken]:
        return [one for one in self.broken if one.page == page]
