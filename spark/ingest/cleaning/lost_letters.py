"""Letters that are gone: a replacement character or a question mark stands where one was. Nothing brings them back."""

import re

REPLACEMENT = "\ufffd"
# As it looks when it was read as cp1252, Latin-1 or Mac Roman once more.
REPLACEMENTS = (REPLACEMENT, "ï¿½", "Ôøº")
_REPLACEMENTS = re.compile("|".join(REPLACEMENTS))
_IS_URL = re.compile(r"://|www\.|[?&]\w+=")
_LETTER = re.compile(r"[^\W\d_]")
_ANY_MARK = re.compile(r"\?+")
_NO_WORD_BEFORE = frozenset("_?!.)]\"'")


def count_lost(text: str, *, is_name: bool = False) -> int:
    """Letters of which only a mark is left. Names ask no questions: of 22 question marks in 57,000 titles 18 were letters."""
    lost = sum(map(text.count, REPLACEMENTS)) if not text.isascii() else 0
    if "?" in text:
        lost += sum(
            len(match[0])
            for part in _parts(text)
            for match in _ANY_MARK.finditer(part)
            if is_name or _stands_for_letters(match)
        )
    return lost


def _stands_for_letters(match: re.Match[str]) -> bool:
    """Question marks in or before a word, for a whole word, or at a word's end in the middle of a sentence."""
    text, start, end = match.string, match.start(), match.end()
    before, after, behind = text[start - 1 : start], text[end : end + 1], text[end + 1 : end + 2]
    goes_on = after == " " and (behind.islower() or behind.isdigit())
    if after.isalnum():
        return before.isalpha() == after.isalpha() or not (before.isalnum() or before in _NO_WORD_BEFORE)
    if before in ("", " "):
        return goes_on or (end - start > 1 and after in ("", " "))
    return before.islower() and (goes_on or (after == " " and behind != "" and behind in "&(+/-?"))


def _parts(text: str) -> list[str]:
    """The text, or its words that are no addresses, where one is."""
    if "://" not in text and "www." not in text and "=" not in text:
        return [text]
    return [word for word in text.split(" ") if not _IS_URL.search(word)]


def share_lost(text: str, *, is_name: bool = False) -> float:
    """The share of a text's letters that are gone, 0 to 1."""
    lost = count_lost(text, is_name=is_name)
    return lost / (lost + len(_LETTER.findall(_REPLACEMENTS.sub("", text)))) if lost else 0.0
