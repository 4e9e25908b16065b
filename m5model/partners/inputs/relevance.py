"""Inputs about a query and a listing: the same evidence as of two listings, see pairs."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from m5model.partners.data import PartnerData
from m5model.partners.inputs import pairs
from m5model.partners.strategy import Given
from m5model.partners.vectors import Vectors
from schemas.labels import PAIRS
from schemas.partner import Partner

# The query is the left text, the listing the right one; nothing else of the partner is read.
BOTH = Partner(
    name="query and listing",
    owner="m5",
    description="Queries beside listings.",
    labels=PAIRS,
    view="search",
    metric="pr_auc",
    baseline="frozen",
)


class RelevanceInputs:
    """Of a query beside a listing."""

    def __init__(self, both: pairs.PairInputs) -> None:
        self._both = both

    @property
    def names(self) -> tuple[str, ...]:
        return self._both.names

    def matrix(self, data: PartnerData, vectors: Vectors | None, rows: np.ndarray) -> np.ndarray:
        """(k, f) float64 of the rows (k,)."""
        return self._both.matrix(_beside(data), vectors, rows)

    def save(self, folder: Path) -> None:
        self._both.save(folder)


def fit(given: Given, rows: np.ndarray) -> RelevanceInputs:
    """Weights of words and directions of vectors are those of the queries and listings of ``rows``."""
    return RelevanceInputs(pairs.fit(Given(data=_beside(given.data), vectors=given.vectors), rows))


def load(folder: Path) -> RelevanceInputs:
    return RelevanceInputs(pairs.load(folder))


def _beside(data: PartnerData) -> PartnerData:
    columns = {"left_text": data.table.column("query"), "right_text": data.table.column("text")}
    return PartnerData(partner=BOTH, table=pa.table(columns), source=data.source)
