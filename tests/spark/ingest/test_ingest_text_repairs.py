"""Repairs of texts, without Spark: named, a fixed point, and never made on sound text."""

import json
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark.ingest.cleaning.lost_letters import count_lost
from spark.ingest.cleaning.text_repairs import STEPS, repair_quantity, repair_record, repair_text
from spark.ingest.reading.quick_check import find_clear_lines, is_clear


def _repaired(text: str) -> tuple[str | None, set[str]]:
    found: set[str] = set()
    return repair_text(text, found), found


@pytest.mark.parametrize(
    ("damaged", "sound", "name"),
    [
        ("CafÃ© crÃ¨me", "Café crème", "mojibake"),
        ("ط£ط­ظ…ط± ظƒط¨ظٹط±", "أحمر كبير", "mojibake"),
        ("ÞãíÕ ÃÍãÑ", "قميص أحمر", "mojibake"),
        ("ƒJƒ\x81ƒ‰ 720ml", "カメラ 720ml", "mojibake"),
        ("cafe\u0301", "café", "unicode_nfc"),
        ("nu\x00ll by\x07tes", "null bytes", "control_characters"),
        (" two \t words\n", "two words", "whitespace"),
        ("Salt &amp; pepper<br/>500 g", "Salt & pepper 500 g", "html"),
        ("a &amp;lt;b&amp;gt;bold&amp;lt;/b&amp;gt; word", "a bold word", "html"),
        ("H<sub>2</sub>O, Wohn<b>zimmer</b>lampe", "H2O, Wohnzimmerlampe", "html"),
        ('a<br>b<div class="c">d</div>e', "a b d e", "html"),
        ("Gr=C3=B6=C3=9Fe 38 =3D M", "Größe 38 = M", "escapes"),
        ("Gr%C3%B6%C3%9Fe%2038", "Größe 38", "escapes"),
        ("Caf%C3%A9+noir", "Café noir", "escapes"),
        ("cut \ud83d", "cut \ufffd", "surrogates"),
    ],
)
def test_each_repair_is_made_and_named(damaged: str, sound: str, name: str) -> None:
    text, found = _repaired(damaged)
    assert text == sound
    assert name in found


@pytest.mark.parametrize(
    "sound",
    [
        "5 < 6 and 7 > 2",
        "R&D at AT&T; Q&A",
        "x<y>z",
        "Size a<b and c>d",
        "Size=38, a=B2",
        "100%25 100%ige 50% co",
        "Gr%C3%B6%C3%9Fe 38",
        "https://a.b/Gr%C3%B6.jpg",
        "Crème brûlée «maison» à l’ancienne, œufs",
        "Größe 38 – weiß",
        "Ação São João 100 %",
        "Çiğ köfte ŞİŞ ığdır",
        "Piñata ¿qué?",
        "قميص قطني أحمر",
        "日本酒 純米大吟醸 720ml ー ガ",
        "Één café’s ’s-Hertogenbosch",
    ],
)
def test_sound_text_of_the_ten_languages_is_not_touched(sound: str) -> None:
    assert _repaired(sound) == (sound, set())


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        ("1,5 kg", "1.5 kg"),
        ("1.5KG", "1.5 kg"),
        ("500ml", "500 ml"),
        ("1,500 kg", "1,500 kg"),
        ("5G", "5G"),
        ("5 lb\u017f", "5 lb\u017f"),
        ("2 x 5kg", "2 x 5kg"),
    ],
)
def test_a_number_with_a_unit_gets_one_spelling_where_it_is_the_whole_value(value: str, spelled: str) -> None:
    found: set[str] = set()
    assert repair_quantity(value, found) == spelled
    assert found == ({"units"} if value != spelled else set())


PIECES = st.sampled_from(
    ["&amp;", "amp;", "lt;", "<b>", "<", ">", "Ã©", "Ã\x83Â©", "e\u0301", " ", "\u00a0", "\x00", "1,5", "kg", "é"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(PIECES, st.text(max_size=4)), max_size=12).map("".join))
def test_what_was_repaired_once_is_repaired(text: str) -> None:
    once = repair_record({"title": text}, [text], [(text, text)])
    pairs = None if once.attributes is None else list(once.attributes.items())
    twice = repair_record(once.texts, once.bullets, pairs)
    assert (twice.texts, twice.bullets, twice.attributes, twice.repairs) == (once.texts, once.bullets, once.attributes, [])


_LETTERS_NEAR_DAMAGE = st.text(
    st.one_of(
        st.sampled_from("abc &<>;7"),
        st.characters(min_codepoint=0x20, max_codepoint=0x24F),
        st.characters(min_codepoint=0x300, max_codepoint=0x36F),
        st.characters(min_codepoint=0x600, max_codepoint=0x6FF),
        st.characters(min_codepoint=0x2000, max_codepoint=0x2130),
        st.characters(min_codepoint=0x3000, max_codepoint=0x30FF),
        st.sampled_from("\u7e3a\u7e67\u7e5d\uff61\u4e00\u0637\u0638\ufffd"),
    ),
    max_size=12,
)


@settings(max_examples=2_000, deadline=None)
@given(_LETTERS_NEAR_DAMAGE)
def test_what_the_first_look_clears_no_repair_changes(text: str) -> None:
    if is_clear(text):
        found: set[str] = set()
        assert not count_lost(text, is_name=True)
        assert [repair(text) for _, repair in STEPS] == [text] * len(STEPS)
        assert (repair_text(text, found), found) == (text, set())


@pytest.mark.parametrize(
    "symbols", ['a é–日قطœ&"\\', "a é\u0300Ã©\u00a0<;7", "b –—“”\u2028ط\u0638ヽ", "aZ ÂÃé%=?C3", "1 aقط–é日\u0638", "aÂÇ O日–أ"]
)
def test_a_clear_line_holds_clear_texts_only(symbols: str) -> None:
    texts = ["".join(chosen) for length in range(1, 5) for chosen in product(symbols, repeat=length)]
    lines = [json.dumps({"title": ["a", text], text: 5}, ensure_ascii=False).encode() for text in texts]
    clear = [text for text, line_is_clear in zip(texts, find_clear_lines(lines), strict=True) if line_is_clear]
    assert len(clear) > len(texts) / 50
    assert [text for text in clear if not is_clear(text)] == []


def test_damaged_bytes_make_no_clear_line() -> None:
    damaged = (
        b'{"a": "\xff"}',
        b'{\xff"a": "b"}',
        b'{"a": "\xc3"}',
        b'{"a": "b',
        b'{"a": "\\u0041"}',
        b'{"a": "b\nc"}',
        b'{"a": ""}',
    )
    assert find_clear_lines(damaged) == [False] * len(damaged)
    assert find_clear_lines([b'{"a": "\\"b\\" \\/", "c": null}\r', b"{}", b""]) == [True] * 3


SOUND = (
    "Café crème & thé",
    "Stehlampe – Größe 5",
    "日本酒 純米大吟醸",
    "قميص قطني أحمر",
    "l’huile d’olive",
    "œufs frais",
    "Größe",
)


def test_the_first_look_clears_sound_text_of_every_script() -> None:
    assert [text for text in SOUND if not is_clear(text)] == []
    assert all(find_clear_lines([json.dumps({"title": text}, ensure_ascii=False).encode() for text in SOUND]))
