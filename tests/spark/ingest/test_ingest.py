"""One feed with every kind of damage, in three formats; every record is accounted for and none is lost."""

import csv
import json
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from schemas.errors import BadDataError, ConfigurationError
from schemas.reject import REASONS
from schemas.workspace import Workspace
from spark.ingest.ingest import IngestResult, ingest_feed

SOUND = {"locale": "US", "language": "en", "title": "a sound title"}


def _line(item_id: str | None = None, **values: object) -> bytes:
    record = {**SOUND, **({} if item_id is None else {"item_id": item_id}), **values}
    return json.dumps({k: v for k, v in record.items() if v is not ...}, ensure_ascii=False).encode()


# Raw line → reasons. Each must come back byte by byte in listing_rejects.
BAD = {
    _line("truncated")[:-5]: ["truncated_record"],
    b"{nonsense}": ["invalid_record"],
    _line("two") + b" " + _line("objects"): ["invalid_record"],
    _line("garbage") + b" trailing": ["truncated_record"],
    _line("bracket") + b'], "title": "b"}': ["invalid_record"],
    _line("comma") + b",{}": ["invalid_record"],
    _line("list", title=["a"]): ["wrong_type"],
    _line("number", title=5): ["wrong_type"],
    _line("nested", attributes={"k": [1]}): ["wrong_type"],
    _line("no-list", bullets="one"): ["wrong_type"],
    _line("no-map", attributes=["one"], bullets=["one"]): ["wrong_type"],
    b'{"locale":"US","item_id":"blank","title":"a title","bullets":["one"\x00,"two"]}': ["invalid_record"],
    b'{"locale":"US","item_id":"quote","title":"a title","bullets":["one\x02, "two"],"brand":"b"}': ["invalid_record"],
    b'{"locale":"US","item_id":"last-value","title":"a title","bullets":["one"],"bullets":"one"}': ["wrong_type"],
    b"\t": ["truncated_record"],
    _line(): ["missing_item_id"],
    _line("no-locale", locale=...): ["missing_locale"],
    _line("no-title", title=...): ["missing_title"],
    _line("blank", title=" \t "): ["missing_title"],
    _line("ZZ", locale="ZZ"): ["unknown_locale"],
    _line("xx", language="xx"): ["unknown_language"],
    _line("10MB", title="x" * 10_000_000): ["record_too_large"],
    b'{"locale":"US","item_id":"bytes","title":"\xff\xfe"}': ["invalid_utf8"],
    _line("long", title="t" * 2_001): ["title_too_long"],
    _line("text", description="d" * 200_001): ["text_too_long"],
    _line("when", updated_at="yesterday"): ["invalid_updated_at"],
}
GOOD = [
    b"\xef\xbb\xbf" + _line("bom"),
    b"",
    _line("mojibake", title="Café crème brûlée".encode().decode("latin-1")),
    _line("nulls", title="nu\x00ll by\x07tes"),
    _line("nfc", title="cafe\u0301 au lait"),
    _line("space", title="  two   words\t"),
    _line("twice", title="old", updated_at="2024-01-01T00:00:00Z"),
    _line("twice", title="new", updated_at="2025-01-01T00:00:00Z"),
    _line("twice", title="undated"),
    _line("undeclared", language=None, locale="NL", title="Roestvrijstalen waterkoker met temperatuurregeling voor thee"),
    _line("filled", attributes={"b": "x", "a": 3}, bullets=["one", " two "]),
]
CSV = (
    "item_id,locale,language,title,bullets,attributes\n"
    'csv1,DE,de-DE,"Schöne ""Lampe""\nzwei","[""a""]","{""Farbe"":""rot""}"\n'
    "csv2,DE,de,kaputt,keine liste,\n"
    "csv3,DE\n"
)


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("feed")
    (folder / "feed.jsonl").write_bytes(b"\n".join([*BAD, *GOOD]))
    bad_text, bad_key = b"csv4,DE,de,bad\xff,,\n", b"csv5,D\xc3,d\xff,title,,\n"
    (folder / "feed.csv").write_bytes(CSV.encode() + bad_text + bad_key)
    pq.write_table(
        pa.table({"item_id": [7, 8], "locale": ["FR"] * 2, "language": ["fr"] * 2, "title": ["sept", "huit"]}),
        folder / "a.parquet",
    )
    pq.write_table(pa.table({"item_id": ["p1"], "locale": ["FR"], "title": [3.5]}), folder / "b.parquet")
    return folder


