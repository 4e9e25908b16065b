"""Records that could not become listings: kept whole, with named reasons. And the repairs that saved the others."""

import pyarrow as pa

from schemas.tables import INSTANT, TEXT, TEXTS, Column, Table

# A record may carry several reasons. Unreadable records carry exactly one of the first group.
UNREADABLE = {
    "record_too_large": "the record is longer than 1 MiB and was not parsed",
    "invalid_utf8": "the record's bytes are not UTF-8",
    "truncated_record": "the record ends before its closing brace",
    "invalid_record": "the record is not a JSON object or an item of XML, or the CSV row does not fit its header",
    "two_records": "the record names its item_id twice, as two records do whose border was lost",
    "broken_quotes": "a quote of a CSV does not close, or text stands behind one that does: the lines up to the next row",
}
RULES = {
    "wrong_type": "a field holds another type than its column's, e.g. a list as title",
    "missing_item_id": "item_id is absent or empty",
    "invalid_item_id": "item_id holds a control character, half of a surrogate pair or U+FFFD, or is a number that a "
    "spreadsheet rounded (4.00712E+12): two items could have it",
    "missing_locale": "locale is absent or empty",
    "unknown_locale": "locale is not one of the 15, in none of the spellings that schemas.locales knows",
    "unknown_language": "the declared language is not one of the 10",
    "missing_title": "title is absent, or empty after repairs",
    "letters_lost": "more than half of the title's letters are gone: U+FFFD or a question mark stands for them",
    "title_too_long": "title is longer than 2,000 characters",
    "text_too_long": "bullets, description and attributes together are longer than 200,000 characters",
    "invalid_updated_at": "updated_at is not an ISO 8601 instant",
    "far_updated_at": "updated_at is not in the years 1678 to 2261, which every reader of the tables can hold",
}
REASONS: dict[str, str] = UNREADABLE | RULES

REPAIRS: dict[str, str] = {
    "mojibake": "text that had been read in a wrong character set was decoded again, where that is sure",
    "html": "HTML tags and entities that were left in a text were resolved",
    "escapes": "a text that was quoted-printable or %-escaped as a whole was decoded",
    "surrogates": "half of a surrogate pair, which is no character, became U+FFFD",
    "units": "a value that is a number and a unit got one spelling: 1,5KG is 1.5 kg",
    "control_characters": "null bytes and other control characters were removed",
    "unicode_nfc": "text was brought into Unicode normalisation form C",
    "whitespace": "runs of white space became one space, ends were trimmed",
}

MAX_RECORD_BYTES = 1 << 20
MAX_TITLE_CHARACTERS = 2_000
MAX_TEXT_CHARACTERS = 200_000
MAX_LOST_LETTERS = 0.5  # of a title's letters

LISTING_REJECTS = Table(
    name="listing_rejects",
    columns=(
        Column(name="reject_id", type=TEXT, meaning="SHA-256 of the raw record, hex", nullable=False),
        Column(name="reasons", type=TEXTS, meaning="names from schemas.reject.REASONS", nullable=False),
        Column(name="detail", type=TEXT, meaning="what was found, for the person who reads this"),
        Column(name="raw", type=pa.binary(), meaning="the record as the feed had it", nullable=False),
        Column(
            name="raw_format",
            type=TEXT,
            meaning="json, or csv or xml as it was read",
            nullable=False,
        ),
        Column(name="source_file", type=TEXT, meaning="file that the record came from", nullable=False),
        Column(name="occurrences", type=pa.int64(), unit="records", meaning="how often the feed had the same raw record"),
        Column(name="rejected_at", type=INSTANT, meaning="when it was first rejected", nullable=False),
        Column(name="run_id", type=TEXT, meaning="the ingest run that rejected it first", nullable=False),
    ),
    key=("reject_id",),
)
