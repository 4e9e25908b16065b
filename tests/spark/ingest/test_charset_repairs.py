"""Text that was read in a wrong character set comes back exactly, or stays with a warning; sound text stays."""

import pytest

from spark.ingest.cleaning.repairs import languages_of
from spark.ingest.cleaning.text_repairs import RepairedRecord, repair_record

SOUND = {
    "ar": "ساعة ذكية شاوميM6، سوار 46 ملم – أسود",
    "de": "Größe 38 – „weiße“ Müslischüssel 5 €",
    "en": "Bespoke Jet™ pro 16 × 4 café – men’s",
    "es": "Piñata ¿qué? ½ ración de jamón ibérico",
    "fr": "L’été à la plage, déjà là : œufs brûlés",
    "it": "Latte à la carte, bontà e qualità più",
    "ja": "日本酒 純米大吟醸 カメラ ム 農口尚彦 720ml",
    "nl": "Één crème brûlée à la minute 250 g",
    "pt": "Ação São João à base de maçã, às 9",
    "tr": "Çiğ köfte ŞİŞ ığdır Şalgam Yoğurt ™",
}
READ_AS = ("cp1252", "latin-1", "cp1254", "cp1256", "mac_roman", "cp437", "cp850")


def _read(text: str, charset: str) -> str:
    """Bytes that the set leaves open become C1 controls, as browsers have it."""
    return "".join(_character(byte, charset) for byte in text.encode())


def _character(byte: int, charset: str) -> str:
    try:
        return bytes((byte,)).decode(charset)
    except UnicodeDecodeError:
        return chr(byte)


def _repair(title: str, language: str, locale: str | None = None) -> RepairedRecord:
    return repair_record({"title": title}, None, None, languages_of(language, locale))


@pytest.mark.parametrize("language", SOUND)
@pytest.mark.parametrize("charset", READ_AS)
def test_utf8_read_in_another_set_once_or_twice_comes_back(language: str, charset: str) -> None:
    once = _read(SOUND[language], charset)
    for damaged in (once, _read(once, charset)):
        record = _repair(damaged, language)
        assert (record.texts["title"], record.repairs, record.damaged) == (SOUND[language], ["mojibake"], [])


@pytest.mark.parametrize("language", SOUND)
def test_sound_text_stays(language: str) -> None:
    record = _repair(SOUND[language].replace("¿qué?", "ya"), language)
    assert (record.repairs, record.damaged, record.lost) == ([], [], {})


@pytest.mark.parametrize("language", SOUND)
@pytest.mark.parametrize("charset", ["cp1252", "latin-1"])
def test_no_break_spaces_that_became_plain_ones_are_found(language: str, charset: str) -> None:
    once = _read(SOUND[language], charset)
    for damaged in (once, _read(once, charset)):
        assert _repair(damaged.replace("\u00a0", " "), language).texts["title"] == SOUND[language]


@pytest.mark.parametrize(
    ("damaged", "language", "sound"),
    [
        ("Ã la carte", "fr", "à la carte"),
        ("Pâte Ã tartiner 400 g", "fr", "Pâte à tartiner 400 g"),
        ("QualitÃ", "it", "Qualità"),
        ("voilÃ , 5Â kg", "fr", "voilà, 5 kg"),
        ("crÃ¨meÂ brÃ»lÃ©e", "fr", "crème brûlée"),
        ("crÃ¨meÂ  brune", "fr", "crème brune"),
        ("Ã s 9", "pt", "às 9"),
        ("Jetâ„¢", "en", "Jet™"),
        ("AkÅŸen", "tr", "Akşen"),
        ("aux Å’ufs", "fr", "aux Œufs"),
        ("L\u0092ancienne C\u009cur", "fr", "L’ancienne Cœur"),
        ("Kaffee \u0093Bio\u0094 nur \u0080 5", "de", "Kaffee “Bio” nur € 5"),
        ("C\u008fpes", "it", "Cèpes"),
        ("fr\u0081hling Gem\u0081se", "de", "frühling Gemüse"),
        ("þiþ yaðlý", "tr", "şiş yağlı"),
    ],
)
def test_lone_signs_and_letters_come_back(damaged: str, language: str, sound: str) -> None:
    assert _repair(damaged, language).texts["title"] == sound


@pytest.mark.parametrize("read", ["cp1252", "latin-1"])
@pytest.mark.parametrize(
    ("written", "language", "sound"),
    [
        ("cp932", "ja", "日本酒 純米大吟醸 カメラ 720ml"),
        ("euc_jp", "ja", "日本酒 純米大吟醸 カメラ 720ml"),
        ("euc_jp", "ja", "作 IMPRESSION M"),
        ("iso8859_6", "ar", "ريموت كنترول ريسيفر اوسكار إتش دى"),
        ("cp1256", "ar", "ريموت كنترول ريسيفر اوسكار إتش دى"),
    ],
)
def test_legacy_sets_of_japanese_and_arabic_read_as_western_come_back(
    read: str, written: str, language: str, sound: str
) -> None:
    once = "".join(_character(byte, read) for byte in sound.encode(written))
    for damaged in (once, _read(once, read)):
        assert _repair(damaged, language).texts["title"] == sound


@pytest.mark.parametrize(
    ("sound", "language"),
    [
        ("MAÇÃ 1kg", "pt"),
        ("IRMÃ® GROMÃ™ ROMÃ”", "pt"),
        ("CAFÉ® „MENÜ“ Ä“", "de"),
        ("Sélection l’Oréal Château", "ja"),
        ("الرابع، أبيض أو شرط، قرأ", "ar"),
        ("Auður SMÅ®", "tr"),
        ("FIDEUÂ MEDITERRÂNEA", "es"),
        ("SEL FARCE Â PATE", "fr"),
        ("©®™ — «é»", "fr"),
        ("Café «Bio» é »", "ja"),
        ("ｶﾒﾗ ﾌﾟﾗｽ", "ja"),
    ],
)
def test_sound_text_that_resembles_damage_stays(sound: str, language: str) -> None:
    assert _repair(sound, language).texts["title"] == sound


@pytest.mark.parametrize(
    ("damaged", "language"),
    [
        ("Cha\u008d Frutos", "pt"),
        ("Ãgua de coco", "pt"),
        ("ºî ÆÃÊÌ", "en"),
        ("ã“ãªã", "ja"),
        ("Caf=E9 cr=E8me", "fr"),
        ("Gr%F6%DFe%2038", "de"),
        ("هاتÙ أرضي", "ar"),
    ],
)
def test_damage_that_nothing_is_sure_of_stays_with_a_warning(damaged: str, language: str) -> None:
    record = _repair(damaged, language)
    assert (record.texts["title"], record.repairs, record.damaged) == (damaged, [], ["title"])


def test_damage_in_a_part_of_a_text_is_repaired_beside_sound_letters() -> None:
    assert _repair("Jetâ„¢ pro – Größe CrÃ¨me", "de").texts["title"] == "Jet™ pro – Größe Crème"


def test_the_language_decides_between_two_readings() -> None:
    assert _repair("Caf\u008e cr\u008fme", "fr").texts["title"] == "Café crème"
    assert _repair("l\u0092olio", "it").texts["title"] == "l’olio"
    assert _repair("F\u0092sico", "es").texts["title"] == "Físico"
