"""Reads the items of RSS and Atom feeds. No entity is resolved and nothing outside of the file is opened.

An item's elements are fields: ``g:title`` is ``title``, an element that occurs several times is a list, one with elements of
its own an object. What is no item is header, blank, or a damaged region.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from m5model.feeds.blocks import BLANK, HEADER, SEPARATORS, Block
from m5model.feeds.opening import TextFile
from m5model.feeds.records import encode_record
from m5model.feeds.windows import Window
from schemas.errors import BadDataError
from schemas.reject import MAX_RECORD_BYTES

ITEMS = {"rss": "item", "RDF": "item", "feed": "entry"}  # root → what an item is called
GOOGLE = "http://base.google.com/ns/1.0"
BLOCK_RECORDS = 1_000
MAX_ITEM_BYTES = 16 * MAX_RECORD_BYTES
MAX_HEADER_BYTES = 16 << 20
DAMAGED, CUT, BAD_TEXT = "invalid_record", "truncated_record", "invalid_utf8"
LISTS = ("bullets",)
XML = "xml"
# Between items: blanks, comments, and the ends of what the items lie in.
_BETWEEN = re.compile(rb"(?:\s++|<!--.*?-->|</[^<>]*>)*+", re.DOTALL)
_DECLARED = re.compile(rb"""\A(?:\xef\xbb\xbf)?\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.-]+)["']""")


@dataclass
class _Element:
    """An element that is being read."""

    namespace: str
    name: str
    attributes: dict[str, str]
    text: list[str] = field(default_factory=list)
    children: list["_Element"] = field(default_factory=list)

    def value(self) -> Any:
        """Its text, or an object of its elements, or of its attributes where it has nothing else."""
        if self.children:
            return _fields_of(self)
        text = "".join(self.text)
        if text.strip() or not self.attributes:
            return text
        return self.attributes.get("href", self.attributes)


@dataclass(frozen=True, kw_only=True)
class _Form:
    """Says how a file's items are written."""

    encoding: str
    root: str
    tag: str  # of an item; both with their prefixes
    opening: str  # of what the items lie in, with their namespaces
    closing: str

    @property
    def begin(self) -> re.Pattern[bytes]:
        return re.compile(rf"<{self.tag}(?=[\s>/])".encode())

    @property
    def end(self) -> re.Pattern[bytes]:
        """The end of the document. A file without it was cut, maybe between two items."""
        return re.compile(rf"</{re.escape(self.root)}\s*>".encode())

    @property
    def edge(self) -> re.Pattern[bytes]:
        return re.compile(rf"</{self.tag}\s*>|<{self.tag}(?=[\s>/])".encode())


def read_xml_items(text: TextFile) -> Iterator[Block]:
    """All items of an open file. Raises BadDataError for a document of another kind, or that declares entities."""
    window = Window(text)
    window.fill()
    form, end = _read_head(window)
    yield Block(other={HEADER: text.measure(window.take(end))})
    is_done = False
    while not is_done:
        block, is_done = _read_items(window, form)
        yield block


def _read_head(window: Window) -> tuple[_Form, int]:
    """The form, and where the first item begins."""
    path = window.text.path
    declared = _DECLARED.match(window.data)
    encoding = declared[1].decode().lower() if declared and window.text.encoding == "utf-8" else "utf-8"
    while True:
        found = re.search(rb"<(?:[\w.-]+:)?(?:item|entry)(?=[\s>/])", window.data)
        if found is not None or len(window.data) > MAX_HEADER_BYTES or not window.fill():
            break
    # Without an item, all but the end of the document.
    end = found.start() if found else max(window.data.rfind(b"</rss"), window.data.rfind(b"</feed"), 0) or len(window.data)
    open_tags = _open_elements(window.data[:end], encoding, path)
    name = open_tags[0][0] if open_tags else _root_of(window.data)
    root = name.rpartition(":")[2]
    if root not in ITEMS:
        raise BadDataError(
            f"{path} looks like XML of the kind <{root}>, and only RSS (<rss>) and Atom (<feed>) are read",
            next_step="write its records as JSON Lines or CSV",
        )
    opening = "".join(f"<{name}{_namespaces(attributes)}>" for name, attributes in open_tags)
    closing = "".join(f"</{name}>" for name, _ in reversed(open_tags))
    tag = found[0][1:].decode() if found else ITEMS[root]
    return _Form(encoding=encoding, root=name, tag=tag, opening=opening, closing=closing), end


def _open_elements(head: bytes, encoding: str, path: str) -> list[tuple[str, dict[str, str]]]:
    """Name and attributes of the elements that are open at the end of ``head``."""
    stack: list[tuple[str, dict[str, str]]] = []
    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler = lambda name, attributes: stack.append((name, attributes))
    parser.EndElementHandler = lambda _: stack.pop()

    def refuse(*_: object) -> None:
        raise BadDataError(f"{path} declares entities, which are not resolved", next_step="write the file without a DTD")

    parser.EntityDeclHandler = refuse
    try:
        text = head.decode(encoding, "replace")
        parser.Parse(re.sub(r"\A\ufeff?\s*<\?xml[^>]*>", "", text))
    except (expat.ExpatError, LookupError) as error:
        raise BadDataError(f"{path} cannot be read as XML: {error}", next_step="have the file written anew") from error
    return stack


