"""A partner team: the labels that it brings, its own evidence about them, and how its experiments are judged.

The partners are the files of schemas/partners. A new one is one more file with ``PARTNER = Partner(...)``.
"""

from dataclasses import dataclass

from schemas.checks import require
from schemas.labels import LabelKind
from schemas.tables import TEXT, Column

LANGUAGE = "language"
NOVELTY = "novelty"  # of a row: are its entities learned from? seen, half_seen (one of a pair), unseen
PRODUCT_LINE = Column(name="product_line", type=TEXT, meaning="hardlines, softlines, consumables or media")

# Columns that every partner's rows have beside those of the label kind.
COMMON_COLUMNS = (LANGUAGE, NOVELTY)


@dataclass(frozen=True, kw_only=True)
class Partner:
    """Raises ConfigurationError that lists every problem at once."""

    name: str  # the file's
    owner: str  # the team
    description: str
    labels: LabelKind
    # The partner's own features, with type, unit and meaning. A file must have those that are not nullable. A column that the
    # file lacks is filled from the listing, where rows name listings by key and the listing has a field or attribute so named.
    evidence: tuple[Column, ...] = ()
    view: str  # the feature view that it reads
    metric: str  # a name in m5model.partners.evaluation.metrics
    higher_is_better: bool = True
    baseline: str  # the strategy that a good engineer ships without our vectors, see m5model.partners.strategies
    groups: tuple[str, ...] = COMMON_COLUMNS  # text columns by whose values figures are reported apart

    def __post_init__(self) -> None:
        names = [column.name for column in self.evidence]
        taken = sorted({*names} & {*self.labels.table.column_names, *COMMON_COLUMNS})
        texts = {*COMMON_COLUMNS, *self.labels.table.column_names} | {one.name for one in self.evidence if one.type == TEXT}
        unknown = sorted({*self.groups} - texts)
        require(
            f"partner {self.name}",
            {
                f"evidence {', '.join(taken)} are columns of every file": not taken,
                f"evidence has a name twice: {', '.join(names)}": len(set(names)) == len(names),
                f"groups {', '.join(unknown)} are no text columns": not unknown,
            },
        )

    @property
    def column_names(self) -> tuple[str, ...]:
        """All columns that a file of the partner may have."""
        return (*self.labels.table.column_names, LANGUAGE, *(column.name for column in self.evidence))


def both_sides(*columns: Column) -> tuple[Column, ...]:
    """The columns for both listings of a pair: ``left_NAME`` and ``right_NAME``."""
    return tuple(
        Column(
            name=f"{side}_{column.name}",
            type=column.type,
            unit=column.unit,
            meaning=f"{column.meaning}, of the {'one' if side == 'left' else 'other'} listing",
            nullable=column.nullable,
        )
        for side in ("left", "right")
        for column in columns
    )
