"""One batch of lines through the pure steps: map, repair, judge, fill in languages.

Everything is done column by column, for some thousand records at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from schemas.listing import DECLARED, DETECTED, FEED_COLUMNS
from spark.ingest.cleaning.language import fill_languages, find_warnings
from spark.ingest.cleaning.repairs import Repaired, repair_records
from spark.ingest.judging.rules import Batch, Limits, Verdict, judge_records
from spark.ingest.judging.spellings import explain_spellings
from spark.ingest.mapping.arrow_columns import Values
from spark.ingest.mapping.codes import forget_odd_codes, normalise_codes
from spark.ingest.mapping.records import map_records
from spark.ingest.mapping.timestamps import to_micros
from spark.ingest.reading.lines import Lines


@dataclass(frozen=True)
class Judged:
    """A batch of records. ``columns`` are those of listings by name, one entry per record, without hashes and without what only
    the run knows; ``updated_at`` is in microseconds since 1970.
    """

    columns: dict[str, Values]
    verdicts: dict[int, Verdict]  # position → why it is rejected
    tombstones: set[int]
    repaired_fields: dict[int, list[str]] = field(default_factory=dict)  # position → FIELD:REPAIR
    damaged_fields: dict[int, list[str]] = field(default_factory=dict)  # position → FIELD:WARNING
    known: frozenset[int] = frozenset()  # positions of listings that stand in the table as they are: no language is looked for

    @property
    def listings(self) -> list[int]:
        """Positions of good records that are no tombstones."""
        out = self.tombstones | self.verdicts.keys()
        return [i for i in range(len(self.columns["locale"])) if i not in out]

    def good(self, column: str) -> list[Any]:
        """A column of the good records, tombstones among them."""
        values = self.columns[column]
        return [value for i, value in enumerate(values) if i not in self.verdicts] if self.verdicts else list(values)


def judge_lines(lines: Lines, limits: Limits) -> Judged:
    """Judges lines. A pure function of each record: neither its place nor the other records matter."""
    return add_languages(judge_contents(lines, limits))


def judge_contents(lines: Lines, limits: Limits) -> Judged:
    """Judges lines by what they say. Languages are as declared, and ``add_languages`` is to follow."""
    records = map_records(lines)
    columns = records.columns
    normalise_codes(columns)
    repaired = repair_records(records)
    micros = {text: to_micros(text) for text in set(columns["updated_at"]) if text is not None}
    updated_at = list(map(micros.get, columns["updated_at"]))
    verdicts = explain_spellings(judge_records(Batch(records, updated_at, limits, repaired.lost)), lines)
    forget_odd_codes(columns, {i: verdict.reasons for i, verdict in verdicts.items()})
    tombstones = {i for i, deleted in enumerate(columns["deleted"]) if deleted and i not in verdicts}
    return Judged(
        columns={
            **{column.name: columns[column.name] for column in FEED_COLUMNS},
            "updated_at": updated_at,
            "language_source": [DETECTED if language is None else DECLARED for language in columns["language"]],
            "warnings": _name_warnings(repaired),
            "repairs": repaired.names,
            "lost_letters": _worst_shares(repaired),
        },
        verdicts=verdicts,
        tombstones=tombstones,
        repaired_fields=repaired.fields,
        damaged_fields=_name_damage(repaired),
    )


def add_languages(judged: Judged, known: frozenset[int] = frozenset()) -> Judged:
    """Fills in languages that are not declared, and warns of odd ones; not of listings that are ``known``."""
    columns = judged.columns
    if len(known) == len(columns["locale"]):
        return replace(judged, columns={**columns, "language_confidence": [None] * len(known)}, known=known)
    languages, confidences = fill_languages(
        columns["language"],
        columns["locale"],
        columns["title"],
        columns["category"],
        columns["description"],
        judged.verdicts.keys() | known,
    )
    found = find_warnings(columns["locale"], languages, columns["title"], confidences)
    warnings = [[*one, *two] if one and two else one or two for one, two in zip(found, columns["warnings"], strict=True)]
    changed: dict[str, list[Any]] = {"language": languages, "language_confidence": confidences, "warnings": warnings}
    return replace(judged, columns={**columns, **changed}, known=known)


def _worst_shares(repaired: Repaired) -> list[float | None]:
    shares: list[float | None] = [None] * len(repaired.names)
    for i, lost in repaired.lost.items():
        shares[i] = max(lost.values())
    return shares


def _name_warnings(repaired: Repaired) -> list[Sequence[str]]:
    warnings: list[Sequence[str]] = [()] * len(repaired.names)
    for i in repaired.damaged:
        warnings[i] = [*warnings[i], "text_damaged"]
    for i in repaired.lost:
        warnings[i] = [*warnings[i], "letters_lost"]
    return warnings


def _name_damage(repaired: Repaired) -> dict[int, list[str]]:
    found = {i: [f"{name}:text_damaged" for name in names] for i, names in repaired.damaged.items()}
    for i, shares in repaired.lost.items():
        found[i] = found.get(i, []) + [f"{name}:letters_lost" for name in shares]
    return found
