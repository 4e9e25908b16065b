"""Values of attributes have one spelling in every language."""

import pytest

from m5model.partners.values import normalise_value


@pytest.mark.parametrize(
    ("language", "spellings"),
    [
        ("de", ["1,5 Liter", "1.5 l", "1500 ML", "150 cl"]),
        ("de", ["1.000 g", "1 kg", "1000 Gramm", "1,0 Kilogramm"]),
        ("de", ["Grün", "gruen", "GRÜN"]),
        ("en", ["16 oz", "1 lb", "16-ounce", "16.0 Ounces"]),
        ("en", ["1,234.5 g", "1234.5g", "1.2345 kg"]),
        ("en", ["Grey", "gray", "GREY "]),
        ("en", ["Men's", "men’s", "Mens®"]),
        ("en", ["12 Fl. oz.", "12 fl oz", "12 fluid ounces"]),
        ("en", ['15.6"', "15.6 inches", "15.6-inch", "15.6 ″"]),
        ("en", ["10 x 20 cm", "100x200mm", "10×20cm"]),
        ("es", ["0,5 litros", "500 ml", "50 cl"]),
        ("es", ["Sal & Pimienta", "sal y pimienta"]),
        ("fr", ["Café crème", "cafe creme", "CAFÉ-CRÈME"]),
        ("fr", ["50 % coton", "50% coton"]),
        ("it", ["0,5 litri", "500 millilitri", "50 cl"]),
        ("nl", ["2 stuks", "2 stk", "2 PCS"]),
        ("pt", ["3,5 mm", "0,35 centimetros"]),
        ("pt", ["eléctrico", "elétrico"]),
        ("tr", ["KIRMIZI", "kırmızı", "Kirmizi"]),
        ("tr", ["12 adet", "12 parça"]),
        ("ja", ["１キロ", "1kg", "1000グラム", "１０００ｇ"]),
        ("ja", ["りんご", "リンゴ", "ﾘﾝｺﾞ"]),
        ("ar", ["٥٠٠ جرام", "500 غرام", "٠٫٥ كيلو"]),
        ("ar", ["أحمر", "احمر", "أَحْمَر"]),
    ],
)
def test_spellings_of_a_value_are_one(language: str, spellings: list[str]) -> None:
    assert len({normalise_value(one, language) for one in spellings}) == 1, [
        normalise_value(one, language) for one in spellings
    ]


def test_a_comma_means_what_it_means_in_the_language() -> None:
    assert normalise_value("1,500 g", "en") == normalise_value("1.500 g", "de") == "1500 g"
    assert normalise_value("1.500 g", "en") == normalise_value("1,500 g", "de") == "1.5 g"
    assert normalise_value("1,5 kg", "en") == normalise_value("1,5 kg", "de")  # no thousands have one digit


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("500 g", "500 ml"),
        ("2 in 1", "2 inch 1"),
        ("ガム", "カム"),
        ("1.2.3", "1.2"),
        ("v8", "8 v"),
        ("M", "1 m"),
        ("5G", "5 l"),
    ],
)
def test_different_values_stay_apart(one: str, other: str) -> None:
    assert normalise_value(one, "en") != normalise_value(other, "en")


def test_a_value_that_is_none_or_only_signs_is_empty() -> None:
    assert normalise_value(None) == normalise_value(" - ") == ""
