"""A partner's labelled rows as one Arrow table: texts, entities, split, language, and the partner's own evidence."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from schemas.labels import SPLIT
from schemas.partner import LANGUAGE, NOVELTY, Partner
from schemas.tables import TEXT


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """Says where rows are from, and which bytes they are."""

    name: str  # a label set, or a file
    version: str
    content_hash: str


@dataclass(frozen=True, kw_only=True)
class PartnerData:
    """Rows (n) with the columns of the label kind (texts filled in, without any prefix), language, novelty and evidence."""

    partner: Partner
    table: pa.Table
    source: DataSource

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def column(self, name: str) -> np.ndarray:
        """The values (n,) of a column; null is None, of numbers NaN."""
        return np.asarray(self.table.column(name).to_numpy(zero_copy_only=False))

    def texts(self, side: str = "") -> list[str]:
        """The texts (n) of a side: "", or "left_" and "right_" of pairs."""
        texts: list[str] = self.table.column(f"{side}text").to_pylist()
        return texts

    def rows_of(self, split: str) -> np.ndarray:
        """The rows (k,) int64 of a split."""
        return np.flatnonzero(self.column(SPLIT.name) == split)

    def select(self, rows: np.ndarray) -> "PartnerData":
        """These rows alone, in this order."""
        return PartnerData(partner=self.partner, table=self.table.take(pa.array(rows)), source=self.source)

    @property
    def entity(self) -> np.ndarray:
        """The entity (n,) that rows are resampled by: that of a pair's one listing."""
        return self.column(self.partner.labels.entities[0])

    @property
    def all_texts(self) -> list[str]:
        """Every different text of any side, sorted."""
        return sorted({text for side in self.partner.labels.sides for text in self.texts(side) if text})


def data_schema(partner: Partner) -> pa.Schema:
    """Columns of a partner's table. Only texts that are not there may be null (sessions and clicks of unnamed items)."""
    kind = [pa.field(column.name, column.type) for column in partner.labels.table.columns]
    common = [pa.field(name, TEXT) for name in (LANGUAGE, NOVELTY)]
    return pa.schema([*kind, *common, *(pa.field(column.name, column.type) for column in partner.evidence)])
