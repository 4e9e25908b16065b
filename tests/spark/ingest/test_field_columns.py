"""Rows that come as columns are judged and hashed as their JSON is, whatever they hold."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m5model.feeds.blocks import Block
from m5model.feeds.sources import find_feed_files
from m5model.feeds.splits import Split, read_split
from schemas.tables import INSTANT, TEXT, TEXT_MAP, TEXTS
from spark.ingest.judging.judge import add_languages, judge_contents
from spark.ingest.judging.rules import Limits
from spark.ingest.reading.lines import JSON, Lines, Origin
from spark.ingest.staging.accounts import FileTallies
from spark.ingest.staging.contents import as_batch, hash_contents_of
from spark.ingest.staging.workers import _read_split

TEXT_VALUES = st.one_of(
    st.none(),
    st.sampled_from(
        (
            "",
            " ",
            "a title",
            "Größe 42",
            "5 KG",
            "1,5kg",
            "two  blanks",
            "a &amp; b",
            "MÃ¼ller",
            "ブラウス",
            "قميص",
            "\ufeffa",
            "what?",
            "a\x1eb",
        )
    ),
    st.text(max_size=12),
)
PAIRS = st.one_of(st.none(), st.lists(st.tuples(TEXT_VALUES.map(lambda text: text or ""), TEXT_VALUES), max_size=4))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "locale": st.sampled_from(("DE", "de-AT", "US", "JP", "??", "", None)),
            "item_id": st.one_of(st.none(), st.sampled_from(("1", " 2", "4.00712E+12", "a\x00b")), st.text("abc", max_size=3)),
            "language": st.sampled_from((None, "de", "DEU", "", "xx")),
            "title": TEXT_VALUES,
            "bullets": st.one_of(st.none(), st.lists(TEXT_VALUES, max_size=3)),
            "description": TEXT_VALUES,
            "attributes": PAIRS,
            "updated_at": st.sampled_from((None, "2024-05-01", " 2024-05-01T10:00:00Z ", "yesterday", "1200-01-01")),
            "deleted": st.sampled_from((None, True, False)),
            "unknown": TEXT_VALUES,
        }
    ),
    min_size=1,
    max_size=70,
)
TYPES = pa.schema({"bullets": TEXTS, "attributes": TEXT_MAP, "deleted": pa.bool_()})


def _read(path: Path) -> list[Block]:
    (file,) = find_feed_files([str(path)]).files
    return [block for block in read_split(Split(file=file)) if len(block.records)]


def _say(lines: Lines) -> tuple[Any, ...]:
    """All that is made of some lines."""
    n = len(lines.raw)
    origin = Origin(pa.repeat("file:///feed", n), pa.array(range(n), pa.int64()))
    contents = hash_contents_of(judge_contents(lines, Limits()), origin)
    judged = add_languages(contents.judged)
    good = [i for i in range(n) if i not in judged.verdicts]
    rows = as_batch(judged.columns).take(pa.array(good, pa.int64()))
    rows.validate(full=True)
    keys = [(judged.columns["locale"][i], judged.columns["item_id"][i], lines.raw[i]) for i in judged.verdicts]
    digests = [contents.digests[i] for i in good]
    return rows.to_pylist(), digests, judged.verdicts, keys, judged.tombstones, judged.repaired_fields, judged.damaged_fields


def _is_as_its_json(blocks: Sequence[Block]) -> bool:
    """Were there columns? What they say must be what the records say."""
    for block in blocks:
        n, raw = len(block.records), list(block.records)
        assert raw == [block.records[i] for i in range(n)]
        plain = Lines(raw, [JSON] * n, [None] * n)
        assert _say(Lines(block.records, [JSON] * n, [None] * n, columns=block.columns)) == _say(plain)
        for start in range(0, n, 30):
            cut = None if block.columns is None else block.columns.slice(start, 30)
            m = len(raw[start : start + 30])
            part = Lines(block.records[start : start + 30], [JSON] * m, [None] * m, columns=cut)
            assert _say(part) == _say(Lines(raw[start : start + 30], [JSON] * m, [None] * m))
    return all(block.columns is not None for block in blocks)


@settings(max_examples=40, deadline=None)
@given(ROWS, st.sampled_from((TEXT, pa.large_string(), pa.dictionary(pa.int32(), TEXT))))
def test_rows_of_parquet_are_judged_as_their_json(
    tmp_path_factory: pytest.TempPathFactory, rows: list, kind: pa.DataType
) -> None:
    path = tmp_path_factory.mktemp("parquet") / "a.parquet"
    columns = {
        name: pa.array([row[name] for row in rows], TYPES.field(name).type if name in TYPES.names else kind) for name in rows[0]
    }
    pq.write_table(pa.table(columns), path, row_group_size=50)
    assert _is_as_its_json(_read(path))


@settings(max_examples=40, deadline=None)
@given(
    ROWS,
    st.sampled_from(",;\t|"),
    st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC)),
    st.sampled_from(("\n", "\r\n")),
)
def test_rows_of_csv_are_judged_as_their_json(
    tmp_path_factory: pytest.TempPathFactory, rows: list, delimiter: str, quoting: Any, end: str
) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerow(rows[0])
    writer.writerows([_as_cell(value) for value in row.values()] for row in rows)
    path.write_bytes(out.getvalue().encode())
    _is_as_its_json(_read(path))


def _as_cell(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        value = dict(value)
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def test_a_csv_of_whole_lines_comes_as_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('locale,item_id,title,bullets\nDE,1,"a, b","[""x""]"\nDE,2,12" plate,\n')
    (block,) = _read(tmp_path / "a.csv")
    assert block.columns is not None
    assert block.columns.to_pylist()[1] == {"locale": "DE", "item_id": "2", "title": '12" plate', "bullets": None}
    assert _is_as_its_json([block])


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("item_id", pa.array([7, 8, None], pa.int64())),
        ("item_id", pa.array([1 << 63, 8, 9], pa.uint64())),
        ("updated_at", pa.array([0, 1_714_557_600_123_456, None], INSTANT)),
        ("updated_at", pa.array([0, -1, 1_500_000_001], pa.timestamp("ns"))),
        ("updated_at", pa.array([1, 2, None], pa.date32())),
        ("title", pa.array([1.5, 2.5, None])),
        ("bullets", pa.array([["a", None], [], ["b"]], pa.large_list(pa.large_string()))),
        ("bullets", pa.array(['["a"]', "b", None])),
        ("attributes", pa.array([[("a", "1"), ("a", "2")], None, [("b", "5 KG"), ("a", "1")]], TEXT_MAP)),
        ("attributes", pa.array([{"Watt": 7}, None, {"Watt": 1}])),
        ("deleted", pa.array(["true", " False", "perhaps"])),
        ("brand", pa.nulls(3)),
        ("description", pa.array(["x" * 2_000_000, "y" * 250_000, "z"])),
    ],
)
def test_columns_of_other_types_are_judged_as_their_json(tmp_path: Path, name: str, values: pa.Array) -> None:
    columns = {"locale": ["DE"] * 3, "item_id": ["1", "2", "3"], "title": ["a title"] * 3, name: values}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    _is_as_its_json(_read(tmp_path / "a.parquet"))


@pytest.mark.parametrize("folders", ["locale=JP", "locale=JP/brand=a%20b", "deleted=true", "bullets=x"])
def test_what_a_folder_says_counts_where_a_row_says_nothing(tmp_path: Path, folders: str) -> None:
    path = tmp_path / folders / "a.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"item_id": ["1", "2"], "locale": [None, "DE"], "title": ["a title", None]}), path)
    (file,) = find_feed_files([str(tmp_path)]).files
    ((lines, _),) = _read_split(Split(file=file), FileTallies())
    assert (lines.columns is None) == (folders[:3] in ("del", "bul"))
    assert _say(lines) == _say(Lines(list(lines.raw), lines.formats, lines.damage))
