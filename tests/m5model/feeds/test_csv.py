"""A CSV is read to RFC 4180, each row with its bytes; a quote that does not close takes no other row along."""

import csv
import io
import itertools
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m5model.feeds import physical_lines
from m5model.feeds.blocks import Block
from m5model.feeds.csv_form import find_csv_form
from m5model.feeds.csv_lexer import MAX_ROW_LINES
from m5model.feeds.csv_rows import read_csv_split, read_csv_text
from m5model.feeds.opening import open_text
from m5model.feeds.sources import find_feed_files
from m5model.feeds.splits import Split, read_split
from schemas.errors import BadDataError

NAMES = ("locale", "item_id", "title", "brand")
HEADER = b"locale,item_id,title,brand\n"


def _read(path: Path, data: bytes) -> list[Block]:
    """All blocks; the account of the file must close over its bytes."""
    path.write_bytes(data)
    with open_text(str(path)) as text:
        blocks = list(read_csv_text(text))
        assert _account(blocks) + text.mark_bytes == text.total == len(data)
    return blocks


def _account(blocks: list[Block]) -> int:
    return sum(sum(block.sizes) + sum(block.other.values()) for block in blocks)


def _rows(blocks: list[Block]) -> list[dict[str, str] | tuple[str, bytes, int]]:
    """Records, or damage, raw bytes and physical lines."""
    return [
        (block.damage[i], record, block.lines.get(i, 1)) if i in block.damage else json.loads(record)
        for block in blocks
        for i, record in enumerate(block.records)
    ]


CELLS = st.text(st.sampled_from('a7 ,;\t|"\n\rß\u3042\U0001f600'), max_size=6)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=6),
    st.sampled_from(",;\t|"),
    st.sampled_from(("\n", "\r\n", "\r")),
    st.sampled_from(("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be")),
)
def test_what_a_writer_of_csv_wrote_comes_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]], delimiter: str, line_end: str, encoding: str
) -> None:
    rows = [("k1", *cells) for cells in rows]
    if line_end == "\r":
        rows = [tuple(cell.replace("\n", "") for cell in row) for row in rows]
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows([("item_id", "locale", "title", "a, b;\tc"), *rows])
    blocks = _read(tmp_path_factory.getbasetemp() / "sound.csv", out.getvalue().encode(encoding))
    names = ("item_id", "locale", "title", "a, b;\tc")
    assert _rows(blocks) == [{name: cell for name, cell in zip(names, row, strict=True) if cell} for row in rows]


SPLICES = (b'"', b'""', b",", b"\n", b"\r\n", b"\xff", b"\x00", b'"\n"', b"", b" ", b'x"', b'",')


