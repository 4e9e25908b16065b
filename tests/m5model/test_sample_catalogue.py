"""The sample catalogue: same options give the same bytes, and feeds and labels hold what the manifest says."""

import csv
import io
import json
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from m5model.sample_catalogue import SampleManifest, SampleOptions, write_sample
from m5model.sample_catalogue.feeds import FEED_LOCALES
from m5model.sample_catalogue.offers import families_of_listings
from schemas.errors import ConfigurationError
from schemas.listing import FEED_COLUMNS
from schemas.locales import LANGUAGES, LOCALES
from schemas.reject import REASONS, REPAIRS

ROWS = 4_000
COLUMNS = {column.name for column in FEED_COLUMNS}
SCRIPTS = {"ar": ("ARABIC",), "ja": ("HIRAGANA", "KATAKANA", "CJK")}


@dataclass(frozen=True, kw_only=True)
class Sample:
    folder: Path
    manifest: SampleManifest

    def labels(self, name: str) -> list[dict]:
        return pq.read_table(self.folder / "labels" / f"{name}.parquet").to_pylist()


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    folder = tmp_path_factory.mktemp("sample")
    return Sample(folder=folder, manifest=write_sample(SampleOptions(folder=folder, rows=ROWS, seed=11)))


@pytest.fixture(scope="session")
def records(sample: Sample) -> list[tuple[dict | None, str | None]]:
    """Every record of every feed as (object, reason to reject it), by plain reading, without any of our code."""
    return [
        *(entry for path in sorted(sample.folder.glob("feeds/*.jsonl")) for entry in read_json_lines(path)),
        *(entry for path in sorted(sample.folder.glob("feeds/*.csv")) for entry in read_csv(path)),
        *((row, reject_reason(row)) for path in sample.folder.glob("feeds/*.parquet") for row in read_parquet(path)),
    ]


def read_json_lines(path: Path) -> list[tuple[dict | None, str | None]]:
    return [read_line(line) for line in path.read_bytes().split(b"\n") if line]


def read_line(line: bytes) -> tuple[dict | None, str | None]:
    if len(line) > 1 << 20:
        return None, "record_too_large"
    try:
        values = json.loads(line.decode())
    except UnicodeDecodeError:
        return None, "invalid_utf8"
    except json.JSONDecodeError:
        return None, "truncated_record"
    if not isinstance(values, dict):
        return None, "invalid_record"
    return values, reject_reason(values)


def read_csv(path: Path) -> list[tuple[dict | None, str | None]]:
    header, *rows = csv.reader(io.StringIO(path.read_text(encoding="utf-8")))
    found: list[tuple[dict | None, str | None]] = []
    for row in rows:
        if len(row) != len(header):
            found.append((None, "invalid_record"))
            continue
        values = {name: cell for name, cell in zip(header, row, strict=True) if cell}
        for name in ("bullets", "attributes"):
            if name in values:
                values[name] = json.loads(values[name])
        found.append((values, reject_reason(values)))
    return found


def read_parquet(path: Path) -> list[dict]:
    rows = pq.read_table(path).to_pylist()
    for row in rows:
        row["attributes"] = dict(row["attributes"]) if row["attributes"] else None
        row["updated_at"] = row["updated_at"].isoformat()
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def reject_reason(values: dict) -> str | None:
    """The one reason, by the plainest reading of schemas.reject; more than one is an error of the generator."""
    types = {"bullets": list, "attributes": dict}
    title = values.get("title", "")
    checks = {
        "wrong_type": any(not isinstance(value, types.get(name, str)) for name, value in values.items()),
        "missing_item_id": not values.get("item_id"),
        "missing_locale": not values.get("locale"),
        "unknown_locale": bool(values.get("locale")) and values["locale"] not in LOCALES,
        "unknown_language": "language" in values and values["language"] not in LANGUAGES,
        "missing_title": not isinstance(title, list) and not title.strip(),
        "title_too_long": len(title) > 2_000,
        "text_too_long": len(str(values.get("description", ""))) > 200_000,
        "invalid_updated_at": not values["updated_at"].startswith(("2025-0", "2025-10", "2024-12")),
    }
    reasons = [reason for reason, holds in checks.items() if holds]
    assert len(reasons) <= 1, reasons
    return reasons[0] if reasons else None


