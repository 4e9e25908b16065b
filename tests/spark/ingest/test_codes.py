"""Ids are kept as they are or rejected; locales and languages have declared spellings."""

import json

import pytest

from schemas.locales import LOCALES, explain_locale, find_locale
from spark.ingest.judging.judge import Judged, judge_lines
from spark.ingest.judging.rules import Limits
from spark.ingest.reading.lines import JSON, Lines


def _judge(*records: dict[str, object]) -> Judged:
    base = {"locale": "DE", "item_id": "1", "language": "de", "title": "Lampe"}
    raw = [json.dumps(base | record).encode() for record in records]
    return judge_lines(Lines(raw, [JSON] * len(raw), [None] * len(raw)), Limits())


IDS = (
    "A&amp;B",
    "A&B",
    "A&amp;amp;B",
    " A1",
    "A1 ",
    "A1",
    "A  1",
    "Ã©",
    "é",
    "e\u0301",
    "<b>1</b>",
    "1",
    "%C3%A9",
    "=C3=A9",
    "5kg",
)


def test_no_repair_touches_an_id() -> None:
    judged = _judge(*({"item_id": item_id} for item_id in IDS))
    assert judged.columns["item_id"] == list(IDS)
    assert (judged.verdicts, len(set(judged.columns["item_id"]))) == ({}, len(IDS))


@pytest.mark.parametrize("item_id", ["X\ud800", "X\ufffd", "X\x00", "X\n", "X\x85", "\ufeffX\uffff"])
def test_an_id_that_two_items_could_have_is_rejected(item_id: str) -> None:
    judged = _judge({"item_id": item_id}, {})
    assert {i: verdict.reasons for i, verdict in judged.verdicts.items()} == {0: ["invalid_item_id"]}
    assert judged.columns["item_id"] == [None, "1"]  # it may be that of any item
    json.dumps([judged.columns, judged.verdicts[0].detail], ensure_ascii=False).encode()  # no half of a surrogate pair is left


def test_a_blank_id_is_missing() -> None:
    assert _judge({"item_id": " "}).verdicts[0].reasons == ["missing_item_id"]


def test_numbers_are_ids_where_they_are_whole() -> None:
    judged = _judge({"item_id": 7}, {"item_id": 7.5})
    assert judged.columns["item_id"][0] == "7"
    assert judged.verdicts[1].reasons == ["wrong_type"]


@pytest.mark.parametrize(
    ("spelling", "found"),
    [
        ("DE", ("DE", None)),
        ("de", ("DE", None)),
        (" DE ", ("DE", None)),
        ("GB", ("UK", None)),
        ("uk", ("UK", None)),
        ("USA", ("US", None)),
        ("pt-BR", ("BR", "pt")),
        ("de_DE", ("DE", "de")),
        ("de_DE.UTF-8", ("DE", "de")),
        ("en-GB", ("UK", "en")),
        ("fr-CA", ("CA", "fr")),
        ("ara-Arab-SA", ("SA", "ar")),
        ("hi-IN", ("IN", None)),
        ("pt-PT", None),
        ("ja", None),
        ("Germany", None),
        ("", None),
    ],
)
def test_locales_are_found_in_declared_spellings(spelling: str, found: tuple[str, str | None] | None) -> None:
    assert find_locale(spelling) == found


def test_every_code_and_region_is_a_spelling() -> None:
    for locale in LOCALES.values():
        assert {find_locale(name) for name in (locale.code, *locale.regions)} == {(locale.code, None)}


def test_an_unknown_locale_is_rejected_with_a_hint() -> None:
    judged = _judge({"locale": "ja"}, {"locale": "AT"})
    assert [judged.verdicts[i].reasons for i in (0, 1)] == [["unknown_locale"]] * 2
    assert judged.verdicts[0].detail == f"unknown_locale: {explain_locale('ja')}"
    assert "JP" in explain_locale("ja")
    assert "pt-BR" in explain_locale("AT")


def test_a_locale_that_names_its_language_declares_it() -> None:
    judged = _judge(
        {"locale": "fr-CA", "language": None}, {"locale": "fr-CA", "language": "eng"}, {"locale": "CA", "language": "FR"}
    )
    assert judged.columns["language"] == ["fr", "en", "fr"]
    assert judged.columns["language_source"] == ["declared"] * 3
