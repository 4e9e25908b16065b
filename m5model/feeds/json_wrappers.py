"""Finds the list of records in an object that wraps them: ``{"products": [{…}, …]}``, ``{"data": {"items": [{…}, …]}}``.

An object wraps records where it has no id of its own, and the objects of one list in it have one. The list may lie in objects
of the object. Where the objects of several lists have ids, the list whose objects have an ``item_id`` is meant; where that
leaves a doubt, the file is refused. An object with an id is a record, whatever lists it has. One whose lists are all empty, and
that has no field of a listing either, wraps no records: the last page of an interface, for example.

Objects one behind the other may be pages of records, or records whose ids have unusual names and that have lists of pictures.
They are pages where the first has fewer values of its own than the first object of its list.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import msgspec

from m5model.feeds.json_patterns import ARRAY, INSIDE, OBJECT, TEXT
from m5model.feeds.opening import UTF_8_MARK
from schemas.errors import BadDataError
from schemas.listing import FEED_FIELDS, ITEM_ID

MAX_LEVELS = 5  # of objects around a list
# What feeds call an id, in small letters and without signs.
IDS = {"itemid", "id", "sku", "gtin", "ean", "asin", "mpn", "handle", "productid", "offerid", "articlenumber", "articleid"}
PEEKED_BYTES = 4 << 10  # of a first object that is not whole
TYPED = "@type"  # an object of JSON-LD with a type is a thing itself
_NAME = re.compile(rb"\s*+(" + TEXT + rb")\s*+:\s*+")
_SCALAR = re.compile(TEXT + rb'|[^\s,{}\[\]"]++')
_NEXT = re.compile(rb"\s*+,")
_END = re.compile(rb"\s*+\}")
_EMPTY = re.compile(rb"\[\s*+\]")
_OBJECT_BEHIND = re.compile(rb"[\s,\x1e]*+(?=\{)")
_OBJECTS = re.compile(rb"\[\s*+(?=\{)")
_check = msgspec.json.Decoder(msgspec.Raw).decode


@dataclass(frozen=True, kw_only=True)
class Wrapper:
    """Holds where the records of an object are."""

    path: tuple[str, ...]  # names that lead to the list
    head: bytes  # up to the list's bracket and with it

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @cached_property
    def _tail(self) -> re.Pattern[bytes]:
        return re.compile(rb"\]" + len(self.path) * (INSIDE + rb"\}"))

    def find_end(self, data: bytes, at: int, path: str) -> int | None:
        """Says where the object ends whose list may end ``at``; None where it does not. Raises as find_wrapper does."""
        found = self._tail.match(data, at)
        if found is None:
            return None
        whole = self.head + found[0]
        try:
            _check(whole)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        others = [each for each in _scan(whole).lists if each.path != self.path]
        _choose([_List(path=self.path, start=0, names=frozenset((ITEM_ID.name,))), *_with_ids(others)], path)
        return found.end()


@dataclass(frozen=True, kw_only=True)
class _List:
    """A list of objects."""

    path: tuple[str, ...]
    start: int  # behind its bracket
    names: frozenset[str]  # of its first object


@dataclass
class _Scan:
    """Holds what was seen of an object. ``end`` is None where it is not whole."""

    names: set[str] = field(default_factory=set)  # of its own values that are no objects and no lists
    lists: list[_List] = field(default_factory=list)
    empty: list[_List] = field(default_factory=list)
    end: int | None = None


def find_wrapper(head: bytes, path: str) -> Wrapper | None:
    """The wrapper that a file begins with, ``head`` being its first bytes; None where its first object is a record.

    Raises BadDataError for an object with several lists that may be the records.
    """
    begun = len(head) - len(head.lstrip(UTF_8_MARK + b" \t\r\n"))
    if head[begun : begun + 1] != b"{":
        return None
    scan = _scan(head, begun)
    behind = None if scan.end is None else _OBJECT_BEHIND.match(head, scan.end)
    if scan.names & {TYPED} or _has_id(scan.names) or (behind and _has_id(_scan(head, behind.end()).names)):
        return None
    if not (lists := _with_ids(scan.lists)):
        is_of_nothing = scan.end is not None and not scan.lists and not scan.names.intersection(FEED_FIELDS)
        lists = scan.empty[:1] if is_of_nothing else []
    if not lists:
        return None
    chosen = _choose(lists, path)
    if behind and chosen.names and len(scan.names) >= len(chosen.names):
        return None
    return Wrapper(path=chosen.path, head=head[begun : chosen.start])


def _choose(lists: list[_List], path: str) -> _List:
    ours = [each for each in lists if ITEM_ID.name in each.names]
    chosen = ours if len(ours) == 1 else lists
    if len(chosen) > 1:
        names = [".".join(each.path) for each in chosen]
        raise BadDataError(
            f"{path} is one object with several lists that may be its records: {', '.join(names)}",
            next_step=f"write the one that holds them into a file of its own, e.g. jq '.{names[0]}' FILE > records.json",
        )
    return chosen[0]


def _with_ids(lists: list[_List]) -> list[_List]:
    return [each for each in lists if _has_id(each.names)]


def _has_id(names: set[str] | frozenset[str]) -> bool:
    return any(re.sub(r"^(g:|@)|[_\s-]", "", name.lower()) in IDS for name in names)


def _scan(data: bytes, at: int = 0) -> _Scan:
    scan = _Scan()
    scan.end = _scan_object(data, at + 1, (), scan)
    return scan


def _scan_object(data: bytes, at: int, path: tuple[str, ...], scan: _Scan) -> int | None:
    """Behind the object whose bracket stands before ``at``; None where it is not whole."""
    while (named := _NAME.match(data, at)) is not None:
        name = _read_text(named[1])
        end = _scan_value(data, named.end(), (*path, name), scan)
        if end is None:
            return None
        if (further := _NEXT.match(data, end)) is None:
            at = end
            break
        at = further.end()
    found = _END.match(data, at)
    return None if found is None else found.end()


def _scan_value(data: bytes, at: int, path: tuple[str, ...], scan: _Scan) -> int | None:
    sign = data[at : at + 1]
    if sign == b"{" and len(path) < MAX_LEVELS:
        return _scan_object(data, at + 1, path, scan)
    if (begun := _OBJECTS.match(data, at)) is not None:
        start = begun.end()
        scan.lists.append(_List(path=path, start=at + 1, names=frozenset(_peek_names(data, start))))
    elif _EMPTY.match(data, at) and path[0] not in FEED_FIELDS:
        scan.empty.append(_List(path=path, start=at + 1, names=frozenset()))
    elif sign not in (b"[", b"{") and len(path) == 1:
        scan.names.add(path[0])
    pattern = {b"[": ARRAY, b"{": OBJECT}.get(sign, _SCALAR)
    found = pattern.match(data, at)
    return None if found is None else found.end()


def _peek_names(data: bytes, at: int) -> Iterator[str]:
    """The names of the object there; where it is not whole, those that can be seen, of objects in it, too."""
    whole = OBJECT.match(data, at)
    if whole is not None:
        try:
            yield from msgspec.json.decode(whole[0], type=dict[str, msgspec.Raw])
            return
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
    for found in re.finditer(rb"(" + TEXT + rb")\s*+:", data[at : at + PEEKED_BYTES]):
        yield _read_text(found[1])


def _read_text(quoted: bytes) -> str:
    try:
        text: str = msgspec.json.decode(quoted, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return quoted.decode("utf-8", "replace")
    return text
