"""Repairs that save a record instead of rejecting it: one look finds the records that need any (text_repairs makes them).

Most records are sound, and only a cheap look at them can say so. All texts of a record are joined once; what is plain ASCII
is clear at once, and one pattern clears nearly all of the rest.
"""

import re
from collections.abc import Sequence

from spark.ingest.records import TEXTS, Records
from spark.ingest.text_repairs import ENTITY, TAG, UNITS, repair_record

# Accented letters that no signature of mixed-up character sets ends in, up to three in a row before plain ASCII; lone signs
# such as dashes and quotes, at least two characters apart; Japanese; Arabic, unless two of the letters that UTF-8 read as
# cp1256 begins with stand one apart.
_ASCII = "[ -~]"
_LETTERS = "[\u00c0-\u0151\u0154-\u015f\u0162-\u0177\u0179-\u017c]"
_SIGNS = "[\u00a1-\u00bf\u0152\u0153\u2010-\u2027\u2030-\u205e\u20a0-\u2122]"
_KANA_AND_IDEOGRAPHS = "[\u3001-\u3098\u309b-\u30ff\u4e00-\u7e39\u7e3b-\u7e5c\u7e5e-\u7e66\u7e68-\u9fff\uff01-\uff60]"
_ARABIC = "[\u060c-\u0636\u0639-\u0652\u0660-\u06ff]"
CLEAR = (
    f"(?:{_ASCII}+|{_LETTERS}{{1,3}}+(?![^ -~])|{_SIGNS}(?=[ -~]{{2}}|[ -~]?$)"
    f"|{_KANA_AND_IDEOGRAPHS}++|{_ARABIC}++|[\u0637\u0638](?!.[\u0637\u0638]))*+"
)
HTML = f"(?i:{TAG}|{ENTITY})"
_UNIT = "|".join(UNITS)
_ONE_SPELLING = f"[0-9]{{1,9}}(?:\\.[0-9]{{1,9}})? (?:{'|'.join(UNITS.values())})"
# One value a line: a number with a unit that is not yet in the one spelling.
MISSPELLED_QUANTITY = f"(?m)^(?!{_ONE_SPELLING}$)[0-9]{{1,9}}(?:[.,][0-9]{{1,9}})? ?(?i:{_UNIT})$"

_clear, _html, _misspelled = re.compile(CLEAR), re.compile(HTML), re.compile(MISSPELLED_QUANTITY)


def repair_records(records: Records) -> list[Sequence[str]]:
    """Repair texts in place, and bring attributes into the order of their names. Returns each record's repairs, sorted.

    Texts that end up empty become None.
    """
    columns = records.columns
    attributes = columns["attributes"]
    for i, pairs in enumerate(attributes):
        if pairs and len(pairs) > 1:
            attributes[i] = dict(sorted(pairs.items()))
    repairs: list[Sequence[str]] = [()] * len(attributes)
    texts = zip(*[columns[name] for name in TEXTS], strict=True)
    for i, (row, bullets, pairs) in enumerate(zip(texts, columns["bullets"], attributes, strict=True)):
        if needs_repair([text for text in row if text is not None], bullets, pairs):
            record = repair_record(dict(zip(TEXTS, row, strict=True)), bullets, None if pairs is None else list(pairs.items()))
            for name, text in record.texts.items():
                columns[name][i] = text
            columns["bullets"][i], attributes[i], repairs[i] = record.bullets, record.attributes, record.repairs
    return repairs


def needs_repair(texts: list[str], bullets: list[str | None] | None, attributes: dict[str, str | None] | None) -> bool:
    """False only where no repair would change the record."""
    if bullets:
        if None in bullets:
            return True
        texts += bullets  # type: ignore[arg-type]
    if attributes:
        values = list(attributes.values())
        if None in values or _misspelled.search("\n".join(values)):  # type: ignore[arg-type]
            return True
        texts += attributes
        texts += values  # type: ignore[arg-type]
    return bool(texts) and not is_clear(" ".join(texts))


def is_clear(joined: str) -> bool:
    """No damage in texts that were joined by one blank: an empty or untrimmed one among them shows as two."""
    if not joined or "  " in joined or joined[0] == " " or joined[-1] == " ":
        return False
    if not (joined.isprintable() if joined.isascii() else _clear.fullmatch(joined)):
        return False
    return not ("&" in joined or "<" in joined) or _html.search(joined) is None
