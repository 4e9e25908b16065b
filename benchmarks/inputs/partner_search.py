"""Search: Home Depot's judged queries, and the sample catalogue's, whose queries and listings are of ten languages.

``home_depot`` is a sample of queries with all their judgements. ``sample`` judges listings of the query's own locale,
``sample_across`` those that are in another language than the query.
"""

import json
import random
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from m5model.feeds.inspection import stream_listings
from m5model.feeds.sources import find_feed_files
from m5model.runtime.rendering import render
from m5model.sample_catalogue.catalogue import write_catalogue
from schemas.locales import LOCALES
from schemas.space import sha256_hex

PARTNER = "search"
SETS = ("home_depot", "sample", "sample_across")
# Way → strategy, engine, settings.
WAYS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "student_int8": ("fusion", "int8", ()),
    "teacher": ("fusion", "torch", ()),
    "ensemble": ("frozen", "int8", ()),
    "projection": ("projection", "int8", ()),
    "projection_whole": ("projection", "int8", ("dimensions=384", "prefixes=[64,128,256]")),
    "two_tower": ("two-tower", "int8", ()),
    "fusion_two_tower": ("fusion", "int8", ('towers="two-tower"',)),
}
LIFT = ("student_int8",)
ALLOW_SEEN = False
QUERIES_SHARE = 0.35  # of Home Depot's
SAMPLE_ROWS = 4_000  # listings of the sample catalogue
GAINS = {"exact": 1.0, "partial": 0.4}  # another product of the same type is no answer
OTHERS = 6  # listings of other types beside each query, gain 0

Row = dict[str, Any]


def settings_of(name: str, strategy: str) -> tuple[str, ...]:
    return ()


def write_labels(data: Path, name: str, folder: Path) -> Path:
    """The file of a set; splits are drawn by query."""
    file = folder / f"{name}.jsonl"
    rows = _home_depot(data) if name == "home_depot" else _sample(across=name == "sample_across")
    file.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
    return file


def _home_depot(data: Path) -> Iterator[Row]:
    """The mean where a query and a title were judged several times; relevance 1 to 3 is gain 0 to 1."""
    judged = defaultdict(list)
    for row in pq.read_table(data / "search" / "home_depot_judgements.parquet").to_pylist():
        if _share(row["query"].casefold()) < QUERIES_SHARE:
            judged[row["query"], render({"title": row["product_title"]})].append((float(row["relevance"]) - 1) / 2)
    for (query, text), gains in sorted(judged.items()):
        yield {"query": query, "query_language": "en", "text": text, "gain": sum(gains) / len(gains), "language": "en"}


def _share(text: str) -> float:
    return int(sha256_hex(text.encode())[:8], 16) / 16**8


def _sample(*, across: bool) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_catalogue(folder, rows=SAMPLE_ROWS, seed=0)
        listings = read_sample(folder)
        names = ("queries", "relevance", "items", "categories")
        tables = {table: pq.read_table(folder / "labels" / f"{table}.parquet").to_pylist() for table in names}
    items = {_key(row): row["item"] for row in tables["items"]}
    types = {_key(row): row["product_type"] for row in tables["categories"]}
    asked = {row["query_id"]: row for row in tables["queries"]}
    answers = defaultdict(list)
    for row in tables["relevance"]:
        answers[row["query_id"]].append((_key(row), GAINS[row["grade"]]))
    found: dict[tuple[str, str], float] = {}
    about: dict[tuple[str, str], Row] = {}
    for query_id, graded in sorted(answers.items()):
        query, draw = asked[query_id], random.Random(query_id)
        wanted = next(key for key, gain in graded if gain == 1)
        judged = _elsewhere(wanted, query["language"], listings, items, types) if across else graded
        others = [key for key in listings if types.get(key) != types[wanted]]
        others = [key for key in others if (listings[key][1] != query["language"] if across else key[0] == query["locale"])]
        judged = judged + [(key, 0.0) for key in draw.sample(others, min(OTHERS, len(others)))]
        for key, gain in judged:
            if key in listings and any(value == 1 for _, value in judged):
                pair = (query["query"], listings[key][0])
                found[pair] = max(gain, found.get(pair, 0.0))
                about[pair] = {"query_language": query["language"], "language": listings[key][1]}
    for (query, text), gain in sorted(found.items()):
        yield {"query": query, "text": text, "gain": gain, **about[query, text]}


def _elsewhere(
    wanted: tuple[str, str],
    language: str,
    listings: dict[tuple[str, str], tuple[str, str]],
    items: dict[tuple[str, str], int],
    types: dict[tuple[str, str], str],
) -> list[tuple[tuple[str, str], float]]:
    """Listings in other languages: of the same product, and some of the same type."""
    others = [key for key, (_, spoken) in listings.items() if spoken != language]
    same = [(key, 1.0) for key in others if items.get(key) == items[wanted]]
    alike = [(key, 0.4) for key in others if types.get(key) == types[wanted] and items.get(key) != items[wanted]]
    return same + alike[:OTHERS]


def read_sample(folder: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """Text and language of a sample catalogue's listings by key, of the feeds that are not damaged."""
    return dict(_listings(folder))


def _listings(folder: Path) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    for file in find_feed_files([str(folder / "feeds")]).files:
        if "damaged" not in file.path:
            for row in stream_listings(file):
                locale = LOCALES.get(row["locale"])
                if locale is not None and row.get("title"):
                    yield (row["locale"], row["item_id"]), (render(row), row.get("language") or locale.languages[0])


def _key(row: Row) -> tuple[str, str]:
    return row["locale"], row["item_id"]
