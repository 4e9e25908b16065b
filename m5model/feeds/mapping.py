"""A mapping: a declared table from the fields of a feed to those of a listing, without code. See mapping_files for its file.

It sees one record at a time. What it has no rule for, and a listing has no field for, stays in the record, so that a reject is
kept whole; readers ignore it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from html.parser import HTMLParser
from typing import Any

import msgspec

from m5model.feeds.records import encode_record
from schemas.listing import FEED_FIELDS

ATTRIBUTES, BULLETS = "attributes", "bullets"
# Numbers keep their digits: an id 12.50 is no 12.5.
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
# Elements that end a line of text; the others stand within one.
_BLOCKS = {"address", "article", "br", "dd", "div", "dl", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p"}
_BLOCKS |= {"section", "table", "td", "th", "tr", "ul"}
_SILENT = {"script", "style"}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Says how one field of a listing is made. Fields of the feed keep their names; ``a.b`` also looks into objects."""

    first_of: tuple[str, ...] = ()  # the first that has a value
    join: tuple[str, ...] = ()  # all that have a value, with ``between``
    each: tuple[str, ...] = ()  # all that have a value, as a list; those that are lists are taken apart
    between: str = " "
    split: str = ""  # cuts a text into a list here
    constant: str = ""  # where nothing else gave a value
    lookup: Mapping[str, str] = field(default_factory=dict)  # values that have another spelling with us
    html: bool = False  # takes tags out and resolves entities
    unit: str = ""  # stands behind a value that is a bare number

    def read(self, record: Mapping[str, Any]) -> Any:
        """The value, a text or a list of texts; None where the record has none."""
        found = self._find(record)
        if found is None:
            return self.constant or None
        values = [self._clean(value) for value in (found if isinstance(found, list) else [found])]
        if self.split:
            values = [part.strip() for value in values for part in value.split(self.split)]
        values = [value for value in values if value]
        return values if isinstance(found, list) or self.split else next(iter(values), None)

    def _find(self, record: Mapping[str, Any]) -> Any:
        if self.each:
            return [text for name in self.each for text in _texts(look_up(record, name))] or None
        if self.join:
            parts = [text for name in self.join for text in _texts(look_up(record, name))[:1]]
            return self.between.join(parts) or None
        return next((value for name in self.first_of if (value := _plain(look_up(record, name))) is not None), None)

    def _clean(self, text: str) -> str:
        text = strip_html(text) if self.html else text
        text = self.lookup.get(text, text)
        return f"{text} {self.unit}" if self.unit and _is_number(text) else text


@dataclass(frozen=True, kw_only=True)
class FeedMapping:
    """All rules of one kind of feed."""

    name: str
    title: str = ""
    recognised_by: tuple[str, ...] = ()  # fields that a feed of this kind has
    fields: Mapping[str, Rule] = field(default_factory=dict)  # field of a listing → rule
    attributes: Mapping[str, Rule] = field(default_factory=dict)  # attribute → rule
    pairs: tuple[str, ...] = ()  # lists of objects with a name and a value, which become attributes
    numbered_pairs: tuple[tuple[str, str], ...] = ()  # names with {n}, of a name and of its value
    no_values: tuple[str, ...] = ()  # texts that stand for no value
    keep_unknown: bool = False  # texts that no rule reads become attributes
    constants: Mapping[str, str] = field(default_factory=dict)  # fields of records that have none, e.g. a locale: see records

    def apply(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The record with the fields of a listing."""
        mapped = {name: value for name, value in record.items() if name not in FEED_FIELDS or name not in self.fields}
        for name, rule in self.fields.items():
            value = rule.read(record)
            if value is not None:
                mapped[name] = _fit(name, value)
        attributes = self._attributes(record)
        if attributes:
            mapped[ATTRIBUTES] = attributes
        return mapped

    def apply_to_line(self, line: bytes) -> bytes:
        """The same for one JSON object as UTF-8. What is none stays as it is: judging names what is wrong with it."""
        try:
            record = _decode(line.removeprefix(b"\xef\xbb\xbf"))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return line
        return encode_record(self.apply(record)) if isinstance(record, dict) else line

    @cached_property
    def _known(self) -> frozenset[str]:
        """The fields of a listing, and those of the feed that rules read, without what lies within them."""
        rules = [*self.fields.values(), *self.attributes.values()]
        named = [name for rule in rules for name in (*rule.first_of, *rule.join, *rule.each)]
        return frozenset(part for name in (*named, *self.pairs) for part in (name, name.partition(".")[0])).union(FEED_FIELDS)

    def _attributes(self, record: Mapping[str, Any]) -> dict[str, str]:
        found = record.get(ATTRIBUTES)
        attributes = dict(found) if isinstance(found, dict) else {}
        attributes.update(self._pairs(record))
        for name, rule in self.attributes.items():
            value = rule.read(record)
            if value is not None:
                attributes[name] = ", ".join(value) if isinstance(value, list) else value
        if self.keep_unknown:
            unknown = {name: _plain(value) for name, value in record.items() if name not in self._known}
            attributes = {**{name: text for name, text in unknown.items() if isinstance(text, str)}, **attributes}
        return attributes

    def _pairs(self, record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for name in self.pairs:
            entries = look_up(record, name)
            for entry in entries if isinstance(entries, list) else [entries]:
                if isinstance(entry, dict):
                    yield from self._pair(entry.get("name"), entry.get("value"))
        for title, value in self.numbered_pairs:
            number = 1
            while title.format(n=number) in record or value.format(n=number) in record:
                yield from self._pair(record.get(title.format(n=number)), record.get(value.format(n=number)))
                number += 1

    def _pair(self, name: Any, value: Any) -> Iterator[tuple[str, str]]:
        names, values = _texts(name), [text for text in _texts(value) if text not in self.no_values]
        if names and values:
            yield names[0], ", ".join(values)


def look_up(record: Mapping[str, Any], name: str) -> Any:
    """The field of that name; else, for ``a.b``, the field b of the object (or of a list's first object) a; else None."""
    if name in record:
        return record[name]
    head, dot, rest = name.partition(".")
    inner = record.get(head) if dot else None
    if isinstance(inner, list):
        inner = next((each for each in inner if isinstance(each, dict)), None)
    return look_up(inner, rest) if isinstance(inner, dict) else None


def strip_html(text: str) -> str:
    """The text of a piece of HTML: no tags, entities resolved, a blank where a block ends."""
    if "<" not in text and "&" not in text:
        return text
    reader = _TextOfHtml()
    reader.feed(text)
    reader.close()
    return " ".join("".join(reader.parts).split())


class _TextOfHtml(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in _SILENT
        if tag in _BLOCKS:
            self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in _SILENT and self._silent > 0
        if tag in _BLOCKS:
            self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def _plain(value: Any) -> str | list[str] | None:
    """A text, or a list of texts; None where there is none."""
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)] or None
    return next(iter(_texts(value)), None)


def _texts(value: Any) -> list[str]:
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, str | int | Decimal):
        return [str(value)] if str(value).strip() else []
    return []


def _fit(name: str, value: Any) -> Any:
    """Lists for bullets; levels of a category in one text; the first text for every other field."""
    if name == BULLETS:
        return value if isinstance(value, list) else [value]
    if not isinstance(value, list):
        return value
    return " > ".join(value) if name == "category" else value[0]


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace(",", "", 1).isdigit()
