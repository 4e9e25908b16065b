"""The difference of two published versions of a view: rows, columns, settings, sources, drift."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from m5model.features.drift import compare_profiles
from m5model.features.listings import Key, describe_listings
from m5model.features.profiles import describe_key, find_profile
from m5model.features.publications import PublishedVersion, read_publications
from m5model.features.reading import OpenedView, open_view
from m5model.features.row_changes import Row, RowChanges, compare_rows
from m5model.features.scanning import count_rows, differing_files, file_names, scan_files
from schemas.features import FOLDER
from schemas.figure import Figure
from schemas.listing import ITEM_ID, LOCALE
from schemas.report import JsonValue
from schemas.workspace import Workspace

Changed = dict[str, tuple[JsonValue, JsonValue]]  # name → before, after
SHOWN_NUMBERS = 4  # of a vector in a sample


@dataclass(frozen=True, kw_only=True)
class VersionDifference:
    """From ``old`` to ``new``."""

    view: str
    old: PublishedVersion
    new: PublishedVersion
    rows: RowChanges
    columns: Changed  # types; None where a version has no such column
    settings: Changed
    source: Changed
    drift: tuple[Figure, ...]
    names: Mapping[Key, str]  # what the samples' listings are called

    def as_json(self) -> dict[str, JsonValue]:
        rows = self.rows
        return {
            "view": self.view,
            "old": self.old.version,
            "new": self.new.version,
            "added": rows.added,
            "removed": rows.removed,
            "changed": rows.changed,
            "same": rows.same,
            "changed_columns": dict(rows.changed_columns),
            "columns": {name: list(pair) for name, pair in self.columns.items()},
            "settings": {name: list(pair) for name, pair in self.settings.items()},
            "source": {name: list(pair) for name, pair in self.source.items()},
            "drift": [asdict(figure) for figure in self.drift],
            "samples": {
                "added": [self._sample(row) for row in rows.added_rows],
                "removed": [self._sample(row) for row in rows.removed_rows],
                "changed": [{"before": self._sample(old), "after": self._sample(new)} for old, new in rows.changed_rows],
            },
        }

    def names_of(self, row: Row) -> list[str]:
        """Returns what the listings of a row are called, those that are known."""
        return [self.names[key] for key in items_of(row) if key in self.names]

    def _sample(self, row: Row) -> dict[str, JsonValue]:
        return {"row": shorten(row), "listings": list(self.names_of(row))}


def compare_versions(workspace: Workspace, view: str, old: int, new: int, samples: int = 5) -> VersionDifference:
    """Only files that the two versions do not share are read. Raises ConfigurationError for versions that cannot be read."""
    before, after = (open_view(workspace, view, as_of=version) for version in (old, new))
    rows = _compare_rows(before, after, samples)
    every = read_publications(workspace.table(f"{FOLDER}/{view}"))
    profiles = [find_profile(workspace, view, [one for one in every if one.version <= version]) for version in (old, new)]
    return VersionDifference(
        view=view,
        old=before.published,
        new=after.published,
        rows=rows,
        columns=_changed(_columns(before), _columns(after)),
        settings=_changed(_flatten(before.published.settings), _flatten(after.published.settings)),
        source=_changed(before.published.source, after.published.source),
        drift=tuple(compare_profiles(*profiles)),
        names=_names(workspace, after.published, rows),
    )


def items_of(row: Row) -> list[Key]:
    """The listings that a row names; a row of a pair names two."""
    items = [value for name, value in row.items() if name == ITEM_ID.name or name.endswith(f"_{ITEM_ID.name}")]
    return [(str(row[LOCALE.name]), str(item)) for item in items]


def shorten(row: Row) -> dict[str, JsonValue]:
    """The row for people: six digits of a number, the first numbers of a vector."""
    return {name: _shorten(value) for name, value in row.items()}


def _shorten(value: Any) -> JsonValue:
    if isinstance(value, list):
        return [_shorten(one) for one in value[:SHOWN_NUMBERS]]
    return float(f"{value:.6g}") if isinstance(value, float) and math.isfinite(value) else value  # type: ignore[no-any-return]


def _compare_rows(before: OpenedView, after: OpenedView, samples: int) -> RowChanges:
    key = describe_key(after.published)
    left, came = differing_files(before.table, after.table)
    if before.schema() != after.schema() or describe_key(before.published) != key:
        left, came = file_names(before.table), file_names(after.table)
    old, new = count_rows(before.table, left), count_rows(after.table, came)
    sides = scan_files(before.table, left), scan_files(after.table, came)
    changes = compare_rows(*sides, key, rows=old + new, samples=samples)
    changes.same += int(after.table.count()) - new
    return changes


def _columns(opened: OpenedView) -> dict[str, JsonValue]:
    return {field.name: str(field.type) for field in opened.schema()}


def _changed(old: Mapping[str, JsonValue], new: Mapping[str, JsonValue]) -> Changed:
    return {name: (old.get(name), new.get(name)) for name in sorted({*old, *new}) if old.get(name) != new.get(name)}


def _flatten(values: Mapping[str, JsonValue], prefix: str = "") -> dict[str, JsonValue]:
    """Nested settings by names with dots."""
    flat: dict[str, JsonValue] = {}
    for name, value in values.items():
        flat |= _flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _names(workspace: Workspace, published: PublishedVersion, rows: RowChanges) -> dict[Key, str]:
    shown = [*rows.added_rows, *rows.removed_rows, *(new for _, new in rows.changed_rows)]
    version = published.source.get("listings_version")
    keys = {key for row in shown for key in items_of(row)}
    return describe_listings(workspace, version if isinstance(version, int) else None, keys)
