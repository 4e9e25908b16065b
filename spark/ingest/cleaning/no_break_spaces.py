"""No-break spaces that were bytes of UTF-8, before a feed made plain blanks of them or cut them off.

UTF-8 of "à", of the no-break space itself and of many letters of other scripts has a byte A0, which a Western set reads as a
no-break space. Where it became a plain one, the rest is no UTF-8 any more.
"""

import re

A0 = "\u00a0"
_MOVED = "\ue000"  # takes the blank behind it along: that was the no-break space
_ENDS_A_WORD = frozenset(",.;:!?)]-'’/")

# As they look when UTF-8 was read as Latin-1 or cp1252 once or twice, or as cp1256.
_GRAVE = "(?P<grave>ÃƒÂ|Ã|أ)(?= |$)"
_BLANK = "(?P<blank>Ã‚Â|Â|آ)(?= )"
_LONE_LEAD = re.compile(f"{_GRAVE}|{_BLANK}")
_MORE = "[\u0080-¿ŒœŠšŸŽžƒˆ˜–—‘-„†-•…‰‹›€™]"
# Letters of two or three bytes read twice: "Å " is 8A, "â€ " is 86.
_IN_A_RUN = re.compile(f"(?<={_MORE})(Å|â€)(?: |$)")
_JAPANESE = re.compile(f"([ã-é](?:{_MORE}|(?= {_MORE})))(?: |$)")
_JAPANESE_WHOLE = re.compile(f"[ã-é]{_MORE}{_MORE}")
_ARABIC_ZERO = re.compile("(?<=Ù[ \u00a0-©])Ù |Ù (?=Ù[ -©])")
_OTHERS = re.compile(f"[ÂÃÄÅâ]{_MORE}")
_LOOSE = re.compile(f"[ÂÃÅÙأآ](?= |$)|ÃÂ|â€(?= |$)|[ã-é]{_MORE}?(?= |$)|[ã-é] {_MORE}")
_LEFT = re.compile(f"(?:Ã|Â|Å|â€|[ã-é]{_MORE}|[ã-é]){A0}|{A0}{_MORE}")


def restore_no_break_spaces(text: str, languages: frozenset[str]) -> str:
    """The text with no-break spaces where UTF-8 lacks one. What comes of it is to be decoded, or forgotten."""
    if _MOVED in text:
        return text
    text = _IN_A_RUN.sub(lambda match: match[1] + A0, text)
    text = _LONE_LEAD.sub(lambda match: _restore_lone(match, languages), text)
    if "ja" in languages and _JAPANESE_WHOLE.search(text):
        text = _JAPANESE.sub(lambda match: match[1] + A0, text)
    if "ar" in languages:
        text = _ARABIC_ZERO.sub("Ù" + A0, text)
    return text.replace(_MOVED + " ", "").replace(_MOVED, "") if _MOVED in text else text


def may_lack_no_break_spaces(decoded: str) -> bool:
    """Something in a text that was decoded looks like the beginning of more UTF-8."""
    return _LOOSE.search(decoded) is not None


def lacks_no_break_spaces(text: str) -> bool:
    """A place that was restored is still no UTF-8."""
    return A0 in text and _LEFT.search(text) is not None


def _restore_lone(match: re.Match[str], languages: frozenset[str]) -> str:
    lead, text = match[0], match.string
    before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 2]
    if (before.isupper() and (match["blank"] or "pt" in languages)) or (lead in "أآ" and "ar" in languages):
        return lead
    if match["blank"]:  # a lone capital is what scanners make of others; behind a number, or beside damage, it is none
        return lead + A0 + _MOVED if before.isdigit() or _OTHERS.search(text) else lead
    if not after:
        return lead + A0
    if after == "  " or after[1:] in _ENDS_A_WORD or _begins_in_portuguese(text[match.end() + 1 :], before, languages):
        return lead + A0 + _MOVED
    # Two blanks became one. Within a word it may as well have been one, where words do not end so.
    is_word = not before.isalpha() or bool(languages & {"fr", "it"})
    return lead + A0 if is_word and not after[1:].isupper() else lead


def _begins_in_portuguese(rest: str, before: str, languages: frozenset[str]) -> bool:
    """``às`` and ``àquela`` begin with the letter; in the other languages it ends a word."""
    return "pt" in languages and not before.isalpha() and re.match(r"s\b|quel", rest) is not None
