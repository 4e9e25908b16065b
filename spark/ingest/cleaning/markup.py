"""HTML, quoted-printable and %-escapes that are left in a text are resolved."""

import html
import re
from urllib.parse import unquote_to_bytes

from spark.ingest.cleaning.alphabets import ALL_LANGUAGES, NOTHING, are_plausible, script_of
from spark.ingest.reading.quick_check import ENTITY, TAG

# Tags inside a line: what they stand between is one word. The others end one.
_INLINE = frozenset(["a", "b", "big", "em", "font", "i", "small", "span", "strong", "sub", "sup", "u"])
_TAG_NAME = re.compile("[a-z0-9]+", re.IGNORECASE)

_ESCAPE = re.compile("=([0-9A-F]{2})")
_QUOTED = re.compile("(?:[^=]|=[0-9A-F]{2})*=[89A-F][0-9A-F](?:[^=]|=[0-9A-F]{2})*")
# Of ASCII, quoted-printable escapes the escape itself, blanks, and what a header may not hold.
_QUOTED_ASCII = frozenset((0x09, 0x0A, 0x0D, 0x20, 0x3D, 0x3F, 0x5F))
# A blank is escaped only beside a letter: "50%20" may be anything.
_PERCENT = re.compile("(?:[^% ]|%[0-9A-Fa-f]{2})*(?:%[89A-Fa-f][0-9A-Fa-f]|[A-Za-z]%20|%20[A-Za-z])(?:[^% ]|%[0-9A-Fa-f]{2})*")
_IS_ADDRESS = re.compile("://|^www\\.|^/|\\.(?:jpe?g|png|gif|webp|html?|php|pdf)(?:[?#]|$)", re.IGNORECASE)


def resolve_html(text: str) -> str:
    """Entities become their characters. A tag inside a line goes, any other becomes a blank."""
    if "&" in text:
        text = ENTITY.sub(lambda match: html.unescape(match[0]), text)
    return TAG.sub(_resolve_tag, text) if "<" in text else text


def _resolve_tag(match: re.Match[str]) -> str:
    name = _TAG_NAME.search(match[0])
    return "" if name is not None and name[0].lower() in _INLINE else " "


def resolve_escapes(text: str, languages: frozenset[str] = ALL_LANGUAGES) -> str:
    """A text that is quoted-printable or %-escaped as a whole, in UTF-8, is decoded; one that is so in part stays."""
    if not text.isascii():
        return text
    encoded = None
    if "=" in text and _QUOTED.fullmatch(text):
        encoded = _decode_quoted(text)
    elif "%" in text and _PERCENT.fullmatch(text) and not _IS_ADDRESS.search(text):
        encoded = unquote_to_bytes(text if "%20" in text else text.replace("+", " "))
    if encoded is None:
        return text
    try:
        decoded = encoded.decode("utf-8")
    except UnicodeDecodeError:
        return text
    high = "".join(character for character in decoded if not character.isascii())
    return decoded if are_plausible(high, languages) and NOTHING not in map(script_of, high) else text


def is_escaped(text: str) -> bool:
    """The whole text is in escapes, some of them of letters, and was left so."""
    is_quoted = "=" in text and _QUOTED.fullmatch(text) is not None and _decode_quoted(text) is not None
    return is_quoted or ("%" in text and _PERCENT.fullmatch(text) is not None and not _IS_ADDRESS.search(text))


def _decode_quoted(text: str) -> bytes | None:
    escaped = [int(pair, 16) for pair in _ESCAPE.findall(text)]
    if any(byte < 0x80 and byte not in _QUOTED_ASCII for byte in escaped):
        return None
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text).encode("latin-1")
