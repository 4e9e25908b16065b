"""Damage of every kind that ingest must catch or repair, in known numbers."""

import json
import random
import unicodedata
from collections.abc import Callable, Iterator

from m5model.sample_catalogue.wording import Record

TEN_MEGABYTES = 10_000_000
REPAIRABLE_SHARE = 0.02


def encode_record(record: Record) -> bytes:
    """One line of JSON, UTF-8, without the newline."""
    return json.dumps(record, ensure_ascii=False).encode()


def _without(name: str) -> Callable[[Record], bytes]:
    return lambda record: encode_record({k: v for k, v in record.items() if k != name})


def _with(**values: object) -> Callable[[Record], bytes]:
    return lambda record: encode_record({**record, **values})


# By the reason that ingest gives. Each makes one raw line out of a sound record. (What only a CSV can have is not here.)
DAMAGES: dict[str, Callable[[Record], bytes]] = {
    "invalid_utf8": lambda record: encode_record({**record, "brand": "@"}).replace(b'"@"', b'"\xff\xfe"'),
    "truncated_record": lambda record: encode_record(record)[:-20],
    "invalid_record": lambda record: b'{"item_id" ' + encode_record(record)[1:],
    "two_records": lambda record: encode_record(record)[:-1] + b", " + encode_record({**record, "item_id": "D"})[1:],
    "wrong_type": lambda record: encode_record({**record, "title": [record["title"]]}),
    "missing_item_id": _without("item_id"),
    "invalid_item_id": lambda record: encode_record({**record, "item_id": f"{record['item_id']}\x00"}),
    "missing_locale": _without("locale"),
    "unknown_locale": _with(locale="ZZ"),
    "unknown_language": _with(language="tlh"),
    "missing_title": _with(title="  \t "),
    "letters_lost": _with(title="?????? ???? ????????"),
    "title_too_long": lambda record: encode_record({**record, "title": (record["title"] + " ") * 100 + "x" * 2_000}),
    "text_too_long": lambda record: encode_record({**record, "description": "long " * 50_000}),
    "invalid_updated_at": _with(updated_at="the day before yesterday"),
    "far_updated_at": _with(updated_at="9999-12-31T00:00:00Z"),
}


def stream_damaged(records: Iterator[Record], count: int) -> Iterator[tuple[str, bytes]]:
    """``count`` damaged lines with their reason, all kinds in turn, the first a title of 10 MB."""
    for number, record in zip(range(count), records, strict=False):
        record = {**record, "item_id": f"D{number:08d}"}
        if number == 0:
            yield "record_too_large", encode_record({**record, "title": "x" * TEN_MEGABYTES})
        else:
            reason = list(DAMAGES)[(number - 1) % len(DAMAGES)]
            yield reason, DAMAGES[reason](record)


def damage_repairably(record: Record, draw: random.Random) -> tuple[str, Record] | None:
    """A repair's name and the record that needs it; None where the text does not allow that kind of damage."""
    kind = draw.choice(("mojibake", "control_characters", "unicode_nfc", "whitespace"))
    title = str(record["title"])
    damaged = _DAMAGE_TEXT[kind](title)
    return None if damaged == title else (kind, {**record, "title": damaged})


def _mojibake(text: str) -> str:
    """UTF-8 read as cp1252, only where it is plain: two accented letters or more, all of which cp1252 can hold."""
    if sum(character.isalpha() and not character.isascii() for character in text) < 2:
        return text
    try:
        return text.encode().decode("cp1252")
    except UnicodeDecodeError:
        return text.encode().decode("latin-1")


_DAMAGE_TEXT: dict[str, Callable[[str], str]] = {
    "mojibake": _mojibake,
    "control_characters": lambda text: f"{text[:3]}\x00{text[3:]}\x07",
    "unicode_nfc": lambda text: unicodedata.normalize("NFD", text),
    "whitespace": lambda text: f"  {text.replace(' ', '   ', 1)}\t",
}
