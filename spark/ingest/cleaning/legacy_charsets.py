"""Arabic and Japanese in a character set of their own, and C1 controls, that were read as Latin-1 or cp1252.

Bytes of such sets carry no proof as UTF-8 does, so more is asked: the listing may be in that language, the text as it is looks
like no language's, every character of the result is one that such a text has, and no other set does as well.
"""

import re
from functools import lru_cache
from math import exp, log

from spark.ingest.cleaning.alphabets import (
    ARABIC,
    ARABIC_MARKS,
    HALF_WIDTH_KANA,
    IDEOGRAPHS,
    KANA,
    LATIN,
    is_beyond_jis,
    is_rare,
    own_letters,
    script_of,
)
from spark.ingest.cleaning.charsets import WESTERN

_C1 = re.compile("[\u0080-\u009f]")
_LONG_RUN = re.compile("[^\\x00-\\x7f]{4}")
_SIGN_IN_RUN = re.compile("[^\\x00-\\x7f\u00c0-\u017f][^\\x00-\\x7f]|[\u00c0-\u017f][^\\x00-\\x7f\u00c0-\u017f]")
_NEVER_IN_WORDS = re.compile("[\u0080-\u009fƒ‚]")
_REPLACED = re.compile("ï¿½")  # U+FFFD, which is two characters of EUC-JP too
_IN_WORD = re.compile("[A-Za-z][\u0080-\u009f]+[a-z]")
_TOKEN = re.compile("[^ ]+")
# What begins a character of Shift-JIS, and the next one one or two characters on.
_SIGN_NEAR_ANOTHER = re.compile("[ˆ˜–—‘-„†-•…‰‹›€™][ -~]?[^\\x00-\\x7f]")
_LATIN_LETTER = re.compile("[A-Za-z]")
# Letters of cp1254 as Latin-1 and cp1252 read them: none of the ten languages has the ones on the left. One of them may be in
# a foreign name.
_TURKISH = str.maketrans("ðÐýÝþÞ", "ğĞıİşŞ")
_TURKISH_LETTER = re.compile("[ðÐýÝþÞ]")

# Arabic letters, the commonest first: by Zipf's law the n-th is 1/n as likely as the first. Enough to tell two readings of the
# same bytes apart.
_BY_FREQUENCY = "اليمونرتبةعدسفهكقحجشصىطخأضزثإغذظءئؤآ"
_LIKELIHOOD = {letter: 1 / rank for rank, letter in enumerate(_BY_FREQUENCY, start=1)}
_UNLIKELY = 1 / 200  # other letters, and marks that catalogues leave out
_ARABIC_TEXT = re.compile(f"(?:[\x00-\x7f{ARABIC}{ARABIC_MARKS}\u060c\u061b\u061f\u0640©®°«»“”‘’–—…•×÷™€\u00a0])*")
_ARABIC_LETTER, _JAPANESE_LETTER = re.compile(f"[{ARABIC}]"), re.compile(f"[{KANA}{IDEOGRAPHS}{HALF_WIDTH_KANA}]")
# One or two letters that touch another script; catalogues do leave out the blank between longer words.
_WORD_OF_TWO_SCRIPTS = re.compile(f"[A-Za-z][{ARABIC}]{{1,2}}(?![{ARABIC}])|(?<![{ARABIC}])[{ARABIC}]{{1,2}}[A-Za-z]")
FEWEST_LETTERS = 3  # of Arabic, that are no chance
_JAPANESE_SETS = ("cp932", "euc_jp")
_UTF8_OF_THREE = re.compile(rb"[\xe3-\xe9\xef][\x80-\xbf]{2}")
_HALF_WIDTH_OF_EUC = re.compile(rb"(?:\x8e[\xa1-\xdf]){2}")
_HALF_WIDTH = re.compile(f"[{HALF_WIDTH_KANA}]")
_LONE_HALF_WIDTH = re.compile(f"(?<![{HALF_WIDTH_KANA}])[{HALF_WIDTH_KANA}](?![{HALF_WIDTH_KANA}])")
MARGIN = 1.25  # times as likely a letter, at the least, the better of two readings of Arabic must be


