"""Small views, published without Spark."""

import json
from collections.abc import Sequence
from typing import Any, Literal

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake

from m5model.features.publications import describe_commit
from m5model.files.delta import delta_options, delta_uri, open_delta
from schemas.features import SPACE_ID, FeatureView
from schemas.listing import ITEM_ID, LISTINGS, LOCALE
from schemas.tables import TEXT, VECTOR, Column
from schemas.workspace import Workspace

BRANDS = FeatureView(
    name="brands",
    owner="brand-classification",
    description="The nearest brand of each listing.",
    key=("locale", "item_id"),
    columns=(
        LOCALE,
        ITEM_ID,
        Column(name="brand", type=TEXT, meaning="declared"),
        Column(name="score", type=pa.float32(), meaning="cosine", unit="-1 to 1", nullable=False),
        Column(name="votes", type=pa.int32(), meaning="voters", unit="listings", nullable=False),
        Column(name="vector", type=VECTOR, meaning="a vector", nullable=False),
        SPACE_ID,
    ),
    freshness_hours=24,
)
PAIRS = FeatureView(
    name="duplicates",
    owner="duplicate-detection",
    description="Pairs of listings.",
    key=("locale", "item_id", "other_item_id"),
    columns=(
        LOCALE,
        ITEM_ID,
        Column(name="other_item_id", type=TEXT, meaning="the other listing", nullable=False),
        Column(name="cosine", type=pa.float32(), meaning="similarity", unit="-1 to 1", nullable=False),
        Column(name="same_text", type=pa.bool_(), meaning="equal texts", nullable=False),
        SPACE_ID,
    ),
    freshness_hours=24,
)
Rows = Sequence[dict[str, Any]]
OLD_SPACE, SPACE = "a" * 16, "b" * 16


def brand_row(item_id: str, locale: str = "DE", **values: Any) -> dict[str, Any]:
    given = {"brand": "Acme", "score": 0.5, "votes": 2, "vector": [0.6, 0.8], "space_id": SPACE}
    return {"locale": locale, "item_id": item_id, **given, **values}


def pair_row(item_id: str, other: str, locale: str = "DE", **values: Any) -> dict[str, Any]:
    given = {"cosine": 0.95, "same_text": False, "space_id": SPACE}
    return {"locale": locale, "item_id": item_id, "other_item_id": other, **given, **values}


def publish_view(
    workspace: Workspace,
    rows: Rows,
    *,
    space: str = SPACE,
    listings: int = 0,
    view: FeatureView = BRANDS,
    mode: Literal["overwrite", "append"] = "overwrite",
    **settings: Any,
) -> int:
    """One published version as the job leaves it; returns its number."""
    path = workspace.table(view.table().name)
    source = {"space_id": space, "listings_version": listings, "embeddings_version": listings}
    metadata = describe_commit("publish", source, settings, json.loads(view.declaration()))
    table = pa.Table.from_pylist([{**row, "space_id": space} for row in rows], view.table().arrow_schema())
    commit = CommitProperties(custom_metadata={"userMetadata": metadata})
    schema_mode: Literal["overwrite"] | None = "overwrite" if mode == "overwrite" else None
    write_deltalake(
        delta_uri(path),
        table,
        mode=mode,
        schema_mode=schema_mode,
        commit_properties=commit,
        storage_options=delta_options(path),
    )
    return open_delta(path).version()


def write_listings(workspace: Workspace, items: Sequence[tuple[str, str]]) -> int:
    """The listings of these keys, each with a title; returns the table's version."""
    path = workspace.table(LISTINGS.name)
    rows = [{"locale": locale, "item_id": item, "title": f"title of {item}", "brand": "Acme"} for locale, item in items]
    schema = pa.schema([(name, pa.string()) for name in ("locale", "item_id", "title", "brand")])
    write_deltalake(path, pa.Table.from_pylist(rows, schema), mode="overwrite", partition_by=["locale"])
    return DeltaTable(path).version()
