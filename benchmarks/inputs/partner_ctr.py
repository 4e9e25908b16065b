"""Click-through rate: Criteo's clicks without texts, and *simulated* clicks on texts, since no public set has both.

``home_depot_simulated`` takes a query as the page and a title as the ad: clicked is what was judged 2.33 or more of 3.
``sample_simulated`` is the sample catalogue's generator. ``criteo_tiny`` is real, and has a partner's file of its own.
"""

import json
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from inputs import partners
from inputs.partner_search import read_sample
from m5model.runtime.rendering import render
from m5model.sample_catalogue.catalogue import write_catalogue
from schemas import partners as known_partners
from schemas.space import sha256_hex

PARTNER = "ctr"
SETS = ("criteo_tiny", "home_depot_simulated", "sample_simulated")
# Way → strategy, engine, settings.
WAYS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "student_int8": ("frozen", "int8", ()),
    "teacher": ("frozen", "torch", ()),
    "two_phase": ("two-phase", "int8", ()),
    "mlp": ("mlp", "int8", ()),
    "crosses": ("crosses", "int8", ()),
}
LIFT = ("student_int8", "mlp")  # trees with our vectors and the same trees without; without texts, phase 2 beside the trees
ALLOW_SEEN = True  # Criteo's own split names no entity, so that nothing can be seen twice
CLICKED = 2.33  # relevance from which on a simulated visitor clicks
ROWS_SHARE = 0.35  # of Home Depot's queries
SAMPLE_ROWS = 4_000
NO_TEXT = "no text"

Row = dict[str, Any]

known_partners.__path__.extend(partners.__path__)


def partner_of(name: str) -> str:
    """Criteo's columns are not those of our partner."""
    return "criteo" if name == "criteo_tiny" else PARTNER


def notes_of(name: str) -> tuple[str, ...]:
    """For readers of the report and of the JSON."""
    return ("clicks are simulated",) if name.endswith("_simulated") else ()


def ways_of(name: str) -> tuple[str, ...]:
    """Without texts there are no vectors."""
    return ("mlp", "crosses") if name == "criteo_tiny" else tuple(WAYS)


def settings_of(name: str, strategy: str) -> tuple[str, ...]:
    return ()


def write_labels(data: Path, name: str, folder: Path) -> Path:
    """The file of a set."""
    file = folder / f"{name}.jsonl"
    rows = {"criteo_tiny": _criteo, "home_depot_simulated": _home_depot, "sample_simulated": lambda _: _sample()}[name](data)
    file.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
    return file


def _criteo(data: Path) -> Iterator[Row]:
    """Its own splits; a tenth of its training rows is for validation where it brings none."""
    rows = pq.read_table(data / "ctr" / "criteo_tiny_20k.parquet").to_pylist()
    names = {row["split"] for row in rows}
    for number, row in enumerate(rows):
        drawn = int(sha256_hex(f"criteo {number}".encode())[:8], 16) / 16**8
        split = {"train": "learn", "valid": "validate"}.get(row["split"], row["split"])
        if split == "learn" and "valid" not in names and drawn < 0.1:
            split = "validate"
        if len(names) == 1:
            split = "learn" if drawn < 0.7 else "validate" if drawn < 0.8 else "test"
        columns = {name: str(value) if name.startswith("C") else value for name, value in row.items() if name[1:].isdigit()}
        yield {**_shown(number, bool(row["label"])), "text": NO_TEXT, "entity": f"row {number}", "split": split, **columns}


def _home_depot(data: Path) -> Iterator[Row]:
    """Split by ad: products of the test split are new."""
    seen = set()
    for number, row in enumerate(pq.read_table(data / "search" / "home_depot_judgements.parquet").to_pylist()):
        drawn = int(sha256_hex(row["query"].casefold().encode())[:8], 16) / 16**8
        key = (row["query"], row["product_title"])
        if drawn < ROWS_SHARE and key not in seen:
            seen.add(key)
            texts = {"text": render({"title": row["product_title"]}), "page_text": row["query"]}
            yield {**_shown(number, float(row["relevance"]) >= CLICKED), **texts, "language": "en"}


def _sample() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_catalogue(folder, rows=SAMPLE_ROWS, seed=0)
        listings = read_sample(folder)
        rows = pq.read_table(folder / "labels" / "clicks.parquet").to_pylist()
    random.Random(0).shuffle(rows)
    for number, row in enumerate(rows):
        ad, page = ((row["locale"], row[f"{side}_item_id"]) for side in ("ad", "page"))
        if ad in listings and page in listings:
            evidence = {name: row[name] for name in ("gl_group", "widget", "search_engine")}
            evidence |= {name: row[name] for name in ("historical_ctr_ad", "historical_ctr_page")}
            texts = {"text": listings[ad][0], "page_text": listings[page][0], "language": listings[ad][1]}
            yield {**_shown(number, bool(row["clicked"])), **texts, **evidence}


def _shown(number: int, is_clicked: bool) -> Row:
    return {"context": f"impression {number}", "impressions": 1, "clicks": int(is_clicked)}
