"""Says whether a text still looks as if it had been read in a wrong character set, after all that was sure was repaired."""

import re

from spark.ingest.cleaning.alphabets import own_letters
from spark.ingest.cleaning.mojibake import looks_encoded

# C1 controls; letters that UTF-8 leaves when it is read as Mac Roman, cp437 or cp850, beside what follows them there.
_SURE = re.compile(
    "[\u0080-\u0084\u0086-\u009f]"
    "|[√ƒ≈¬‚„][\u00a1-\u00ff†•™´¨≠Æ∞±≤≥∂∑∏π∫Ω](?![ ,.])"
    "|[├┬─┼╪┘┌╔└┴][^\\x00-\\x7f ]|[^\\W\\d_][├┬┼╪┘┌╔└┴╬╧╨┤╡╢╖╣║╗╝╜╛┐░▒▓█▄▌▐▀]"
)
# A first byte of UTF-8 whose second one went.
_LONE_LEAD = re.compile("[a-z][ÂÄÅØÙ](?![A-ZÀ-Þ])|Â(?=[0-9 ]|$)|â€|ï[¸»¼¿]")
_ACCENTED_RUN = re.compile("[\u00a1-\u00ff]{4}")
_SIGN_IN_WORD = re.compile("[^\\W\\d_][¡-©«¬®¯±´-¸»¼-¿](?=[^\\W\\d_])|[¡-©«¬®-¸»¼-¿]{2}[\u00a1-\u00ff]")
# What is left of UTF-8 between letters that could be decoded.
_LATIN_AMONG_OTHERS = re.compile(
    "[ã-éï][\u0080-¿ŒœŠšŸŽžƒˆ˜–—‘-„†-•…‰‹›€™][\u3041-\u30ff\u4e00-\u9fff]|[\u3041-\u30ff\u4e00-\u9fff][ã-èï]|[ã-èï][\u3041-\u30ff\u4e00-\u9fff]"
    "|[\u0621-\u064a] ?[ØÙÚÛ]|[ØÙÚÛ][\u0080-¿]? ?[\u0621-\u064a]|(?<![^\\W\\d_])Ã[a-z]"
)
_ACCENTS_AND_SIGNS = re.compile("(?:[ã-éï][\u0080-¿ŒœŠšŸŽžƒˆ˜–—‘-„†-•…‰‹›€™]{1,2}){2}")
_ARABIC_AS_CP1256 = re.compile("(?:[طظ][^\u0621-\u063a\u0641-\u064a\\s\\d]){2}")
_UTF8_AS_SHIFT_JIS = re.compile("[縺繧繝][\uff61-\uff9f\u4e00-\u9fff・]|[\uff61-\uff9f][縺繧繝]")


def is_damaged(text: str, languages: frozenset[str]) -> bool:
    """The text looks damaged in a way that no sound text of the languages does."""
    if text.isascii():
        return False
    if _SURE.search(text) or _ACCENTED_RUN.search(text) or _ARABIC_AS_CP1256.search(text) or _UTF8_AS_SHIFT_JIS.search(text):
        return True
    if looks_encoded(text) or _SIGN_IN_WORD.search(text) or _LATIN_AMONG_OTHERS.search(text) or _ACCENTS_AND_SIGNS.search(text):
        return True
    return _LONE_LEAD.search(text) is not None or ("Ã" in text and "Ã" not in own_letters(languages))
