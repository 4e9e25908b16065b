"""Labelled product pairs of public sets, which are no part of the project: a text a side, as the encoder reads a listing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from m5model.runtime.rendering import render

# Beside the project in the place where it is measured; --data names another.
DATA = Path(__file__).parents[3] / "shared" / "data"
SETS = {
    "abt_buy": "er_textual_abt_buy",
    "amazon_google": "er_structured_amazon_google",
    "walmart_amazon": "er_structured_walmart_amazon",
    "wdc_computers": "wdc_computers",
    "wdc_cameras": "wdc_cameras",
}
# Quotation marks and language tags of the crawl.
CRAWL_MARKS = re.compile(r'"@[a-z]{2}(?:-[A-Z]{2})?|"')


@dataclass(frozen=True, kw_only=True)
class PairRows:
    """Pairs of one split."""

    left: list[str]
    right: list[str]
    is_match: np.ndarray  # (n,) bool


def read_pairs(data: Path, name: str, split: str, size: str | None = None) -> PairRows:
    """The pairs of a set and split; ``size`` chooses one of the sizes that WDC's training splits have."""
    table = pq.read_table(data / "pairs" / f"{SETS.get(name, name)}.parquet").to_pylist()
    rows = [row for row in table if row["split"] == split and (size is None or row.get("size", size) in (size, "all"))]
    return PairRows(
        left=[side_text(row, "left_") for row in rows],
        right=[side_text(row, "right_") for row in rows],
        is_match=np.asarray([bool(row["label"]) for row in rows]),
    )


def side_text(row: Mapping[str, object], prefix: str) -> str:
    """One side as our rendering has it; prices are left out, because sellers differ in them by design."""
    values = {name.removeprefix(prefix): str(value or "") for name, value in row.items() if name.startswith(prefix)}
    listing = {
        "title": _clean(values.get("title") or values.get("name", "")),
        "brand": _clean(values.get("brand") or values.get("manufacturer", "")),
        "category": _clean(values.get("category", "")),
        "attributes": {"model": values["modelno"]} if values.get("modelno") else {},
        "description": _clean(values.get("description", "")),
    }
    return render(listing)


def _clean(text: str) -> str:
    return " ".join(CRAWL_MARKS.sub(" ", text).split())
