"""Looks at the listings that a view was made from: how many there are, and what those of some keys are called."""

from collections import Counter
from collections.abc import Collection
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from m5model.files.delta import open_delta
from schemas.listing import ITEM_ID, LISTINGS, LOCALE
from schemas.workspace import Workspace

Key = tuple[str, str]  # locale, item_id


@cache
def count_listings(workspace: Workspace, version: int) -> dict[str, int] | None:
    """Counts listings by locale at that version, from the table's log; None where the log does not reach back so far."""
    table = _open(workspace, version)
    if table is None:
        return None
    counts: Counter[str] = Counter()
    files = pa.table(table.get_add_actions(flatten=True))
    if not {"partition.locale", "num_records"} <= set(files.column_names):
        return None
    for locale, rows in zip(files["partition.locale"].to_pylist(), files["num_records"].to_pylist(), strict=True):
        counts[locale] += rows or 0
    return dict(sorted(counts.items()))


def describe_listings(workspace: Workspace, version: int | None, keys: Collection[Key]) -> dict[Key, str]:
    """Returns title and brand of the listings of these keys, as the table has them at that version, else now."""
    table = (_open(workspace, version) if version is not None else None) or _open(workspace, None)
    if table is None or not keys:
        return {}
    locales, items = ({key[place] for key in keys} for place in (0, 1))
    wanted = pc.field(LOCALE.name).isin(sorted(locales)) & pc.field(ITEM_ID.name).isin(sorted(items))
    try:
        rows = table.to_pyarrow_dataset().to_table(columns=["locale", "item_id", "title", "brand"], filter=wanted).to_pylist()
    except FileNotFoundError:  # of a version whose files are gone
        return {} if version is None else describe_listings(workspace, None, keys)
    found = {(row["locale"], row["item_id"]): _name(row["title"], row["brand"]) for row in rows}
    return {key: text for key, text in found.items() if key in keys}


def _name(title: str, brand: str | None) -> str:
    return f"{title} ({brand})" if brand else title


def _open(workspace: Workspace, version: int | None) -> DeltaTable | None:
    try:
        return open_delta(workspace.table(LISTINGS.name), version)
    except (TableNotFoundError, DeltaError):
        return None
