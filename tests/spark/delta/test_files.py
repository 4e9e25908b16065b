"""Files that are adopted are rows of the table for every reader; an adoption that is killed leaves the table as it was."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from pyspark.sql import functions as F

from m5model.files import storage
from schemas.tables import TEXT, Column, Table
from spark.delta import files as adoption
from spark.delta.data_files import NO_VALUE, DataFile
from spark.delta.files import adopt_files, found_table, read_log
from spark.delta.tables import append_rows, create_table, delete_keys, merge_rows, read_table

COLUMNS = tuple(Column(name=name, type=TEXT, meaning=name, nullable=False) for name in ("locale", "item_id", "title"))
TARGET = Table(
    name="target",
    columns=COLUMNS,
    key=("locale", "item_id"),
    partition_by=("locale",),
    properties={"delta.enableChangeDataFeed": "true"},
)
EXTRA = tuple(Column(name=name, type=TEXT, meaning=name) for name in ("state", "note"))
NULLABLE = tuple(Column(name=column.name, type=TEXT, meaning=column.meaning) for column in COLUMNS)
STAGED = Table(name="staged", columns=(*NULLABLE, *EXTRA), key=("locale", "item_id"), partition_by=("state", "locale"))
GOOD = [("US", "1", "red shirt"), ("US", "2", "blue shirt"), ("DE", "1", "rotes Hemd")]


@pytest.fixture
def tables(made: Path, tmp_path: Path) -> tuple[str, str]:
    """A copy of the tables that were made."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return str(tmp_path / "source"), str(tmp_path / "target")


@pytest.fixture(scope="module")
def made(spark, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A staging table with good and bad rows, and the table that they go to, which holds one row already."""
    folder = tmp_path_factory.mktemp("tables")
    source, target = str(folder / "source"), str(folder / "target")
    rows = [(*row, "good", "n") for row in GOOD] + [("US", "9", "bad", "bad", "n")]
    create_table(spark, source, STAGED)
    append_rows(spark.createDataFrame(rows, list(STAGED.column_names)), source, STAGED)
    create_table(spark, target, TARGET)
    append_rows(spark.createDataFrame([("US", "0", "first")], list(TARGET.column_names)), target, TARGET)
    return folder


def _rows(path: str) -> list[tuple]:
    return sorted(tuple(row.values()) for row in DeltaTable(path).to_pyarrow_table().select(TARGET.column_names).to_pylist())


def test_spark_and_other_readers_see_the_rows_and_no_further_column(spark, tables) -> None:
    source, target = tables
    assert adopt_files(source, target, TARGET, where={"state": "good"}) == len({row[0] for row in GOOD})
    expected = sorted([*GOOD, ("US", "0", "first")])
    assert _rows(target) == expected
    frame = read_table(spark, target, made_by="a test")
    assert frame.columns == list(TARGET.column_names)
    assert sorted(map(tuple, frame.collect())) == expected


def test_files_become_a_table_that_lacks_nothing(spark, tmp_path: Path) -> None:
    path = str(tmp_path / "founded")
    files = []
    for locale, values in (("US", {"item_id": ["1", "2"], "title": ["a", "b"]}), (None, {"item_id": ["3"], "note": ["n"]})):
        name = f"state=x/locale={locale or NO_VALUE}/one.parquet"
        (tmp_path / "founded" / name).parent.mkdir(parents=True)
        pq.write_table(pa.table(values), f"{path}/{name}")
        size = (tmp_path / "founded" / name).stat().st_size
        files.append(DataFile(name, {"state": "x", "locale": locale}, size, 0, {"numRecords": len(values["item_id"])}))
    found_table(path, STAGED, files)
    expected = [("US", "1", "a", "x", None), ("US", "2", "b", "x", None), (None, "3", None, "x", "n")]
    assert sorted(map(tuple, read_table(spark, path, made_by="a test").collect()), key=str) == sorted(expected, key=str)
    assert list(read_log(path)) == files
    found_table(str(tmp_path / "empty"), STAGED, [])
    assert read_table(spark, str(tmp_path / "empty"), made_by="a test").count() == 0


def test_the_change_feed_shows_the_rows_as_inserted(spark, tables) -> None:
    source, target = tables
    before = DeltaTable(target).version()
    adopt_files(source, target, TARGET, where={"state": "good"})
    feed = spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", before + 1).load(target)
    changes = [tuple(row) for row in feed.select(*TARGET.column_names, "_change_type").collect()]
    assert sorted(changes) == sorted((*row, "insert") for row in GOOD)


def test_adopted_rows_are_updated_and_deleted_like_others(spark, tables) -> None:
    source, target = tables
    adopt_files(source, target, TARGET, where={"state": "good"})
    news = spark.createDataFrame([("US", "2", "green shirt")], list(TARGET.column_names))
    merge_rows(news, target, TARGET, update_when="s.title <> t.title")
    delete_keys(spark.createDataFrame([("DE", "1")], ["locale", "item_id"]), target, TARGET, prune=F.col("t.locale") == "DE")
    assert _rows(target) == [("US", "0", "first"), ("US", "1", "red shirt"), ("US", "2", "green shirt")]


def test_statistics_come_along_for_the_columns_of_the_table_only(tables) -> None:
    source, target = tables
    adopt_files(source, target, TARGET, where={"state": "good"})
    stats = [file.stats for file in read_log(target)]
    assert sum(entry["numRecords"] for entry in stats) == len(GOOD) + 1
    assert {name for entry in stats for name in entry["minValues"]} <= set(TARGET.column_names)


@pytest.mark.parametrize("moves", [0, 1, 2], ids=["before the first move", "between two", "before the commit"])
def test_killed_on_the_way_the_table_is_as_it_was(tables, monkeypatch: pytest.MonkeyPatch, moves: int) -> None:
    source, target = tables
    done = []
    move = storage.move_file

    def move_some(*paths: str) -> None:
        if len(done) >= moves:
            raise KeyboardInterrupt
        done.append(paths)
        move(*paths)

    def no_commit(_: str) -> DeltaTable:
        raise KeyboardInterrupt

    monkeypatch.setattr(storage, "move_file", move_some)
    monkeypatch.setattr(adoption, "open_delta", no_commit)
    with pytest.raises(KeyboardInterrupt):
        adopt_files(source, target, TARGET, where={"state": "good"})
    assert len(done) == moves
    assert _rows(target) == [("US", "0", "first")]
