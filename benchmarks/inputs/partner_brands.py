"""Brand classification on in_myntra: the brand is taken out of title and description, so that the answer cannot be read off.

Products are split, colours of one style staying together. A tenth of the brands is never learned from: half of those lie in
validate, half in test, and there the right answer is to refuse.
"""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from m5model.labels.splitting import SplitPlan
from m5model.tasks._phrases import take_out
from schemas.space import sha256_hex

PARTNER = "brands"
SETS = ("in_myntra",)
# Way → strategy, engine, settings.
WAYS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "student_int8": ("class-ranking", "int8", ()),
    "teacher": ("class-ranking", "torch", ()),
    "centroids": ("centroids", "int8", ()),
    "centroids, teacher": ("centroids", "torch", ()),
}
LIFT = ("student_int8",)
ALLOW_SEEN = False
PRODUCTS = SplitPlan(shares={"learn": 0.6, "validate": 0.2, "test": 0.2})
BRANDS = SplitPlan(seed=1, shares={"learn": 0.9, "validate": 0.05, "test": 0.05})
BLANKS = re.compile(r"\s+")

Row = dict[str, Any]


def settings_of(name: str, strategy: str) -> tuple[str, ...]:
    """Nothing beside the way's own."""
    return ()


def write_labels(data: Path, name: str, folder: Path) -> Path:
    """The file of the set."""
    found: dict[tuple[str, str], Row] = {}
    for listing in pq.read_table(data / "catalogue" / f"{name}.parquet").to_pylist():
        row = _row(listing)
        if row is not None:
            found.setdefault((row["text"], row["label"]), row)
    file = folder / f"brands_{name}.jsonl"
    file.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in found.values()), encoding="utf-8")
    return file


def _row(listing: Row) -> Row | None:
    brand = " ".join(str(listing["brand"] or "").split())
    parts = [take_out(str(listing[field] or ""), brand) for field in ("title", "description")]
    if not brand or not parts[0]:
        return None
    colours = dict(listing["attributes"] or ()).get("Primary color", "")
    style = f"{brand} {BLANKS.sub(' ', take_out(parts[0], str(colours)))}".casefold()
    entity = sha256_hex(style.encode())[:16]
    known = BRANDS.split_of(brand)
    split = PRODUCTS.split_of(entity) if known == "learn" else known
    text = " | ".join(part for part in parts if part)
    return {"text": text, "scheme": "brand", "label": brand, "entity": entity, "split": split, "language": listing["language"]}
