"""UTF-8 that was read in another character set, once or several times, is decoded again where that is sure.

A place in a text is sure when its bytes are UTF-8 to the last one, the result is plausible in the listing's languages
(alphabets), and what stood there is strange in them. Anything else stays as it is.
"""

import re
from functools import lru_cache

from spark.ingest.cleaning.alphabets import ARABIC_SCRIPT, LATIN, SIGN, are_plausible, is_rare, own_letters, script_of
from spark.ingest.cleaning.charsets import CHARSETS, WESTERN, Charset
from spark.ingest.cleaning.no_break_spaces import lacks_no_break_spaces, may_lack_no_break_spaces, restore_no_break_spaces

MAX_TIMES = 3
_HIGH_RUN = re.compile("[^\\x00-\\x7f]{2,}")
_ANY_SEQUENCE = re.compile("|".join(charset.sequences.pattern for charset in CHARSETS))

# Signs that stand after a word's last letter in sound text. What else follows a letter there is strange.
_FOLLOWERS = frozenset("®©°™“”’‘–—…•›»«ºª¹²³¡¿·،؛؟\u00a0")
# First bytes of signs, of Latin and of Arabic letters, as they look in each set.
_USUAL_LEADS = frozenset("ÂÃÄÅØÙÚÛ" + "آأؤإطظعغ" + "¬√ƒ≈ÿŸ⁄€" + "┬├─┼╪┘┌█" + "ÏÒÓÔÕõþÞÁÈÊË")
_ARABIC_BLOCK = re.compile("[\u0600-\u06ff]")
_FEW_ACCENTS = re.compile("[\u00c0-\u017f]{3}")
_BETWEEN_LETTERS = frozenset("’‘–—…·")

MAX_ALONE = 1  # letters of a script, that may be chance beside letters of another


def undo_mojibake(text: str, languages: frozenset[str]) -> str:
    """The text with every sure place decoded again."""
    if text.isascii():
        return text
    holds_sequences = any(map(_ANY_SEQUENCE.search, _HIGH_RUN.findall(text)))
    decoded = _decode_runs(text, languages) if holds_sequences else text
    if not may_lack_no_break_spaces(decoded):
        return decoded
    restored = restore_no_break_spaces(text, languages)
    if restored == text:
        return decoded
    again = _decode_runs(restored, languages)
    is_wrong = lacks_no_break_spaces(again) or any(0xA0 in c.encode() and is_rare(c) for c in again)
    return decoded if is_wrong else again


def is_decoded_whole(text: str, languages: frozenset[str]) -> bool:
    """All that is beyond ASCII, lone signs left out, is UTF-8 that was read in another set."""
    runs = _HIGH_RUN.findall(text)
    return bool(runs) and all(decode_run(run, languages) is not None for run in runs)


def _decode_runs(text: str, languages: frozenset[str]) -> str:
    """Damage goes through a whole text: once a place is sure, less is asked of the others."""
    decoded = _HIGH_RUN.sub(lambda match: _decode_place(match, languages), text)
    if decoded == text:
        return text
    return _HIGH_RUN.sub(lambda match: _decode_place(match, languages, is_damaged=True), text)


def _decode_place(match: re.Match[str], languages: frozenset[str], *, is_damaged: bool = False) -> str:
    run, text = match[0], match.string
    if not _ANY_SEQUENCE.search(run):
        return run
    before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
    whole = _decode_sure(run, languages, before, after, is_damaged)
    if whole is not None:
        return whole
    for charset in CHARSETS:
        decoded = _decode_parts(charset, run, languages, before, after, is_damaged)
        if decoded != run:
            return decoded
    return run


def _decode_parts(charset: Charset, run: str, languages: frozenset[str], before: str, after: str, is_damaged: bool) -> str:
    """Sequences of UTF-8 among characters that are none."""

    def decode(part: re.Match[str]) -> str:
        left = run[part.start() - 1 : part.start()] if part.start() else before
        right = run[part.end() : part.end() + 1] or after
        found = _decode_sure(part[0], languages, left, right, is_damaged)
        return part[0] if found is None else found

    return charset.sequences.sub(decode, run)


