"""Opens what ``--labels`` names: a label set of the workspace, or a partner's own file. Both become one table.

A file (CSV, Parquet, JSON Lines) has the columns of the label kind and the partner's evidence. ``split`` and entities may be
absent: they are filled in as for an imported label set. Rows name listings by key, or bring texts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from m5model.data.set_versions import find_label_set, list_label_sets
from m5model.feeds.sources import find_feed_files
from m5model.files import storage
from m5model.labels.entities import fill_entities
from m5model.labels.reading import Row, read_rows
from m5model.labels.splitting import SplitPlan, assign_splits, learned_entities, novelty_of
from m5model.partners.checking import Checked, check_rows, refuse
from m5model.partners.data import DataSource, PartnerData, data_schema
from m5model.partners.listings import fill_from_listings, find_listings
from schemas.canonical import canonical_json
from schemas.errors import ConfigurationError
from schemas.labels import MANIFEST_FILE, SPLIT, SPLITS
from schemas.partner import LANGUAGE, NOVELTY, Partner
from schemas.space import sha256_hex
from schemas.workspace import Workspace

# A partner's file is small: with the shares of an import, thresholds would hang on a handful of rows.
SHARES = {"learn": 0.6, "validate": 0.2, "test": 0.2}


@dataclass(frozen=True, kw_only=True)
class DataRequest:
    """Names what is opened."""

    partner: Partner
    labels: str  # NAME, NAME/VERSION or path of a label set, or the path of a file
    seed: int = 0  # of the split, where the file brings none
    allow_seen: bool = False  # test rows all of whose entities are learned from: reported as "seen" instead of refused


def open_data(workspace: Workspace, request: DataRequest) -> PartnerData:
    """The rows, checked. Raises BadDataError naming every fault at once, ConfigurationError where there is nothing so named."""
    path = _label_set_path(workspace, request.labels)
    return _open_set(path, request) if path else _open_file(workspace, request)


def _label_set_path(workspace: Workspace, reference: str) -> str | None:
    if storage.exists(f"{reference}/{MANIFEST_FILE}"):
        return reference
    known = list_label_sets(workspace)
    if any(reference in (one.name, f"{one.name}/{one.version}") for one in known):
        return find_label_set(workspace, reference)
    if storage.exists(reference):
        return None
    there = ", ".join(f"{one.name}/{one.version}" for one in known) or "none"
    raise ConfigurationError(
        f"--labels {reference!r} is no file, and no label set of {workspace.root}: there is {there}",
        next_step="give the path of a CSV, Parquet or JSON Lines file, or the name of a label set",
    )


def _open_set(path: str, request: DataRequest) -> PartnerData:
    """A pinned version: its rows were judged when it was imported, so only what an experiment needs is checked."""
    from m5model.data.label_sets import open_label_set

    found = open_label_set(path)
    kind = request.partner.labels
    if found.kind.name != kind.name:
        raise ConfigurationError(
            f"label set {found.name} is of kind {found.kind.name}, {request.partner.name} learns from {kind.name}",
            next_step="give a label set of that kind",
        )
    rows: list[Row] = []
    for split in SPLITS:
        for row in found.splits[split]:
            filled = {name: row[name] for name in kind.table.column_names}
            fill_from_listings(filled, request.partner, {side: found.listing(row, side) for side in kind.sides})
            rows.append(filled)
    checked = check_rows(rows, request.partner, judged=True, allow_seen=request.allow_seen)
    manifest = found.manifest
    source = DataSource(name=manifest.name, version=manifest.version, content_hash=manifest.content_hash)
    return _finish(checked, request, source)


def _open_file(workspace: Workspace, request: DataRequest) -> PartnerData:
    files = find_feed_files([request.labels])
    raw = list(read_rows(files))
    checked = check_rows(
        raw, request.partner, judged=False, allow_seen=request.allow_seen, prepare=_preparer(workspace, request)
    )
    content = sha256_hex(canonical_json([_plain(row) for row in checked.rows]).encode())
    return _finish(checked, request, DataSource(name=request.labels, version=content[:12], content_hash=content))


def _preparer(workspace: Workspace, request: DataRequest) -> Any:
    """Returns what turns judged rows into complete ones: listings, entities, splits. Returns faults by row."""

    def prepare(rows: list[Row], has_splits: bool) -> Iterable[tuple[int, str]]:
        kind = request.partner.labels
        keys = {(row[f"{side}locale"], row[f"{side}item_id"]) for row in rows for side in kind.sides if not row[f"{side}text"]}
        listings = find_listings(workspace, keys) if keys else {}
        for place, row in enumerate(rows):
            of_sides: dict[str, Mapping[str, Any] | None] = {}
            for side in kind.sides:
                key = (row[f"{side}locale"], row[f"{side}item_id"])
                of_sides[side] = listings.get(key) if not row[f"{side}text"] else None
                if not row[f"{side}text"] and key not in listings:
                    yield place, f"{side}item_id {key[1]!r} is not in the listings of {key[0]}"
            row["_listings"] = of_sides
        for place in fill_entities(rows, kind):
            yield place, "it has no entity, though other rows have one"
        complete = [row for row in rows if all(row[name] is not None for name in kind.entities)]
        if not has_splits:
            assign_splits(complete, kind, SplitPlan(seed=request.seed, shares=SHARES))
        for row in rows:
            fill_from_listings(row, request.partner, row.pop("_listings"))

    return prepare


def _finish(checked: Checked, request: DataRequest, source: DataSource) -> PartnerData:
    """The table, or one refusal with all faults."""
    refuse(checked.faults, f"--labels {request.labels}")
    partner = request.partner
    learned = learned_entities(checked.rows, partner.labels)
    for row in checked.rows:
        row[NOVELTY] = novelty_of(row, partner.labels, learned)
        row.setdefault(LANGUAGE, None)
    table = pa.Table.from_pylist(checked.rows, data_schema(partner))
    return PartnerData(partner=partner, table=table, source=source)


def _plain(row: Row) -> dict[str, Any]:
    return {name: str(value) if hasattr(value, "isoformat") else value for name, value in row.items() if name != SPLIT.name} | {
        SPLIT.name: row[SPLIT.name]
    }
