"""Adds up the waves of an embed run: rows, tokens and truncation per locale, and how fast each wave was."""

from dataclasses import dataclass, field

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from schemas.report import JsonValue

SLOWEST_WAVES = 3


@dataclass(kw_only=True)
class LocaleTotals:
    """One locale's rows with a vector."""

    rows: int = 0
    characters: int = 0
    tokens: int = 0
    truncated: int = 0


@dataclass(frozen=True, kw_only=True)
class WaveTiming:
    """One wave, its commit included."""

    wave: int
    rows: int
    seconds: float
    commit_seconds: float

    def as_json(self) -> dict[str, JsonValue]:
        rate = round(self.rows / self.seconds, 1) if self.seconds else 0.0
        return {
            "wave": self.wave,
            "rows": self.rows,
            "seconds": round(self.seconds, 2),
            "commit_seconds": round(self.commit_seconds, 2),
            "rows_per_s": rate,
        }


@dataclass(kw_only=True)
class EmbedTotals:
    """The run so far."""

    locales: dict[str, LocaleTotals] = field(default_factory=dict)
    instruction_sets: dict[str, int] = field(default_factory=dict)  # rows by the family that computed them
    computed_tokens: int = 0
    failed: int = 0
    copied: int = 0  # rows whose text had a vector already
    waves: list[WaveTiming] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows whose vector was computed."""
        return sum(locale.rows for locale in self.locales.values())

    @property
    def written(self) -> int:
        """Rows that got a vector."""
        return self.rows + self.copied

    @property
    def tokens(self) -> int:
        return sum(locale.tokens for locale in self.locales.values())

    @property
    def seconds(self) -> float:
        return sum(wave.seconds for wave in self.waves)

    @property
    def rows_per_s(self) -> float:
        return (self.rows + self.failed) / self.seconds if self.seconds else 0.0

    @property
    def padding_waste(self) -> float:
        """Share of computed tokens that were padding."""
        return 1 - self.tokens / self.computed_tokens if self.computed_tokens else 0.0

    def add(self, sums: list[Row]) -> None:
        """Rows of ``sum_rows``."""
        for row in sums:
            if row["failed"]:
                self.failed += row["rows"]
                continue
            locale = self.locales.setdefault(row["locale"], LocaleTotals())
            locale.rows += row["rows"]
            locale.characters += row["characters"]
            locale.tokens += row["tokens"]
            locale.truncated += row["truncated"]
            self.computed_tokens += row["computed_tokens"]
            family = row["instruction_set"]
            self.instruction_sets[family] = self.instruction_sets.get(family, 0) + row["rows"]

    def as_json(self, price_per_hour: float | None = None) -> dict[str, JsonValue]:
        """For the report. ``price_per_hour``: of all executors together, in any currency."""
        hours_per_million = 1e6 / self.rows_per_s / 3_600 if self.rows_per_s else 0.0
        slowest = sorted(self.waves, key=lambda wave: wave.seconds, reverse=True)[:SLOWEST_WAVES]
        figures: dict[str, JsonValue] = {
            "waves": len(self.waves),
            "copied_rows": self.copied,
            "rows_per_s": round(self.rows_per_s, 1),
            "hours_per_million_rows": round(hours_per_million, 4),
            "tokens": self.tokens,
            "padding_waste": round(self.padding_waste, 4),
            "truncated": sum(locale.truncated for locale in self.locales.values()),
            "instruction_sets": dict(sorted(self.instruction_sets.items())),
            "rows_by_locale": {name: locale.rows for name, locale in sorted(self.locales.items())},
            "tokens_per_row_by_locale": _shares(self.locales, "tokens", "rows", 1),
            "truncated_share_by_locale": _shares(self.locales, "truncated", "rows", 4),
            "token_premium_by_locale": self.token_premium(),
            "slowest_waves": [wave.as_json() for wave in slowest],
        }
        if price_per_hour is not None:
            figures["cost_per_million_rows"] = round(hours_per_million * price_per_hour, 4)
        return figures

    def token_premium(self) -> dict[str, JsonValue]:
        """Tokens per character of each locale, over the lowest of all locales: 1 is the cheapest script to encode."""
        density = {
            name: locale.tokens / locale.characters for name, locale in sorted(self.locales.items()) if locale.characters
        }
        lowest = min(density.values(), default=1.0)
        return {name: round(value / lowest, 2) for name, value in density.items()}


def sum_rows(embedded: DataFrame) -> list[Row]:
    """Sums by locale, instruction set and failure of EMBEDDED_COLUMNS (one Spark job)."""
    groups = embedded.groupBy("locale", "instruction_set", F.col("failure").isNotNull().alias("failed"))
    sums = [F.sum(name).alias(name) for name in ("characters", "tokens", "computed_tokens")]
    return groups.agg(
        F.count(F.lit(1)).alias("rows"), *sums, F.sum(F.col("truncated").cast("int")).alias("truncated")
    ).collect()


def _shares(locales: dict[str, LocaleTotals], part: str, whole: str, digits: int) -> dict[str, JsonValue]:
    return {name: round(getattr(totals, part) / getattr(totals, whole), digits) for name, totals in sorted(locales.items())}
