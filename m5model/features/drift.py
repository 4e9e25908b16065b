"""Says how far a version's rows are from another's: distributions of scores, of rows per listing, of locales, and of nulls.

The measure is the total variation distance: the share of rows that would have to move to another bin to make the two
distributions one. It needs no smoothing where a bin is empty, and reads as a share. It is 0 for equal distributions, 1 for
those that share no bin.
"""

from collections.abc import Mapping, Sequence

from m5model.features.profiles import StoredProfile
from m5model.gates.evidence import judge
from schemas.feature_profile import plan_histograms
from schemas.figure import Figure

MAX_SHIFT = 0.1  # share of rows; a release of a new model is expected to exceed it, and to be looked at
MAX_NULL_CHANGE = 0.05  # share of rows


def compare_profiles(before: StoredProfile, after: StoredProfile) -> list[Figure]:
    """A figure for each distribution that both have with the same bins, in the order of the columns."""
    old, new = before.profile, after.profile
    measured_on = f"{old.rows:,} rows of version {before.version}, {new.rows:,} of version {after.version}"
    shifts = {
        "locales": _shift_by_name(old.rows_by_locale, new.rows_by_locale),
        "rows per listing": shift(old.rows_per_listing, new.rows_per_listing),
        **{name: shift(old.histograms[name], new.histograms[name]) for name in _comparable(before, after)},
    }
    figures = [judge(f"shift of {name}", value, "at most", MAX_SHIFT, measured_on) for name, value in shifts.items()]
    for name in new.nulls:
        if name in old.nulls and (old.nulls[name] or new.nulls[name]):
            change = abs(_share(new.nulls[name], new.rows) - _share(old.nulls[name], old.rows))
            figures.append(judge(f"change of nulls of {name}", round(change, 6), "at most", MAX_NULL_CHANGE, measured_on))
    return figures


def shift(before: Sequence[int], after: Sequence[int]) -> float:
    """The total variation distance of two histograms with the same bins; 1 where only one of them holds anything."""
    old, new = sum(before), sum(after)
    if not old or not new:
        return float(old != new)
    return round(sum(abs(a / old - b / new) for a, b in zip(before, after, strict=True)) / 2, 6)


def _shift_by_name(before: Mapping[str, int], after: Mapping[str, int]) -> float:
    names = sorted({*before, *after})
    return shift([before.get(name, 0) for name in names], [after.get(name, 0) for name in names])


def _comparable(before: StoredProfile, after: StoredProfile) -> list[str]:
    """Names of histograms that both versions have, over the same bins."""
    old = {one.name: one.edges for one in plan_histograms(before.columns)}
    return [one.name for one in plan_histograms(after.columns) if old.get(one.name) == one.edges]


def _share(count: int, rows: int) -> float:
    return count / rows if rows else 0.0
