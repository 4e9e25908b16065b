"""Looks at one file of a feed: what it is, which mapping fits, and its first records as they would become listings.

Nothing is written, and only the beginning of the file is read.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import msgspec

from m5model.feeds.csv_form import find_csv_form
from m5model.feeds.json_wrappers import find_wrapper
from m5model.feeds.mapping import FeedMapping
from m5model.feeds.mapping_files import read_mapping, ready_names
from m5model.feeds.opening import open_text
from m5model.feeds.records import add_constants
from m5model.feeds.sources import CSV, JSON, PARQUET, XML, FeedFile
from m5model.feeds.splits import Split, read_split
from schemas.listing import DELETED, FEED_FIELDS
from schemas.locales import find_locale

READ_RECORDS = 1_000
SHOWN_RECORDS = 10
# Of the fields that recognise a mapping.
ENOUGH = 0.6


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """Holds what was found."""

    form: str  # for people
    names: tuple[str, ...]  # fields, the most usual first
    proposed: str  # a ready mapping; empty where the feed has our own fields, or none fits
    applied: str  # the mapping that the records went through; empty for none
    records: int  # that were read
    listings: tuple[Mapping[str, Any], ...]  # the first ones, as they would become
    problems: Mapping[str, int] = field(default_factory=dict)  # what would be rejected, as a record alone shows


def inspect_file(file: FeedFile, mapping: FeedMapping | None = None, constants: Mapping[str, str] | None = None) -> Inspection:
    """Apply ``mapping``, or else the ready one that fits. Raises BadDataError for a file that cannot be read."""
    raw = list(islice(_records(file), READ_RECORDS))
    records = [record for line, _ in raw if (record := _open(line)) is not None]
    names = Counter(name for record in records for name in record)
    proposed = propose_mapping(set(names))
    applied = mapping or (read_mapping(proposed) if proposed else None)
    known = {**dict(constants or {}), **dict(file.constants)}
    mapped = [_map(line, applied, known) for line, damage in raw if not damage]
    listings = [record for record in mapped if record is not None]
    problems = Counter(damage for _, damage in raw if damage)
    problems.update(problem for listing in listings for problem in _problems(listing))
    return Inspection(
        form=_describe(file),
        names=tuple(name for name, _ in names.most_common()),
        proposed=proposed,
        applied=applied.name if applied else "",
        records=len(raw),
        listings=tuple(listings[:SHOWN_RECORDS]),
        problems=dict(sorted(problems.items())),
    )


def stream_listings(file: FeedFile) -> Iterator[Mapping[str, Any]]:
    """All records that can be read, as they would become listings, through the ready mapping that fits, if any does."""
    records = _records(file)
    head = list(islice(records, READ_RECORDS))
    names = {name for line, _ in head for name in _open(line) or ()}
    proposed = propose_mapping(names)
    mapping = read_mapping(proposed) if proposed else None
    for line, damage in chain(head, records):
        record = None if damage else _map(line, mapping, dict(file.constants))
        if record is not None:
            yield record


def _map(line: bytes, mapping: FeedMapping | None, constants: Mapping[str, str]) -> dict[str, Any] | None:
    """The fields of a listing in a record; None for what is no object."""
    record = _open(add_constants(mapping.apply_to_line(line) if mapping else line, constants))
    return None if record is None else {name: record[name] for name in FEED_FIELDS if name in record}


def propose_mapping(names: set[str]) -> str:
    """The ready mapping whose fields a feed with these has; empty where it has our own, or where none fits well enough."""
    if {"item_id", "title"} <= names:
        return ""
    shares = {name: _share(read_mapping(name), names) for name in ready_names()}
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] >= ENOUGH else ""


def _share(mapping: FeedMapping, names: set[str]) -> float:
    """Of the fields that a mapping is recognised by, each one of several spellings."""
    found = [not names.isdisjoint(spellings.split("|")) for spellings in mapping.recognised_by]
    return sum(found) / max(1, len(found))


def _records(file: FeedFile) -> Iterator[tuple[bytes, str]]:
    """Records and what damage they have."""
    for block in read_split(Split(file=file)):
        for place, record in enumerate(block.records):
            yield record, block.damage.get(place, "")


def _open(line: bytes) -> dict[str, Any] | None:
    try:
        record = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _describe(file: FeedFile) -> str:
    if file.kind == PARQUET:
        return "Parquet"
    with open_text(file.path, file.encoding, sniff=file.kind != XML) as text:
        unit = "" if text.unit == "bytes" else ", compressed"
        wrapper = find_wrapper(text.head, file.path) if file.kind == JSON else None
        if file.kind != CSV:
            return f"{file.kind.upper()} in {text.encoding}{unit}{f', records in {wrapper.name}' if wrapper else ''}"
        form = find_csv_form(text.head, file.path)
        if form is None:
            return f"an empty CSV{unit}"
        sign = {b"\t": "tab"}.get(form.dialect.delimiter, form.dialect.delimiter.decode())
        return f"CSV in {text.encoding}, {len(form.names)} columns separated by {sign}{unit}"


def _problems(listing: Mapping[str, Any]) -> Iterator[str]:
    """Names what judging would surely reject, by the names of its reasons."""
    locale = listing.get("locale")
    if not locale:
        yield "missing_locale"
    elif find_locale(str(locale)) is None:
        yield "unknown_locale"
    if not listing.get("item_id"):
        yield "missing_item_id"
    if not listing.get("title") and listing.get(DELETED) not in (True, "true"):
        yield "missing_title"
