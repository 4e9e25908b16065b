"""Finds the records whose texts need a repair, and repairs those.

Most need none, and a cheap check of all texts of a record at once says so (quick_check); the others go to text_repairs.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any

from spark.ingest.cleaning.text_repairs import is_misspelled, repair_record
from spark.ingest.mapping.records import Records
from spark.ingest.mapping.types import TEXTS
from spark.ingest.reading.quick_check import is_clear


def repair_records(records: Records) -> list[Sequence[str]]:
    """Repair texts in place. Returns each record's repairs, sorted. Texts that end up empty become None."""
    columns = records.columns
    attributes = columns["attributes"]
    repairs: list[Sequence[str]] = [()] * len(attributes)
    misspelled = _find_misspelled(attributes)
    unclear = {i for i, is_clear in enumerate(records.clear) if not is_clear}
    for i in unclear | misspelled:
        texts, bullets, pairs = {name: columns[name][i] for name in TEXTS}, columns["bullets"][i], attributes[i]
        if i in misspelled or not needs_no_repair(texts.values(), bullets, pairs):
            record = repair_record(texts, bullets, None if pairs is None else list(pairs.items()))
            for name, text in record.texts.items():
                columns[name][i] = text
            columns["bullets"][i], attributes[i], repairs[i] = record.bullets, record.attributes, record.repairs
    return repairs


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
