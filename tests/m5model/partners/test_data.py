"""Partners' files are refused with all faults at once, named by row."""

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from schemas.errors import BadDataError, ConfigurationError
from tests.m5model.partners.conftest import open_rows, pair_rows


def faults_of(folder: Path, rows: list[dict[str, object]], **options: bool) -> str:
    with pytest.raises(BadDataError) as refused:
        open_rows(folder, rows, **options)
    return str(refused.value)


def with_splits(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    splits = ["learn"] * 40 + ["validate"] * 10 + ["test"] * 10
    return [row | {"split": splits[place % 60]} for place, row in enumerate(rows)]


def test_all_faults_of_a_file_are_named_at_once(tmp_path: Path) -> None:
    rows = pair_rows(products=30)
    rows = [{name: value for name, value in row.items() if name != "product_line"} | {"left_prize": "9.99"} for row in rows]
    rows[3] |= {"right_text": rows[3]["left_text"]}
    rows[5] |= {"left_text": None}
    rows[7] |= {"left_price": "cheap"}
    rows.append(rows[0] | {"is_match": not rows[0]["is_match"]})
    message = faults_of(tmp_path, [row | {"is_match": str(row["is_match"])} for row in rows])
    for part in (
        "column left_prize is unknown",
        "row 4: same listing twice",
        "row 6: left no listing",
        "row 8: left_price is 'cheap', expected double",
        "row 61: it contradicts row 1",
    ):
        assert part in message


def test_labels_outside_their_range_are_named_with_their_value(tmp_path: Path) -> None:
    rows = [row | {"is_match": str(row["is_match"])} for row in pair_rows(products=20)]
    rows[1] |= {"is_match": "perhaps"}
    assert "row 2: is_match is 'perhaps'" in faults_of(tmp_path, rows)


def test_a_missing_column_is_named_once(tmp_path: Path) -> None:
    rows = [{name: value for name, value in row.items() if name != "is_match"} for row in pair_rows(products=20)]
    assert faults_of(tmp_path, rows).count("is_match is missing") == 1


def test_a_test_row_that_is_learned_from_is_named_in_both_orders(tmp_path: Path) -> None:
    rows = with_splits(pair_rows(products=30))
    sides = {"left": "right", "right": "left"}
    swapped = {f"{one}_{name}": rows[0][f"{sides[one]}_{name}"] for one in sides for name in ("text", "entity")}
    rows.append(rows[0] | swapped | {"split": "test"})
    message = faults_of(tmp_path, rows, allow_seen=True)
    assert "row 61: split test, and the same row is in split learn (row 1)" in message


def test_a_test_row_about_learned_entities_is_refused_unless_asked_otherwise(tmp_path: Path) -> None:
    rows = with_splits(pair_rows(products=30))
    rows[55] |= {"left_entity": "product 1", "right_entity": "product 2"}
    assert "row 56: split test, but its entities are learned from: product 1 (row 2)" in faults_of(tmp_path, rows)
    data = open_rows(tmp_path, rows, allow_seen=True)
    assert "seen" in set(data.column("novelty"))


def test_a_split_without_rows_or_with_one_outcome_is_refused(tmp_path: Path) -> None:
    rows = [row | {"split": "learn" if row["is_match"] else "validate"} for row in pair_rows(products=20)]
    message = faults_of(tmp_path, rows, allow_seen=True)
    assert "split test has no row" in message
    assert "split learn has one outcome only: is_match True" in message


def test_keys_without_a_catalogue_say_what_to_do(tmp_path: Path) -> None:
    rows = [{"left_locale": "US", "left_item_id": "1", "right_locale": "US", "right_item_id": "2", "is_match": True}]
    with pytest.raises(ConfigurationError, match="there is no table"):
        open_rows(tmp_path, rows)


def test_a_file_without_splits_is_split_by_entity(tmp_path: Path) -> None:
    data = open_rows(tmp_path, pair_rows(products=60))
    assert set(data.column("split")) == {"learn", "validate", "test"}
    assert "seen" not in {
        novelty for split, novelty in zip(data.column("split"), data.column("novelty"), strict=True) if split != "learn"
    }


LISTED = (
    ("US", "1", "brass lamp", "Lumora", {"price": "12.50"}),
    ("US", "2", "lamp of brass", "Lumora", {"price": "a lot"}),
    ("DE", "1", "Stehlampe", None, {}),
)


def write_listings(folder: Path) -> None:
    schema = pa.schema(
        [(name, pa.string()) for name in ("locale", "item_id", "language", "title", "brand", "category", "description")]
        + [("bullets", pa.list_(pa.string())), ("attributes", pa.map_(pa.string(), pa.string()))]
    )
    rows = [
        {"locale": locale, "item_id": item, "language": locale.lower().replace("us", "en"), "title": title, "brand": brand}
        | {"attributes": sorted(attributes.items())}
        for locale, item, title, brand, attributes in LISTED
    ]
    write_deltalake(str(folder / "listings"), pa.Table.from_pylist(rows, schema))


def keyed(left: tuple[str, str], right: tuple[str, str], is_match: bool, split: str) -> dict[str, object]:
    sides = {"left": left, "right": right}
    keys = {
        f"{side}_{name}": value for side, key in sides.items() for name, value in zip(("locale", "item_id"), key, strict=True)
    }
    return keys | {"is_match": is_match, "split": split}


def test_listings_that_rows_name_bring_texts_language_and_evidence_and_those_that_there_are_not_are_named(
    tmp_path: Path,
) -> None:
    write_listings(tmp_path)
    splits = ("learn", "validate", "test")
    rows = [keyed(("US", "1"), ("US", "2"), True, "learn"), keyed(("US", "1"), ("DE", "1"), False, "learn")]
    texts = [
        {"left_text": f"a {split} {label}", "right_text": f"b {split} {label}", "is_match": label, "split": split}
        for split in splits[1:]
        for label in (True, False)
    ]
    data = open_rows(tmp_path, rows + texts)
    found = data.table.to_pylist()[0]
    assert (found["left_text"], found["language"], found["left_brand"]) == (
        "brass lamp | Lumora | price: 12.50",
        "en",
        "Lumora",
    )
    assert (found["left_price"], found["right_price"]) == (12.5, None)
    swapped = keyed(("1", "US"), ("US", "9"), True, "learn")
    message = faults_of(tmp_path, [*rows, *texts, swapped, keyed(("US", "9"), ("US", "1"), False, "learn")])
    assert "row 7: left unknown locale" in message
    assert "row 8: left_item_id '9' is not in the listings of US" in message


def test_rows_that_a_file_has_twice_count_once(tmp_path: Path) -> None:
    rows = pair_rows(products=40)
    assert len(open_rows(tmp_path, [*rows, *rows[:5]])) == len(rows)
