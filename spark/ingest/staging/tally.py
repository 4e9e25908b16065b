"""Counts of judged records: each task makes its own, the driver adds them up."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from schemas.locales import LOCALES
from spark.ingest.judging.judge import Judged

ANY_LOCALE = "any"


@dataclass
class Tally:
    """Counts of one task or of all."""

    listings: int = 0
    tombstones: int = 0
    rejected: int = 0
    known_by_locale: Counter[str] = field(default_factory=Counter)  # of the listings, those that stand in the table as they are
    reasons: Counter[str] = field(default_factory=Counter)
    repairs: Counter[str] = field(default_factory=Counter)  # good records, by repair
    repaired_fields: Counter[str] = field(default_factory=Counter)  # good records, by FIELD:REPAIR
    damaged_fields: Counter[str] = field(default_factory=Counter)  # good records, by FIELD:WARNING
    languages: Counter[str] = field(default_factory=Counter)  # listings that are not known, by language
    locales: set[str] = field(default_factory=set)  # known ones, of good records and of rejects whose locale could be read
    # Rejects whose key could not be made out, by the locale that they may be of: their own where it is a known one.
    unknown_keys: Counter[str] = field(default_factory=Counter)

    @property
    def known(self) -> int:
        return self.known_by_locale.total()

    def count(self, judged: Judged) -> None:
        """Add a batch."""
        verdicts, columns = judged.verdicts, judged.columns
        rows = len(columns["locale"])
        self.rejected += len(verdicts)
        self.tombstones += len(judged.tombstones)
        self.known_by_locale.update(columns["locale"][i] for i in judged.known)
        self.listings += rows - len(verdicts) - len(judged.tombstones)
        for i, verdict in verdicts.items():
            self.reasons.update(verdict.reasons)
            locale = columns["locale"][i]
            if locale not in LOCALES:
                self.unknown_keys[ANY_LOCALE] += 1
            elif columns["item_id"][i] is None:
                self.unknown_keys[locale] += 1
        for i, names in enumerate(columns["repairs"]):
            if names and i not in verdicts:
                self.repairs.update(names)
        for counted, found in (
            (self.repaired_fields, judged.repaired_fields),
            (self.damaged_fields, judged.damaged_fields),
        ):
            counted.update(name for i, names in found.items() if i not in verdicts for name in names)
        self.languages.update(columns["language"])
        self.languages -= Counter(columns["language"][i] for i in judged.tombstones | verdicts.keys() | judged.known)
        self.locales |= set(columns["locale"]) & LOCALES.keys()

    def add(self, other: "Tally") -> None:
        """Add another's counts."""
        self.listings += other.listings
        self.tombstones += other.tombstones
        self.rejected += other.rejected
        self.known_by_locale += other.known_by_locale
        self.reasons += other.reasons
        self.repairs += other.repairs
        self.repaired_fields += other.repaired_fields
        self.damaged_fields += other.damaged_fields
        self.languages += other.languages
        self.locales |= other.locales
        self.unknown_keys += other.unknown_keys

    def as_json(self) -> dict[str, Any]:
        """As ``from_json`` reads it."""
        return {**vars(self), "locales": sorted(self.locales)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Tally":
        counters = {name: Counter(count) for name, count in values.items() if isinstance(count, dict)}
        return cls(**{**values, **counters, "locales": set(values["locales"])})