def test_the_same_seed_gives_the_same_bytes(sample, tmp_path):
    again = write_sample(SampleOptions(folder=tmp_path, rows=ROWS, seed=11))
    assert again == sample.manifest
    assert len(again.files) == len(FEED_LOCALES) + 9


def test_another_seed_gives_another_catalogue(tmp_path):
    one = write_sample(SampleOptions(folder=tmp_path / "1", rows=300, seed=1))
    two = write_sample(SampleOptions(folder=tmp_path / "2", rows=300, seed=2))
    assert all(one.files[path] != two.files[path] for path in one.files)


def test_more_rows_keep_the_earlier_listings():
    few = [listing for family in families_of_listings(5, 300) for listing in family]
    many = [listing for family in families_of_listings(5, 600) for listing in family]
    assert len(few) == 300 and len(many) == 600
    assert many[:300] == few


def test_damaged_records_are_counted_by_reason(sample, records):
    reasons = Counter(reason for _, reason in records if reason)
    assert reasons == sample.manifest.rejected_by_reason
    assert reasons.total() == sample.manifest.rejected == ROWS * 0.02
    assert reasons.keys() == REASONS.keys()


def test_rejected_records_never_share_a_key_with_a_listing(records):
    sound = {(values["locale"], values["item_id"]) for values, reason in records if not reason}
    rejected = {(values.get("locale"), values.get("item_id")) for values, reason in records if reason and values}
    assert not sound & rejected


def test_rows_superseded_and_rejected_make_up_all_records(sample, records):
    keys = Counter((values["locale"], values["item_id"]) for values, reason in records if not reason)
    m = sample.manifest
    assert len(keys) == m.rows == ROWS
    assert keys.total() - len(keys) == m.superseded == ROWS * 0.01
    assert len(records) == m.records == m.rows + m.superseded + m.rejected == sum(m.records_by_feed.values())


def test_a_superseded_record_is_older_or_identical(sample, records):
    versions = defaultdict(list)
    for values, reason in records:
        if not reason:
            versions[values["locale"], values["item_id"]].append(values)
    pairs = [pair for pair in versions.values() if len(pair) > 1]
    assert all(one["updated_at"] != other["updated_at"] or one == other for one, other in pairs)
    assert 0 < sum(one == other for one, other in pairs) < len(pairs) / 2


def test_every_repair_kind_befalls_a_known_number_of_listings(sample):
    kinds = defaultdict(set)
    for row in sample.labels("repairs"):
        kinds[row["repair"]].add((row["locale"], row["item_id"]))
    assert kinds.keys() == REPAIRS.keys()
    assert {kind: len(keys) for kind, keys in kinds.items()} == sample.manifest.repaired
    assert sum(sample.manifest.repaired.values()) == ROWS * 0.02


def test_spoilt_fields_are_repaired_by_the_repair_that_they_name(sample, records):
    ftfy = pytest.importorskip("ftfy")
    repairs = {
        "mojibake": ftfy.fix_encoding,
        "control_characters": lambda text: "".join(c for c in text if unicodedata.category(c) != "Cc"),
        "unicode_nfc": lambda text: unicodedata.normalize("NFC", text),
        "whitespace": lambda text: " ".join(text.split()),
    }
    by_key = {(v["locale"], v["item_id"]): v for v, reason in records if not reason}
    for row in sample.labels("repairs"):
        spoilt = by_key[row["locale"], row["item_id"]][row["field"]]
        assert spoilt != row["sound"]
        assert repairs[row["repair"]](spoilt) == row["sound"], row


def test_all_other_texts_need_no_repair(sample, records):
    ftfy = pytest.importorskip("ftfy")
    spoilt = {(row["locale"], row["item_id"], row["field"]) for row in sample.labels("repairs")}
    for values, reason in records:
        if reason:
            continue
        texts = {name: text for name, text in values.items() if isinstance(text, str)}
        texts |= {f"bullet {place}": text for place, text in enumerate(values.get("bullets", ()))} | values.get("attributes", {})
        for name, text in texts.items():
            if (values["locale"], values["item_id"], name) not in spoilt:
                assert ftfy.fix_encoding(text) == text == unicodedata.normalize("NFC", " ".join(text.split()))


