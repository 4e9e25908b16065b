"""Pairs of the sample catalogue: near-perfect where vectors know the item, no better than chance where labels are shuffled."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from m5model.data.randomness import generator_for
from m5model.partners.experiment import Outcome, Plan, run_experiment
from m5model.partners.strategies.frozen import Settings
from m5model.partners.vectors import Vectors, given_vectors
from m5model.runtime.rendering import render
from m5model.sample_catalogue.catalogue import write_catalogue
from schemas.locales import LOCALES
from tests.m5model.partners.conftest import DIMENSIONS, SPACE, open_rows

ROWS = 2_500
QUICK = Settings(trees=60, learning_rate=0.1)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The generator's own labels, each side with its text, its item and the language of its locale."""
    folder = tmp_path_factory.mktemp("catalogue")
    write_catalogue(folder, rows=ROWS, damaged_share=0)
    files = sorted((folder / "feeds").glob("*.jsonl"))
    listings = [json.loads(line) for file in files for line in file.read_bytes().splitlines()]
    texts = {(row["locale"], row["item_id"]): render(_plain(row)) for row in listings if row.get("locale") in LOCALES}
    labelled, items = (pq.read_table(folder / "labels" / f"{name}.parquet").to_pylist() for name in ("duplicates", "items"))
    item_of = {(row["locale"], row["item_id"]): f"item {row['item']}" for row in items}
    rows = []
    for row in labelled:
        left, right = ((row["locale"], row[name]) for name in ("item_id", "other_item_id"))
        if left in texts and right in texts and texts[left] != texts[right]:
            sides = {"left_text": texts[left], "right_text": texts[right]}
            entities = {"left_entity": item_of[left], "right_entity": item_of[right]}
            language = LOCALES[row["locale"]].languages[0]
            rows.append(
                {**sides, **entities, "is_match": bool(row["label"]), "language": language, "product_line": row["product_line"]}
            )
    return rows


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row.get(name) for name in ("title", "brand", "category", "description")}


def item_vectors(rows: list[dict[str, Any]]) -> Vectors:
    vectors = {}
    for row in rows:
        for side in ("left", "right"):
            around = generator_for("item", row[f"{side}_entity"]).normal(size=DIMENSIONS)
            around = around + 0.1 * generator_for("offer", row[f"{side}_text"]).normal(size=DIMENSIONS)
            vectors[row[f"{side}_text"]] = (around / np.linalg.norm(around)).astype(np.float32)
    return given_vectors(vectors, SPACE)


def judge(folder: Path, rows: list[dict[str, Any]]) -> Outcome:
    data = open_rows(folder, rows, allow_seen=True)
    return run_experiment(Plan(data=data, vectors=item_vectors(rows), strategy="frozen", settings=QUICK))


def test_vectors_that_know_the_item_make_every_language_and_product_line_near_perfect(
    pairs: list[dict[str, Any]], tmp_path: Path
) -> None:
    manifest = judge(tmp_path, pairs).manifest
    figures = {figure.name: figure.value for figure in manifest.figures}
    assert (figures["pr_auc"] or 0) > 0.98
    assert (figures["blocker_recall_at_5"] or 0) > 0.9  # an item may have more offers than that
    assert figures["blocker_recall_at_50"] == 1.0
    assert (figures["cluster_f1"] or 0) > 0.9
    groups = {group.column: group.figure.value for group in manifest.groups}
    assert {"language", "product_line", "novelty"} <= groups.keys()
    assert all((group.figure.value or 0) > 0.9 for group in manifest.groups if (group.positives or 0) >= 5)


def test_shuffled_labels_are_not_learned(pairs: list[dict[str, Any]], tmp_path: Path) -> None:
    labels = np.random.default_rng(0).permutation([row["is_match"] for row in pairs]).tolist()
    shuffled = judge(tmp_path, [row | {"is_match": label} for row, label in zip(pairs, labels, strict=True)]).manifest
    figures = {figure.name: figure.value for figure in shuffled.figures}
    assert abs((figures["roc_auc"] or 0) - 0.5) < 0.15
    assert shuffled.comparisons[0].verdict == "not shown"
