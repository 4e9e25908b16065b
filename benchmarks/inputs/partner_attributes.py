"""Attributes on ExtractGPT's titles (AE-110k and OA-Mine): the sets' own test split; a fifth of the train titles is validate.

Values that are n/a say that a title states none. train_small is part of train and left out.
"""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from m5model.labels.splitting import SplitPlan
from schemas.space import sha256_hex

PARTNER = "attributes"
SETS = ("extractgpt",)
# Way → strategy, engine, settings.
WAYS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "student_int8": ("tagging", "int8", ()),
    "teacher": ("tagging", "torch", ()),
    "votes": ("tagging", "int8", ("steps=0",)),
}
LIFT = ("student_int8", "votes")
ALLOW_SEEN = False
NO_VALUE = "n/a"
LEARNED = SplitPlan(shares={"learn": 0.7, "validate": 0.3})

Row = dict[str, Any]


def settings_of(name: str, strategy: str) -> tuple[str, ...]:
    """Nothing beside the way's own."""
    return ()


def write_labels(data: Path, name: str, folder: Path) -> Path:
    """The file of the set. A title that both splits have is in test."""
    listings = [
        row
        for row in pq.read_table(data / "attributes" / "extractgpt_ae110k_oamine.parquet").to_pylist()
        if row["split"] != "train_small"
    ]
    tested = {row["title"] for row in listings if row["split"] == "test"}
    found: dict[tuple[str, str, str | None], Row] = {}
    for listing in listings:
        for row in _rows(listing, tested):
            found.setdefault((row["text"], row["name"], row["value"]), row)
    file = folder / f"attributes_{name}.jsonl"
    file.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in found.values()), encoding="utf-8")
    return file


def _rows(listing: Row, tested: set[str]) -> list[Row]:
    entity = sha256_hex(listing["title"].encode())[:16]
    split = "test" if listing["title"] in tested else LEARNED.split_of(entity)
    shared = {"text": listing["title"], "entity": entity, "split": split, "language": "en", "category": listing["category"]}
    rows = []
    for name, values in dict(listing["attributes"]).items():
        stated = [value for value in values if value != NO_VALUE] or [None]
        rows += [shared | {"name": name, "value": value} for value in stated]
    return rows