TITLES = (
    *("Lamp {0}", '"Lamp, {0}"', '"two\nlines {0}"', '"a ""b"" {0}"', '"x\n\n,y {0}"', '12"'),
    *('"a row\nDE,B{0:03},Lamp {0},Lumora\nwithin"', '"a row\nDE,B{0:03},Lamp {0}"', '"\nDE,B{0:03},""Lamp"" {0},L"'),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Rows of a feed with some splices, and texts of several lines."""
    titles = draw(st.lists(st.sampled_from(TITLES), max_size=12))
    rows = b"".join(f"DE,A{i:03},{title.format(i)},Lumora\n".encode() for i, title in enumerate(titles))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(rows)))
        rows = rows[:at] + draw(st.sampled_from(SPLICES)) + rows[at + draw(st.integers(0, 3)) :]
    return HEADER + rows


@settings(max_examples=400, deadline=None)
@given(damaged(), st.lists(st.floats(0, 1), max_size=4), st.sampled_from((7, 40, 1 << 20)))
def test_every_byte_is_accounted_for_and_cuts_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, cuts: list[float], block: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.csv"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(physical_lines, "BLOCK_BYTES", block)
        whole = _rows(_read(path, data))
        form = find_csv_form(data, "damaged.csv")
        assert form is not None
        size = len(data)
        ends = sorted({0, size, *(end for cut in cuts if (end := int(cut * size)) > form.body)})
        parts = [list(read_csv_split(str(path), form, start, end, size)) for start, end in itertools.pairwise(ends)]
    assert [row for part in parts for row in _rows(part)] == whole
    assert sum(map(_account, parts)) == size
    places = [block.place + i for part in parts for block in part for i in range(len(block.records))]
    assert places == sorted(set(places))


@pytest.mark.parametrize(
    ("rows", "damage", "kept"),
    [
        (b'DE,A1,"Lamp 1,L\nDE,A2,Lamp 2,L\nDE,A3,"Lamp 3",L\nDE,A4,Lamp 4,L\n', [b'DE,A1,"Lamp 1,L'], "234"),
        (b'DE,A1,"Lamp 1,L\nDE,A2,Lamp 2",L\nDE,A3,Lamp 3,L\nDE,A4,Lamp 4,L\n', [b'DE,A1,"Lamp 1,L'], "234"),
        (b'DE,A1,"Lamp 1,L\nDE,A2,12" plate,L\nDE,A3,Lamp 3,L\nDE,A4,Lamp 4,L\n', [b'DE,A1,"Lamp 1,L'], "234"),
        (b'DE,A1,Lamp 1,L\nDE,A2,Lamp 2,L\nDE,A3,"Lamp 3,L\nmore\n', [b'DE,A3,"Lamp 3,L\nmore'], "12"),
        (b'DE,A1,Lamp,L"\nDE,A2,"of\ntwo",L\nDE,A3,Lamp 3,L\n', [], "123"),
        (b'DE,A1,x,"Lamp\nDE,A2,cut"\nDE,A3,Lamp 3,L\n', [b'DE,A1,x,"Lamp'], "3"),
        (b'DE,A1,x,"\nDE,A2,Lamp\n of brass,"\nmore"\nDE,A3,Lamp 3,L\n', [b'DE,A1,x,"', b' of brass,"\nmore"'], "3"),
        (b'DE,A1,x,"Lamp\nDE,A2,cut",L\nDE,A3,Lamp 3,L\n', [b'DE,A1,x,"Lamp'], "23"),
        (b'DE,A1,"Lamp 1,L\nDE,A2,t,"Lumora, Inc"\nDE,A3,Lamp 3,L\n', [b'DE,A1,"Lamp 1,L'], "23"),
        (b'DE,A1,"Lamp" 1,L\nDE,A2,Lamp 2,L\n', [b'DE,A1,"Lamp" 1,L'], "2"),
        (b'DE,A1,"Lamp 1\nmore\nDE,A2,Lamp 2,L\n', [b'DE,A1,"Lamp 1\nmore'], "2"),
        (b'DE,A1,"Lamp 1\nmore", L\nDE,A2,Lamp 2,L\n', [], "12"),
        (b'DE,A1,12" plate,L\nDE,A2,Lamp 2,L\n', [], "12"),
        (b'DE,A1,"Lamp 1\na, b, c, d",L\nDE,A2,Lamp 2,L\n', [], "12"),
    ],
)
def test_a_quote_that_does_not_close_takes_no_other_row_along(
    tmp_path: Path, rows: bytes, damage: list[bytes], kept: str
) -> None:
    found = _rows(_read(tmp_path / "feed.csv", HEADER + rows))
    regions = [row for row in found if isinstance(row, tuple) and row[0] == "broken_quotes"]
    assert regions == [("broken_quotes", raw, raw.count(b"\n") + 1) for raw in damage]
    assert [row["item_id"] for row in found if isinstance(row, dict)] == [f"A{number}" for number in kept]


ENDS, SIGNS = ("\n", "\r\n", "\r"), (",", ";", "\t", "|")
LIKE_ROWS = ("{end}7a{sign}7", "7a{sign}7{end}", "{end}DE{sign}A9{sign}Lamp 9{sign}L{end}", "a{sign}{end}b")


@pytest.mark.parametrize("end", ENDS, ids=repr)
@pytest.mark.parametrize("sign", SIGNS, ids=repr)
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_a_cell_that_closes_is_kept_whatever_its_lines_look_like(tmp_path: Path, end: str, sign: str, quoting: int) -> None:
    titles = [text.format(end=end, sign=sign) for text in LIKE_ROWS] * 3
    rows = [("DE", f"A{number:03}", title, "Lumora") for number, title in enumerate(["Lamp", "Lamp", *titles, "Lamp"])]
    out = io.StringIO()
    csv.writer(out, delimiter=sign, lineterminator=end, quoting=quoting).writerows([NAMES, *rows])
    data = out.getvalue().encode()
    expected = [dict(zip(NAMES, row, strict=True)) for row in rows]
    assert _rows(_read(tmp_path / "feed.csv", data)) == expected
    form = find_csv_form(data, "feed.csv")
    assert form is not None
    for cut in range(form.body + 1, len(data)):
        parts = [read_csv_split(str(tmp_path / "feed.csv"), form, *part, len(data)) for part in ((0, cut), (cut, len(data)))]
        assert [row for part in parts for row in _rows(list(part))] == expected, cut


def test_a_large_file_is_cut_though_its_cells_hold_lines_like_rows(tmp_path: Path) -> None:
    rows = b"".join(b'DE,A%03d,"Lamp\nDE,B%03d,Lamp,L\nmore",L\nDE,C%03d,Lamp,L\n' % (i, i, i) for i in range(200))
    (tmp_path / "feed.csv").write_bytes(HEADER + rows)
    form = find_csv_form(HEADER + rows, "feed.csv")
    assert form is not None
    ends = [0, *range(2_000, len(HEADER + rows), 2_000), len(HEADER + rows)]
    parts = [list(read_csv_split(str(tmp_path / "feed.csv"), form, *part, ends[-1])) for part in itertools.pairwise(ends)]
    assert [row["item_id"][:1] for part in parts for row in _rows(part)] == ["A", "C"] * 200
    assert min(len(_rows(part)) for part in parts) > 10


def test_a_cell_of_more_lines_than_a_row_may_have_does_not_close(tmp_path: Path) -> None:
    inner = b"".join(b"DE,A%d,Lamp %d,L\n" % (i, i) for i in range(2, MAX_ROW_LINES + 2))
    found = _rows(_read(tmp_path / "feed.csv", HEADER + b'DE,A1,"Lamp,L\n' + inner + b'end",L\n'))
    assert found[0] == ("broken_quotes", b'DE,A1,"Lamp,L', 1)
    assert [row["item_id"] for row in found[1:-1]] == [f"A{i}" for i in range(2, MAX_ROW_LINES + 2)]


def test_a_row_that_a_text_swallows_is_found_by_its_looks_only_where_rows_have_looks(tmp_path: Path) -> None:
    texts = b"name,text\n" + b"".join(b'N %d,"first line\nRed, large, cotton %d"\n' % (i, i) for i in range(5))
    assert [len(row) for row in _rows(_read(tmp_path / "feed.csv", texts))] == [2] * 5


@pytest.mark.parametrize(
    ("head", "names"),
    [
        (b'locale,item_id,"Preis, EUR",title\n', ["locale", "item_id", "Preis, EUR", "title"]),
        (b'locale;item_id;"Preis\n(EUR)";title\n', ["locale", "item_id", "Preis\n(EUR)", "title"]),
        (b"\n \nlocale\titem_id\ttitle\n", ["locale", "item_id", "title"]),
        (b"sep=;\r\nlocale;item_id;title\r\n", ["locale", "item_id", "title"]),
        (b"'locale','item_id','it''s'\n", ["locale", "item_id", "it's"]),
        (b'\xef\xbb\xbf"locale",item_id\n', ["locale", "item_id"]),
        (b"item_id,,,title,title,title\n", ["item_id", "column 2", "column 3", "title", "title (5)", "title (6)"]),
        (b"item_id", ["item_id"]),
        (b"name|price|size\na|1|2\nb|2|3\n", ["name", "price", "size"]),
    ],
)
def test_a_header_is_a_row_as_any_other(head: bytes, names: list[str]) -> None:
    form = find_csv_form(head, "feed.csv")
    assert form is not None
    assert list(form.names) == names


def test_a_file_without_a_header_has_no_records_and_one_whose_quotes_do_not_close_is_named(tmp_path: Path) -> None:
    assert _rows(_read(tmp_path / "feed.csv", b"\n \r\n\n")) == []
    with pytest.raises(BadDataError, match=r"feed\.csv cannot be read: the quotes of its header do not close"):
        _read(tmp_path / "feed.csv", b'"locale,item_id\nDE,1\n')


def test_rows_that_do_not_fit_are_kept_as_they_are(tmp_path: Path) -> None:
    rows = b"DE,A1\nDE,A2,t,b,,\nDE,A3,t,b,more\nDE,A4,\xff,b\nDE,A5,t,b\r\n"
    assert _rows(_read(tmp_path / "feed.csv", HEADER + rows)) == [
        ("invalid_record", b"DE,A1", 1),
        {"locale": "DE", "item_id": "A2", "title": "t", "brand": "b"},
        ("invalid_record", b"DE,A3,t,b,more", 1),
        ("invalid_utf8", b"DE,A4,\xff,b", 1),
        {"locale": "DE", "item_id": "A5", "title": "t", "brand": "b"},
    ]


def test_cells_of_lists_and_maps_hold_json(tmp_path: Path) -> None:
    out = io.StringIO()
    values = ["1", '["a", null]', '{"Gewicht": 1.50}']
    csv.writer(out).writerows([["item_id", "bullets", "attributes"], values, ["2", "no list", "[1"]])
    path = tmp_path / "feed.csv"
    assert [record for block in _read(path, out.getvalue().encode()) for record in block.records] == [
        b'{"item_id":"1","bullets":["a", null],"attributes":{"Gewicht": 1.50}}',
        b'{"item_id":"2","bullets":"no list","attributes":"[1"}',
    ]


def test_quotes_without_end_in_every_line_are_read_in_time_and_memory_that_grow_with_the_file(tmp_path: Path) -> None:
    source = random.Random(7)
    lines = [b'DE,B%d,"text %d' % (i, i) + b" w" * source.randrange(40) for i in range(3_000)]
    found = _rows(_read(tmp_path / "feed.csv", HEADER + b"DE,A1,Lamp,L\n" + b"\n".join(lines)))
    assert sum(row[2] for row in found if isinstance(row, tuple)) == 3_000
    assert max(len(row[1]) for row in found if isinstance(row, tuple)) < 1 << 20


def test_a_header_that_occurs_again_is_no_row(tmp_path: Path) -> None:
    header = b"\xef\xbb\xbfitem_id,title,description\r\n"
    assert _read_whole(tmp_path / "b.csv", header + header) == ([], [])
    data = header + b'1,a,"x\r\ny"\r\n' + header + b"2,b,\r\n" + header
    records, _ = _read_whole(tmp_path / "a.csv", data)
    assert records == [{"item_id": "1", "title": "a", "description": "x\r\ny"}, {"item_id": "2", "title": "b"}]


def test_a_row_of_tabs_whose_quotes_enclose_nothing_is_read_as_it_stands(tmp_path: Path) -> None:
    data = b'id\ttitle\tsize\n1\t17" screen\t"wide" one\n2\t"a\tb"\t3\n3\t"5"" pipe"\t"x"\n4\t"bad" one\n'
    records, damaged = _read_whole(tmp_path / "a.tsv", data)
    assert records == [
        {"id": "1", "title": '17" screen', "size": '"wide" one'},
        {"id": "2", "title": "a\tb", "size": "3"},
        {"id": "3", "title": '5" pipe', "size": "x"},
    ]
    assert damaged == ['4\t"bad" one']


@pytest.mark.parametrize("above", ["Export of 28.11.2026\n\n", '"Our shop, all goods"\nMade: today\n', "sep=;\nTitle\n"])
def test_lines_above_the_header_are_part_of_it(tmp_path: Path, above: str) -> None:
    records, damaged = _read_whole(tmp_path / "a.csv", f"{above}item_id;title;price\n1;a;1,50\n2;b;2,00\n".encode())
    assert (records, damaged) == (
        [{"item_id": "1", "title": "a", "price": "1,50"}, {"item_id": "2", "title": "b", "price": "2,00"}],
        [],
    )


def _read_whole(path: Path, data: bytes) -> tuple[list[dict], list[str]]:
    """Records and damaged regions; the account must close."""
    path.write_bytes(data)
    (file,) = find_feed_files([str(path)]).files
    blocks = list(read_split(Split(file=file)))
    assert sum(b.total for b in blocks) == sum(sum(b.sizes) + sum(b.other.values()) for b in blocks) == len(data)
    good = [json.loads(r) for b in blocks for i, r in enumerate(b.records) if i not in b.damage]
    return good, [r.decode() for b in blocks for i, r in enumerate(b.records) if i in b.damage]


def test_quotes_behind_backslashes_are_read_where_the_file_is_written_so(tmp_path: Path) -> None:
    data = (
        b'item_id,title,bullets,path\n1,"a \\"b\\" \\\\","[\\"one\\",\\"two\\"]",C:\\tmp\\\n'
        b'2,"line \\"\nsecond, \\"q\\"",,"""x"" \\n"\n3,"\\"""y",,\n4,plain,,\n'
    )
    records, damaged = _read_whole(tmp_path / "a.csv", data)
    assert damaged == []
    assert records == [
        {"item_id": "1", "title": 'a "b" \\', "bullets": ["one", "two"], "path": "C:\\tmp\\"},
        {"item_id": "2", "title": 'line "\nsecond, "q"', "path": '"x" \\n'},
        {"item_id": "3", "title": '""y'},
        {"item_id": "4", "title": "plain"},
    ]
    paths = b'item_id,title\n1,"C:\\Users\\"\n2,"D:\\x\\"\n'
    assert [record["title"] for record in _read_whole(tmp_path / "b.csv", paths)[0]] == ["C:\\Users\\", "D:\\x\\"]
