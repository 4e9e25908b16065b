"""Views that follow changed listings hold the rows that building them whole would give, whatever changed."""

import json
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import deltalake
import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from schemas.embedding import EMBEDDINGS
from schemas.listing import LISTINGS
from schemas.workspace import Workspace
from spark.features.publication import newest_source, plan_publication
from spark.features.publish import publish_source
from spark.features.settings import FeatureSettings

SPACE, DIMENSIONS = "space-a", 6
Key = tuple[str, str]
Row = dict[str, Any]
BRANDS = ["Acme", "acme ", "Bolt", "Crown", None]


@dataclass
class Catalogue:
    """A small catalogue that changes at random, in the tables of a workspace."""

    spark: SparkSession
    workspace: Workspace
    dice: random.Random
    listings: dict[Key, Row] = field(default_factory=dict)
    vectors: dict[Key, Row] = field(default_factory=dict)

    def start(self, rows: int) -> None:
        self._put([(self.dice.choice(("DE", "FR")), f"{i:03}") for i in range(rows)])
        self.write()

    def change(self, inserts: int = 1, updates: int = 2, deletes: int = 1) -> None:
        chosen = self.dice.sample(sorted(self.listings), updates + deletes)
        for key in chosen[:deletes]:
            self.listings.pop(key)
            if self.dice.random() < 0.5:  # else the vector is left without its listing
                self.vectors.pop(key, None)
        self._put([*chosen[deletes:], *((self.dice.choice(("DE", "FR")), f"{self.dice.random():.6}") for _ in range(inserts))])
        self.write()

    def write(self) -> None:
        """A commit of each table that replaces its one file: quicker than Spark's."""
        for table, rows in ((LISTINGS, self.listings), (EMBEDDINGS, self.vectors)):
            required: Row = {c.name: "" for c in table.columns if not c.nullable and c.type == pa.string()}
            required |= {c.name: datetime.now(UTC) for c in table.columns if not c.nullable and pa.types.is_timestamp(c.type)}
            data = pa.Table.from_pylist([required | row for row in rows.values()], table.arrow_schema())
            deltalake.write_deltalake(
                self.workspace.table(table.name), data, mode="overwrite", partition_by=[*table.partition_by]
            )

    def _put(self, keys: Sequence[Key]) -> None:
        for key in keys:
            self.listings[key] = self._listing(*key)
            if self.dice.random() < 0.1:
                self.vectors.pop(key, None)
            elif key not in self.vectors or self.dice.random() < 0.8:
                self.vectors[key] = self._embedding(key)

    def _listing(self, locale: str, item_id: str) -> Row:
        names = self.dice.sample(["colour", "COLOUR", "size", "weight"], self.dice.randrange(3))
        return {
            "locale": locale,
            "item_id": item_id,
            "title": "a title",
            "language": self.dice.choice(("de", "fr")),
            "brand": self.dice.choice(BRANDS),
            "attributes": {name: self.dice.choice(("red", "blue")) for name in names},
            "text_hash": f"text-{self.dice.randrange(25)}",
        }

    def _vector(self) -> list[float]:
        centre = np.random.default_rng(self.dice.randrange(5)).normal(size=DIMENSIONS)
        noise = 0 if self.dice.random() < 0.3 else np.random.default_rng(self.dice.randrange(10**6)).normal(size=DIMENSIONS)
        vector = centre + 0.5 * noise
        return (vector / np.linalg.norm(vector)).astype(np.float32).tolist()

    def _embedding(self, key: Key) -> Row:
        return {"locale": key[0], "item_id": key[1], "space_id": SPACE, "vector": self._vector(), "bucket": 0}


def publish(catalogue: Catalogue, settings: FeatureSettings, whole: str = "") -> dict[str, str]:
    """How each view was built; whole: why."""
    source = newest_source(catalogue.workspace, SPACE)
    publication = plan_publication(catalogue.workspace, source, settings, whole=whole)
    return {view.name: view.because or view.built for view in publish_source(catalogue.spark, catalogue.workspace, publication)}


def rows_of(workspace: Workspace, settings: FeatureSettings) -> dict[str, list[str]]:
    tables = {name: deltalake.DeltaTable(workspace.table(f"features/{name}")) for name in settings.views}
    return {
        name: sorted(json.dumps(row, sort_keys=True) for row in table.to_pyarrow_table().to_pylist())
        for name, table in tables.items()
    }


def rebuilt(catalogue: Catalogue, settings: FeatureSettings) -> dict[str, list[str]]:
    """Rows of the views as another workspace has them that was never published before."""
    beside = Workspace(f"{catalogue.workspace.root}-beside")
    shutil.rmtree(beside.root, ignore_errors=True)
    for table in (LISTINGS, EMBEDDINGS):
        shutil.copytree(catalogue.workspace.table(table.name), beside.table(table.name))
    publish(replace(catalogue, workspace=beside), settings)
    return rows_of(beside, settings)


@pytest.fixture
def catalogue(spark: SparkSession, tmp_path: Path) -> Catalogue:
    made = Catalogue(spark=spark, workspace=Workspace(str(tmp_path / "workspace")), dice=random.Random(7))
    made.start(60)
    return made


def test_views_that_follow_changes_are_what_building_them_whole_gives(catalogue: Catalogue) -> None:
    settings = FeatureSettings(views=("ctr", "search", "duplicates", "attributes"))
    assert {*publish(catalogue, settings).values()} == {"it was not published before"}
    for _ in range(2):
        catalogue.change()
        assert {*publish(catalogue, settings).values()} == {"changed"}
    assert rows_of(catalogue.workspace, settings) == rebuilt(catalogue, settings)
