"""A cheap check: texts that pass it need no repair.

``find_clear_lines`` checks whole lines of JSON, hundreds of megabytes a second; ``is_clear`` checks texts and passes some more.
"""

import re
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

# ASCII but for what may be an escape or a lost letter; accented letters, up to three in a row before plain ASCII, and none that
# lacks the byte behind it when UTF-8 was read as Latin-1; lone signs such as dashes and quotes, at least two characters apart;
# Japanese; Arabic that touches neither Latin letters nor signs, unless two of the letters that UTF-8 read as cp1256 begins with
# stand one apart.
_ASCII = "(?:[ -$&-<>@-~]|[%=](?![0-9A-Fa-f]{2}))"
_LETTERS = (
    "[\u00c0\u00c1\u00c4-\u00ce\u00d1-\u00d3\u00d5-\u00dc\u00df-\u00ef\u00f1-\u00fc"
    "\u0100-\u0151\u0154-\u015f\u0162-\u0177\u0179-\u017c]"
)
_BEFORE_ASCII = "[\u00cf\u00d4]"  # bytes that begin UTF-8, when it was read as cp850
_ARABIC_STOPS = "[\u060c\u061b\u061f]"
_SIGNS = "[\u00a1-\u00bf\u0152\u0153\u2010-\u2027\u2030-\u205e\u20a0-\u2122]"
# Ideographs that UTF-8 of kana and ideographs looks like when it is read as Shift-JIS: all of them rare.
_UTF8_AS_SHIFT_JIS = {bytes((lead, more)).decode("cp932") for lead in range(0xE3, 0xEA) for more in range(0x80, 0xC0)}


def _ranges(points: Iterable[int]) -> str:
    """A character class of sorted code points."""
    parts: list[list[int]] = []
    for point in points:
        if parts and parts[-1][1] == point - 1:
            parts[-1][1] = point
        else:
            parts.append([point, point])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in parts)


_IDEOGRAPHS = _ranges(point for point in range(0x4E00, 0xA000) if chr(point) not in _UTF8_AS_SHIFT_JIS)
_KANA_AND_IDEOGRAPHS = f"[\u3001-\u3098\u309b-\u30ff{_IDEOGRAPHS}\uff01-\uff60]"
_ARABIC = "[\u060c\u061b\u061f\u0621-\u0636\u0639-\u0652\u0660-\u0669]"
_ARABIC_LEADS = "[\u0637\u0638]"  # those two
_ARABIC_BORDERS = "(?<![A-Za-z])(?:{})(?![A-Za-z\u0080-\u05ff\u0700-\uffff])"
_ARABIC_WORD = _ARABIC_BORDERS.format(f"(?:{_ARABIC}|{_ARABIC_LEADS}(?!.{_ARABIC_LEADS}))++")
CLEAR = (
    f"(?:{_ASCII}++|(?:{_LETTERS}|\u00c2(?! |$)|{_BEFORE_ASCII}(?![^ -~])){{1,3}}+(?![^ -~])|{_SIGNS}(?=[ -~]{{2}}|[ -~]?$)"
    f"|{_KANA_AND_IDEOGRAPHS}++|(?<=[!-~]){_ARABIC_STOPS}(?![^ -~])|{_ARABIC_WORD})*+"
)
_TAGS = "a|b|big|br|center|div|em|font|h[1-6]|hr|i|img|li|ol|p|small|span|strong|sub|sup|table|tbody|td|th|thead|tr|u|ul"
# "<b and c>" is no tag: attributes have values, but for a few old ones.
_ATTRIBUTE = r"""\s+(?:[a-z][\w:.-]*\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'<>=]+)|noshade|nowrap|compact)"""
TAG = re.compile(f"<(?:(?:{_TAGS})(?:{_ATTRIBUTE})*\\s*/?|/(?:{_TAGS})\\s*)>", re.IGNORECASE)
ENTITY = re.compile("&(?:[a-z][a-z0-9]{1,30}|#[0-9]{1,7}|#x[0-9a-f]{1,6});", re.IGNORECASE)

_clear = re.compile(CLEAR)


SEPARATOR = "\x1e"  # between texts; clear ones do not hold it


