"""Repairs that save a record instead of rejecting it: a look at all texts of a record at once finds those that need any.

Most records are sound, and only a cheap look at them can say so (soundness); the others go to text_repairs.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any

from spark.ingest.cleaning.text_repairs import is_misspelled, repair_record
from spark.ingest.reading.quick_check import is_clear
from spark.ingest.reading.records import TEXTS, Records


def repair_records(records: Records) -> list[Sequence[str]]:
    """Repair texts in place. Returns each record's repairs, sorted. Texts that end up empty become None."""
    columns = records.columns
    attributes = columns["attributes"]
    repairs: list[Sequence[str]] = [()] * len(attributes)
    misspelled = _find_misspelled(attributes)
    unclear = {i for i, is_clear in enumerate(records.clear) if not is_clear}
    for i in unclear | misspelled:
        texts, bullets, pairs = {name: columns[name][i] for name in TEXTS}, columns["bullets"][i], attributes[i]
        if i in misspelled or not is_sound(texts.values(), bullets, pairs):
            record = repair_record(texts, bullets, None if pairs is None else list(pairs.items()))
            for name, text in record.texts.items():
                columns[name][i] = text
            columns["bullets"][i], attributes[i], repairs[i] = record.bullets, record.attributes, record.repairs
    return repairs


def _find_misspelled(attributes: Sequence[Mapping[str, str | None] | None]) -> set[int]:
    """Positions of those of which a value is a number with a unit, in another than the one spelling."""
    values = set(chain.from_iterable(pairs.values() for pairs in attributes if pairs))
    misspelled = {value for value in values if value and value[-1] > "9" and "0" <= value[0] <= "9" and is_misspelled(value)}
    if not misspelled:
        return set()
    return {i for i, pairs in enumerate(attributes) if pairs and not misspelled.isdisjoint(pairs.values())}


def is_sound(
    texts: Collection[str | None], bullets: Sequence[str | None] | None, attributes: Mapping[str, str | None] | None
) -> bool:
    """True only where no repair would change characters of the record."""
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
