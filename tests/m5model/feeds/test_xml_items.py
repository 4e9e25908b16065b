"""Items of RSS and Atom become records; damage stays within an item."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m5model.feeds.blocks import Block
from m5model.feeds.opening import open_text
from m5model.feeds.xml_items import read_xml_items
from schemas.errors import BadDataError

GOOGLE = 'xmlns:g="http://base.google.com/ns/1.0"'
ITEMS = """<item><g:id>1</g:id><title>for people</title><g:title>Größe &amp; <![CDATA[<b>Maß</b>]]></g:title>
<g:image>a</g:image><g:image>b</g:image><g:detail><g:name>n</g:name></g:detail><bullets>one</bullets></item>
<!-- no item -->
<item><g:id>2</g:id><title>zwei</title></item>
"""
RECORDS = [
    {
        "id": "1",
        "title": "Größe & <b>Maß</b>",
        "title (2)": "for people",
        "image": ["a", "b"],
        "detail": {"name": "n"},
        "bullets": ["one"],
    },
    {"id": "2", "title": "zwei"},
]


def _document(items: str, encoding: str = "utf-8") -> bytes:
    head = f'<?xml version="1.0" encoding="{encoding}"?>\n<rss version="2.0" {GOOGLE}><channel><title>Shop</title>\n'
    return f"{head}{items}</channel>\n</rss>\n".encode(encoding)


def _read(path: Path, data: bytes) -> list[Block]:
    path.write_bytes(data)
    with open_text(str(path)) as text:
        blocks = list(read_xml_items(text))
        assert sum(sum(b.sizes) + sum(b.other.values()) for b in blocks) + text.mark_bytes == text.total == len(data)
    return blocks


def _found(blocks: list[Block]) -> list[object]:
    return [(b.damage[i], r) if i in b.damage else json.loads(r) for b in blocks for i, r in enumerate(b.records)]


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "windows-1252", "utf-16"])
def test_items_of_rss_become_records(tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _found(_read(tmp_path / "feed.xml", _document(ITEMS, encoding))) == RECORDS
    monkeypatch.setattr("m5model.feeds.opening.HEAD_BYTES", 50)
    monkeypatch.setattr("m5model.feeds.opening.BLOCK_BYTES", 11)
    if encoding != "utf-16":
        assert _found(_read(tmp_path / "feed.xml", _document(ITEMS, encoding))) == RECORDS


def test_entries_of_atom_become_records(tmp_path: Path) -> None:
    entry = b'<a:entry><a:title>x</a:title><a:link href="u" rel="r"/><a:size unit="cm" of="lid"/></a:entry>'
    data = b'<a:feed xmlns:a="http://www.w3.org/2005/Atom">' + entry + b"</a:feed>"
    assert _found(_read(tmp_path / "feed.xml", data)) == [{"title": "x", "link": "u", "size": {"unit": "cm", "of": "lid"}}]
    assert _read(tmp_path / "feed.xml", b"<rss><channel><title>empty</title></channel></rss>")[-1].damage == {}


@pytest.mark.parametrize(
    ("item", "damage"),
    [
        ("<item><g:id>3</g:id><title>cut\n", "truncated_record"),
        ("<item><g:id>3</g:id><title>bad &nbsp;</title></item>", "invalid_record"),
        ("<item><g:id>3</g:id><other:x/></item>", "invalid_record"),
        ("oh\n", "invalid_record"),
        ("<itme><g:id>3</g:id></itme>", "invalid_record"),
    ],
)
def test_damage_stays_within_its_item(tmp_path: Path, item: str, damage: str) -> None:
    found = _found(_read(tmp_path / "feed.xml", _document(item + ITEMS + item + ITEMS)))
    assert [row for row in found if isinstance(row, dict)] == [*RECORDS, *RECORDS]
    regions = [row for row in found if isinstance(row, tuple)]
    expected = 1 if item.startswith(("<itme", "oh")) else 2  # before the first item, anything is header
    assert [reason for reason, _ in regions] == [damage] * expected


@pytest.mark.parametrize("cut", [7, 20, 60, 200])
def test_a_document_without_its_end_has_a_damaged_record(tmp_path: Path, cut: int) -> None:
    found = _found(_read(tmp_path / "feed.xml", _document(ITEMS)[:-cut]))
    assert "truncated_record" in [row[0] for row in found if isinstance(row, tuple)]


@pytest.mark.parametrize(
    "doctype",
    ['<!DOCTYPE rss [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>', '<!DOCTYPE rss [<!ENTITY a SYSTEM "file:///etc/passwd">]>'],
)
def test_entities_are_refused(tmp_path: Path, doctype: str) -> None:
    data = f"{doctype}<rss><channel><item><title>&b;&a;</title></item></channel></rss>".encode()
    with pytest.raises(BadDataError, match="declares entities, which are not resolved"):
        _read(tmp_path / "feed.xml", data)


def test_an_outside_dtd_is_not_opened(tmp_path: Path) -> None:
    data = b'<!DOCTYPE rss SYSTEM "http://127.0.0.1:9/rss.dtd"><rss><channel><item><title>t</title></item></channel></rss>'
    assert _found(_read(tmp_path / "feed.xml", data)) == [{"title": "t"}]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0.35, 1),
            st.sampled_from((b"<", b">", b"&", b"\xff", b"</item>", b"<item>", b"]]>", b"")),
            st.integers(0, 20),
        ),
        max_size=4,
    )
)
def test_every_byte_of_a_damaged_file_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, splices: list[tuple[float, bytes, int]]
) -> None:
    data = _document(ITEMS * 2)
    for where, splice, length in splices:
        at = int(where * len(data))
        data = data[:at] + splice + data[at + length :]
    _read(tmp_path_factory.getbasetemp() / "damaged.xml", data)