@pytest.fixture(scope="module")
def ingested(spark, feed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, IngestResult]:
    workspace = Workspace(str(tmp_path_factory.mktemp("workspace")))
    return workspace, ingest_feed(spark, workspace, [str(feed)], run_id="first", max_reject_share=1)


def _listings(workspace: Workspace) -> dict[str, dict]:
    return {row["item_id"]: row for row in DeltaTable(workspace.table("listings")).to_pyarrow_table().to_pylist()}


def test_every_record_is_accounted_for(ingested) -> None:
    accounting = ingested[1].accounting
    accounting.verify("ingest")
    assert accounting.rows_in == len(BAD) + len(GOOD) - 1 + 5 + 3  # a blank line is not a record
    assert (accounting.written, accounting.superseded) == (11, 2)
    assert accounting.rejected == len(BAD) + 4 + 1


def test_bad_records_are_kept_byte_by_byte_with_their_reasons(ingested) -> None:
    rows = DeltaTable(ingested[0].table("listing_rejects")).to_pyarrow_table().to_pylist()
    found = {row["raw"]: row["reasons"] for row in rows}
    assert {raw: found.get(raw) for raw in BAD} == BAD
    assert {reason for row in rows for reason in row["reasons"]} <= set(REASONS)
    assert sum(row["occurrences"] for row in rows) == ingested[1].accounting.rejected


def test_csv_and_parquet_are_judged_by_the_same_rules(ingested) -> None:
    rows = DeltaTable(ingested[0].table("listing_rejects")).to_pyarrow_table().to_pylist()
    by_file = sorted((Path(row["source_file"]).name, row["reasons"][0]) for row in rows if "jsonl" not in row["source_file"])
    assert by_file == [
        ("b.parquet", "wrong_type"),
        ("feed.csv", "invalid_record"),
        ("feed.csv", "invalid_utf8"),
        ("feed.csv", "invalid_utf8"),
        ("feed.csv", "wrong_type"),
    ]
    assert _listings(ingested[0])["csv1"]["title"] == 'Schöne "Lampe" zwei'
    assert {"7", "8"} <= set(_listings(ingested[0]))


def test_repairs_are_made_and_named(ingested) -> None:
    found = {k: (row["title"], row["repairs"]) for k, row in _listings(ingested[0]).items()}
    assert found["mojibake"] == ("Café crème brûlée", ["mojibake"])
    assert found["nulls"] == ("null bytes", ["control_characters"])
    assert found["nfc"] == ("café au lait", ["unicode_nfc"])
    assert found["space"] == ("two words", ["whitespace"])
    assert found["bom"] == ("a sound title", [])


def test_the_newest_record_of_a_key_wins(ingested) -> None:
    assert _listings(ingested[0])["twice"]["title"] == "new"


def test_an_undeclared_language_is_detected(ingested) -> None:
    row = _listings(ingested[0])["undeclared"]
    assert (row["language"], row["language_source"]) == ("nl", "detected")


def test_attributes_are_sorted_text(ingested) -> None:
    assert _listings(ingested[0])["filled"]["attributes"] == [("a", "3"), ("b", "x")]


