"""Which files a feed is: what is left out is named, and tables are not taken for loose files."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.fs as pafs
import pytest

from m5model.feeds.sources import CSV, JSON, PARQUET, XML, FeedFiles, find_feed_files
from m5model.files import storage
from schemas.errors import ConfigurationError

Find = Callable[..., FeedFiles]


@pytest.fixture(params=["local", "s3a"])
def find(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Find:
    """``find_feed_files`` of paths below the test's folder, which is local or stands for a bucket."""
    bucket = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    root = str(tmp_path)
    if request.param == "s3a":
        root = "s3a://bucket"
        monkeypatch.setattr(storage, "open_filesystem", lambda path: (bucket, path.removeprefix(root).strip("/")))
    return lambda *paths: find_feed_files([f"{root}/{path}" for path in paths])


def _write(folder: Path, *names: str, data: bytes = b"x") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def _names(files: list[str]) -> list[str]:
    return [Path(file).name for file in files]


def test_files_of_all_formats_are_found_and_others_are_left_out_by_reason(find: Find, tmp_path: Path) -> None:
    _write(
        tmp_path / "feed",
        "a.jsonl",
        "b/c.CSV.gz",
        "b/d.parquet",
        "_SUCCESS",
        ".a.jsonl.crc",
        "_tmp/e.jsonl",
        "notes.txt",
        "f.TSV",
        "g.xml.xz",
    )
    _write(tmp_path / "feed", "empty.jsonl", "cut.jsonl.gz", "broken.parquet", data=b"")
    files = find("feed")
    assert [_names(files.paths(kind)) for kind in (JSON, CSV, XML, PARQUET)] == [
        ["a.jsonl"],
        ["c.CSV.gz", "f.TSV"],
        ["g.xml.xz"],
        ["d.parquet", "broken.parquet"],
    ]
    assert {Path(file.path).name: (file.reason, file.may_hold_records) for file in files.left_out} == {
        "_SUCCESS": ("hidden", False),
        ".a.jsonl.crc": ("hidden", False),
        "e.jsonl": ("hidden", True),
        "notes.txt": ("unknown_ending", True),
        "empty.jsonl": ("empty", False),
        "cut.jsonl.gz": ("empty", True),
    }
    assert len(files.warnings) == 3
    assert "notes.txt" in "".join(files.warnings)
    assert "_SUCCESS" not in "".join(files.warnings)


def test_a_named_path_of_which_nothing_is_read_is_said(find: Find, tmp_path: Path) -> None:
    _write(tmp_path, "good/a.jsonl", "markers/_SUCCESS", "hidden/_a.jsonl", "hidden/_b.jsonl", "other/a.txt")
    files = find("good", "markers", "hidden/*.jsonl", "other")
    assert [Path(path).name for path in files.unread_paths] == ["markers", "*.jsonl", "other"]
    assert files.count == 1


def test_a_file_that_is_named_itself_is_read_whatever_its_name_or_refused(find: Find, tmp_path: Path) -> None:
    _write(tmp_path, "_a.jsonl", "_b.csv", ".c.parquet", "d.txt", "both/a.jsonl")
    assert _names([file.path for file in find("_a.jsonl", "_b.csv", ".c.parquet").files]) == [
        ".c.parquet",
        "_a.jsonl",
        "_b.csv",
    ]
    both = find("both", "both/a.jsonl")
    assert (both.count, both.left_out) == (1, [])
    with pytest.raises(ConfigurationError) as error:
        find("_b.csv", "d.txt", "none")
    for part in ("d.txt: not one of", "none: no such file"):
        assert part in str(error.value)


@pytest.mark.parametrize("name", ["a[1]", "dir_[archive]", "q?", "st*r", "{a,b}", "100%", "%25", "a+b c", "größe#1"])
def test_a_path_that_exists_is_no_glob(find: Find, tmp_path: Path, name: str) -> None:
    _write(tmp_path / name, "feed.jsonl", f"{name}.csv")
    _write(tmp_path / "a1", "feed.jsonl")
    assert find(f"{name}/feed.jsonl").count == 1
    assert find(name).count == 2


