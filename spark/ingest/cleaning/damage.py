"""Says whether a text still looks as if it had been read in a wrong character set, after all that was sure was repaired."""

import re

from spark.ingest.cleaning.alphabets import own_letters
from spark.ingest.cleaning.markup import is_escaped
from spark.ingest.cleaning.mojibake import looks_encoded

# C1 controls; letters that UTF-8 leaves when it is read as Mac Roman, cp437 or cp850, beside what follows them there.
_SURE = re.compile(
    "[\u0080-\u0084\u0086-\u009f]"
    "|[√ƒ≈¬‚„][\u00a1-\u00ff†•™´¨≠Æ∞±≤≥∂∑∏π∫Ω](?![ ,.])"
    "|[├┬─┼╪┘┌╔└┴][^\\x00-\\x7f ]|(?<=[^\\W\\d_])[├┬┼╪┘┌╔└┴╬╧╨┤╡╢╖╣║╗╝╜╛┐░▒▓█▄▌▐▀]"
)
# A first byte of UTF-8 whose second one went.
_LONE_LEAD = re.compile("(?<=[a-z])[ÂÄÅØÙ](?![A-ZÀ-Þ])|Â(?=[0-9 ]|$)|â€|ï[¸»¼¿]")
# All that _SURE, _LONE_LEAD, _SIGN_IN_WORD and _SIGNS find holds one of these; few sound texts do.
_SUSPECT = re.compile("[\u0080-\u0084\u0086-\u00a9\u00ab\u00ac\u00ae-\u00b9\u00bb-\u00bfÂÄÅØÙâïƒ‚„√≈\u2500-\u259f]")
_ACCENTED_RUN = re.compile("[\u00a1-\u00ff]{4}")
# A pattern that begins with a class of characters is searched for many times as fast as one that begins otherwise.
_SIGN = "[¡-©«¬®¯±´-¸»¼-¿]"
_SIGN_IN_WORD = re.compile(f"{_SIGN}(?<=[^\\W\\d_]{_SIGN})(?=[^\\W\\d_])")
_SIGNS = re.compile("[¡-©«¬®-¸»¼-¿]{2}[\u00a1-\u00ff]")
_TILDE_IN_LOWER = re.compile("(?<![^\\W\\d_])Ã[a-z]")
# What is left of UTF-8 between letters that could be decoded.
_ARABIC_BESIDE_LATIN = re.compile("[\u0621-\u064a] ?[ØÙÚÛ]|[ØÙÚÛ][\u0080-¿]? ?[\u0621-\u064a]")
_LATIN_AMONG_OTHERS = re.compile(
    "[ã-éï][\u0080-¿ŒœŠšŸŽžƒˆ˜–—‘-„†-•…‰‹›€™][\u3041-\u30ff\u4e00-\u9fff]"
    "|[\u3041-\u30ff\u4e00-\u9fff][ã-èï]|[ã-èï][\u3041-\u30ff\u4e00-\u9fff]"
)
_ACCENTS_AND_SIGNS = re.compile(2 * "[ã-éï][\u0080-¿ŒœŠšŸŽžƒˆ˜–—‘-„†-•…‰‹›€™]{1,2}")
_ARABIC_AS_CP1256 = re.compile(2 * "[طظ][^\u0621-\u063a\u0641-\u064a\\s\\d]")
_UTF8_AS_SHIFT_JIS = re.compile("[縺繧繝][\uff61-\uff9f\u4e00-\u9fff・]|[\uff61-\uff9f][縺繧繝]")
# All of these are several characters beyond ASCII side by side, or nearly.
_OF_RUNS = (
    _ACCENTED_RUN,
    _ARABIC_BESIDE_LATIN,
    _LATIN_AMONG_OTHERS,
    _ACCENTS_AND_SIGNS,
    _ARABIC_AS_CP1256,
    _UTF8_AS_SHIFT_JIS,
)
_HIGH_RUN = re.compile("[^\\x00-\\x7f]{2}")


def is_damaged(text: str, languages: frozenset[str]) -> bool:
    """The text looks damaged in a way that no sound text of the languages does."""
    if text.isascii():
        return is_escaped(text)
    if _SUSPECT.search(text) and any(pattern.search(text) for pattern in (_SURE, _LONE_LEAD, _SIGN_IN_WORD, _SIGNS)):
        return True
    if "Ã" in text and ("Ã" not in own_letters(languages) or _TILDE_IN_LOWER.search(text)):
        return True
    if not _HIGH_RUN.search(text):
        return False
    return looks_encoded(text) or any(pattern.search(text) for pattern in _OF_RUNS)