def _decode_sure(run: str, languages: frozenset[str], before: str, after: str, is_damaged: bool) -> str | None:
    decoded = decode_run(run, languages)
    if decoded is None:
        return None
    if is_damaged and run[0] in _USUAL_LEADS:
        return decoded
    if len(decoded) <= MAX_ALONE and _mixes_scripts(decoded, before, after):
        return None
    return decoded if is_strange(run, decoded, languages, before, after) else None


@lru_cache(maxsize=1 << 16)
def decode_run(run: str, languages: frozenset[str]) -> str | None:
    """A run beyond ASCII decoded as often as it can be; None where nothing plausible comes of it, or several things do."""
    found: dict[str, None] = {}
    for charset in CHARSETS:
        decoded = _decode_repeatedly(run, charset, languages)
        if decoded is not None:
            found[decoded] = None
    return _choose(list(found), languages)


def _decode_repeatedly(run: str, charset: Charset, languages: frozenset[str]) -> str | None:
    """The last plausible result; the first ones may be letters and signs that are UTF-8 again."""
    plausible = None
    for _ in range(MAX_TIMES):
        encoded = charset.encode(run) if len(run) > 1 else None
        try:
            run = encoded.decode("utf-8") if encoded else ""
        except UnicodeDecodeError:
            break
        if not run:
            break
        if are_plausible(run, languages):
            plausible = run
    return plausible


def _choose(found: list[str], languages: frozenset[str]) -> str | None:
    if len(found) < 2:
        return found[0] if found else None
    own = own_letters(languages)
    best = [text for text in found if all(c in own or script_of(c) != LATIN for c in text)]
    return best[0] if len(best) == 1 else None


def _mixes_scripts(decoded: str, before: str, after: str) -> bool:
    """Letters would touch letters of another script, one of the two Arabic, as no sound word has it."""
    for inner, outer in ((decoded[0], before), (decoded[-1], after)):
        if not (inner.isalpha() and outer.isalpha()):
            continue
        if (_ARABIC_BLOCK.match(inner) is None) != (_ARABIC_BLOCK.match(outer) is None):
            return True
    return False


def is_strange(run: str, decoded: str, languages: frozenset[str], before: str, after: str) -> bool:
    """``run`` does not stand like that in sound text. More than two characters of one place never are UTF-8 by chance.

    But for three accented letters, as cp850 has some; there quotes and dashes begin with ``Ô``, and no word goes on as they do.
    """
    if len(run) > 2:
        return _FEW_ACCENTS.fullmatch(run) is None or (run[0] == "Ô" and script_of(decoded) == SIGN)
    lead, follower = run[0], run[1]
    if not lead.isalpha() or follower not in _FOLLOWERS or (after.isalpha() and follower not in _BETWEEN_LETTERS):
        return True
    script = script_of(lead)
    if lead in "Ââآ" and script_of(decoded) == SIGN and follower not in "،؛؟":
        return True
    if script != LATIN:
        touches_latin = (before.isascii() and before.isalpha()) or (after.isascii() and after.isalpha())
        return script == ARABIC_SCRIPT and ("ar" not in languages or touches_latin)
    if lead in "ÂÃ" and not before.isalpha():
        return True
    own = own_letters(languages)
    return (before.islower() and lead.isupper()) or (lead not in own and decoded in own)


def looks_encoded(text: str) -> bool:
    """A part of the text is UTF-8 that was read in a Western set: a strange place that nothing sure came of."""
    if not any(map(WESTERN.sequences.search, _HIGH_RUN.findall(text))):
        return False
    return any(
        len(match[0]) > 2 or match[0][1] not in _FOLLOWERS or text[match.end() : match.end() + 1].isalpha()
        for match in WESTERN.sequences.finditer(text)
    )
