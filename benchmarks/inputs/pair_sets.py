"""Labelled pairs to fine-tune on: real sets with their own splits, WDC Products split anew by product, the sample catalogue.

Every test pair is in a group: how much of it was seen (both texts or products are learned from, one, none), or the locale.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from inputs.labelled import import_set, sample_pairs, write_training_set
from inputs.pairs import read_pairs, side_text
from m5model.data.label_sets import open_label_set
from m5model.data.set_versions import find_label_set
from m5model.labels.splitting import SplitPlan
from schemas.space import sha256_hex
from schemas.workspace import Workspace

REAL = ("abt_buy", "amazon_google", "wdc_computers")
NAMES = (*REAL, "wdc_products", "sample")
SPLIT_NAMES = {"train": "learn", "valid": "validate", "test": "test"}
SIZES = {"wdc_computers": "medium"}
# Of the products of WDC Products, whose test split is not at hand: pairs of theirs are only tested on.
UNSEEN_SHARE = 0.25
SAMPLE_ROWS = 4_000
SAMPLE_SHARES = {"learn": 0.5, "validate": 0.1, "test": 0.4}
KNOWN = {2: "seen", 1: "half_seen", 0: "unseen"}

Row = dict[str, Any]  # the columns of a label set of pairs


@dataclass(frozen=True, kw_only=True)
class PairSet:
    """A set in a workspace: the label set ``pairs``, and a training set ``sample`` of the texts to learn from."""

    name: str
    workspace: Workspace
    groups: Mapping[tuple[str, str], str]  # the two texts of a test pair → its group


def write_pair_set(data: Path, name: str, workspace: Workspace) -> PairSet:
    """Import the pairs of that name and write both sets."""
    rows = _sample() if name == "sample" else _wdc_products(data) if name == "wdc_products" else real_pairs(data, name)
    plan = SplitPlan(shares=SAMPLE_SHARES) if name == "sample" else SplitPlan(keep=True)
    import_set(workspace, "pairs", "pairs", rows, plan)
    splits = open_label_set(find_label_set(workspace, "pairs")).splits
    learned = list(splits["learn"])
    texts = sorted({row[f"{side}_text"] for row in learned for side in ("left", "right")})
    write_training_set(workspace, [_listing(number, text) for number, text in enumerate(texts)])
    entities = {row[f"{side}_entity"] for row in learned for side in ("left", "right")}
    named = {(row["left_text"], row["right_text"]): row.get("group") for row in rows}
    pairs = {(row["left_text"], row["right_text"]): row for row in splits["test"]}
    return PairSet(
        name=name, workspace=workspace, groups={pair: named[pair] or _known(row, entities) for pair, row in pairs.items()}
    )


def _known(row: Row, learned: set[str]) -> str:
    return KNOWN[sum(row[f"{side}_entity"] in learned for side in ("left", "right"))]


def _listing(number: int, text: str) -> Row:
    return {"locale": "US", "language": "en", "item_id": str(number), "title": text}


def real_pairs(data: Path, name: str) -> list[Row]:
    """The set's own splits. Products have no names in it, so a text stands for its own."""
    rows: list[Row] = []
    for theirs, ours in SPLIT_NAMES.items():
        pairs = read_pairs(data, name, theirs, SIZES.get(name))
        sides = zip(pairs.left, pairs.right, pairs.is_match.tolist(), strict=True)
        rows += [_row(left, right, label, (left, right), ours) for left, right, label in sides]
    return rows


def _row(left: str, right: str, is_match: bool, entities: Sequence[str], split: str) -> Row:
    left_entity, right_entity = (sha256_hex(name.encode())[:16] for name in entities)
    products = {"left_entity": left_entity, "right_entity": right_entity}
    return {"left_text": left, "right_text": right, "is_match": is_match, **products, "split": split}


def _wdc_products(data: Path) -> list[Row]:
    rows = []
    for row, clusters, split in split_wdc_products(data):
        left, right = side_text(row, "left_"), side_text(row, "right_")
        rows.append(_row(left, right, row["label"] == 1, clusters, split))
    return rows


def split_wdc_products(data: Path) -> Iterator[tuple[Row, list[str], str]]:
    """Pairs of the published train and validation splits with their products and their new split; a quarter of the products is
    kept out of what is learned from.

    Matches of unseen products are tested on from the validation split alone, and so are pairs of one seen and one unseen
    product: that keeps the share of matches much the same where all are seen and where none is.
    """
    for row in pq.read_table(data / "pairs" / "wdc_products_80cc.parquet").to_pylist():
        clusters = [f"wdc {row['left_cluster']}", f"wdc {row['right_cluster']}"]
        unseen = sum(_share(cluster) < UNSEEN_SHARE for cluster in clusters)
        split = "test" if unseen else "learn"
        if not unseen and row["split"] == "valid":
            split = "test" if _share(row["pair_id"]) < 0.5 else "validate"
        is_spare = row["split"] == "train" and (unseen == 1 or (unseen == 2 and row["label"] == 1))
        if not is_spare:
            yield row, clusters, split


def _share(name: str) -> float:
    """0 to 1, a function of the name."""
    return int(sha256_hex(name.encode())[:8], 16) / 16**8


def _sample() -> list[Row]:
    """Pairs of the generated catalogue, split by product; a test pair's group is its locale."""
    with tempfile.TemporaryDirectory() as folder:
        pairs = list(sample_pairs(Path(folder), SAMPLE_ROWS))
    return [{"left_text": one, "right_text": other, "is_match": same, "group": locale} for locale, one, other, same in pairs]
