"""Finds the records whose texts need a repair, and repairs those.

Most need none, and a cheap check of all texts of a record at once says so (quick_check); the others go to text_repairs.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any

from schemas.locales import LANGUAGES, LOCALES
from spark.ingest.cleaning.alphabets import known
from spark.ingest.cleaning.text_repairs import RepairedRecord, is_misspelled, repair_record
from spark.ingest.mapping.records import Records
from spark.ingest.mapping.types import PROSE
from spark.ingest.reading.quick_check import is_clear


@dataclass(frozen=True)
class Repaired:
    """What repairs did to a batch, by position."""

    names: list[Sequence[str]]  # repairs, sorted
    fields: dict[int, list[str]] = field(default_factory=dict)  # FIELD:REPAIR
    damaged: dict[int, list[str]] = field(default_factory=dict)  # fields that look damaged, and are as they were
    lost: dict[int, dict[str, float]] = field(default_factory=dict)  # field → share of its letters that are gone

    def note(self, i: int, record: RepairedRecord) -> None:
        self.names[i] = record.repairs
        for kept, found in ((self.fields, record.fields), (self.damaged, record.damaged)):
            if found:
                kept[i] = found
        if record.lost:
            self.lost[i] = record.lost


def repair_records(records: Records) -> Repaired:
    """Repair texts in place. Texts that end up empty become None. Keys, times and languages are no texts: they stay."""
    columns = records.columns
    attributes = columns["attributes"]
    repaired = Repaired([()] * len(attributes))
    misspelled = _find_misspelled(attributes)
    unclear = {i for i, is_clear in enumerate(records.clear) if not is_clear}
    for i in unclear | misspelled:
        texts, bullets, pairs = {name: columns[name][i] for name in PROSE}, columns["bullets"][i], attributes[i]
        if i in misspelled or not needs_no_repair(texts.values(), bullets, pairs):
            languages = languages_of(columns["language"][i], columns["locale"][i])
            record = repair_record(texts, bullets, None if pairs is None else list(pairs.items()), languages)
            for name, text in record.texts.items():
                columns[name][i] = text
            columns["bullets"][i], attributes[i] = record.bullets, record.attributes
            repaired.note(i, record)
    return repaired


@lru_cache(maxsize=1024)
def languages_of(declared: str | None, locale: str | None) -> frozenset[str]:
    """What a listing may be written in: what it declares, and what its locale speaks."""
    spoken = LOCALES[locale].languages if locale in LOCALES else ()
    return known((declared, *spoken)) if declared in LANGUAGES or spoken else known(())


def _find_misspelled(attributes: Sequence[Mapping[str, str | None] | None]) -> set[int]:
    """Positions of records with an attribute that is a number with a unit, spelled in another way than the usual one."""
    values = set(chain.from_iterable(pairs.values() for pairs in attributes if pairs))
    misspelled = {value for value in values if value and value[-1] > "9" and "0" <= value[0] <= "9" and is_misspelled(value)}
    if not misspelled:
        return set()
    return {i for i, pairs in enumerate(attributes) if pairs and not misspelled.isdisjoint(pairs.values())}


def needs_no_repair(
    texts: Collection[str | None], bullets: Sequence[str | None] | None, attributes: Mapping[str, str | None] | None
) -> bool:
    """True only where no repair would change the record."""
    if "" in texts:
        return False
    present: list[Any] = list(filter(None, texts))
    if bullets:
        present += bullets
    if attributes:
        present += attributes
        present += attributes.values()
    # Joined by one blank, an empty or untrimmed text shows as two.
    return None not in present and (not present or is_clear(" ".join(present)))
