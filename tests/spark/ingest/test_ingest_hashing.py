"""Hashes are made for a whole batch at once, and are what a record alone says."""

from hashlib import sha256

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.listing import DECLARED, DETECTED, FEED_COLUMNS
from schemas.tables import INSTANT, TEXT_MAP, TEXTS
from spark.ingest.staging import keys as keys_module
from spark.ingest.staging.arrow_columns import as_array, hex_array
from spark.ingest.staging.hashing import hash_contents, hash_texts
from spark.ingest.staging.keys import find_repeated_keys, hash_key, hash_keys

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6)
VALUES = {TEXTS: st.lists(TEXT, max_size=3), TEXT_MAP: st.dictionaries(TEXT, TEXT, max_size=3), INSTANT: st.integers(0, 2**50)}
RECORDS = st.fixed_dictionaries(
    {
        **{column.name: st.none() | VALUES.get(column.type, TEXT) for column in FEED_COLUMNS},
        "title": TEXT,
        "language_source": st.sampled_from((DECLARED, DETECTED)),
    }
)


def _batch(records: list[dict]) -> pa.RecordBatch:
    types = {column.name: column.type for column in FEED_COLUMNS} | {"language_source": pa.string()}
    return pa.RecordBatch.from_pydict({name: as_array([r[name] for r in records], kind) for name, kind in types.items()})


def _content(record: dict) -> str:
    parts: list[str] = []
    for column in FEED_COLUMNS:
        value = record[column.name]
        if value is None or (column.name == "language" and record["language_source"] == DETECTED):
            parts += ["\0", "\0"] if column.type == TEXT_MAP else ["\0"]
        elif column.type == TEXT_MAP:
            parts += ["\x1e".join(items) for items in zip(*sorted(value.items()), strict=True)] or ["", ""]
        else:
            parts.append("\x1e".join(value) if column.type == TEXTS else str(value))
    return "\x1f".join(parts)


@settings(max_examples=200, deadline=None)
@given(st.lists(RECORDS, min_size=1, max_size=4))
def test_a_batch_is_hashed_as_its_records_are(records: list[dict]) -> None:
    batch = _batch(records)
    assert hash_contents(batch) == [sha256(_content(record).encode()).digest() for record in records]
    lines = [[text for text in (r["title"], *(r["bullets"] or ()), r["description"]) if text is not None] for r in records]
    digests = hash_texts(batch)
    assert digests == [sha256("\n".join(texts).lower().encode()).digest() for texts in lines]
    assert hex_array(digests).to_pylist() == [digest.hex() for digest in digests]


def test_keys_are_hashed_as_spark_hashes_them(spark) -> None:
    keys = [("US", "b\u00e9\u65e5\U0001f600"[length % 4] * length) for length in range(70)] + [("JP", "\u65e5 7")]
    rows = spark.createDataFrame(keys, "locale string, item_id string").select(hash_key()).collect()
    assert hash_keys(*zip(*keys, strict=True)).to_pylist() == [row[0] for row in rows]


@pytest.mark.parametrize("few", [0, 100], ids=["in the executors", "in the driver"])
def test_repeated_keys_are_found_wherever_they_are(spark, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "FEW_KEYS", few)
    hashes = [5, -7, 5, 2**62, 9, 9, 9, -7, 0]
    rows = spark.createDataFrame([(value,) for value in hashes], "key_hash long").repartition(4)
    assert sorted(row[0] for row in find_repeated_keys(rows, len(hashes)).collect()) == [-7, 5, 9]
    assert find_repeated_keys(rows.where("key_hash = 0"), 1) is None
    assert find_repeated_keys(rows.where("key_hash = 1"), 0 if few else 1) is None