def undo_legacy_charsets(text: str, languages: frozenset[str]) -> str:
    """The text decoded as it was written, or unchanged where no set fits it, or several do.

    Not for text that is UTF-8 as a whole.
    """
    if text.isascii():
        return text
    if languages & {"ar", "ja"} and _looks_like_no_language(text) and not _REPLACED.search(text):
        for candidate in (_peel(text), text):
            if candidate is not None and _looks_like_no_language(candidate):
                decoded = _decode_script(candidate, languages)
                if decoded is not None:
                    return decoded
    if "ja" in languages and (again := _decode_utf8_read_as_shift_jis(text)) is not None:
        return again
    return text


def _peel(text: str) -> str | None:
    """What was read wrongly twice, the second time as UTF-8 in a Western set; None where it is no such UTF-8."""
    encoded = _encode_western(text)
    try:
        return None if encoded is None else encoded.decode("utf-8")
    except UnicodeDecodeError:
        return None


def restore_signs(text: str, languages: frozenset[str]) -> str:
    """C1 controls become what they are, and letters of Turkish what they were."""
    if "tr" in languages and len(set(_TURKISH_LETTER.findall(text))) > 1:
        text = text.translate(_TURKISH)
    return _resolve_c1(text, languages) if _C1.search(text) else text


def _looks_like_no_language(text: str) -> bool:
    """Some word has more signs and letters beyond ASCII than ASCII letters, and no letter of another script is there."""
    if any(script_of(character) not in (LATIN, "sign") for character in text if not "\u0080" <= character <= "\u009f"):
        return "ƒ" in text or _only_western(text)
    return any(_is_odd_word(word) for word in _TOKEN.findall(text))


def _only_western(text: str) -> bool:
    return all(character.isascii() or character in WESTERN.byte_of for character in text)


def _is_odd_word(word: str) -> bool:
    """Two or three accented letters alone may be an abbreviation."""
    if len(_NEVER_IN_WORDS.findall(word)) > 1:
        return True
    if not any(pattern.search(word) for pattern in (_LONG_RUN, _SIGN_IN_RUN, _SIGN_NEAR_ANOTHER)):
        return False
    return sum(not character.isascii() for character in word) >= len(_LATIN_LETTER.findall(word))


def _decode_script(text: str, languages: frozenset[str]) -> str | None:
    encoded = _encode_western(text)
    if encoded is None or _is_mostly_utf8(encoded):
        return None
    found = []
    if "ar" in languages:
        found += _rank_arabic(encoded)
    if "ja" in languages:
        found += _find_japanese(encoded)
    return found[0] if len(found) == 1 else None


def _encode_western(text: str) -> bytes | None:
    byte_of = WESTERN.byte_of
    try:
        return bytes(ord(character) if character.isascii() else byte_of[character] for character in text)
    except KeyError:
        return None


def _is_mostly_utf8(encoded: bytes) -> bool:
    """Several sequences of three bytes, and most of the text: it is UTF-8 of which something was lost."""
    sequences = _UTF8_OF_THREE.findall(encoded)
    return len(sequences) > 1 and 6 * len(sequences) > sum(byte >= 0x80 for byte in encoded)


def _rank_arabic(encoded: bytes) -> list[str]:
    """The likelier of two readings; both where neither is by far."""
    texts = [text for charset in ("cp1256", "iso8859_6") if (text := _read_arabic(encoded, charset)) is not None]
    ranked = sorted(dict.fromkeys(texts), key=_arabic_likelihood, reverse=True)
    if len(ranked) == 2 and _arabic_likelihood(ranked[0]) >= MARGIN * _arabic_likelihood(ranked[1]):
        del ranked[1]
    return ranked


def _read_arabic(encoded: bytes, charset: str) -> str | None:
    try:
        text = encoded.decode(charset)
    except UnicodeDecodeError:
        return None
    letters, mixed = len(_ARABIC_LETTER.findall(text)), len(_WORD_OF_TWO_SCRIPTS.findall(text))
    return text if letters >= FEWEST_LETTERS * (1 + 2 * mixed) and _ARABIC_TEXT.fullmatch(text) else None


@lru_cache(maxsize=1024)
def _arabic_likelihood(text: str) -> float:
    """A letter's likelihood, as a geometric mean."""
    logarithms = [log(_LIKELIHOOD.get(letter, _UNLIKELY)) for letter in text if not letter.isascii()]
    return exp(sum(logarithms) / len(logarithms)) if logarithms else 0.0


