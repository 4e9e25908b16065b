"""Chooses the listings of a model's page: of all languages alike, in an order that is a hash of their keys."""

from collections.abc import Sequence
from itertools import chain, zip_longest

from m5model.data.keys import key_hash
from m5model.reports.model.facts import ShownListing


def choose_sample(listings: Sequence[ShownListing], count: int) -> list[ShownListing]:
    """At most ``count`` listings, one of each language in turn, as long as there are any; languages in their order."""
    by_language: dict[str, list[ShownListing]] = {}
    for listing in sorted(listings, key=lambda each: (key_hash(each.locale, each.item_id), each.title)):
        by_language.setdefault(listing.language, []).append(listing)
    turns = zip_longest(*(by_language[language] for language in sorted(by_language)))
    return [listing for listing in chain.from_iterable(turns) if listing is not None][:count]
