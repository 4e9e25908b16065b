"""A click row's columns by their use: numbers, values that have rates, ad and page text, and the time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from m5model.partners.click_rates import MISSING, Shown
from m5model.partners.data import PartnerData
from schemas.tables import INSTANT, TEXT

POSITION = "position"
TEXT_ENDING = "_text"  # of evidence that is prose: it is compared with the ad's text, not counted by its values


@dataclass(frozen=True, kw_only=True)
class ClickColumns:
    """Names of the columns that rows have values in."""

    numbers: tuple[str, ...]
    values: tuple[str, ...]  # rates are taken by their values
    page: str | None  # the text that the ad is shown beside
    time: str | None

    @classmethod
    def of(cls, data: PartnerData, rows: np.ndarray) -> "ClickColumns":
        """The evidence that is there in these rows, in the partner's order; where to, and the place it was shown at."""
        table = data.table.take(pa.array(rows))
        there = [one for one in data.partner.evidence if table.column(one.name).null_count < len(rows)]
        texts = [one.name for one in there if one.type == TEXT]
        numbers = [one.name for one in there if pa.types.is_floating(one.type) or pa.types.is_integer(one.type)]
        if table.column(POSITION).null_count < len(rows):
            numbers.append(POSITION)
        return cls(
            numbers=tuple(numbers),
            values=tuple(name for name in texts if not name.endswith(TEXT_ENDING)),
            page=next((name for name in texts if name.endswith(TEXT_ENDING)), None),
            time=next((one.name for one in there if one.type == INSTANT), None),
        )

    def number_matrix(self, chosen: PartnerData) -> np.ndarray:
        """(k, numbers) float64, NaN where there is none."""
        columns = [chosen.column(name).astype(np.float64) for name in self.numbers]
        return np.stack(columns, axis=1) if columns else np.empty((len(chosen), 0))

    def values_of(self, chosen: PartnerData, name: str) -> list[str]:
        return [MISSING if value is None else str(value) for value in chosen.column(name)]

    def page_texts(self, chosen: PartnerData) -> list[str] | None:
        return None if self.page is None else [value or MISSING for value in chosen.column(self.page)]

    def times(self, chosen: PartnerData) -> np.ndarray | None:
        """(k,) int64 microseconds; None where the partner brings none. A row without a time is the first of all."""
        if self.time is None:
            return None
        return np.asarray(chosen.table.column(self.time).cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False))

    def shown(self, chosen: PartnerData) -> Shown:
        counts = (chosen.column(name).astype(np.float64) for name in ("impressions", "clicks"))
        impressions, clicks = counts
        return Shown(impressions=impressions, clicks=clicks, entity=chosen.entity, at=self.times(chosen))


def ad_texts(chosen: PartnerData) -> Sequence[str]:
    return [text or MISSING for text in chosen.texts()]