def _root_of(data: bytes) -> str:
    found = re.search(rb"<([\w.:-]+)", re.sub(rb"<[?!].*?>", b"", data[: 1 << 16], flags=re.DOTALL))
    return found[1].decode("utf-8", "replace") if found else "?"


def _namespaces(attributes: dict[str, str]) -> str:
    return "".join(f' {name}="{_escape(value)}"' for name, value in attributes.items() if name.startswith("xmlns"))


def _escape(value: str) -> str:
    return value.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


@dataclass
class _Items:
    """Collects what was read of a file for one block."""

    text: TextFile
    place: int
    records: list[bytes] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    damage: dict[int, str] = field(default_factory=dict)
    lines: dict[int, int] = field(default_factory=dict)
    separators: int = 0
    blank: int = 0
    last: bytes = b""  # of what stands between items

    def add(self, raw: bytes, record: bytes) -> None:
        self.records.append(record)
        self.sizes.append(self.text.measure(raw))

    def add_damaged(self, raw: bytes, reason: str) -> None:
        self.damage[len(self.records)] = reason
        if (count := raw.strip().count(b"\n") + 1) > 1:
            self.lines[len(self.records)] = count
        self.add(raw, self.text.restore(raw))

    def add_between(self, between: bytes) -> None:
        """Tells what stands between items. All but blanks, comments and closing tags is a damaged region."""
        self.last = between
        found = _BETWEEN.match(between)
        end = found.end() if found else 0
        sound = between[:end].strip()
        self.separators += self.text.measure(sound)
        self.blank += self.text.measure(between[:end]) - self.text.measure(sound)
        if end < len(between):
            self.add_damaged(between[end:], DAMAGED)

    def as_block(self) -> Block:
        return Block(
            records=self.records,
            sizes=self.sizes,
            place=self.place,
            damage=self.damage,
            lines=self.lines,
            raw_form=XML,
            other={SEPARATORS: self.separators, BLANK: self.blank},
        )


def _read_items(window: Window, form: _Form) -> tuple[Block, bool]:
    """The next items, and whether they were the last ones."""
    items = _Items(window.text, window.place + window.at)
    while len(items.records) < BLOCK_RECORDS:
        found = window.find(form.begin, MAX_ITEM_BYTES)
        items.add_between(window.take(found.start() if found else len(window.data)))
        if found is None and window.is_whole:
            if not form.end.search(items.last):
                items.add_damaged(b"", CUT)
            return items.as_block(), True
        if found is not None:
            raw, is_whole = _take_item(window, form)
            record = _parse(raw, form) if is_whole else None
            if record is None:
                items.add_damaged(raw, _name_damage(raw, form) if is_whole else CUT)
            else:
                items.add(raw, record)
    return items.as_block(), False


def _take_item(window: Window, form: _Form) -> tuple[bytes, bool]:
    """An item's bytes, and whether it is whole: another may begin within it, or it has no end."""
    found = window.find(form.edge, MAX_ITEM_BYTES, skip=1)
    if found is None:
        return window.take(len(window.data)), False
    is_whole = found[0].startswith(b"</")
    return window.take(found.end() if is_whole else found.start()), is_whole


def _parse(raw: bytes, form: _Form) -> bytes | None:
    """The record of an item; None where it is no XML."""
    try:
        item = _read_tree(form.opening + raw.decode(form.encoding) + form.closing, form)
    except (expat.ExpatError, UnicodeDecodeError):
        return None
    fields = _fields_of(item)
    for name in LISTS:
        if name in fields and not isinstance(fields[name], list):
            fields[name] = [fields[name]]
    return encode_record(fields)


def _name_damage(raw: bytes, form: _Form) -> str:
    try:
        raw.decode(form.encoding)
    except UnicodeDecodeError:
        return BAD_TEXT
    return DAMAGED


def _read_tree(document: str, form: _Form) -> _Element:
    """The item of a document that has one."""
    root = _Element("", "", {})
    stack = [root]

    def start(name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        element = _Element(namespace, local, attributes)
        stack[-1].children.append(element)
        stack.append(element)

    parser = expat.ParserCreate("utf-8", " ")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: stack.pop()
    parser.CharacterDataHandler = lambda text: stack[-1].text.append(text)
    parser.Parse(document, True)
    item = root
    for _ in range(form.opening.count("<") + 1):
        item = item.children[0]
    return item


def _fields_of(element: _Element) -> dict[str, Any]:
    """Elements by name: those of Google's namespace keep theirs, and another of the same name gets a number."""
    by_name: dict[tuple[str, str], list[Any]] = {}
    for child in element.children:
        by_name.setdefault((child.namespace, child.name), []).append(child.value())
    fields: dict[str, Any] = {}
    for (_, name), values in sorted(by_name.items(), key=lambda found: found[0][0] != GOOGLE):
        number, free = 1, name
        while free in fields:
            number += 1
            free = f"{name} ({number})"
        fields[free] = values[0] if len(values) == 1 else values
    return fields
