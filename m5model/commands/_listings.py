"""The listings that a command shows a model: of a feed's file, of a training set, or of the sample catalogue."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from schemas.workspace import Workspace

if TYPE_CHECKING:
    from m5model.reports.model.facts import ShownListing

READ_LISTINGS = 5_000  # of a file, at most
SAMPLE_ROWS = 2_000  # of the sample catalogue: enough for forty listings of its rarest language
SEPARATOR = ">"  # of the levels of a category


def add_listings(parser: argparse.ArgumentParser) -> None:
    given = parser.add_mutually_exclusive_group()
    given.add_argument("--listings", metavar="FILE", help="a feed's file; the generated sample catalogue otherwise")
    given.add_argument("--set", metavar="NAME[/VERSION]", help="a training set of the workspace, in the place of --listings")


def read_listings(arguments: argparse.Namespace) -> tuple[str, "list[ShownListing]"]:
    """Read the listings, and say for people where they are from. Raises ConfigurationError where there is none."""
    from schemas.errors import ConfigurationError

    if arguments.listings:
        source, found = arguments.listings, list(_of_file(arguments.listings))
    elif arguments.set:
        source, found = _of_training_set(Workspace.resolve(arguments.workspace), arguments.set)
    else:
        return f"the sample catalogue, {SAMPLE_ROWS:,} listings, seed 0", list(_of_sample_catalogue())
    if not found:
        raise ConfigurationError(
            f"{source} has no listings: no record has a title",
            next_step="give a feed with a field title (m5 feed inspect FILE shows its fields), or leave the flag out",
        )
    return source, found


def _of_file(path: str) -> "Iterator[ShownListing]":
    from m5model.feeds.inspection import stream_listings
    from m5model.feeds.sources import find_feed_files
    from schemas.errors import ConfigurationError

    files = find_feed_files([path]).files
    if not files:
        raise ConfigurationError(f"there is nothing to read in {path}", next_step="give a file of a feed")
    records = (record for file in files for record in stream_listings(file))
    for number, record in enumerate(islice(records, READ_LISTINGS)):
        if listing := _from_record(record, number):
            yield listing


def _of_training_set(workspace: Workspace, reference: str) -> "tuple[str, list[ShownListing]]":
    from m5model.data.set_versions import find_training_set
    from m5model.data.training_sets import open_training_set

    found = open_training_set(find_training_set(workspace, reference))
    rows = (row for part in (found.held_out, found.learn) for row in part)
    listings = (_from_record(row, number) for number, row in enumerate(islice(rows, READ_LISTINGS)) if not row["copy"])
    source = f"training set {found.manifest.name}/{found.manifest.version}"
    return source, [listing for listing in listings if listing]


def _of_sample_catalogue() -> "Iterator[ShownListing]":
    """Its groups are departments, by their English names: one name in all languages."""
    from m5model.reports.model.facts import ShownListing
    from m5model.sample_catalogue.items import stream_offers
    from m5model.sample_catalogue.lexicon import product_types, read_words
    from m5model.sample_catalogue.wording import word_offer

    departments = read_words("en")["departments"]
    for offer in stream_offers(SAMPLE_ROWS, seed=0):
        group = departments[product_types()[offer.item.type_name]["department"]]
        fields = word_offer(offer, seed=0)
        yield ShownListing(locale=offer.locale, item_id=offer.item_id, language=offer.language, group=group, fields=fields)


def _from_record(record: Mapping[str, Any], number: int) -> "ShownListing | None":
    """A listing of what a feed says; None for a record without a title, such as a tombstone."""
    from m5model.reports.model.facts import ShownListing

    if not record.get("title"):
        return None
    texts = {name: str(record[name]) for name in ("title", "brand", "category", "description") if record.get(name)}
    locale = str(record.get("locale") or "")
    return ShownListing(
        locale=locale,
        item_id=str(record.get("item_id") or number),
        language=_language(str(record.get("language") or ""), locale),
        group=texts.get("category", "").partition(SEPARATOR)[0].strip(),
        fields={**texts, "bullets": _texts(record.get("bullets")), "attributes": _pairs(record.get("attributes"))},
    )


def _language(stated: str, locale: str) -> str:
    """The language that is stated; else that of a locale with one alone. Empty where neither is known."""
    from schemas.locales import LANGUAGE_SPELLINGS, LOCALES, find_locale

    if stated:
        return LANGUAGE_SPELLINGS.get(stated.lower(), stated.lower())
    found = find_locale(locale) if locale else None
    languages = LOCALES[found[0]].languages if found else ()
    return languages[0] if len(languages) == 1 else ""


def _texts(value: Any) -> list[str]:
    """Bullets: a list of texts, or one text."""
    values: Sequence[Any] = value if isinstance(value, list) else [value]
    return [str(each) for each in values if each]


def _pairs(value: Any) -> list[tuple[str, str]]:
    """Attributes: a mapping, or a list of names and values as training sets have them; others are left out."""
    if isinstance(value, Mapping):
        pairs = list(value.items())
    else:
        entries = [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []
        pairs = [(entry.get("name"), entry.get("value")) for entry in entries]
    return [(str(name), str(each)) for name, each in pairs if name and each]