def _find_japanese(encoded: bytes) -> list[str]:
    texts = {}
    for charset in _JAPANESE_SETS if not _HALF_WIDTH_OF_EUC.search(encoded) else ("euc_jp",):
        try:
            text = encoded.decode(charset)
        except UnicodeDecodeError:
            continue
        if _is_japanese(text):
            texts[text] = len(_HALF_WIDTH.findall(text))
    fewest = min(texts.values(), default=0)
    return [text for text, half_width in texts.items() if half_width == fewest]


def _is_japanese(text: str) -> bool:
    """Nothing beyond ASCII but kana, ideographs that the JIS standard names first, and signs; mostly not half-width kana."""
    letters = _JAPANESE_LETTER.findall(text)
    half_width = len(_HALF_WIDTH.findall(text))
    if not letters or half_width * 2 > len(letters) or _LONE_HALF_WIDTH.search(text):
        return False
    rare = sum(is_rare(letter) for letter in letters)
    others = any(not c.isascii() and script_of(c) not in ("japanese", "sign", "greek") for c in text)
    return not others and rare * 2 <= len(letters)


def _decode_utf8_read_as_shift_jis(text: str) -> str | None:
    """Three bytes of kana and ideographs are never Shift-JIS and UTF-8 at once by chance, in a whole text."""
    if not _JAPANESE_LETTER.search(text):
        return None
    try:
        decoded = text.encode("cp932").decode("utf-8")
    except UnicodeError:
        return None
    if not _JAPANESE_LETTER.search(decoded):
        return None
    is_unsure = not _of_two_codes().isdisjoint(text) and any(is_beyond_jis(character) for character in decoded)
    return None if is_unsure else decoded


@lru_cache(maxsize=1)
def _of_two_codes() -> frozenset[str]:
    """Characters that Shift-JIS has twice: written again, they may be other bytes than those that were read."""
    codes = (bytes((lead, trail)) for lead in (*range(0x81, 0xA0), *range(0xE0, 0xFD)) for trail in range(0x40, 0xFD))
    characters = ((code, code.decode("cp932", errors="replace")) for code in codes)
    return frozenset(c for code, c in characters if len(c) == 1 and c != "\ufffd" and c.encode("cp932") != code)


def _resolve_c1(text: str, languages: frozenset[str]) -> str:
    """C1 controls are signs and letters of cp1252, else of Mac Roman or cp850, where one of these alone makes sense of all."""
    if _LETTER_OF_CP1252.search(text) and _resolve_as(text, "cp1252", languages) is None:
        return text  # it may be a letter of a foreign word
    found = {}
    for charset in ("cp1252", "mac_roman", "cp850"):
        resolved = _resolve_as(text, charset, languages)
        if resolved is not None and (charset == "cp1252" or _IN_WORD.search(text)):
            found[resolved] = charset
            if charset == "cp1252":
                break
    return next(iter(found)) if len(found) == 1 else text


def _resolve_as(text: str, charset: str, languages: frozenset[str]) -> str | None:
    own = own_letters(languages)
    parts = []
    for i, character in enumerate(text):
        if "\u0080" <= character <= "\u009f":
            try:
                character = bytes((ord(character),)).decode(charset)
            except UnicodeDecodeError:
                return None
            is_own = charset == "cp1252" and character in own
            if not is_own and not _fits(character, text[i - 1 : i], text[i + 1 : i + 2], own, languages):
                return None
        elif charset != "cp1252" and "\u00a0" <= character <= "\u00ff":
            return None  # it was not read like this one was
        parts.append(character)
    return "".join(parts)


_BEHIND_CEDILLA = frozenset("aouãõáóúôâı")
_ELIDES = frozenset(("fr", "it", "en", "nl", "tr", "de", "pt"))
_LETTER_OF_CP1252 = re.compile("[a-z][\u009a\u009c\u009e]|[\u009a\u009c\u009e][a-z]")


def _fits(character: str, before: str, after: str, own: frozenset[str], languages: frozenset[str]) -> bool:
    """A letter of the language, in the case of its word; or a sign that stands where signs stand."""
    if character.isalpha():
        is_out_of_case = character.isupper() and (before.islower() or (before.isalpha() and after.islower()))
        return character in own and not is_out_of_case and not (character == "ç" and after not in _BEHIND_CEDILLA)
    if before.isalpha() and after.isalpha():
        return (character in "’‘" and bool(languages & _ELIDES)) or (character in "–—" and not (before + after).islower())
    return True
