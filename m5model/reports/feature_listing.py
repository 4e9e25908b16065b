"""Feature views, their versions and differences, as lines for people."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from m5model.features.difference import VersionDifference, shorten
from m5model.features.facts import VersionFacts, ViewFacts
from m5model.features.holds import explain_hold
from m5model.features.row_changes import Row
from m5model.features.states import ViewState
from m5model.reports.set_listing import align
from schemas.figure import Figure

NOTHING = "no feature views; publish them with spark-submit jobs/publish_features.py\n"
_CHARACTERS = 100  # of a value in a sample


def views_as_table(views: Sequence[ViewFacts]) -> str:
    """One line a view; those that are stale, and those that are held, are named below."""
    if not views:
        return NOTHING
    head = ("view", "version", "published", "rows", "covers", "space", "listings", "embeddings", "freshness")
    lines = [head, *(_view_line(view) for view in views)]
    return align(lines) + "".join(f"{line}\n" for view in views for line in _warnings(view))


def states_as_text(states: Sequence[ViewState]) -> str:
    """One line for each table that publishing keeps to follow changes."""
    if not states:
        return ""
    lines = [("kept to follow changes", "rows", "MB", "space", "written", "for")]
    for one in states:
        views = ", ".join(view.removeprefix("features/") for view in one.used_by) or "no published view"
        counts = f"{one.rows:,}", f"{one.size / 1e6:,.1f}"
        lines.append((f"view_state/{one.name}", *counts, one.space_id, f"{one.committed_at:%Y-%m-%d %H:%M}", views))
    return "\n" + align(lines)


def _view_line(view: ViewFacts) -> tuple[str, ...]:
    newest, source = view.newest, view.newest.published.source
    made_from = (str(source.get(name, "?")) for name in ("space_id", "listings_version", "embeddings_version"))
    counts = (_rows(newest), _percent(newest.whole_coverage))
    return (view.name, _version(newest), _time(newest), *counts, *made_from, _freshness(view))


def view_as_text(view: ViewFacts, lineage: Mapping[str, Any]) -> str:
    """Every version, then the newest one's coverage, nulls, drift and lineage."""
    newest = view.newest
    parts = [
        _versions_table(view.versions),
        *(f"{line}\n" for line in _warnings(view)),
        f"freshness: {_freshness(view)}\n",
        _by_locale(newest),
        _nulls(newest),
        _drift(newest.drift, newest.published.version),
        _lineage(lineage),
    ]
    return "\n".join(part for part in parts if part)


def difference_as_text(found: VersionDifference) -> str:
    """Counts, what differs in columns, settings and source, samples, drift."""
    rows = found.rows
    lines = [f"{found.view} {found.old.version} → {found.new.version}"]
    lines += [f"  {name:<8} {getattr(rows, name):>12,}" for name in ("same", "added", "removed", "changed")]
    if rows.changed_columns:
        columns = ", ".join(f"{name} {count:,}" for name, count in rows.changed_columns.most_common())
        lines.append(f"  changed rows by column: {columns}")
    for title, changed in (("column", found.columns), ("setting", found.settings), ("source", found.source)):
        lines += [f"  {title} {name}: {before} → {after}" for name, (before, after) in changed.items()]
    lines += [f"  + {line}" for row in rows.added_rows for line in _sample(found, row)]
    lines += [f"  - {line}" for row in rows.removed_rows for line in _sample(found, row)]
    for old, new in rows.changed_rows:
        lines += [f"  ~ {line}" for line in _sample(found, {**new, **_both(old, new)})]
    return "\n".join(lines) + "\n" + _drift(found.drift, found.new.version)


def _versions_table(versions: Sequence[VersionFacts]) -> str:
    lines: list[tuple[str, ...]] = [("version", "published", "by", "rows", "covers", "space", "readable", "drift")]
    for one in versions:
        failed = [figure for figure in one.drift if not figure.holds]
        drift = f"{len(failed)} of {len(one.drift)} beyond" if failed else "none" if one.drift else "-"
        by = one.published.operation
        by = by if one.published.restored is None else f"{by} to {one.published.restored}"
        readable = "yes" if one.is_readable else "no"
        covers = _percent(one.whole_coverage)
        lines.append((_version(one), _time(one), by, _rows(one), covers, one.published.space_id or "?", readable, drift))
    return align(lines)