def _clear_texts(escape: str) -> str:
    """A text that is clear without looking around, which makes it one automaton over bytes: words with single blanks between
    them. ``escape`` is how the sign of quotes and the backslash stand in it."""
    no_letter = rf"(?:[!#$\'-;>@\[\]-`{{-~]|{escape})"
    plain = f"(?:[A-Za-z]|{no_letter})"
    after_escape = r"[%=][!#$'-/:;>@G-\[\]-`g-~]"
    letters = f"(?:{_LETTERS}|\u00c2){{0,2}}(?:{_LETTERS}|\u00c2|{_BEFORE_ASCII}){plain}"
    latin = f"{letters}|{_SIGNS}(?:{plain}{plain}| {plain})"
    part = f"(?:{plain}|{after_escape}|{_KANA_AND_IDEOGRAPHS}|{latin})"
    end = f"(?:(?:{_LETTERS}|\u00c2){{0,2}}(?:{_LETTERS}|{_BEFORE_ASCII})|{_SIGNS}{plain}|[%=&])"
    arabic_pair = f"{_ARABIC_LEADS}(?:{_ARABIC}{{2}}|{no_letter}{{2}}|{_ARABIC}{no_letter}| {no_letter})"
    arabic = f"{no_letter}*(?:{_ARABIC}|{arabic_pair})(?:{no_letter}|{_ARABIC}|{arabic_pair})*"
    word = f"(?:{part}*(?:{part}|{end})|{arabic}(?:{_ARABIC_LEADS}{_ARABIC})?)"
    last = f"(?:{part}*(?:{part}|{end}|{_SIGNS})|{arabic}(?:{_ARABIC_LEADS}{_ARABIC}?)?)"
    return f"(?:{word} )*{last}"


_in_json, _as_it_is = _clear_texts(r'\\["/\\]'), _clear_texts(r'["\\]')
CLEAR_LINE = f'^[^"]*(?:"{_in_json}"[^"]*)*$'
CLEAR_TEXTS = f"^(?:{_as_it_is}{SEPARATOR})+$"


def find_clear_lines(lines: Sequence[bytes]) -> list[bool]:
    """Tells which lines hold, as names or values, nothing but clear, non-empty strings of UTF-8.

    Only strings are checked; whether the rest of the line is JSON is for a parser to say.
    """
    texts = pa.array(lines, pa.binary()).view(pa.string())  # unchecked: a string that is no UTF-8 does not match
    clear: list[bool] = pc.match_substring_regex(texts, CLEAR_LINE).to_pylist()
    return clear


def find_clear_columns(
    texts: Sequence[pa.StringArray], cells: Sequence[pa.StringArray], count: int
) -> tuple[list[bool], list[int]]:
    """Tells which records have nothing but clear, non-empty texts, and how many bytes they take together.

    ``cells`` hold JSON, of which strings are checked; ``texts`` may hold several with SEPARATOR between them, and are ``count``
    in all. Where one holds a separator of its own, no record is surely clear.
    """
    # Arrow leaves out rows of nothing but nulls, so there is one text more.
    joined = pc.binary_join_element_wise(*texts, pa.repeat("", len(texts[0])), SEPARATOR, null_handling="skip")
    is_separated = (pc.sum(pc.count_substring(joined, SEPARATOR)).as_py() or 0) == count
    clear, sizes = pc.and_(pc.match_substring_regex(joined, CLEAR_TEXTS), is_separated), pc.binary_length(joined)
    if cells:
        joined = pc.binary_join_element_wise(*cells, " ", null_handling="replace", null_replacement="")
        clear = pc.and_(clear, pc.match_substring_regex(joined, CLEAR_LINE))
        sizes = pc.add(sizes, pc.binary_length(joined))
    return clear.to_pylist(), sizes.to_pylist()


def is_clear(joined: str) -> bool:
    """True where texts joined by one blank hold no damage: an empty or untrimmed one among them shows as two blanks."""
    if not joined or "  " in joined or joined[0] == " " or joined[-1] == " ":
        return False
    if joined.isascii() and not ("?" in joined or "%" in joined or "=" in joined):
        return joined.isprintable() and not holds_html(joined)
    return _clear.fullmatch(joined) is not None and not holds_html(joined)


def holds_html(text: str) -> bool:
    """A tag or an entity that a repair would resolve."""
    return ("&" in text and ENTITY.search(text) is not None) or ("<" in text and TAG.search(text) is not None)
