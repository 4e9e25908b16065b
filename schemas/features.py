"""The five feature views that partners read: declared here once, published as Delta tables with the declaration inside."""

import json
from dataclasses import dataclass

import pyarrow as pa

from schemas.listing import ITEM_ID, LOCALE
from schemas.tables import TEXT, VECTOR, Column, Table

DECLARATION_PROPERTY = "m5.feature_view"
SOURCE_PROPERTY = "m5.source"

SPACE_ID = Column(name="space_id", type=TEXT, meaning="vector space that the row was made from", nullable=False)
CTR_DIMENSIONS = 64
SEARCH_DIMENSIONS = 256


@dataclass(frozen=True, kw_only=True)
class FeatureView:
    """What a partner team can rely on."""

    name: str
    owner: str
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    freshness_hours: int  # hours within which a changed listing must show

    def table(self) -> Table:
        """The Delta table ``features/NAME``, the declaration among its properties."""
        return Table(
            name=f"features/{self.name}",
            columns=self.columns,
            key=self.key,
            properties={DECLARATION_PROPERTY: self.declaration()},
        )

    def declaration(self) -> str:
        """The view as one JSON object, keys sorted."""
        columns = [
            {"name": c.name, "type": str(c.type), "unit": c.unit, "meaning": c.meaning, "nullable": c.nullable}
            for c in self.columns
        ]
        declared = {
            "name": self.name,
            "owner": self.owner,
            "description": self.description,
            "key": list(self.key),
            "columns": columns,
            "source": "embeddings of one space, with the listings that they were made from",
            "freshness_hours": self.freshness_hours,
        }
        return json.dumps(declared, sort_keys=True, ensure_ascii=False)


DUPLICATES = FeatureView(
    name="duplicates",
    owner="duplicate-detection",
    description="Pairs of listings of one locale that may be the same item, found as near neighbours.",
    key=("locale", "item_id", "other_item_id"),
    columns=(
        LOCALE,
        ITEM_ID,
        Column(name="other_item_id", type=TEXT, meaning="the other listing; greater than item_id", nullable=False),
        Column(name="cosine", type=pa.float32(), meaning="similarity of the two vectors", unit="-1 to 1", nullable=False),
        Column(name="same_text", type=pa.bool_(), meaning="both have the same text_hash", nullable=False),
        SPACE_ID,
    ),
    freshness_hours=24,
)

BRANDS = FeatureView(
    name="brands",
    owner="brand-classification",
    description="The brand whose centroid (mean of its listings' vectors) lies nearest to each listing.",
    key=("locale", "item_id"),
    columns=(
        LOCALE,
        ITEM_ID,
        Column(name="brand", type=TEXT, meaning="brand that the listing declares, if any"),
        Column(name="nearest_brand", type=TEXT, meaning="brand of the nearest centroid", nullable=False),
        Column(name="score", type=pa.float32(), meaning="cosine to that centroid", unit="-1 to 1", nullable=False),
        Column(name="margin", type=pa.float32(), meaning="score minus the second best brand's", unit="0 to 2", nullable=False),
        SPACE_ID,
    ),
    freshness_hours=24,
)

CTR = FeatureView(
    name="ctr",
    owner="click-through-rate",
    description="A 64-dimension orthogonal projection of the vector, small enough for a click model's input.",
    key=("locale", "item_id"),
    columns=(
        LOCALE,
        ITEM_ID,
        Column(name="projection", type=VECTOR, meaning=f"{CTR_DIMENSIONS} dimensions", nullable=False),
        SPACE_ID,
    ),
    freshness_hours=24,
)

SEARCH = FeatureView(
    name="search",
    owner="semantic-search",
    description="256-dimension unit vectors for a nearest neighbour index; inner product is cosine.",
    key=("locale", "item_id"),
    columns=(
        LOCALE,
        ITEM_ID,
        Column(name="language", type=TEXT, meaning="language of the listing"),
        Column(name="vector", type=VECTOR, unit="unit length", meaning=f"{SEARCH_DIMENSIONS} dimensions", nullable=False),
        SPACE_ID,
    ),
    freshness_hours=24,
)

ATTRIBUTES = FeatureView(
    name="attributes",
    owner="document-understanding",
    description="Attribute values that a listing does not declare, voted for by its nearest neighbours that do.",
    key=("locale", "item_id", "attribute"),
    columns=(
        LOCALE,
        ITEM_ID,
        Column(name="attribute", type=TEXT, meaning="attribute name", nullable=False),
        Column(name="value", type=TEXT, meaning="value with the largest similarity-weighted vote", nullable=False),
        Column(name="confidence", type=pa.float32(), meaning="that value's share of the votes", unit="0 to 1", nullable=False),
        Column(name="votes", type=pa.int32(), meaning="neighbours that declare the attribute", unit="listings", nullable=False),
        SPACE_ID,
    ),
    freshness_hours=24,
)

FEATURE_VIEWS: dict[str, FeatureView] = {view.name: view for view in (DUPLICATES, BRANDS, CTR, SEARCH, ATTRIBUTES)}
