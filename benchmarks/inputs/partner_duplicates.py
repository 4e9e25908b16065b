"""Duplicate detection on public pairs: a file of each set with brand and price as the partner's evidence.

What an import of labels leaves out is left out here: pairs that contradict each other, and repeats, of which the one in the
later split stays.
"""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from inputs.pair_sets import SIZES, SPLIT_NAMES, split_wdc_products
from inputs.pairs import SETS as FILES
from inputs.pairs import side_text
from m5model.labels.identity import claim_of, identity_of
from m5model.labels.splitting import latest
from schemas.labels import PAIRS
from schemas.space import sha256_hex

PARTNER = "duplicates"
SETS = ("abt_buy", "amazon_google", "walmart_amazon", "wdc_computers", "wdc_products")
# Way → strategy, engine, settings. The first one that a set has is what ``student_int8`` and ``lift`` say.
WAYS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "student_int8": ("frozen", "int8", ()),
    "teacher": ("frozen", "torch", ()),
    "bi-encoder": ("bi-encoder", "torch", ()),
    "cross-encoder": ("cross-encoder", "torch", ()),
}
LIFT = ("cross-encoder", "bi-encoder", "student_int8")  # the first of these that was run
ALLOW_SEEN = True  # the sets' own splits share offers; figures are reported by how much of a pair is seen
TOKENS = {"abt_buy": 64, "amazon_google": 32, "walmart_amazon": 48, "wdc_computers": 48, "wdc_products": 64}
PRICE = re.compile(r"\d+(?:[.,]\d+)*")

Row = dict[str, Any]


def settings_of(name: str, strategy: str) -> tuple[str, ...]:
    """Returns what a set needs beside the way's own settings: texts are cut where most of them end."""
    return () if strategy == "frozen" else (f"tokens={TOKENS[name]}",)


def write_labels(data: Path, name: str, folder: Path) -> Path:
    """The file of a set."""
    file = folder / f"{name}.jsonl"
    rows = _by_product(data) if name == "wdc_products" else _own_splits(data, name)
    file.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in _without_repeats(rows)), encoding="utf-8")
    return file


def _own_splits(data: Path, name: str) -> list[Row]:
    size = SIZES.get(name)
    table = pq.read_table(data / "pairs" / f"{FILES[name]}.parquet").to_pylist()
    chosen = (row for row in table if size is None or row.get("size", size) in (size, "all"))
    return [_pair(row, SPLIT_NAMES[row["split"]], None) for row in chosen if row["split"] in SPLIT_NAMES]


def _by_product(data: Path) -> list[Row]:
    return [_pair(row, split, clusters) for row, clusters, split in split_wdc_products(data)]


def _pair(row: Row, split: str, clusters: list[str] | None) -> Row:
    texts = [side_text(row, prefix) for prefix in ("left_", "right_")]
    pair: Row = {"is_match": bool(row["label"]), "split": split}
    for side, text, name in zip(("left", "right"), texts, clusters or texts, strict=True):
        brand = row.get(f"{side}_brand") or row.get(f"{side}_manufacturer")
        pair |= {f"{side}_text": text, f"{side}_entity": sha256_hex(name.encode())[:16], f"{side}_brand": brand or None}
        pair[f"{side}_price"] = _price(row.get(f"{side}_price"))
    return pair


def _price(value: object) -> float | None:
    found = PRICE.search(str(value)) if value is not None else None
    if found is None:
        return None
    digits = found[0].replace(",", "") if "." in found[0] else found[0].replace(",", ".", 1)
    try:
        return float(digits)
    except ValueError:
        return None


def _without_repeats(rows: list[Row]) -> list[Row]:
    groups: dict[object, list[Row]] = {}
    keys = dict.fromkeys(PAIRS.table.column_names)
    for row in rows:
        if row["left_text"] != row["right_text"]:  # else it is a pair of a listing with itself
            groups.setdefault(identity_of(keys | row, PAIRS), []).append(row)
    kept = []
    for group in groups.values():
        if len({claim_of(keys | row, PAIRS) for row in group}) == 1:
            split = latest([row["split"] for row in group])
            kept.append(next(row for row in group if row["split"] == split))
    return kept