def test_a_glob_finds_what_it_matches(find: Find, tmp_path: Path) -> None:
    _write(tmp_path, "day1/a.jsonl", "day2/b.jsonl", "day2/b.txt", "week/c.jsonl")
    files = find("day*/*")
    assert (_names(files.paths(JSON)), [file.reason for file in files.left_out]) == (["a.jsonl", "b.jsonl"], ["unknown_ending"])


@pytest.mark.parametrize(
    ("log", "feed", "kind"),
    [
        ("table/_delta_log/0.json", "table", "Delta"),
        ("feed/one/table/_delta_log/0.json", "feed", "Delta"),
        ("table/_delta_log/0.json", "table/locale=DE", "Delta"),
        ("table/_delta_log/0.json", "table/locale=DE/part.parquet", "Delta"),
        ("table/_delta_log/0.json", "table/*/*.parquet", "Delta"),
        ("table/_delta_log/0.json", "table/_delta_log", "Delta"),
        ("table/locale=DE/_delta_log/0.json", "table", "Delta"),
        ("table/metadata/v1.metadata.json", "table", "Iceberg"),
        ("table/metadata/v1.metadata.json", "table/locale=DE", "Iceberg"),
        ("table/.hoodie/hoodie.properties", "table", "Hudi"),
        ("table/.hoodie/hoodie.properties", "table/locale=DE/part.parquet", "Hudi"),
    ],
)
def test_tables_are_refused_with_advice(find: Find, tmp_path: Path, log: str, feed: str, kind: str) -> None:
    _write(tmp_path, log, "table/locale=DE/part.parquet", "feed/one/table/part.parquet")
    with pytest.raises(ConfigurationError, match=rf"is a table of {kind}: .* plain Parquet or JSON Lines") as error:
        find(feed)
    assert error.value.exit_code == 2


def test_files_beside_a_table_are_no_table(find: Find, tmp_path: Path) -> None:
    _write(tmp_path, "table/_delta_log/0.json", "loose/part.parquet", "loose/metadata/notes.json")
    assert find("loose").count == 2


def test_links_and_folders_that_cannot_be_listed_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path, "feed/a.jsonl", "elsewhere/b.jsonl")
    (tmp_path / "feed" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "feed" / "gone.jsonl").symlink_to(tmp_path / "none.jsonl")
    (tmp_path / "feed" / "file.jsonl").symlink_to(tmp_path / "elsewhere" / "b.jsonl")
    files = find_feed_files([str(tmp_path / "feed")])
    assert _names(files.paths(JSON)) == ["a.jsonl", "file.jsonl"]
    left_out = {Path(file.path).name: (file.reason, file.may_hold_records) for file in files.left_out}
    assert left_out == {"linked": ("no_file", True), "gone.jsonl": ("no_file", True)}
    shutil.rmtree(tmp_path / "elsewhere")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "locked")

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(ConfigurationError, match="cannot read the folder locked: Permission denied"):
        find_feed_files([str(tmp_path / "feed")])


def test_folders_that_name_a_field_say_its_value(find: Find, tmp_path: Path) -> None:
    _write(
        tmp_path / "feed",
        "locale=DE/a.jsonl",
        "locale=UK/seller=A%2FB/b.csv",
        "day=1/c.jsonl",
        "locale=__HIVE_DEFAULT_PARTITION__/d.csv",
    )
    found = {Path(file.path).name: dict(file.constants) for file in find("feed").files}
    assert found == {"a.jsonl": {"locale": "DE"}, "b.csv": {"locale": "UK", "seller": "A/B"}, "c.jsonl": {}, "d.csv": {}}
    (named,) = find("feed/locale=DE/a.jsonl").files
    assert dict(named.constants) == {"locale": "DE"}
