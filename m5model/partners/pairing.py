"""New pairs of texts that a partner's data has: rows without labels, with the evidence that is known of each text."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from m5model.partners.data import PartnerData, data_schema

SIDES = ("left_", "right_")


def pair_texts(data: PartnerData, left: Sequence[str], right: Sequence[str]) -> PartnerData:
    """Rows (k,) of left beside right; ``is_match`` and entities are null. Evidence is that of a text's first row."""
    names = sorted({column.name.removeprefix(SIDES[0]) for column in data.partner.evidence if column.name.startswith(SIDES[0])})
    known = _evidence_by_text(data, names)
    columns: dict[str, list[Any]] = {"left_text": list(left), "right_text": list(right)}
    for side, texts in zip(SIDES, (left, right), strict=True):
        for place, name in enumerate(names):
            columns[f"{side}{name}"] = [known[text][place] for text in texts]
    schema = data_schema(data.partner)
    arrays = [
        pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(len(left), field.type)
        for field in schema
    ]
    return replace(data, table=pa.table(arrays, schema=schema))


def _evidence_by_text(data: PartnerData, names: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    known: dict[str, tuple[Any, ...]] = {}
    for side in SIDES:
        columns = [data.table.column(f"{side}{name}").to_pylist() for name in names]
        for row, text in enumerate(data.texts(side)):
            known.setdefault(text, tuple(column[row] for column in columns))
    return known
