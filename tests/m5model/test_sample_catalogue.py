"""The sample catalogue: the same bytes again, every locale and script, damage and labels as its manifest says."""

import json
import unicodedata
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from m5model.sample_catalogue.catalogue import CatalogueManifest, write_catalogue
from m5model.sample_catalogue.lexicon import product_types, read_words
from schemas.labels import SPLITS
from schemas.locales import LANGUAGES, LOCALES
from schemas.reject import REASONS

ROWS = 3_000
SCRIPTS = {"ar": "ARABIC", "ja": "CJK|HIRAGANA|KATAKANA"}


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CatalogueManifest]:
    folder = tmp_path_factory.mktemp("catalogue")
    return folder, write_catalogue(folder, rows=ROWS)


def _sound_records(folder: Path) -> list[dict]:
    files = [file for file in (folder / "feeds").glob("*.jsonl") if file.name != "damaged.jsonl"]
    records = [json.loads(line) for file in files for line in file.read_bytes().splitlines()]
    return records + pq.read_table(folder / "feeds" / "gulf.parquet").to_pylist()


def _labels(folder: Path, name: str) -> list[dict]:
    return pq.read_table(folder / "labels" / f"{name}.parquet").to_pylist()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(catalogue, tmp_path: Path) -> None:
    again = write_catalogue(tmp_path / "again", rows=ROWS)
    assert again.files == catalogue[1].files
    other = write_catalogue(tmp_path / "other", rows=300, seed=1)
    assert set(other.files.values()).isdisjoint(catalogue[1].files.values())


def test_all_locales_and_languages_are_there_and_sizes_are_skewed(catalogue) -> None:
    manifest = catalogue[1]
    assert set(manifest.rows_by_locale) == set(LOCALES)
    assert set(manifest.rows_by_language) == set(LANGUAGES)
    assert manifest.rows_by_language["en"] > 0.4 * ROWS
    assert min(manifest.rows_by_language.values()) > 0.025 * ROWS


def test_every_kind_of_damage_is_there_and_counted(catalogue) -> None:
    folder, manifest = catalogue
    assert set(manifest.rejects_by_reason) == set(REASONS) - {"broken_quotes"}  # that a CSV alone can have
    assert sum(manifest.rejects_by_reason.values()) == 60
    lines = (folder / "feeds" / "damaged.jsonl").read_bytes().rstrip(b"\n").split(b"\n")
    assert len(lines) == 60
    assert max(map(len, lines)) > 10_000_000


@pytest.mark.parametrize("language", SCRIPTS)
def test_titles_are_in_the_script_of_their_language(catalogue, language: str) -> None:
    titles = [record["title"] for record in _sound_records(catalogue[0]) if record["language"] == language]
    scripts = SCRIPTS[language].split("|")
    in_script = [any(unicodedata.name(c, "").startswith(tuple(scripts)) for c in title) for title in titles]
    assert titles
    assert sum(in_script) > 0.9 * len(titles)


def test_duplicates_are_worded_differently_and_their_labels_point_at_listings(catalogue) -> None:
    titles = {record["item_id"]: record["title"] for record in _sound_records(catalogue[0])}
    known = {row["item_id"] for row in _labels(catalogue[0], "brands")}
    assert len(known) == ROWS
    pairs = [row for row in _labels(catalogue[0], "duplicates") if row["label"] == 1]
    assert {row["other_item_id"] for row in pairs} <= known
    both = [row for row in pairs if row["item_id"] in titles and row["other_item_id"] in titles]
    assert sum(titles[row["item_id"]] != titles[row["other_item_id"]] for row in both) > 0.9 * len(both) > 0


def test_every_partner_has_labels(catalogue) -> None:
    counts = catalogue[1].labels
    for name in ("duplicates", "brands", "categories", "attributes", "queries", "relevance", "sessions", "clicks"):
        assert counts[name] == pq.read_table(catalogue[0] / "labels" / f"{name}.parquet").num_rows > 0
    clicked = [row["clicked"] for row in _labels(catalogue[0], "clicks")]
    assert 0 < sum(clicked) < 0.5 * len(clicked)


def test_an_item_its_variants_and_queries_for_it_are_in_one_split(catalogue) -> None:
    """So a test query asks for nothing, and a test pair is of nothing, that others learned from."""
    split_of: dict[int, set[str]] = {}
    items = {(row["locale"], row["item_id"]): row["item"] for row in _labels(catalogue[0], "items")}
    pairs = [row for row in _labels(catalogue[0], "duplicates") if row["label"] == 1]
    answers = [row for row in _labels(catalogue[0], "relevance") if row["grade"] == "exact"]
    for row in (*pairs, *answers):
        split_of.setdefault(items[row["locale"], row["item_id"]], set()).add(row["split"])
    assert {len(splits) for splits in split_of.values()} == {1}
    shares = Counter(next(iter(splits)) for splits in split_of.values())
    assert set(shares) == set(SPLITS) and shares["learn"] > 3 * shares["test"] > 3 * shares["validate"] / 2
    lesser = [row for row in _labels(catalogue[0], "relevance") if row["grade"] == "partial" and row["split"] == "learn"]
    assert lesser
    assert {next(iter(split_of.get(items[row["locale"], row["item_id"]], {"learn"}))) for row in lesser} == {"learn"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_word(language: str) -> None:
    words, english = read_words(language), read_words("en")
    assert set(words) == set(english)
    for table in ("nouns", "features", "attributes", "values", "units", "departments", "lines"):
        assert set(words[table]) == set(english[table])
    assert set(product_types()) == set(words["nouns"])
    for noun in words["nouns"].values():
        assert all(noun["gender"] in forms for forms in words["adjectives"].values())
