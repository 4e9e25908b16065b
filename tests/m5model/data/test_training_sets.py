from pathlib import Path

import numpy as np
import pytest

from m5model.data.set_versions import find_training_set
from m5model.data.token_rows import tokenize_rows
from m5model.data.training_sets import held_out_mask, key_hash, open_training_set
from m5model.data.vocabulary import train_vocabulary
from m5model.runtime.rendering import render
from schemas.errors import BadDataError, ConfigurationError
from schemas.training_set import TRAINING_ROWS
from schemas.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path))


def test_the_newest_version_is_found_by_its_time_and_not_by_its_name(workspace, write_training_set) -> None:
    write_training_set(workspace, version="v9", rows=40, created_at="2026-01-01T00:00:00+00:00")
    write_training_set(workspace, version="v10", rows=40, created_at="2026-02-01T00:00:00+00:00")
    write_training_set(workspace, name="other", version="v1", rows=40, created_at="2026-03-01T00:00:00+00:00")
    assert find_training_set(workspace, None).endswith("other/v1")
    assert find_training_set(workspace, "small").endswith("small/v10")
    assert find_training_set(workspace, "small/v9").endswith("small/v9")


def test_an_unknown_set_is_refused_with_the_names_of_those_that_there_are(workspace, write_training_set) -> None:
    with pytest.raises(ConfigurationError, match="there is none"):
        find_training_set(workspace, None)
    write_training_set(workspace, rows=40)
    with pytest.raises(ConfigurationError, match="small/v1"):
        find_training_set(workspace, "smal")


def test_rows_are_rendered_and_split_by_their_key(workspace, write_training_set) -> None:
    opened = open_training_set(str(write_training_set(workspace)))
    assert len(opened.learn) + len(opened.held_out) == 240
    assert not set(opened.learn["key"]) & set(opened.held_out["key"])
    assert any(" | size: " in text for text in opened.learn["text"])
    assert opened.reference["version"] == "v1"


def test_rows_keep_all_columns_of_the_set_beside_their_text_and_their_tokens(workspace, write_training_set) -> None:
    opened = open_training_set(str(write_training_set(workspace, rows=60)))
    for rows in (opened.learn, opened.held_out):
        assert set(TRAINING_ROWS.column_names) | {"text", "key"} == set(rows.column_names)
    row = opened.learn[3]
    assert row["text"] == render(row)
    assert row["key"] == key_hash(row["locale"], row["item_id"])
    tokens = tokenize_rows(opened.learn, train_vocabulary(opened.learn["text"], 300), 32)
    assert tokens.columns[3] == row
    assert tokens.keys.tolist() == opened.learn["key"][:]
    assert tokens.dataset.column_names == ["key", "ids"]


def test_how_rows_lie_in_files_changes_neither_split_nor_order(tmp_path: Path, write_training_set) -> None:
    one = open_training_set(str(write_training_set(Workspace(str(tmp_path / "one")), files=1)))
    three = open_training_set(str(write_training_set(Workspace(str(tmp_path / "three")), files=3)))
    assert one.learn["text"][:] == three.learn["text"][:]
    assert one.held_out["key"][:] == three.held_out["key"][:]


def test_a_changed_byte_is_refused_and_the_file_named(workspace, write_training_set) -> None:
    folder = write_training_set(workspace)
    file = folder / "data" / "part-0.parquet"
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    with pytest.raises(BadDataError, match="part-0.parquet"):
        open_training_set(str(folder))


def test_a_missing_file_is_refused(workspace, write_training_set) -> None:
    folder = write_training_set(workspace, files=2)
    (folder / "data" / "part-1.parquet").unlink()
    with pytest.raises(BadDataError, match="part-1.parquet is missing"):
        open_training_set(str(folder))


def test_a_row_count_that_the_manifest_does_not_know_is_refused(workspace, write_training_set) -> None:
    folder = write_training_set(workspace)
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"rows": 240', '"rows": 241'))
    with pytest.raises(BadDataError, match="240 rows, its manifest says 241"):
        open_training_set(str(folder))


def test_a_row_stays_held_out_when_others_are_added() -> None:
    keys = np.asarray([key_hash("US", f"I{i}") for i in range(4_000)], np.int64)
    few, many = held_out_mask(keys[:2_000]), held_out_mask(keys)
    assert (few == many[:2_000]).all()
    assert 0.03 < many.mean() < 0.07


def test_the_same_item_in_two_locales_has_two_keys() -> None:
    assert key_hash("US", "I1") != key_hash("UK", "I1")
