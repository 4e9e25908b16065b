"""Label sets: what a model learns from beside text. Six kinds, each a declared table.

A label is about one listing (or two), named by its key or brought along as a text; never both. Every row says which split it
is in. Splits are drawn by entity, never by row, so that the products of the test split are unseen. What keys name is kept in
the set as it was when the set was made, so that nothing a later ingest does changes what a label is about.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import pyarrow as pa

from schemas.listing import LISTING_KEY
from schemas.tables import INSTANT, TEXT, Column, Table
from schemas.training_set import TRAINING_ROWS

MANIFEST_FILE = "manifest.json"
DATA_FOLDER = "data"  # the kind's table
LISTINGS_FOLDER = "listings"  # PINNED_LISTINGS; no folder where all rows bring texts

# From the split that a model learns from to the one that it may see last: a row that could be in two is in the later one.
SPLITS = ("learn", "validate", "test")

# What a set keeps of the listings that its keys name, so that any rendering can be applied later.
PINNED_LISTINGS = Table(
    name="pinned_listings",
    columns=tuple(column for column in TRAINING_ROWS.columns if column.name != "copy"),
    key=LISTING_KEY,
)

SPLIT = Column(name="split", type=TEXT, meaning=f"one of {', '.join(SPLITS)}", nullable=False)


def _item(prefix: str = "", whose: str = "the listing") -> tuple[Column, ...]:
    """The columns that name a listing, by key or by text."""
    return (
        Column(name=f"{prefix}locale", type=TEXT, meaning=f"locale of {whose}; null where a text is given"),
        Column(name=f"{prefix}item_id", type=TEXT, meaning=f"item id of {whose}; null where a text is given"),
        Column(name=f"{prefix}text", type=TEXT, meaning=f"rendered text of {whose}; null where a key is given"),
    )


def _entity(meaning: str, name: str = "entity") -> Column:
    return Column(name=name, type=TEXT, meaning=f"{meaning}; splits are drawn by it", nullable=False)


@dataclass(frozen=True, kw_only=True)
class LabelKind:
    """One kind of label: its table, and which columns say what is learned and how it is split."""

    table: Table
    entities: tuple[str, ...]  # columns that splits are drawn by
    targets: tuple[str, ...]  # columns that a model learns to predict

    @property
    def name(self) -> str:
        return self.table.name

    @property
    def sides(self) -> tuple[str, ...]:
        """Prefixes of the columns that name a listing: one, or two of a pair."""
        names = self.table.column_names
        return tuple(prefix for prefix in ("", "left_", "right_") if f"{prefix}item_id" in names)


PAIRS = LabelKind(
    table=Table(
        name="pairs",
        columns=(
            *_item("left_", "the one listing"),
            *_item("right_", "the other listing"),
            Column(name="is_match", type=pa.bool_(), meaning="are both the same product?", nullable=False),
            _entity("the product of the one listing", "left_entity"),
            _entity("the product of the other listing", "right_entity"),
            SPLIT,
        ),
        key=("left_locale", "left_item_id", "left_text", "right_locale", "right_item_id", "right_text"),
    ),
    entities=("left_entity", "right_entity"),
    targets=("is_match",),
)

CLASSES = LabelKind(
    table=Table(
        name="classes",
        columns=(
            *_item(),
            Column(name="scheme", type=TEXT, meaning="what is classified, e.g. product_type", nullable=False),
            Column(
                name="label", type=TEXT, meaning="the class; a listing of several classes has a row for each", nullable=False
            ),
            _entity("the product"),
            SPLIT,
        ),
        key=("locale", "item_id", "text", "scheme", "label"),
    ),
    entities=("entity",),
    targets=("label",),
)

ATTRIBUTES = LabelKind(
    table=Table(
        name="attributes",
        columns=(
            *_item(),
            Column(name="name", type=TEXT, meaning="the attribute, e.g. colour", nullable=False),
            Column(name="value", type=TEXT, meaning="its value; null where the listing is known not to state any"),
            _entity("the product"),
            SPLIT,
        ),
        key=("locale", "item_id", "text", "name", "value"),
    ),
    entities=("entity",),
    targets=("value",),
)

RELEVANCE = LabelKind(
    table=Table(
        name="relevance",
        columns=(
            Column(name="query", type=TEXT, meaning="what a customer typed", nullable=False),
            Column(name="query_language", type=TEXT, meaning="language of the query, ISO 639-1"),
            *_item(),
            Column(name="gain", type=pa.float32(), unit="0 to 1", meaning="0 irrelevant, 1 what was asked for", nullable=False),
            _entity("the query, without case and blanks"),
            SPLIT,
        ),
        key=("query", "locale", "item_id", "text"),
    ),
    entities=("entity",),
    targets=("gain",),
)

CLICKS = LabelKind(
    table=Table(
        name="clicks",
        columns=(
            *_item(),
            Column(name="context", type=TEXT, meaning="where it was shown: a query, a category, a slot"),
            Column(name="position", type=pa.int32(), unit="1 is first", meaning="rank at which it was shown"),
            Column(name="impressions", type=pa.int64(), unit="times", meaning="how often it was shown", nullable=False),
            Column(name="clicks", type=pa.int64(), unit="times", meaning="how often it was clicked", nullable=False),
            _entity("the product"),
            SPLIT,
        ),
        key=("locale", "item_id", "text", "context", "position"),
    ),
    entities=("entity",),
    targets=("clicks",),
)

EVENTS = ("view", "cart", "purchase")

SESSIONS = LabelKind(
    table=Table(
        name="sessions",
        columns=(
            Column(name="session", type=TEXT, meaning="one visit of one customer, without any trace of who", nullable=False),
            Column(
                name="step", type=pa.int32(), unit="1 is first", meaning="place of the event in its session", nullable=False
            ),
            *_item(),
            Column(name="event", type=TEXT, meaning=f"one of {', '.join(EVENTS)}", nullable=False),
            Column(name="at", type=INSTANT, meaning="when; null where only the order is known"),
            _entity("the session"),
            SPLIT,
        ),
        key=("session", "step"),
    ),
    entities=("entity",),
    targets=("event",),
)

LABEL_KINDS: Mapping[str, LabelKind] = MappingProxyType(
    {kind.name: kind for kind in (PAIRS, CLASSES, ATTRIBUTES, RELEVANCE, CLICKS, SESSIONS)}
)


@dataclass(frozen=True, kw_only=True)
class LabelSetManifest:
    """Says what a version of a label set is: pinned like a training set, it owns its files."""

    name: str
    version: str
    kind: str  # a name in LABEL_KINDS
    created_at: str  # ISO 8601, UTC
    source: str  # the feed that it was made from
    listings_version: int | None  # Delta version that keys were checked against; None where all rows bring texts
    seed: int  # of the split
    shares: Mapping[str, float]  # of entities by split, as asked for; empty where the source brought its own splits
    rows: int
    rows_by_split: Mapping[str, int]
    entities_by_split: Mapping[str, int]
    rejected: Mapping[str, int]  # rows left out, by reason
    content_hash: str  # SHA-256 over the sorted row hashes
    files: Mapping[str, str]  # path under the version's folder → SHA-256
    listings: int = 0  # that keys name, kept with the set
    duplicates: int = 0  # rows left out because another says the same
    # Rows of a split by how many of their entities the split to learn from has too: unseen, half_seen (of a pair), seen.
    novelty: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
