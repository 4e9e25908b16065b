"""An object that wraps the records of a feed: its list is found by rule, or the file is refused."""

import json
from pathlib import Path

import pytest

from m5model.feeds import json_values
from m5model.feeds.inspection import inspect_file
from m5model.feeds.json_wrappers import find_wrapper
from m5model.feeds.sources import find_feed_files
from m5model.feeds.splits import Split, read_split
from schemas.errors import BadDataError

RECORDS = [{"item_id": str(i), "locale": "DE", "title": f"ein }} Titel ]{i}", "attributes": {"a": "b"}} for i in range(3)]
LIST = json.dumps(RECORDS)


def _read(path: Path, text: str) -> tuple[list[object], list[str], str]:
    """Records, damage, and how the file was read; its account must close."""
    path.write_text(text)
    (file,) = find_feed_files([str(path)]).files
    blocks = list(read_split(Split(file=file)))
    assert sum(block.total for block in blocks) == sum(sum(b.sizes) + sum(b.other.values()) for b in blocks)
    damage = [name for block in blocks for name in block.damage.values()]
    records = [json.loads(r) for block in blocks for i, r in enumerate(block.records) if i not in block.damage]
    return records, damage, "".join(block.read_as for block in blocks)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f'{{"products":{LIST}}}', "products"),
        (
            f'\ufeff\n {{"status": "ok", "n": 3, "data": {{"page": {{"id": 7}}, "items": {LIST}}}, "next": null}}\n',
            "data.items",
        ),
        (json.dumps({"products": RECORDS, "tags": [{"name": "x"}]}, indent=2), "products"),
        (f'{{"categories":[{{"id":1}},{{"id":2}}],"products":{LIST}}}', "products"),
        (f'{{"products":{LIST},"categories":[{{"name":"a"}}]}}', "products"),
        (f'{{"title":"our shop","items":{LIST}}}', "items"),
        (f'{{"@context":"https://schema.org","@graph":{LIST}}}', "@graph"),
    ],
)
def test_the_list_of_objects_with_ids_is_the_feed(tmp_path: Path, text: str, name: str) -> None:
    assert _read(tmp_path / "a.json", text) == (RECORDS, [], f"records in {name}")


def test_pages_one_behind_the_other_are_read_all_and_empty_ones_hold_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [f'{{"page": {i}, "products": {LIST if i < 3 else "[]"}, "more": {{"at": [1]}}}}' for i in range(4)]
    for name, separator in (("a.jsonl", "\n"), ("b.json", "")):
        assert _read(tmp_path / name, separator.join(pages)) == (3 * RECORDS, [], "records in products")
    monkeypatch.setattr(json_values, "BLOCK_RECORDS", 2)
    assert _read(tmp_path / "c.json", "\n".join(pages))[0] == 3 * RECORDS


@pytest.mark.parametrize(
    "text",
    [
        '{"id": 1, "title": "a", "variants": [{"id": 2}, {"id": 3}]}',
        '{"item_id": "1", "locale": "DE", "title": "a", "offers": [{"sku": "x"}]}',
        '{"locale": "DE", "title": "no id", "bullets": []}',
        '{"@type": "Product", "name": "a", "review": [{"@id": "r"}]}',
        '{"locale": "DE", "title": "its id is lost", "variants": [{"sku": "1"}]}\n{"item_id": "2", "title": "b"}',
        '{"products": {"a": {"item_id": "1"}}}',
        '{"Artikel": "1", "Name": "a", "Bilder": [{"id": 7, "url": "u"}]}\n{"Artikel": "2", "Name": "b"}',
        '{"products": [[1]], "n": [{"x": 1}]}',
    ],
)
def test_an_object_that_is_a_record_is_none(text: str) -> None:
    assert find_wrapper(text.encode(), "a.json") is None


@pytest.mark.parametrize(
    "text",
    [
        '{"new": [{"id": 1}], "old": [{"id": 2}]}',
        f'{{"products": {LIST}, "archive": {LIST}}}',
    ],
)
def test_a_doubt_is_refused_with_what_to_do(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadDataError, match=r"a\.json is one object with several lists (?s:.)*jq '\.(new|products)'"):
        _read(tmp_path / "a.json", text)


def test_a_list_that_is_far_behind_is_noticed_too(tmp_path: Path) -> None:
    many = json.dumps([{"item_id": str(i), "title": "x" * 200} for i in range(3_000)])
    with pytest.raises(BadDataError, match="several lists that may be its records: products, late"):
        _read(tmp_path / "a.json", f'{{"products": {many}, "late": {LIST}}}')


def test_damage_within_a_wrapper_costs_what_is_damaged_and_a_cut_is_seen(tmp_path: Path) -> None:
    whole = f'{{"products":{LIST},"n":1}}'
    assert _read(tmp_path / "a.json", whole[: whole.index('{"item_id": "2"')]) == (
        RECORDS[:2],
        ["truncated_record"],
        "records in products",
    )
    assert _read(tmp_path / "b.json", whole[: -len('],"n":1}')])[1] == ["truncated_record"]
    records, damage, _ = _read(tmp_path / "c.json", whole.replace('{"item_id": "1"', '[]{"item_id" "1"'))
    assert (records, damage) == ([RECORDS[0], RECORDS[2]], ["invalid_record"])
    records, damage, _ = _read(tmp_path / "d.json", whole.replace('}, {"item_id": "1"', '}], {"item_id": "1"'))
    assert records == RECORDS
    assert damage, "what stands behind the end of the list is no record"


def test_inspection_says_where_the_records_are(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(f'{{"data":{{"items":{LIST}}}}}')
    (file,) = find_feed_files([str(tmp_path / "a.json")]).files
    found = inspect_file(file)
    assert found.form == "JSON in utf-8, records in data.items"
    assert [listing["item_id"] for listing in found.listings] == ["0", "1", "2"]
