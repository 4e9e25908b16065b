"""Lines become fields: what one parser reads at once is what reading record by record says, whatever the bytes are."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.listing import FEED_FIELDS
from schemas.reject import UNREADABLE
from spark.ingest.judging.judge import judge_lines
from spark.ingest.judging.rules import RULES, Batch, Limits
from spark.ingest.mapping.records import _parse_exactly, map_records
from spark.ingest.mapping.timestamps import to_micros
from spark.ingest.reading.lines import CSV, JSON, Lines, UnreadableRecord

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=6)
)
VALUES = st.one_of(
    SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(st.text(max_size=3), st.one_of(SCALARS, st.just([1])), max_size=3)
)
NAMES = st.one_of(st.sampled_from(FEED_FIELDS), st.text(max_size=4))
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=6)


def _lines(raw: list[bytes], raw_format: str = JSON) -> Lines:
    return Lines(raw, [raw_format] * len(raw), [None] * len(raw))


def _exactly(raw: bytes) -> tuple[dict, list[str]] | str:
    try:
        return _parse_exactly(_lines([raw]), 0)
    except UnreadableRecord as error:
        return str(error)


def _at_once(raw: bytes) -> tuple[dict, list[str]] | str:
    found = map_records(_lines([raw]))
    fields = {name: column[0] for name, column in found.columns.items() if column[0] is not None}
    return found.unreadable.get(0) or (fields, found.wrong_types.get(0, []))


@settings(max_examples=500, deadline=None)
@given(OBJECTS, st.booleans())
def test_both_readers_read_the_same_of_any_object(values: dict, ascii_only: bool) -> None:
    try:
        raw = json.dumps(values, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        raw = json.dumps(values).encode()
    assert _at_once(raw) == _exactly(raw)


@settings(max_examples=1_000, deadline=None)
@given(
    OBJECTS,
    st.integers(0, 2**32),
    st.sampled_from((b"", b"\xff", b'"', b"}", b"{", b"\x00", b",", b"[", b"\\", b"\xed\xa0\x80", b" {}")),
)
def test_both_readers_read_the_same_of_damaged_bytes(values: dict, seed: int, splice: bytes) -> None:
    raw = json.dumps(values).encode()
    at = random.Random(seed).randrange(len(raw) + 1)
    for damaged in (raw[:at] + splice + raw[at:], raw[:at] + splice, raw[:at] + splice + raw[at + 1 :]):
        read = _at_once(damaged)
        assert read == _exactly(damaged)
        assert isinstance(read, tuple) or read in UNREADABLE


@pytest.mark.parametrize(
    ("raw", "fields", "wrong"),
    [
        (b'{"item_id": 7}', {"item_id": "7"}, []),
        (b'{"item_id": 7.0, "title": 7}', {}, ["item_id", "title"]),
        (b'{"item_id": 9223372036854775808}', {}, ["item_id"]),
        (b'{"item_id": true, "deleted": true}', {"deleted": True}, ["item_id"]),
        (b'{"deleted": " TRUE "}', {"deleted": True}, []),
        (b'{"deleted": "yes"}', {}, ["deleted"]),
        (b'{"deleted": ""}', {}, []),
        (b'{"item_id": -9223372036854775808}', {"item_id": "-9223372036854775808"}, []),
        (
            b'{"attributes": {"a": 1.50, "b": false, "c": null, "d": "x"}}',
            {"attributes": {"a": "1.50", "b": "false", "c": None, "d": "x"}},
            [],
        ),
        (b'{"attributes": {"a": {}}}', {}, ["attributes"]),
        (b'{"bullets": ["a", null]}', {"bullets": ["a", None]}, []),
        (b'{"bullets": ["a", 5]}', {}, ["bullets"]),
        (b'{"title": "cut \\ud83d"}', {"title": "cut \ud83d"}, []),
        (b'{"title": "a", "title": "b"}', {"title": "b"}, []),
        (b'{"item_id": "1", "attributes": {"item_id": "2"}}', {"item_id": "1", "attributes": {"item_id": "2"}}, []),
        (b'\xef\xbb\xbf{"title": "a"}', {"title": "a"}, []),
        (b'{"title": "a"}\r', {"title": "a"}, []),
    ],
)
def test_types_are_coerced_field_by_field(raw: bytes, fields: dict, wrong: list[str]) -> None:
    assert _at_once(raw) == (fields, wrong)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"title": NaN}', "invalid_record"),
        (b'{"other": Infinity}', "invalid_record"),
        (b"[" * 100_000 + b"}", "invalid_record"),
        (b'{"other": "\xff"}', "invalid_utf8"),
        (b'{"title": "a"', "truncated_record"),
        (b"[]", "truncated_record"),
        (b'{"item_id": "1", "title": "a", "item_id": "1"}', "two_records"),
        (b'{"title": "' + b"x" * (1 << 20) + b'"}', "record_too_large"),
    ],
)
def test_what_is_no_record_is_named(raw: bytes, reason: str) -> None:
    assert _at_once(raw) == reason


def test_cells_of_csv_are_text_and_their_lists_and_maps_are_json() -> None:
    cells = {"item_id": "1", "title": "", "brand": "5", "bullets": '["a"]', "attributes": '{"k": 1}', "deleted": "false"}
    wrong = {"bullets": "one", "attributes": "[1"}
    found = map_records(_lines([json.dumps(cells).encode(), json.dumps(wrong).encode(), b"no,object"], CSV))
    assert {name: column[0] for name, column in found.columns.items() if column[0] is not None} == {
        "item_id": "1",
        "brand": "5",
        "bullets": ["a"],
        "attributes": {"k": "1"},
        "deleted": False,
    }
    assert found.wrong_types == {1: ["bullets", "attributes"]}
    assert found.unreadable == {2: "invalid_record"}


LANGUAGES = st.sampled_from(
    ("de-DE", "-DE", "_", "", " de", "de -x", "EN_us", "d\u00e9", "en-" + "x" * 40, "en-suite bath towels")
)
TEXTS = st.dictionaries(
    st.sampled_from(("title", "brand", "seller")), st.sampled_from(("", "a ", "b", "Gr\u00f6\u00dfe", "&amp;"))
)
OTHERS = st.sampled_from(
    (b'{"title": "' + b"x" * (1 << 20) + b'"}', b'{"title": "\xff"}', b"{", b'{"attributes": {"b": null}}')
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(OBJECTS | TEXTS | st.fixed_dictionaries({"language": LANGUAGES}), min_size=1, max_size=5),
    st.lists(OTHERS, max_size=1),
)
def test_what_becomes_of_a_record_does_not_depend_on_the_others(values: list[dict], others: list[bytes]) -> None:
    raw = [json.dumps({"locale": "US", "item_id": "1", "title": "a title", **value}).encode() for value in values] + others
    together = judge_lines(_lines(raw), Limits())
    for i, line in enumerate(raw):
        alone = judge_lines(_lines([line]), Limits())
        assert {name: column[i] for name, column in together.columns.items()} == {n: c[0] for n, c in alone.columns.items()}
        assert (together.verdicts.get(i), i in together.tombstones) == (alone.verdicts.get(0), 0 in alone.tombstones)


@pytest.mark.parametrize(
    ("declared", "language", "source"),
    [
        ("de-DE", "de", "declared"),
        (" PT_br ", "pt", "declared"),
        ("en -US", "en", "declared"),
        ("-DE", "en", "detected"),
        ("", "en", "detected"),
        ("en-suite bathroom towel set, cotton, 4 pieces", None, None),
        ("sv", None, None),
    ],
)
def test_a_declared_language_is_normalised_else_detected_else_refused(
    declared: str, language: str | None, source: str | None
) -> None:
    record = {"locale": "US", "item_id": "1", "title": "a red shirt of cotton for the summer", "language": declared}
    judged = judge_lines(_lines([json.dumps(record).encode()]), Limits())
    assert [verdict.reasons for verdict in judged.verdicts.values()] == ([] if language else [["unknown_language"]])
    if language:
        assert (judged.columns["language"], judged.columns["language_source"]) == ([language], [source])


@pytest.mark.parametrize(
    "raw", [b'{"a": \xe0\x80\x80}', b'{"a": "b"} \xed\xa0\x80', b'{"a": 1}\xf4\x90\x80\x80', b'\xff{"a": "b"}']
)
def test_bad_bytes_between_strings_are_named(raw: bytes) -> None:
    assert _at_once(raw) == "invalid_utf8"


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01T00:00:00.1234567Z", 123_456),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01 00:00:00", 0),
        ("1970-01-02", 86_400_000_000),
        ("1970-1-2", 86_400_000_000),
        ("1970", 0),
        ("1970-1-1 1:00:00.5 +1:00", 500_000),
        ("0100-01-01T00:00:00Z", -59_011_459_200_000_000),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
        ("0001-01-01T00:00:00+01:00", -62_135_600_400_000_000),
        ("9999-12-31T23:59:59-01:00", 253_402_304_399_000_000),
        ("1970-1-1 1:00 +19:00", None),
        ("1970-1-1 1:00 +1:60", None),
        ("\u0661\u0669\u0667\u0660-1-1", None),
        ("1970-01-01T00:00:60Z", None),
        ("1970-13-01", None),
        ("yesterday", None),
        ("0", None),
        ("", None),
    ],
)
def test_instants(text: str, micros: int | None) -> None:
    assert to_micros(text) == micros


def test_an_absent_field_breaks_only_the_rules_that_require_it() -> None:
    found = map_records(_lines([b"{}"]))
    broken = {rule.reason for rule in RULES if list(rule.broken(Batch(found, [None], Limits())))}
    assert broken == {"missing_item_id", "missing_locale", "missing_title"}
