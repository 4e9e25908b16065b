"""Finds the records whose texts need a repair, and repairs those.

Most need none, and a cheap check of all texts of a record at once says so (quick_check); the others go to text_repairs.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.locales import LANGUAGES, LOCALES
from spark.ingest.cleaning.alphabets import known
from spark.ingest.cleaning.text_repairs import QUANTITY, RepairedRecord, is_misspelled, repair_record
from spark.ingest.mapping.arrow_columns import ArrowColumn, Values, pick_values
from spark.ingest.mapping.records import Records
from spark.ingest.mapping.types import LISTS, MAPS, PROSE
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
    rows = sorted(unclear | misspelled)
    picked = {name: pick_values(columns[name], rows) for name in (*PROSE, *LISTS, *MAPS)}
    for i, *values in zip(rows, *picked.values(), strict=True):
        *texts, bullets, pairs = values
        if i in misspelled or not needs_no_repair(texts, bullets, pairs):
            languages = languages_of(columns["language"][i], columns["locale"][i])
            items = None if pairs is None else list(pairs.items())
            record = repair_record(dict(zip(PROSE, texts, strict=True)), bullets, items, languages)
            for name, before, after in zip(
                picked, values, (*record.texts.values(), record.bullets, record.attributes), strict=True
            ):
                if after != before:
                    columns[name][i] = after
            repaired.note(i, record)
    return repaired


@lru_cache(maxsize=1024)
def languages_of(declared: str | None, locale: str | None) -> frozenset[str]:
    """What a listing may be written in: what it declares, and what its locale speaks."""
    spoken = LOCALES[locale].languages if locale in LOCALES else ()
    return known((declared, *spoken)) if declared in LANGUAGES or spoken else known(())


def _find_misspelled(attributes: Values) -> set[int]:
    """Positions of records with an attribute that is a number with a unit, spelled in another way than the usual one."""
    if isinstance(attributes, ArrowColumn):
        changed = {i for i, pairs in attributes.changed.items() if pairs and any(map(_may_be_misspelled, pairs.values()))}
        return changed | _find_misspelled_items(attributes.array)
    values = set(chain.from_iterable(pairs.values() for pairs in attributes if pairs))
    misspelled = set(filter(_may_be_misspelled, values))
    if not misspelled:
        return set()
    return {i for i, pairs in enumerate(attributes) if pairs and not misspelled.isdisjoint(pairs.values())}


def _may_be_misspelled(value: str | None) -> bool:
    return value is not None and value != "" and value[-1] > "9" and "0" <= value[0] <= "9" and is_misspelled(value)


def _find_misspelled_items(maps: pa.MapArray) -> set[int]:
    """The same of maps whose offsets begin with 0."""
    places = np.flatnonzero(pc.match_substring_regex(maps.items, f"(?i)^(?:{QUANTITY})$").fill_null(False))
    values = maps.items.take(pa.array(places)).dictionary_encode()
    are_misspelled = np.array([_may_be_misspelled(value) for value in values.dictionary.to_pylist()], bool)
    found = places[are_misspelled[values.indices.to_numpy()]] if len(places) else places
    return set((np.searchsorted(maps.offsets.to_numpy(), found, side="right") - 1).tolist())


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