def test_the_same_feed_again_changes_nothing(spark, feed: Path, ingested) -> None:
    workspace = ingested[0]
    versions = [DeltaTable(workspace.table(name)).version() for name in ("listings", "listing_rejects")]
    again = ingest_feed(spark, workspace, [str(feed)], run_id="second", max_reject_share=1)
    assert (again.accounting.written, again.accounting.unchanged) == (0, 11)
    assert DeltaTable(workspace.table("listings")).version() == versions[0]
    rows = DeltaTable(workspace.table("listing_rejects")).to_pyarrow_table()
    assert sum(rows["occurrences"].to_pylist()) == again.accounting.rejected


def test_a_late_record_does_not_replace_a_newer_listing(spark, tmp_path: Path, ingested) -> None:
    feed = tmp_path / "late.jsonl"
    feed.write_bytes(_line("twice", title="late", updated_at="2024-06-01T00:00:00Z"))
    result = ingest_feed(spark, ingested[0], [str(feed)], run_id="late")
    assert (result.accounting.written, result.accounting.superseded) == (0, 1)
    assert _listings(ingested[0])["twice"]["title"] == "new"


def test_too_many_rejects_leave_listings_as_they_were_and_keep_the_rejects(spark, feed: Path, tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    with pytest.raises(BadDataError, match="missing_item_id 1"):
        ingest_feed(spark, workspace, [str(feed / "feed.jsonl")], run_id="refused")
    assert _listings(workspace) == {}
    assert DeltaTable(workspace.table("listing_rejects")).to_pyarrow_table().num_rows == len(BAD)


def test_an_empty_feed_is_no_error_and_an_absent_or_unknown_one_is_named(spark, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert ingest_feed(spark, Workspace(str(tmp_path / "w")), [str(tmp_path / "empty")], run_id="e").accounting.rows_in == 0
    (tmp_path / "feed.xml").write_text("<a/>")
    with pytest.raises(ConfigurationError) as error:
        ingest_feed(spark, Workspace(str(tmp_path / "w")), [str(tmp_path / "feed.xml"), str(tmp_path / "none")], run_id="x")
    assert "feed.xml: not one of" in str(error.value)
    assert "none: no such file" in str(error.value)


def test_records_that_python_looks_at_come_out_alike_in_every_format(spark, tmp_path: Path) -> None:
    time = "2025-03-01T12:00:00.123456Z"
    broken = "Café crème brûlée".encode().decode("latin-1")
    text = "Roestvrijstalen waterkoker met temperatuurregeling voor thee"
    records = [
        {
            "locale": "FR",
            "item_id": "1",
            "language": "fr",
            "title": broken,
            "updated_at": time,
            "attributes": {"a": "5", "b": "1,5 KG"},
        },
        {
            "locale": "NL",
            "item_id": "2",
            "language": None,
            "title": text,
            "updated_at": time,
            "attributes": {"a": "x", "b": "y"},
        },
    ]
    schema = pa.schema([("locale", pa.string()), ("item_id", pa.string()), ("language", pa.string()), ("title", pa.string())])
    schema = schema.append(pa.field("updated_at", pa.timestamp("us", tz="UTC")))
    schema = schema.append(pa.field("attributes", pa.map_(pa.string(), pa.string())))
    typed = [{**r, "updated_at": datetime.fromisoformat(time), "attributes": list(r["attributes"].items())} for r in records]
    pq.write_table(pa.Table.from_pylist(typed, schema=schema), tmp_path / "feed.parquet")
    (tmp_path / "feed.jsonl").write_text("\n".join(json.dumps(record) for record in records))
    with (tmp_path / "feed.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(records[0]))
        writer.writeheader()
        writer.writerows({**record, "attributes": json.dumps(record["attributes"])} for record in records)
    found = []
    for name in ("feed.jsonl", "feed.csv", "feed.parquet"):
        workspace = Workspace(str(tmp_path / name.replace(".", "-")))
        ingest_feed(spark, workspace, [str(tmp_path / name)], run_id="one")
        rows = _listings(workspace)
        of_the_run = ("source_file", "ingested_at", "run_id")
        found.append({key: {k: v for k, v in row.items() if k not in of_the_run} for key, row in rows.items()})
    assert found[0] == found[1] == found[2]
    assert found[0]["1"]["repairs"] == ["mojibake", "units"]
    assert found[0]["1"]["title"] == "Café crème brûlée"
    assert found[0]["2"]["language"] == "nl"
    assert {row["updated_at"].microsecond for row in found[0].values()} == {123456}


def test_a_csv_header_may_hold_any_names(spark, tmp_path: Path) -> None:
    header = "item_id,,,locale,Title,title,file,a`b,_corrupt,x,X,title"
    (tmp_path / "feed.csv").write_text(f"{header}\n1,a,b,US,c,the title,d,e,f,g,h,i\n2,a,b,US,c,,d,e,f,g,h,i\n")
    result = ingest_feed(spark, Workspace(str(tmp_path / "w")), [str(tmp_path / "feed.csv")], run_id="one", max_reject_share=1)
    assert (result.accounting.written, result.accounting.rejected) == (1, 1)
    assert _listings(Workspace(str(tmp_path / "w")))["1"]["title"] == "the title"
    (reject,) = DeltaTable(str(tmp_path / "w" / "listing_rejects")).to_pyarrow_table().to_pylist()
    assert reject["reasons"] == ["missing_title"]
    assert set("abcdefghi") <= set(json.loads(reject["raw"]).values())


def test_columns_of_parquet_that_json_would_say_as_text_are_wrong_types(spark, tmp_path: Path) -> None:
    sound = {"locale": ["US"], "language": ["en"], "title": ["a title"]}
    tables = {
        "bytes": {**sound, "item_id": ["bytes"], "brand": [b"\xff\xfe"]},
        "date": {**sound, "item_id": ["date"], "description": [date(2025, 1, 1)]},
        "list": {**sound, "item_id": ["list"], "bullets": [[b"soft"]]},
        "infinite": {**sound, "item_id": [float("inf")]},
        "image": {**sound, "item_id": ["image"], "image": [bytes(2 << 20)], "vector": [[0.5] * 8], "size": [3.5]},
        "numbers": {
            **sound,
            "item_id": ["numbers"],
            "attributes": pa.array([[("w", 1.5)]], pa.map_(pa.string(), pa.float64())),
        },
    }
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    result = ingest_feed(spark, Workspace(str(tmp_path / "w")), [str(tmp_path / "*.parquet")], run_id="one", max_reject_share=1)
    assert dict(result.accounting.rejected_reasons) == {"wrong_type": 4}
    rejects = DeltaTable(str(tmp_path / "w" / "listing_rejects")).to_pyarrow_table().to_pylist()
    assert sorted(row["detail"] for row in rejects) == [
        "wrong_type: brand",
        "wrong_type: bullets",
        "wrong_type: description",
        "wrong_type: item_id",
    ]
    assert any(b"//4=" in row["raw"] for row in rejects), "bytes are kept, as base64"
    listings = _listings(Workspace(str(tmp_path / "w")))
    assert set(listings) == {"image", "numbers"}
    assert listings["numbers"]["attributes"] == [("w", "1.5")]


def test_bounds_in_the_log_hold_for_long_keys_and_odd_times(spark, tmp_path: Path) -> None:
    times = ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00.000001Z", "9999-12-31T23:59:59.999999Z"]
    lines = [_line("k" * 40 + str(i), updated_at=time) for i, time in enumerate(times)]
    (tmp_path / "feed.jsonl").write_bytes(b"\n".join(lines))
    workspace = Workspace(str(tmp_path / "w"))
    ingest_feed(spark, workspace, [str(tmp_path / "feed.jsonl")], run_id="one")
    listings = spark.read.format("delta").load(workspace.table("listings"))
    for i, time in enumerate(times):
        assert listings.where(f"item_id = '{'k' * 40}{i}'").count() == 1
        assert listings.where(f"updated_at = timestamp'{time}'").count() == 1
