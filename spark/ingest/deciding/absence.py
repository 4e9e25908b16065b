"""Decides for which locales a full feed proves that a listing is absent from it.

A reject whose key is readable protects the listing of that key, as any record does. One whose locale is known but not its item
may be any listing of the locale. One whose locale is not known may be any listing, and so may records in files that were not
read.
"""

from dataclasses import dataclass

from m5model.feeds.sources import FeedFiles, list_some
from spark.ingest.staging.tally import ANY_LOCALE, Tally


@dataclass(frozen=True, kw_only=True)
class Absence:
    """Listings of ``locales`` that the feed lacks are to be deleted; ``warnings`` say which locales are spared, and why."""

    locales: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def find_complete_locales(tally: Tally, files: FeedFiles) -> Absence:
    """The locales that a full feed contains as a whole."""
    unread = [*files.unread_paths, *(file.path for file in files.left_out if file.may_hold_records)]
    if unread:
        return _spare_all(f"{len(unread):,} paths of the full feed were not read ({list_some(unread)})")
    if anywhere := tally.unknown_keys[ANY_LOCALE]:
        return _spare_all(f"the locales of {anywhere:,} rejected records of the full feed could not be made out")
    spared = tuple(
        f"nothing of {locale} was deleted as absent: the items of {count:,} rejected records could not be made out"
        for locale, count in sorted(tally.unknown_keys.items())
    )
    return Absence(locales=tuple(sorted(tally.locales - tally.unknown_keys.keys())), warnings=spared)


def _spare_all(why: str) -> Absence:
    return Absence(warnings=(f"nothing was deleted as absent: {why}",))
