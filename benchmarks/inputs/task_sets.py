"""Six real label sets, one for each kind of task, with as many rows as some minutes of training can use.

Rows are drawn by their key, so every run has the same ones; splits are drawn by entity, as every import draws them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from inputs.labelled import import_set, write_training_set
from inputs.pair_sets import real_pairs
from m5model.labels.splitting import SplitPlan
from m5model.runtime.rendering import render
from schemas.space import sha256_hex
from schemas.workspace import Workspace

Row = dict[str, Any]

SHARES = SplitPlan(shares={"learn": 0.8, "validate": 0.2})
LEARN_PAIRS, MEASURED_PAIRS = 6_000, 800
# Task → its label set's name, which says the data, and kind.
SETS: Mapping[str, tuple[str, str]] = {
    "product_type": ("openfoodfacts-us", "classes"),
    "brand": ("myntra", "classes"),
    "contrast": ("wdc-computers", "pairs"),
    "co_purchase": ("bundlerec", "sessions"),
    "query_relevance": ("home-depot", "relevance"),
    "attribute_extraction": ("extractgpt", "attributes"),
}


def write_task_sets(data: Path, workspace: Workspace) -> None:
    """All label sets of SETS, and a training set ``sample`` of texts of theirs, which the vocabulary is cut by."""
    texts: dict[str, None] = {}
    for task, (name, kind) in SETS.items():
        rows = list(_READERS[task](data))
        import_set(workspace, name, kind, rows, SplitPlan(keep=True) if task == "contrast" else SHARES)
        columns = [column for column in rows[0] if column.endswith("text") or column == "query"]
        texts |= dict.fromkeys(row[column] for row in rows if row.get("split") != "validate" for column in columns)
    listings = [{"locale": "US", "language": "en", "item_id": str(number), "title": text} for number, text in enumerate(texts)]
    write_training_set(workspace, listings)


def _some(rows: Iterable[Row], most: int, key: Callable[[Row], str]) -> list[Row]:
    """At most so many rows: those whose hash is smallest."""
    return sorted(rows, key=lambda row: sha256_hex(key(row).encode()))[:most]


def _read(data: Path, name: str) -> list[Row]:
    rows: list[Row] = pq.read_table(data / f"{name}.parquet").to_pylist()
    return rows


def _types(data: Path) -> Iterator[Row]:
    """A category path to be told from title and brand."""
    rows = _some(_read(data, "catalogue/us_openfoodfacts_category"), 4_000, lambda row: row["item_id"])
    for row in rows:
        text = render({"title": row["title"], "brand": row["brand"] or ""})
        yield {"text": text, "scheme": "product_type", "label": row["category"]}


def _brands(data: Path) -> Iterator[Row]:
    """Brands that have five listings or more, to be told from what is left when the brand is taken out."""
    rows = [row for row in _read(data, "catalogue/in_myntra") if row["brand"]]
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["brand"]] = counts.get(row["brand"], 0) + 1
    for row in _some((row for row in rows if counts[row["brand"]] >= 5), 4_000, lambda row: row["item_id"]):
        text = render({"title": row["title"], "description": row["description"] or ""})
        yield {"text": text, "scheme": "brand", "label": row["brand"]}


def _pairs(data: Path) -> Iterator[Row]:
    """WDC computers, medium: its train and validation splits; the test split is left to other benchmarks."""
    rows = real_pairs(data, "wdc_computers")
    for split, most in (("learn", LEARN_PAIRS), ("validate", MEASURED_PAIRS)):
        own = [row for row in rows if row["split"] == split]
        yield from _some(own, most, lambda row: row["left_text"] + row["right_text"])


def _sessions(data: Path) -> Iterator[Row]:
    """Purchases of one session; items that have no title are left out."""
    titles = {row["item_id"]: row["title"] for row in _read(data, "sessions/bundlerec/items") if row["title"]}
    for row in _read(data, "sessions/bundlerec/sessions"):
        if row["item_id"] in titles:
            yield {
                "session": row["session_id"],
                "step": int(row["order"]) + 1,
                "text": render({"title": titles[row["item_id"]]}),
                "event": "purchase",
            }


def _relevance(data: Path) -> Iterator[Row]:
    """All judgements of some queries: 1 is a gain of 0, 3 one of 1."""
    rows = _read(data, "search/home_depot_judgements")
    for row in _some(rows, 6_000, lambda row: str(row["query_id"])):
        gain = (float(row["relevance"]) - 1) / 2
        yield {"query": row["query"], "text": render({"title": row["product_title"]}), "gain": gain, "query_language": "en"}


def _attributes(data: Path) -> Iterator[Row]:
    """Values that a title or a description states; "n/a" says that there is none."""
    rows = [row for row in _read(data, "attributes/extractgpt_ae110k_oamine") if row["split"] != "train_small"]
    for row in rows:
        text = render({"title": row["title"], "description": row["description"] or ""})
        for name, values in row["attributes"]:
            for value in values:
                yield {"text": text, "name": name, "value": None if value == "n/a" else value}


_READERS: Mapping[str, Callable[[Path], Iterator[Row]]] = {
    "product_type": _types,
    "brand": _brands,
    "contrast": _pairs,
    "co_purchase": _sessions,
    "query_relevance": _relevance,
    "attribute_extraction": _attributes,
}
