"""Languages of a batch are those of py3langid itself, whatever else is in the batch."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from schemas.locales import LANGUAGES
from spark.ingest.cleaning.detection import TEXTS_AT_ONCE, detect_languages

TITLES = {
    "en": "Stainless steel kettle with temperature control for tea",
    "de": "Wasserkocher aus Edelstahl mit Temperaturregelung für Tee",
    "fr": "Bouilloire en acier inoxydable avec réglage de la température",
    "nl": "Roestvrijstalen waterkoker met temperatuurregeling voor thee",
    "ar": "غلاية ماء كهربائية من الفولاذ المقاوم للصدأ",
    "ja": "温度調節付きステンレス製電気ケトル、お茶用",
    "tr": "Çay için sıcaklık kontrollü paslanmaz çelik su ısıtıcısı",
}


@pytest.fixture(scope="module")
def library() -> LanguageIdentifier:
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(LANGUAGES))
    return identifier


def _assert_as_library(library: LanguageIdentifier, texts: list[str]) -> None:
    for text, (language, probability) in zip(texts, detect_languages(texts), strict=True):
        expected = dict(library.rank(text))
        assert probability == pytest.approx(max(expected.values()), abs=1e-4)
        assert expected[language] == pytest.approx(probability, abs=1e-4)


def test_languages_are_told_apart() -> None:
    assert dict(zip(TITLES, (language for language, _ in detect_languages(list(TITLES.values()))), strict=True)) == {
        language: language for language in TITLES
    }


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.one_of(st.text(max_size=60), st.sampled_from(list(TITLES.values()))), max_size=8))
def test_any_texts_get_the_language_and_probability_that_the_library_gives(library, texts: list[str]) -> None:
    _assert_as_library(library, texts)


def test_texts_that_say_nothing_and_capitals_are_as_in_the_library(library) -> None:
    _assert_as_library(library, ["", " ", "7", "\u0000", "STAINLESS STEEL KETTLE", "cafe\u0301"])


def test_a_text_has_the_same_probability_alone_and_in_any_batch() -> None:
    texts = [title[:length] for length in range(1, 40) for title in TITLES.values()] * 8
    assert len(texts) > TEXTS_AT_ONCE
    alone = {text: detect_languages([text])[0] for text in set(texts)}
    assert detect_languages(texts) == [alone[text] for text in texts]
    assert detect_languages(texts[::-1]) == [alone[text] for text in texts[::-1]]
    assert detect_languages([]) == []