def test_records_hold_feed_columns_only(records):
    assert {name for values, _ in records if values for name in values} == COLUMNS


def test_all_locales_and_languages_are_there_and_skewed(sample):
    locales, languages = sample.manifest.rows_by_locale, sample.manifest.rows_by_language
    assert locales.keys() == LOCALES.keys() and languages.keys() == set(LANGUAGES)
    assert 0.28 < locales["US"] / ROWS < 0.40
    assert languages["en"] / ROWS > 0.5
    assert min(languages.values()) / ROWS > 0.022
    assert min(locales.values()) / ROWS < 0.025


def test_locales_of_two_languages_mix_them(sample):
    found = {(row["locale"], row["language"]) for row in sample.labels("categories")}
    assert found == {(locale.code, language) for locale in LOCALES.values() for language in locale.languages}


def test_about_a_tenth_of_listings_declares_no_language(sample, records):
    undeclared = {(v["locale"], v["item_id"]) for v, reason in records if not reason and "language" not in v}
    assert len(undeclared) == sample.manifest.undeclared_language
    assert 0.07 < len(undeclared) / ROWS < 0.13


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_are_in_the_script_of_their_language(language):
    listings = [x for family in families_of_listings(11, 2_000) for x in family if x.language == language]
    text = " ".join(" ".join(x.record.bullets or ()) + (x.record.description or "") for x in listings)
    letters = Counter(unicodedata.name(letter).split()[0] for letter in text if letter.isalpha())
    own = sum(letters[script] for script in SCRIPTS.get(language, ("LATIN",)))
    assert len(listings) > 20
    assert own / letters.total() > 0.75


def test_near_duplicates_differ_in_text_and_share_their_attributes():
    pairs = copies = 0
    for family in families_of_listings(11, 3_000):
        offers = defaultdict(list)
        for listing in family:
            offers[listing.locale, listing.item.variant, listing.language].append(listing)
        for one, *others in offers.values():
            for other in others:
                assert one.values == other.values and one.item_id != other.item_id
                pairs += 1
                copies += other.copied
                assert (one.record.title != other.record.title) is not other.copied
    assert pairs > 500 and 0 < copies / pairs < 0.1


def test_labels_refer_to_listings_only(sample, records):
    keys = {(values["locale"], values["item_id"]) for values, reason in records if not reason}
    for name in ("brands", "categories", "attributes", "relevance", "sessions", "repairs", "duplicates"):
        assert {(row["locale"], row["item_id"]) for row in sample.labels(name)} <= keys, name
    for row in sample.labels("clicks"):
        assert (row["locale"], row["page_item_id"]) in keys and (row["locale"], row["ad_item_id"]) in keys
    for row in sample.labels("duplicates"):
        assert (row["locale"], row["other_item_id"]) in keys and row["item_id"] < row["other_item_id"]
    for name in ("brands", "categories"):
        assert len(sample.labels(name)) == ROWS


def test_label_counts_stand_in_the_manifest(sample):
    assert {name: len(sample.labels(name)) for name in sample.manifest.label_rows} == sample.manifest.label_rows


def test_duplicate_pairs_agree_with_the_other_labels(sample):
    attributes = defaultdict(dict)
    for row in sample.labels("attributes"):
        attributes[row["locale"], row["item_id"]][row["attribute"]] = row["value"]
    language = {(row["locale"], row["item_id"]): row["language"] for row in sample.labels("categories")}
    brand = {(row["locale"], row["item_id"]): row["brand"] for row in sample.labels("brands")}
    kinds = Counter()
    for row in sample.labels("duplicates"):
        one, other = (row["locale"], row["item_id"]), (row["locale"], row["other_item_id"])
        kinds[row["kind"], row["label"]] += 1
        if row["kind"] != "other_model":
            assert brand[one] == brand[other]
        if row["kind"] != "other_model" and language[one] == language[other]:
            assert (attributes[one] == attributes[other]) == bool(row["label"])
    assert kinds.keys() == {("same_item", 1), ("same_text", 1), ("other_variant", 0), ("other_model", 0)}
    positives = sum(count for (_, label), count in kinds.items() if label)
    assert 0.3 < positives / kinds.total() < 0.6


