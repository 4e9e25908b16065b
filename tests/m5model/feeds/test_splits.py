"""Files are cut into splits, and every byte of a file is read by one of them."""

import bz2
import gzip
import itertools
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m5model.feeds import compression, physical_lines, splits
from m5model.feeds.blocks import Block
from m5model.feeds.sources import FeedFile, find_feed_files
from m5model.feeds.splits import Split, plan_tasks, read_split
from schemas.errors import BadDataError, ConfigurationError

CODECS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: pa.Codec("zstd").compress(data, asbytes=True),
}


def _file(path: Path, data: bytes | None = None) -> FeedFile:
    if data is not None:
        path.write_bytes(data)
    (file,) = find_feed_files([str(path)]).files
    return file


def _read(file: FeedFile, cut: int = 1) -> list[Block]:
    """All blocks of a file that is cut into so many pieces; its account must close."""
    blocks = [block for split, _ in splits._cut(file, max(1, file.size // cut)) for block in read_split(split)]
    assert sum(block.total for block in blocks) == sum(sum(b.sizes) + sum(b.other.values()) for b in blocks)
    return blocks


def _records(blocks: list[Block]) -> list[bytes]:
    return [record for block in blocks for record in block.records]


PIECES = st.lists(st.sampled_from((b"a", b"bb", b"\n", b"\n\n", b" \n", b"\r\n", b"c\n")), max_size=12).map(b"".join)


@settings(max_examples=300, deadline=None)
@given(PIECES, st.lists(st.floats(0, 1), max_size=3), st.sampled_from((1, 2, 3, 100)))
def test_every_line_of_json_is_read_by_one_split(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, cuts: list[float], block: int
) -> None:
    file = FeedFile(path=str(tmp_path_factory.getbasetemp() / "lines.jsonl"), kind="json", size=len(data))
    Path(file.path).write_bytes(data)
    places = sorted({0, len(data), *(int(cut * len(data)) for cut in cuts)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(physical_lines, "BLOCK_BYTES", block)
        found = [b for s, e in itertools.pairwise(places) for b in read_split(Split(file=file, start=s, end=e))]
    assert _records(found) == [line for line in data.split(b"\n") if line.strip(b" \r")]
    assert sum(sum(b.sizes) + sum(b.other.values()) for b in found) == len(data)


def test_a_line_of_many_bytes_is_read_by_the_split_in_which_it_begins_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = _file(tmp_path / "lines.jsonl", b"first\n" + b"x" * 5_000 + b"\nlast\n")
    monkeypatch.setattr(physical_lines, "BLOCK_BYTES", 100)
    read = [sum(map(len, _records(list(read_split(Split(file=file, start=at, end=at + 500)))))) for at in range(0, 5_000, 500)]
    assert read == [5_005, *[0] * 9]
    monkeypatch.setattr(physical_lines, "MAX_LINE_BYTES", 1_000)
    with pytest.raises(BadDataError, match=r"lines\.jsonl holds a line of more than 1,000 bytes"):
        list(read_split(Split(file=file, start=0, end=5_012)))


@pytest.mark.parametrize("name", ["feed.jsonl", "feed.csv"])
def test_a_file_that_changes_while_it_is_read_is_named(tmp_path: Path, name: str) -> None:
    file = _file(tmp_path / name, b'{"locale":"DE"}\n' * 3)
    for size, word in ((60, "shorter"), (47, "longer")):
        changed = FeedFile(path=file.path, kind="json", size=size)
        with pytest.raises(BadDataError, match=f"{name} became {word} while it was read"):
            list(read_split(Split(file=changed, start=0, end=size)))
        with pytest.raises(BadDataError, match=f"{name} became {word} while it was read"):
            list(read_split(Split(file=changed)))


def test_tasks_share_the_bytes_and_compressed_files_are_not_cut(tmp_path: Path) -> None:
    for name, lines in (("a", 200_000), ("b", 10), ("c", 700_000)):
        (tmp_path / f"{name}.jsonl").write_bytes(b"".join(b"%d of %s\n" % (i, name.encode()) for i in range(lines)))
    (tmp_path / "d.jsonl.gz").write_bytes(gzip.compress((tmp_path / "b.jsonl").read_bytes()) * 2)
    files = find_feed_files([str(tmp_path)]).files
    tasks = plan_tasks(files, 2)
    sizes = [sum((split.end or 0) - split.start for split in task) for task in tasks]
    assert len(tasks) == 2
    assert max(sizes) < 1.5 * min(sizes)
    read = [record for task in tasks for split in task for record in _records(list(read_split(split)))]
    expected = b"".join([*(Path(file.path).read_bytes() for file in files[:3]), (tmp_path / "b.jsonl").read_bytes() * 2])
    assert sorted(read) == sorted(expected.splitlines())
    assert plan_tasks([], 2) == []


ROW = {"locale": "DE", "item_id": "A1", "title": "Größe 😀"}
FORMS = {
    "jsonl": json.dumps(ROW, ensure_ascii=False) + "\n",
    "json": json.dumps([ROW], ensure_ascii=False, indent=1),
    "csv": "locale,item_id,title\nDE,A1,Größe 😀\n",
    "tsv": "locale\titem_id\ttitle\nDE\tA1\tGröße 😀\n",
    "xml": "<rss><channel><item><locale>DE</locale><item_id>A1</item_id><title>Größe 😀</title></item></channel></rss>",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read_in_every_encoding_and_compression(tmp_path: Path, form: str, encoding: str) -> None:
    data = FORMS[form].encode(encoding)
    for ending, compress in {"": bytes, **CODECS}.items():
        file = _file(tmp_path / f"feed.{form}{'.' if ending else ''}{ending.upper()}", compress(data))
        blocks = _read(file)
        assert [json.loads(record) for record in _records(blocks)] == [ROW]
        assert {block.unit for block in blocks if block.total} == {"bytes decompressed" if ending else "bytes"}
        assert sum(block.total for block in blocks) == len(data)


@pytest.mark.parametrize("ending", CODECS)
def test_a_compressed_file_that_is_cut_or_damaged_is_named(tmp_path: Path, ending: str) -> None:
    data = CODECS[ending](b'{"title": "a"}\n' * 1_000)
    name = f"feed.jsonl.{ending}"
    assert len(_records(_read(_file(tmp_path / name, data + data)))) == 2_000
    for damaged in (data[:-5], data + data[: len(data) // 2], data[:30] + b"\xff\x00\xff" + data[33:], data + b"no more of it"):
        with pytest.raises(BadDataError, match=rf"{name} cannot be read to its end: (?s:.)*compress the file anew") as error:
            _read(_file(tmp_path / name, damaged))
        assert error.value.exit_code == 3


@pytest.mark.parametrize("ending", CODECS)
def test_a_file_that_grows_beyond_measure_stops_at_the_limit(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = _file(tmp_path / f"feed.jsonl.{ending}", CODECS[ending](bytes(50 << 20)))
    monkeypatch.setattr(compression, "FREE_BYTES", 4 << 20)
    monkeypatch.setattr(compression, "MAX_GROWTH", 50)
    monkeypatch.setattr(physical_lines, "MAX_LINE_BYTES", 1 << 30)
    with pytest.raises(BadDataError, match="grew to more than .* at most 50 times as many are read"):
        _read(file)


@pytest.mark.parametrize(
    ("name", "data", "looks_like"),
    [
        ("a.csv", b"PK\x03\x04rest", r"looks like a ZIP archive .*\n.*unpack it"),
        ("a.jsonl", b"<!DOCTYPE html><html>", r"looks like a page of HTML"),
        ("a.csv", b'[{"locale": "DE"}]', r"named as CSV and looks like JSON\n.*name it \.jsonl or \.json"),
        ("a.json", b'<?xml version="1.0"?><rss/>', r"looks like XML\n.*name it \.xml"),
        ("a.csv", b"PAR1rest", r"looks like Parquet\n.*name it \.parquet"),
        ("a.xml", b"<products><product/></products>", r"looks like XML of the kind <products>"),
        ("a.xml", b'<!DOCTYPE rss [<!ENTITY a "b">]><rss><channel><item/></channel></rss>', "declares entities"),
        ("a.parquet.gz", gzip.compress(b"PAR1", mtime=0), r"looks like a file compressed by gzip\n.*decompress it"),
        ("a.parquet", b"", r"a\.parquet cannot be read"),
        ("a.parquet", b"PAR1" + b"x" * 100, r"a\.parquet cannot be read: (?s:.)*have the file written anew"),
    ],
)
def test_what_is_refused_says_what_it_looks_like_and_what_to_do(
    tmp_path: Path, name: str, data: bytes, looks_like: str
) -> None:
    with pytest.raises(BadDataError, match=looks_like) as error:
        _read(_file(tmp_path / name, data))
    assert name in str(error.value)
    assert "What to do: " in str(error.value)


def test_a_file_that_is_gone_or_may_not_be_read_is_no_bad_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadDataError, match=r"a\.jsonl is gone"):
        list(read_split(Split(file=FeedFile(path=str(tmp_path / "a.jsonl"), kind="json"))))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    pq.write_table(pa.table({"locale": ["DE"]}), tmp_path / "a.parquet")
    monkeypatch.setattr(pq, "ParquetFile", refuse)
    with pytest.raises(ConfigurationError, match=r"a\.parquet may not be read"):
        _read(FeedFile(path=str(tmp_path / "a.parquet"), kind="parquet"))


def test_parquet_is_cut_by_row_groups_and_counted_by_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"item_id": list(range(1_000))}), tmp_path / "a.parquet", row_group_size=90)
    for cut in (1, 3, 50):
        blocks = _read(_file(tmp_path / "a.parquet"), cut)
        assert [json.loads(record)["item_id"] for record in _records(blocks)] == list(range(1_000))
        places = [block.place + i for block in blocks for i in range(len(block.records))]
        assert (places, sum(block.total for block in blocks)) == (list(range(1_000)), 1_000)


def test_large_files_of_csv_are_cut(tmp_path: Path) -> None:
    rows = b"".join(b'DE,A%05d,"Lamp ""%d"" of\ntwo lines",Lumora\nDE,B%05d,Lamp,Lumora\n' % (i, i, i) for i in range(500))
    file = _file(tmp_path / "a.csv", b"locale,item_id,title,brand\n" + rows)
    assert len(list(splits._cut(file, file.size // 7))) > 5
    assert _records(_read(file, 7)) == _records(_read(file, 1))
    assert len(_records(_read(file))) == 1_000
