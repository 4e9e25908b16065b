"""A listing: one catalogue item in one locale. What feeds may bring, and the ``listings`` table that they end in."""

import pyarrow as pa

from schemas.tables import INSTANT, TEXT, TEXT_MAP, TEXTS, Column, Table

LISTING_KEY = ("locale", "item_id")

LOCALE = Column(name="locale", type=TEXT, meaning="store front, one of schemas.locales.LOCALES", nullable=False)
ITEM_ID = Column(name="item_id", type=TEXT, meaning="item within its locale, just as the feed has it", nullable=False)

# What a feed may bring. Only locale, item_id and title are required; columns that are not named here are ignored.
FEED_COLUMNS = (
    LOCALE,
    ITEM_ID,
    Column(name="language", type=TEXT, meaning="declared language of the text, ISO 639-1"),
    Column(name="title", type=TEXT, meaning="title as the seller wrote it", nullable=False),
    Column(name="bullets", type=TEXTS, meaning="selling points, in order"),
    Column(name="description", type=TEXT, meaning="long text"),
    Column(name="brand", type=TEXT, meaning="brand as the seller wrote it"),
    Column(name="category", type=TEXT, meaning="category path, levels joined by ' > '"),
    Column(name="attributes", type=TEXT_MAP, meaning="structured attributes: name to value"),
    Column(name="seller", type=TEXT, meaning="who offers the item"),
    Column(name="source", type=TEXT, meaning="where the feed got the listing from"),
    Column(
        name="updated_at",
        type=INSTANT,
        meaning="the record's own time; null: as of ingested_at; a key's latest record wins",
    ),
)

# A feed's record may also carry this field: true makes the record a tombstone, which needs no title.
DELETED = "deleted"
FEED_FIELDS = (*(column.name for column in FEED_COLUMNS), DELETED)

WARNINGS: dict[str, str] = {
    "language_disagrees": "the text is written in another script than the declared language is",
    "text_damaged": "a text looks as if it had been read in a wrong character set, and no repair of it is sure",
    "letters_lost": "letters of a text are gone: U+FFFD or a question mark stands for them; lost_letters is their share",
    "language_not_of_locale": "the language, declared or detected with confidence, is none of those that the locale speaks",
}

DECLARED, DETECTED = "declared", "detected"  # where a listing's language is from

LISTINGS = Table(
    name="listings",
    columns=(
        *FEED_COLUMNS,
        Column(
            name="language_source",
            type=TEXT,
            meaning="declared, or detected from the text where the feed does not say",
            nullable=False,
        ),
        Column(
            name="language_confidence",
            type=pa.float32(),
            unit="probability",
            meaning="the detector's, 0 to 1; null where the language was declared",
        ),
        Column(name="warnings", type=TEXTS, meaning="names from schemas.listing.WARNINGS; a warning never rejects a record"),
        Column(name="repairs", type=TEXTS, meaning="names of the repairs that ingest made, see schemas.reject.REPAIRS"),
        Column(
            name="content_hash",
            type=TEXT,
            meaning="SHA-256 over all columns as the feed brought them, repaired, hex: did the catalogue change?",
            nullable=False,
        ),
        Column(
            name="text_hash",
            type=TEXT,
            meaning="SHA-256 over the case-folded title, bullets and description, hex: exact duplicates",
            nullable=False,
        ),
        Column(name="ingested_at", type=INSTANT, meaning="when this content was written", nullable=False),
        Column(name="run_id", type=TEXT, meaning="the ingest run that wrote this content", nullable=False),
        Column(
            name="lost_letters",
            type=pa.float32(),
            unit="share",
            meaning="of the letters of the text that lost most, how many are gone; null where none is",
        ),
    ),
    key=LISTING_KEY,
    partition_by=("locale",),
    # Bounds of these are kept per file; of long texts nobody asks for them, and they would be a third of a write's time.
    properties={"delta.enableChangeDataFeed": "true", "delta.dataSkippingStatsColumns": "item_id,updated_at,run_id"},
)

# What was deleted, so that a late record older than its deletion stays out. Rows stay when the listing comes back.
LISTING_TOMBSTONES = Table(
    name="listing_tombstones",
    columns=(
        LOCALE,
        ITEM_ID,
        Column(
            name="deleted_at",
            type=INSTANT,
            meaning="the tombstone's own time, else when it was received; the listing's, where a full feed lacked it",
        ),
        Column(name="run_id", type=TEXT, meaning="the ingest run that brought the tombstone", nullable=False),
        Column(
            name="recorded_at",
            type=INSTANT,
            meaning="when that run was; null in rows written before there was this column: retention keeps them",
        ),
    ),
    key=LISTING_KEY,
    partition_by=("locale",),
)
