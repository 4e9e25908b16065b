"""Says what a row of labels is about and what it claims: rows of one identity and different claims contradict each other."""

from m5model.labels.entities import listing_of
from m5model.labels.reading import Row
from schemas.labels import SPLIT, LabelKind


def identity_of(row: Row, kind: LabelKind) -> tuple[object, ...]:
    """The row's key. Both orders of a pair are one."""
    if len(kind.sides) == 2:
        return tuple(sorted(listing_of(row, side) for side in kind.sides))
    return tuple(row[name] for name in kind.table.key)


def claim_of(row: Row, kind: LabelKind) -> tuple[object, ...]:
    """Returns what the row says beside its key."""
    apart = {*kind.table.key, *kind.entities, SPLIT.name}
    return tuple(row[name] for name in kind.table.column_names if name not in apart)
