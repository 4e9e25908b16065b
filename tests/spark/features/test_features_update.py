"""Views that follow changed listings hold the rows that building them whole would give, whatever changed."""

import random
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
from schemas.errors import ConfigurationError, GateRefusedError
from schemas.listing import LISTINGS
from schemas.workspace import Workspace
from spark.delta.rewrite import commit_properties
from spark.features.publication import newest_source, plan_publication
from spark.features.publish import publish_source
from spark.features.recipes.brands import BrandSettings
from spark.features.settings import FeatureSettings
from spark.features.verify import require_same, verify_views

SPACE, DIMENSIONS = "space-a", 6
SETTINGS = FeatureSettings(recipes={"brands": BrandSettings(min_listings=2)}, follow_from=0)
ONE_VIEW = FeatureSettings(views=("ctr",), follow_from=0)
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


def publish(catalogue: Catalogue, settings: FeatureSettings = SETTINGS) -> dict[str, str]:
    """How each view was built; whole: why."""
    source = newest_source(catalogue.workspace, SPACE)
    publication = plan_publication(catalogue.workspace, source, settings)
    return {view.name: view.because or view.built for view in publish_source(catalogue.spark, catalogue.workspace, publication)}


def differing(catalogue: Catalogue, settings: FeatureSettings = SETTINGS) -> dict[str, int]:
    """Rows by which published views differ from building them whole, of the views that do."""
    publication = plan_publication(catalogue.workspace, newest_source(catalogue.workspace, SPACE), settings)
    found = verify_views(catalogue.spark, catalogue.workspace, publication)
    return {view.name: view.differing for view in found if view.differing}


def files_of(catalogue: Catalogue) -> dict[str, list[str]]:
    tables = {name: deltalake.DeltaTable(catalogue.workspace.table(f"features/{name}")) for name in SETTINGS.views}
    return {name: sorted(table.file_uris()) for name, table in tables.items()}


@pytest.fixture(scope="module")
def catalogue(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """A catalogue with its views published."""
    root = tmp_path_factory.mktemp("update") / "workspace"
    made = Catalogue(spark=spark, workspace=Workspace(str(root)), dice=random.Random(7))
    made.start(60)
    assert {*publish(made).values()} == {"it was not published before"}
    return made


FOLLOWED = {"attributes": "changed", "brands": "sums", "ctr": "changed", "duplicates": "changed", "search": "changed"}


def test_views_that_follow_changes_are_what_building_them_whole_gives_even_after_a_run_that_died_half_way(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue.change()
    with monkeypatch.context() as patch:  # what is kept beside the views is committed, the views are not
        patch.setattr("spark.features.update._work_out", _die)
        patch.setattr("spark.features.update.write_scored", _die)
        with pytest.raises(InterruptedError):
            publish(catalogue)
    assert publish(catalogue) == FOLLOWED
    assert differing(catalogue) == {}


def _die(*_: object, **__: object) -> None:
    raise InterruptedError


def test_a_change_that_no_view_reads_moves_the_source_on_and_writes_no_row(catalogue: Catalogue) -> None:
    before = files_of(catalogue)
    for listing in catalogue.listings.values():
        listing["title"] = "another title"
    catalogue.write()
    assert {*publish(catalogue).values()} == {"source"}
    assert files_of(catalogue) == before


def test_the_check_names_the_view_whose_row_was_lost(catalogue: Catalogue) -> None:
    path = catalogue.workspace.table("features/ctr")
    key = deltalake.DeltaTable(path).to_pyarrow_table(columns=["item_id"])["item_id"][0].as_py()
    deltalake.DeltaTable(path).delete(f"item_id = '{key}'")
    publication = plan_publication(
        catalogue.workspace, newest_source(catalogue.workspace, SPACE), FeatureSettings(views=("ctr",))
    )
    with pytest.raises(GateRefusedError, match=r"ctr +\d+ +1 +0"):
        require_same(verify_views(catalogue.spark, catalogue.workspace, publication))
    assert publish(catalogue, ONE_VIEW)["ctr"] == "its rows were changed by another's DELETE"


def test_views_are_built_whole_where_the_old_source_cannot_be_read_or_most_of_it_changed(catalogue: Catalogue) -> None:
    old = catalogue.workspace.table("embeddings")
    gone = {Path(file.removeprefix("file://")) for file in deltalake.DeltaTable(old).file_uris()}
    version = deltalake.DeltaTable(old).version()
    catalogue.change()
    for file in gone:
        file.unlink()
    assert {*publish(catalogue, ONE_VIEW).values()} == {f"version {version} of embeddings cannot be read any more"}
    catalogue.change()
    few = replace(ONE_VIEW, follow_from=1_000)
    assert all("building whole takes no longer" in why for why in publish(catalogue, few).values())
    catalogue.change(updates=30)
    assert all("listings changed, which is more than 20%" in why for why in publish(catalogue, ONE_VIEW).values())


def test_a_table_that_another_run_changed_meanwhile_is_left_to_it(catalogue: Catalogue) -> None:
    path = catalogue.workspace.table("features/ctr")
    version = deltalake.DeltaTable(path).version()
    with pytest.raises(ConfigurationError, match="was changed by another run"):
        commit_properties(path, version - 1, {"some": "property"}, "{}")
    assert deltalake.DeltaTable(path).version() == version