def test_an_item_is_in_one_split_of_the_duplicates(sample):
    splits = defaultdict(set)
    for row in sample.labels("duplicates"):
        splits[row["locale"], row["item_id"]].add(row["split"])
        splits[row["locale"], row["other_item_id"]].add(row["split"])
    assert all(len(found) == 1 for found in splits.values())
    assert {split for found in splits.values() for split in found} == {"train", "valid", "test"}


def test_every_query_has_an_exact_answer(sample):
    grades = defaultdict(set)
    for row in sample.labels("relevance"):
        grades[row["query_id"]].add(row["grade"])
    queries = sample.labels("queries")
    assert all("exact" in grades[row["query_id"]] for row in queries)
    assert grades.keys() == {row["query_id"] for row in queries}
    assert {row["language"] for row in queries} == set(LANGUAGES)


def test_declared_attributes_are_the_ones_in_the_feed(sample, records):
    feed = {(v["locale"], v["item_id"]): v.get("attributes", {}) for v, reason in records if not reason}
    labels = sample.labels("attributes")
    for row in labels:
        assert (feed[row["locale"], row["item_id"]].get(row["attribute"]) == row["value"]) is row["declared"]
    assert 0.1 < sum(not row["declared"] for row in labels) / len(labels) < 0.4


def test_sessions_view_several_items_and_buy_complements(sample):
    types = {(row["locale"], row["item_id"]): row["product_type"] for row in sample.labels("categories")}
    visits = defaultdict(list)
    for row in sample.labels("sessions"):
        visits[row["session_id"]].append(row)
    viewed = [{row["item_id"] for row in rows if row["event"] == "view"} for rows in visits.values()]
    assert sum(len(items) > 1 for items in viewed) / len(viewed) > 0.8
    bought = [{types[r["locale"], r["item_id"]] for r in rows if r["event"] == "purchase"} for rows in visits.values()]
    assert sum(len(kinds) > 1 for kinds in bought) > 100
    assert all(len({row["locale"] for row in rows}) == 1 for rows in visits.values())


def test_clicks_depend_on_the_text_and_on_the_rates(sample):
    types = {(row["locale"], row["item_id"]): row["product_type"] for row in sample.labels("categories")}
    clicks = sample.labels("clicks")

    def rate(chosen: list[dict]) -> float:
        return sum(row["clicked"] for row in chosen) / len(chosen)

    same = [r for r in clicks if types[r["locale"], r["page_item_id"]] == types[r["locale"], r["ad_item_id"]]]
    assert rate(same) > 1.4 * rate([row for row in clicks if row not in same]) if len(clicks) < 500 else rate(same) > rate(clicks)
    assert rate([r for r in clicks if r["historical_ctr_ad"] > 0.1]) > 1.4 * rate(
        [r for r in clicks if r["historical_ctr_ad"] < 0.05]
    )
    assert 0.1 < rate(clicks) < 0.35


def test_without_damage_all_records_are_listings(tmp_path):
    manifest = write_sample(SampleOptions(folder=tmp_path, rows=300, damaged_share=0))
    assert manifest.records == manifest.rows == 300
    assert not manifest.rejected_by_reason and not manifest.repaired and not manifest.superseded


def test_a_small_sample_has_every_kind_of_damage(tmp_path):
    manifest = write_sample(SampleOptions(folder=tmp_path, rows=200, damaged_share=0.001))
    assert manifest.rejected_by_reason.keys() == REASONS.keys()


def test_impossible_options_are_refused_all_at_once(tmp_path):
    with pytest.raises(ConfigurationError, match="rows is 3.*damaged share is 2"):
        SampleOptions(folder=tmp_path, rows=3, damaged_share=2)
