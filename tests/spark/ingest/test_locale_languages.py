"""The language of a listing that declares none: its locale's own languages first, another on strong evidence."""

import json

import pytest

from schemas.locales import LOCALES
from spark.ingest.cleaning.locale_languages import detect_for_locales
from spark.ingest.judging.judge import judge_lines
from spark.ingest.judging.rules import Limits
from spark.ingest.reading.lines import JSON, Lines


def _detect(title: str, locale: str | None, category: str = "") -> tuple[str, float]:
    ((language, confidence),) = detect_for_locales([f"{title} {category}".strip()], [title], [locale])
    return language, confidence


@pytest.mark.parametrize(
    ("title", "locale", "language"),
    [
        ("Calvé Saus Knoflook 320ml", "NL", "nl"),
        ("Hak Witte Bonen 720g", "NL", "nl"),
        ("Jumbo Romaine Sla 200g", "NL", "nl"),
        ("Le Creuset Cocotte Signature 24 cm", "DE", "de"),
        ("Pasta Barilla Penne Rigate 500 g", "IT", "it"),
        ("Galaxy A52 128GB", "TR", "tr"),
        ("作 IMPRESSION M", "JP", "ja"),
        ("SUZUKI", "JP", "ja"),
        ("شاحن سريع Samsung", "SA", "ar"),
        ("حزام Amazfit GTR 47mm Active Edition Smart Watch", "AE", "en"),
    ],
)
def test_the_locales_own_languages_come_first(title: str, locale: str, language: str) -> None:
    assert _detect(title, locale)[0] == language


@pytest.mark.parametrize(
    ("title", "locale", "language"),
    [
        ("Stainless steel kettle with temperature control for the perfect cup of tea", "DE", "en"),
        ("Wasserkocher aus Edelstahl mit Temperaturregelung für Tee und Kaffee", "FR", "de"),
        ("غلاية ماء كهربائية", "DE", "ar"),
        ("Stainless steel kettle with temperature control for the perfect cup of tea", "JP", "en"),
        ("温度調節付きステンレス製電気ケトル", "US", "ja"),
        ("Stainless steel kettle with temperature control for the perfect cup of tea", "NL", "en"),
    ],
)
def test_another_language_is_found_on_strong_evidence(title: str, locale: str, language: str) -> None:
    found, confidence = _detect(title, locale)
    assert found == language
    assert confidence > 0.9


def test_a_short_text_is_less_sure_than_a_long_one() -> None:
    title = "Stainless steel kettle with temperature control for the perfect cup of tea"
    assert _detect(title[:15], "NL")[1] < _detect(title, "NL")[1]


def test_a_text_that_says_nothing_is_in_the_usual_language_of_its_locale() -> None:
    for code, locale in LOCALES.items():
        assert _detect("7", code)[0] == locale.languages[0]


def test_the_category_has_a_say_and_no_other_listing_has() -> None:
    records = [
        {"locale": "CA", "title": "Nutella 400 g", "category": "Pâtes à tartiner aux noisettes et au cacao"},
        {"locale": "CA", "title": "Nutella 400 g", "category": "Hazelnut and cocoa spreads for breakfast"},
        {"locale": "CA", "title": "Nutella 400 g"},
    ]
    raw = [json.dumps({"item_id": str(i)} | record).encode() for i, record in enumerate(records)]
    together = judge_lines(Lines(raw, [JSON] * 3, [None] * 3), Limits())
    assert together.columns["language"] == ["fr", "en", "en"]
    assert together.columns["language_source"] == ["detected"] * 3
    for i, line in enumerate(raw):
        alone = judge_lines(Lines([line], [JSON], [None]), Limits())
        assert alone.columns["language_confidence"] == [together.columns["language_confidence"][i]]
