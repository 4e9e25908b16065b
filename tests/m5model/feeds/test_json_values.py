"""JSON that is no JSON Lines: arrays, objects one behind the other, objects over several lines."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m5model.feeds.blocks import Block
from m5model.feeds.forms import is_json_lines
from m5model.feeds.json_values import read_json_values
from m5model.feeds.opening import open_text

ROWS = [{"locale": "DE", "item_id": f"A{i}", "title": '{"} [,' * i, "attributes": {"a": {"b": [i]}}} for i in range(5)]


def _read(path: Path, data: bytes) -> list[Block]:
    path.write_bytes(data)
    with open_text(str(path)) as text:
        blocks = list(read_json_values(text))
        assert sum(sum(b.sizes) + sum(b.other.values()) for b in blocks) + text.mark_bytes == text.total == len(data)
    return blocks


def _found(blocks: list[Block]) -> list[object]:
    return [(b.damage[i], r) if i in b.damage else json.loads(r) for b in blocks for i, r in enumerate(b.records)]


SPELLINGS = {
    "array": json.dumps(ROWS),
    "indented": json.dumps(ROWS, indent=2),
    "array_of_lines": "[\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]\n",
    "concatenated": "".join(map(json.dumps, ROWS)),
    "over_lines": "\n".join(json.dumps(row, indent=1) for row in ROWS),
    "with_a_mark": "\ufeff" + json.dumps(ROWS),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_all_spellings_give_the_same_records(tmp_path: Path, spelling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = SPELLINGS[spelling].encode()
    assert not is_json_lines(data)
    assert _found(_read(tmp_path / "feed.json", data)) == ROWS
    # A block of some bytes ends within objects.
    monkeypatch.setattr("m5model.feeds.opening.HEAD_BYTES", 5)
    monkeypatch.setattr("m5model.feeds.opening.BLOCK_BYTES", 7)
    assert _found(_read(tmp_path / "feed.json", data)) == ROWS


@pytest.mark.parametrize(
    "data",
    [
        b"\n".join(json.dumps(row).encode() for row in ROWS),
        b'{"locale": "DE", "item_id": "1"\n{"locale": "DE", "item_id": "2"}\n',
        b'[[{"locale": "DE"}\n{"locale": "DE"}\n{"locale": "UK"}\n',
        b"{",
        b"",
        b"no json\n",
    ],
)
def test_lines_with_some_damage_stay_lines(data: bytes) -> None:
    assert is_json_lines(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'[{"locale":"DE","item_id":"1"},', [{"locale": "DE", "item_id": "1"}, ("truncated_record", b"")]),
        (b'[{"locale":"DE","item_id":"1"},{"lo', [{"locale": "DE", "item_id": "1"}, ("truncated_record", b'{"lo')]),
        (
            b'[{"locale":"DE","item_id":"1},\n{"locale":"DE","item_id":"2"}]',
            [("invalid_record", b'{"locale":"DE","item_id":"1},\n'), {"locale": "DE", "item_id": "2"}],
        ),
        (
            b'[{"locale":"DE","item_id":"1"} oh {"locale":"DE","item_id":"2"}]',
            [{"locale": "DE", "item_id": "1"}, ("invalid_record", b"oh "), {"locale": "DE", "item_id": "2"}],
        ),
    ],
)
def test_damage_ends_before_the_next_object_and_an_array_without_end_was_cut(
    tmp_path: Path, data: bytes, expected: list[object]
) -> None:
    assert _found(_read(tmp_path / "feed.json", data)) == expected


SPLICES = (b'"', b"{", b"}", b"[", b"]", b"\\", b",", b"\x00", b"\xff", b"\n", b"")


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(SPELLINGS)),
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from(SPLICES), st.integers(0, 30)), max_size=4),
)
def test_every_byte_of_a_damaged_file_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, spelling: str, splices: list[tuple[float, bytes, int]]
) -> None:
    data = SPELLINGS[spelling].encode()
    for where, splice, length in splices:
        at = int(where * len(data))
        data = data[:at] + splice + data[at + length :]
    blocks = _read(tmp_path_factory.getbasetemp() / "damaged.json", data)
    whole = [row for row in ROWS if json.dumps(row).encode() in data]
    if spelling in ("array", "concatenated", "array_of_lines") and b"\x00" not in data:
        text = b"".join(record for block in blocks for record in block.records)
        assert all(json.dumps(row).encode() in text for row in whole), "no record is lost"