def _by_locale(one: VersionFacts) -> str:
    if one.profile is None:
        return ""
    lines: list[tuple[str, ...]] = [("locale", "rows", "listings with rows", "covers")]
    for locale, rows in one.profile.rows_by_locale.items():
        listings = one.profile.listings_by_locale.get(locale, 0)
        lines.append((locale, f"{rows:,}", f"{listings:,}", _percent(one.coverage.get(locale))))
    missing = [locale for locale in one.coverage if locale not in one.profile.rows_by_locale]
    lines += [(locale, "0", "0", _percent(0.0)) for locale in missing]
    return align(lines)


def _nulls(one: VersionFacts) -> str:
    rates = ", ".join(f"{name} {rate:.1%}" for name, rate in one.null_rates.items() if rate)
    return f"nulls: {rates or 'none'}\n" if one.profile else ""


def _drift(figures: Sequence[Figure], version: int) -> str:
    """Figures that moved, those beyond their threshold first."""
    moved = sorted((figure for figure in figures if figure.value), key=lambda figure: (figure.holds, -float(figure.value or 0)))
    if not moved:
        return f"drift of version {version}: none\n" if figures else ""
    lines = [f"  {'ok    ' if figure.holds else 'BEYOND'} {figure}" for figure in moved]
    return "\n".join([f"drift of version {version}, on {moved[0].measured_on}:", *lines]) + "\n"


def _lineage(lineage: Mapping[str, Any]) -> str:
    return "made from:\n" + "".join(f"  {name:<11}{text}\n" for name, text in _links(lineage))


def _links(lineage: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for run in lineage["ingest"]:
        yield "feeds", f"{', '.join(run['feeds']) or 'no file is named'} ({run['run_id']})"
    for table in ("listings", "embeddings"):
        if found := lineage[table]:
            yield table, f"version {found['version']}, {found['committed_at'] or 'which its log has forgotten'}"
    for name in ("bundle", "teacher"):
        if bundle := lineage[name]:
            sets = [one for one in (bundle["training_set"], *bundle["label_sets"]) if one]
            yield name, f"{bundle['id']} ({bundle['kind']}), trained on {', '.join(sets) or 'nothing of this workspace'}"
        elif name == "bundle":
            yield name, f"none in this workspace has the space {lineage['space_id'] or '?'}"
    yield "space", lineage["space_id"] or "?"


def _sample(found: VersionDifference, row: Row) -> list[str]:
    values = "  ".join(f"{name}={str(value)[:_CHARACTERS]}" for name, value in shorten(row).items() if name != "space_id")
    return [values, *(f"    {name[:_CHARACTERS]}" for name in found.names_of(row))]


def _both(old: Row, new: Row) -> dict[str, str]:
    """The columns that differ, as before → after."""
    before, after = shorten(old), shorten(new)
    return {name: f"{before[name]} → {after[name]}" for name in after if name in before and old[name] != new[name]}


def _warnings(view: ViewFacts) -> Iterator[str]:
    fresh = view.freshness
    if fresh.is_stale:
        yield f"{view.name} is stale: a change has waited {fresh.waiting_hours:,.1f} h; declared are {fresh.declared_hours:g} h"
    if view.hold:
        yield explain_hold(view.name, view.hold)


def _freshness(view: ViewFacts) -> str:
    if not view.freshness.waiting_hours:
        return "shows every change"
    declared = f" of {view.freshness.declared_hours:g}" if view.freshness.declared_hours is not None else ""
    return f"{'STALE: ' if view.freshness.is_stale else ''}waiting {view.freshness.waiting_hours:,.1f}{declared} h"


def _version(one: VersionFacts) -> str:
    return str(one.published.version)


def _time(one: VersionFacts) -> str:
    return f"{one.published.committed_at:%Y-%m-%d %H:%M}"


def _rows(one: VersionFacts) -> str:
    return f"{one.profile.rows:,}" if one.profile else "?"


def _percent(share: float | None) -> str:
    return "?" if share is None else f"{share:.1%}"
