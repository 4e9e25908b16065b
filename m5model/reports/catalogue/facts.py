"""Holds the facts of the report as plain values: ``spark.reports.catalogue_facts`` gathers them, ``page`` shows them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from schemas.report import JsonValue


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Lengths of one language's texts, on a sample of its listings."""

    language: str
    listings: int  # in the sample
    characters: float  # mean
    mean: float  # in the unit of the report
    median: int
    p95: int
    longest: int
    truncated_share: float  # longer than the model reads
    histogram: Sequence[int]  # listings by length, see CatalogueFacts.histogram_edges; the last bin is open


@dataclass(frozen=True, kw_only=True)
class Example:
    """One listing's title, to be looked at."""

    locale: str
    language: str
    item_id: str
    title: str


@dataclass(frozen=True, kw_only=True)
class RejectExample:
    """One rejected record."""

    reasons: Sequence[str]
    detail: str
    raw: str  # the beginning, as text
    occurrences: int


@dataclass(frozen=True, kw_only=True)
class Balance:
    """A training set: what there was, what was drawn, what was left out as a duplicate."""

    name: str  # NAME/VERSION
    plan: Mapping[str, JsonValue]
    available: Mapping[str, int]  # rows by language
    rows: Mapping[str, int]  # rows by language
    tokens: Mapping[str, int]
    token_unit: str
    duplicates: Mapping[str, Mapping[str, int]]  # by locale: rows, exact_duplicate, near_duplicate


@dataclass(frozen=True, kw_only=True)
class CatalogueFacts:
    """One catalogue at one version."""

    workspace: str
    made_at: str
    listings_version: int
    rows: int
    rows_by_locale: Mapping[str, Mapping[str, int]]  # locale → language → listings
    language_sources: Mapping[str, int]
    warnings: Mapping[str, int]
    repairs: Mapping[str, int]
    rejects: Mapping[str, int]  # records by reason
    rejected_records: int
    unit: str  # "characters" or "tokens of BUNDLE"
    max_tokens: int | None  # what the model reads; None for characters
    histogram_edges: Sequence[int]
    lengths: Sequence[Lengths]
    examples: Sequence[Example]
    reject_examples: Sequence[RejectExample]
    balance: Balance | None

    @property
    def rows_by_language(self) -> dict[str, int]:
        sums: dict[str, int] = {}
        for languages in self.rows_by_locale.values():
            for language, rows in languages.items():
                sums[language] = sums.get(language, 0) + rows
        return dict(sorted(sums.items()))

    @property
    def token_premium(self) -> dict[str, float]:
        """Units per character of each language over the lowest of all: 1 is the cheapest to encode."""
        density = {found.language: found.mean / found.characters for found in self.lengths if found.characters}
        lowest = min(density.values(), default=1.0)
        return {language: value / lowest for language, value in density.items()}

    def as_json(self) -> dict[str, JsonValue]:
        premium: dict[str, JsonValue] = {name: round(value, 3) for name, value in self.token_premium.items()}
        rows: dict[str, JsonValue] = dict(self.rows_by_language)
        return {**asdict(self), "rows_by_language": rows, "token_premium": premium}
