"""A training set: a folder that owns its Parquet files, and the manifest that pins what they are."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from schemas.listing import ITEM_ID, LOCALE
from schemas.tables import TEXT, TEXTS, Column, Table

MANIFEST_FILE = "manifest.json"
DATA_FOLDER = "data"

# Hugging Face Datasets has no map type, so attributes are a list of name and value, in the order of their names.
ATTRIBUTE_LIST = pa.list_(pa.struct([pa.field("name", pa.string()), pa.field("value", pa.string())]))

TRAINING_ROWS = Table(
    name="training_rows",
    columns=(
        LOCALE,
        ITEM_ID,
        Column(name="language", type=TEXT, meaning="language of the text, ISO 639-1", nullable=False),
        Column(name="title", type=TEXT, meaning="title", nullable=False),
        Column(name="bullets", type=TEXTS, meaning="selling points, in order"),
        Column(name="description", type=TEXT, meaning="long text"),
        Column(name="brand", type=TEXT, meaning="brand"),
        Column(name="category", type=TEXT, meaning="category path"),
        Column(name="attributes", type=ATTRIBUTE_LIST, meaning="structured attributes, sorted by name"),
        Column(name="content_hash", type=TEXT, meaning="the listing's content hash", nullable=False),
        Column(name="copy", type=pa.int32(), meaning="0, and 1, 2, … where the plan repeats a listing"),
    ),
    key=("locale", "item_id", "copy"),
)


# Fields of a manifest that count by language or locale.
COUNT_FIELDS = (
    "available_rows_by_language",
    "rows_by_language",
    "listings_by_language",
    "duplicates_by_locale",
    "rows_by_locale",
    "tokens_by_language",
    "tokens_by_locale",
)


@dataclass(frozen=True, kw_only=True)
class TrainingSetManifest:
    """The manifest of a version: its source, its plan, counts by language and locale, and the hash of every file."""

    name: str
    version: str
    created_at: str  # ISO 8601, UTC
    source_table: str
    source_version: int  # Delta version of the listings table
    filters: list[str]
    plan: Mapping[str, object]  # the balance plan as given, see spark.balancing
    seed: int
    rows: int
    content_hash: str  # SHA-256 over the sorted row hashes
    available_rows_by_language: Mapping[str, int]
    rows_by_language: Mapping[str, int]
    listings_by_language: Mapping[str, int]  # rows without their copies
    rows_by_locale: Mapping[str, int]
    duplicates_by_locale: Mapping[str, Mapping[str, int]]  # rows, exact_duplicate, near_duplicate; zeros where they were kept
    token_unit: str  # "characters", or "tokens of BUNDLE-ID"
    tokens_by_language: Mapping[str, int]
    tokens_by_locale: Mapping[str, int]
    files: Mapping[str, str]  # path under the version's folder → SHA-256
