"""Character sets of files of text that are neither UTF-8 nor UTF-16: declared ones, and those that the bytes are sure of.

A reading of bytes in a character set is plausible where it gives nothing but letters and signs that the catalogue's languages
write, and no word of two scripts or with a capital or a sign within. Where all plausible readings give the same text, it is
sure. A few bytes beyond ASCII are damage, not a character set: records with them are rejected one by one.
"""

import re
from dataclasses import dataclass

from schemas.errors import ConfigurationError

# Name for people → Python's codec. That of Windows holds the letters of its ISO standard and signs besides.
CHARSETS = {
    "utf-8": "utf-8",
    "utf-16": "utf-16",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    **{f"cp{page}": f"cp{page}" for page in (437, 850, 932, 1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257, 1258)},
    **{f"iso-8859-{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)},
    "mac-roman": "mac-roman",
    "shift-jis": "cp932",
    "euc-jp": "euc_jp",
}
SPELLINGS = {
    **{f"windows-{page}": f"cp{page}" for page in range(1250, 1259)},
    "latin-1": "iso-8859-1",
    "latin1": "iso-8859-1",
    "latin-9": "iso-8859-15",
    "latin9": "iso-8859-15",
    "ansi": "cp1252",
    "sjis": "shift-jis",
    "eucjp": "euc-jp",
    "utf8": "utf-8",
    "utf-8-sig": "utf-8",
    "macintosh": "mac-roman",
}
# Those that are looked for, the likelier first: of readings that agree, the first names the file.
SOUGHT = ("cp1252", "cp1254", "cp1250", "cp1256", "iso-8859-15", "iso-8859-6", "cp850", "mac-roman", "shift-jis", "euc-jp")

# Beyond ASCII: letters of the languages of the catalogue and of words that they took over, and signs of texts about goods.
_LATIN = "äöüßéèàçñêëïáíóúâæîôœùûÿìòãõğışžš"
_SIGNS = "€£¥§©®™°±²³¼½¾µ·•…–—‘’‚“”„«»¿¡×ºª´\u00a0"
_ARABIC = "".join(map(chr, (*range(0x621, 0x63B), *range(0x640, 0x653), *range(0x660, 0x66A)))) + "پچژگ،؛؟٪"
WRITTEN = frozenset(_LATIN + "".join(letter.upper() for letter in _LATIN if letter not in "ßı") + "İ" + _SIGNS + _ARABIC)
_JAPANESE = re.compile("[\u3000-\u30ff\u4e00-\u9fff\uff01-\uff9f×°±℃①-⑳㎡㎏㌢㎜㏄®™]*+")
# A capital or a sign within a word, or two scripts in one: what letters become in a wrong character set.
_SMALL = f"[a-z{_LATIN}]"
_CAPITALS = "".join(letter.upper() for letter in _LATIN if letter not in "ßı")
_BROKEN_WORD = re.compile(
    f"{_SMALL}[{_CAPITALS}]|{_SMALL}[¼½¾°±²³ºª´¿¡«„‚¥£§](?=[a-z])|[A-Za-zÀ-ÿ][\u0621-\u0652]|[\u0621-\u0652][A-Za-zÀ-ÿ]"
)
_BEYOND = re.compile("[^\x00-\x7f]+")
_SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")

MIN_BYTES = 8  # beyond ASCII, that are no UTF-8: fewer may be damage
MIN_WORDS = 4  # that they stand in
SHOWN_WORDS = 3


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Holds what the bytes say: ``charset`` where it is sure, else the ones that it may be, each with some words."""

    charset: str = ""
    proposals: tuple[tuple[str, tuple[str, ...]], ...] = ()


def find_codec_of(charset: str) -> str:
    """Python's codec of a character set, in any common spelling. Raises ConfigurationError for one that is not read."""
    name = charset.strip().lower().replace("_", "-")
    name = SPELLINGS.get(name, name)
    name = re.sub(r"^iso-?8859-?", "iso-8859-", name)
    if name not in CHARSETS:
        raise ConfigurationError(f"there is no encoding {charset!r}", next_step=f"give one of {', '.join(CHARSETS)}")
    return CHARSETS[name]


def sniff_charset(head: bytes) -> Finding | None:
    """Says what a text that begins with ``head`` is written in; None where that is UTF-8, damaged in places perhaps."""
    head = head[: head.rfind(b"\n") + 1] or head  # a last line may be cut within a character
    if head.isascii() or _is_utf_8(head):
        return None
    readings = {name: text for name in SOUGHT if (text := _read_plausibly(head, CHARSETS[name])) is not None}
    if len(set(readings.values())) == 1:
        return Finding(charset=next(iter(readings)))
    if readings or _is_beyond_damage(head):
        rivals = readings or {name: head.decode(CHARSETS[name], "replace") for name in SOUGHT[:4]}
        return Finding(proposals=tuple((name, _show(text)) for name, text in rivals.items()))
    return None


def _is_utf_8(head: bytes) -> bool:
    """Is it, but for few bytes? Any sequence of UTF-8 says so: in other character sets they hardly occur."""
    rest, sequences = _SEQUENCE.subn(b"", head)
    others = len(re.findall(rb"[\x80-\xff]", rest))
    return others < MIN_BYTES or sequences > 4 * others


def _is_beyond_damage(head: bytes) -> bool:
    """Are more words than damage reaches written with letters of ASCII and bytes beyond it?"""
    words = [
        word for word in re.findall(rb"[A-Za-z\x80-\xff]{3,}", head) if not word.isascii() and re.search(rb"[A-Za-z]", word)
    ]
    return len(words) >= 3 * MIN_BYTES and len(set(words)) >= MIN_BYTES


def _read_plausibly(head: bytes, codec: str) -> str | None:
    try:
        text = head.decode(codec)
    except UnicodeDecodeError:
        return None
    if len(_words_of(text)) < MIN_WORDS:
        return None
    runs = _BEYOND.findall(text)
    if codec in ("cp932", "euc_jp"):
        return text if _reads_as_japanese(runs) else None
    return text if WRITTEN.issuperset("".join(runs)) and not _BROKEN_WORD.search(text) else None


def _reads_as_japanese(runs: list[str]) -> bool:
    """Kana come often, and no half-width ones: those are what bytes of other character sets give."""
    joined = "".join(runs)
    kana = sum("\u3041" <= sign <= "\u30ff" for sign in joined)
    half = sum("\uff61" <= sign <= "\uff9f" for sign in joined)
    return all(_JAPANESE.fullmatch(run) for run in runs) and 5 * kana >= len(joined) and 20 * half <= len(joined)


def _words_of(text: str) -> list[str]:
    return list(dict.fromkeys(word for word in re.findall(r"\w+", text) if not word.isascii()))


def _show(text: str) -> tuple[str, ...]:
    return tuple(word[:20] for word in _words_of(text)[:SHOWN_WORDS])
