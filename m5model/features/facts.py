"""Gathers what is known of a published view: of every version, and of what readers see now."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from m5model.features.drift import compare_profiles
from m5model.features.freshness import Freshness, measure_freshness
from m5model.features.holds import find_hold
from m5model.features.listings import count_listings
from m5model.features.profiles import StoredProfile, find_profile, read_profile
from m5model.features.publications import PublishedVersion
from m5model.features.versions import missing_files, require_published
from schemas.feature_profile import Profile
from schemas.features import FOLDER
from schemas.figure import Figure
from schemas.report import JsonValue
from schemas.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class VersionFacts:
    """One published version."""

    published: PublishedVersion
    is_readable: bool  # its files are all there
    profile: Profile | None  # None where it cannot be read and was not measured while it could
    listings: Mapping[str, int] | None  # of the catalogue at its version, by locale; None where that log is gone
    drift: tuple[Figure, ...]  # against the published version before

    @property
    def coverage(self) -> dict[str, float]:
        """Share of the catalogue's listings that have a row, by locale."""
        if self.profile is None or self.listings is None:
            return {}
        covered = self.profile.listings_by_locale
        return {locale: covered.get(locale, 0) / count for locale, count in self.listings.items() if count}

    @property
    def whole_coverage(self) -> float | None:
        """The same over all locales."""
        if self.profile is None or not self.listings or not sum(self.listings.values()):
            return None
        return sum(self.profile.listings_by_locale.values()) / sum(self.listings.values())

    @property
    def null_rates(self) -> dict[str, float]:
        """Share of the rows that have no value, by column."""
        rows = self.profile.rows if self.profile else 0
        return {name: count / rows for name, count in self.profile.nulls.items()} if self.profile and rows else {}

    def as_json(self) -> dict[str, JsonValue]:
        one = self.published
        return {
            "version": one.version,
            "operation": one.operation,
            "restored": one.restored,
            "published_at": one.committed_at.isoformat(),
            "readable": self.is_readable,
            "space_id": one.space_id,
            "source": dict(one.source),
            "settings": dict(one.settings),
            "rows": self.profile.rows if self.profile else None,
            "rows_by_locale": dict(self.profile.rows_by_locale) if self.profile else {},
            "coverage": self.whole_coverage,
            "coverage_by_locale": dict(self.coverage),
            "null_rates": dict(self.null_rates),
            "drift": [asdict(figure) for figure in self.drift],
        }


@dataclass(frozen=True, kw_only=True)
class ViewFacts:
    """One view: its versions, oldest first, and whether readers get what it declares."""

    name: str
    versions: tuple[VersionFacts, ...]
    freshness: Freshness
    hold: PublishedVersion | None

    @property
    def newest(self) -> VersionFacts:
        return self.versions[-1]

    def as_json(self) -> dict[str, JsonValue]:
        return {
            "view": self.name,
            "owner": self.newest.published.declaration.get("owner"),
            "held_at": self.hold.restored if self.hold else None,
            "freshness": {**asdict(self.freshness), "stale": self.freshness.is_stale},
            **self.newest.as_json(),
        }


def gather_view(workspace: Workspace, view: str, now: datetime, last: int | None = None) -> ViewFacts:
    """All of a view, or its ``last`` versions. Profiles that are missing are made.

    Raises ConfigurationError where there is no such view.
    """
    path = workspace.table(f"{FOLDER}/{view}")
    published = require_published(path, view)
    begin = 0 if last is None else max(0, len(published) - last)
    return ViewFacts(
        name=view,
        versions=tuple(_gather(workspace, view, path, published[: place + 1]) for place in range(begin, len(published))),
        freshness=measure_freshness(workspace, published[-1], now),
        hold=find_hold(path),
    )


def _gather(workspace: Workspace, view: str, path: str, published: Sequence[PublishedVersion]) -> VersionFacts:
    """Of the last of ``published``."""
    one = published[-1]
    is_readable = missing_files(path, one.version) == []
    stored = find_profile(workspace, view, published) if is_readable else read_profile(workspace, view, one.version)
    before = read_profile(workspace, view, published[-2].version) if len(published) > 1 else None
    listings_version = one.source.get("listings_version")
    return VersionFacts(
        published=one,
        is_readable=is_readable,
        profile=stored.profile if stored else None,
        listings=count_listings(workspace, listings_version) if isinstance(listings_version, int) else None,
        drift=_drift(before, stored),
    )


def _drift(before: StoredProfile | None, now: StoredProfile | None) -> tuple[Figure, ...]:
    same_table = before is not None and now is not None and before.table_id == now.table_id
    return tuple(compare_profiles(before, now)) if before and now and same_table else ()
