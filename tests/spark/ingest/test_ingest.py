"""One feed with every kind of damage, in three formats; every record is accounted for and none is lost."""

import csv
import json
import math
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from schemas.errors import BadDataError, ConfigurationError
from schemas.listing import LISTINGS
from schemas.reject import REASONS
from schemas.workspace import Workspace
from spark.ingest.ingest import IngestResult, ingest_feed
from spark.ingest.replay import replay_rejects
from spark.ingest.staging.hashing import hash_contents

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
    _line("lost", title="????? ??? 500 g"): ["letters_lost"],
    b'{"locale":"US","item_id":"X\\ud800","title":"a sound title","language":"en"}': ["invalid_item_id"],
    b'{"locale":"US","item_id":"X\\ud801","title":"a sound title","language":"en"}': ["invalid_item_id"],
    _line("long", title="t" * 2_001): ["title_too_long"],
    _line("text", description="d" * 200_001): ["text_too_long"],
    _line("when", updated_at="yesterday"): ["invalid_updated_at"],
    _line("late", updated_at="2262-01-01T00:00:00Z"): ["far_updated_at"],
    _line("early", updated_at="1677-12-31T23:59:59.999999Z"): ["far_updated_at"],
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


def test_the_account_of_every_file_closes_over_its_bytes(feed: Path, ingested) -> None:
    accounts = {Path(account.file).name: account for account in ingested[1].accounts}
    assert {name: account.unaccounted for name, account in accounts.items()} == dict.fromkeys(accounts, 0)
    for name in ("feed.jsonl", "feed.csv"):
        assert (accounts[name].total, accounts[name].unit) == ((feed / name).stat().st_size, "bytes")
    assert (accounts["a.parquet"].total, accounts["a.parquet"].unit) == (2, "rows")
    records = [(name, share.records) for account in accounts.values() for name, share in account.records.items()]
    account = ingested[1].accounting
    assert sum(count for name, count in records if name == "rejected") == account.rejected
    assert sum(count for _, count in records) == account.rows_in


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


def test_a_record_without_a_time_is_as_of_now(ingested) -> None:
    assert _listings(ingested[0])["twice"]["title"] == "undated"


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
    assert _listings(ingested[0])["twice"]["title"] == "undated"


def test_too_many_rejects_leave_listings_as_they_were_and_keep_the_rejects(spark, feed: Path, tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    with pytest.raises(BadDataError, match="missing_item_id 1"):
        ingest_feed(spark, workspace, [str(feed / "feed.jsonl")], run_id="refused")
    assert _listings(workspace) == {}
    assert DeltaTable(workspace.table("listing_rejects")).to_pyarrow_table().num_rows == len(BAD)


def test_an_empty_feed_is_no_error_and_an_absent_or_unknown_one_is_named(spark, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert ingest_feed(spark, Workspace(str(tmp_path / "w")), [str(tmp_path / "empty")], run_id="e").accounting.rows_in == 0
    (tmp_path / "feed.pdf").write_text("%PDF")
    with pytest.raises(ConfigurationError) as error:
        ingest_feed(spark, Workspace(str(tmp_path / "w")), [str(tmp_path / "feed.pdf"), str(tmp_path / "none")], run_id="x")
    assert "feed.pdf: not one of" in str(error.value)
    assert "none: no such file" in str(error.value)


def test_records_that_python_looks_at_come_out_alike_in_every_format(spark, tmp_path: Path) -> None:
    time = "2025-03-01T12:00:00.123456Z"
    broken = "Café crème brûlée".encode().decode("latin-1")
    text = "Roestvrijstalen waterkoker met temperatuurregeling voor thee"
    values = [
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
    records = {name: [{**r, "item_id": f"{name}{r['item_id']}"} for r in values] for name in ("jsonl", "csv", "parquet")}
    typed = [
        {**r, "updated_at": datetime.fromisoformat(time), "attributes": [*r["attributes"].items()]} for r in records["parquet"]
    ]
    (tmp_path / "feed").mkdir()
    pq.write_table(pa.Table.from_pylist(typed, schema=schema), tmp_path / "feed" / "feed.parquet")
    (tmp_path / "feed" / "feed.jsonl").write_text("\n".join(json.dumps(record) for record in records["jsonl"]))
    with (tmp_path / "feed" / "feed.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(values[0]))
        writer.writeheader()
        writer.writerows({**record, "attributes": json.dumps(record["attributes"])} for record in records["csv"])
    workspace = Workspace(str(tmp_path / "w"))
    assert ingest_feed(spark, workspace, [str(tmp_path / "feed")], run_id="one").inserted == 6
    listings = _listings(workspace)
    others = ("item_id", "content_hash", "source_file", "ingested_at", "run_id")
    found = {key: {k: v for k, v in row.items() if k not in others} for key, row in listings.items()}
    (batch,) = DeltaTable(workspace.table("listings")).to_pyarrow_table().combine_chunks().to_batches()
    assert batch.column("content_hash").to_pylist() == [digest.hex() for digest in hash_contents(batch)]
    for number in "12":
        assert found[f"jsonl{number}"] == found[f"csv{number}"] == found[f"parquet{number}"]
    assert found["jsonl1"]["repairs"] == ["mojibake", "units"]
    assert found["jsonl1"]["title"] == "Café crème brûlée"
    assert found["jsonl2"]["language"] == "nl"
    assert {row["updated_at"].microsecond for row in found.values()} == {123456}


def test_a_csv_header_may_hold_any_names(spark, tmp_path: Path) -> None:
    header = "item_id,,,locale,Title,title,file,a`b,_corrupt,x,X,title"
    (tmp_path / "feed.csv").write_text(f"{header}\n1,a,b,US,c,the title,d,e,f,g,h,i\n2,a,b,US,c,,d,e,f,g,h,i\n")
    result = ingest_feed(spark, Workspace(str(tmp_path / "w")), [str(tmp_path / "feed.csv")], run_id="one", max_reject_share=1)
    assert (result.accounting.written, result.accounting.rejected) == (1, 1)
    assert _listings(Workspace(str(tmp_path / "w")))["1"]["title"] == "the title"
    (reject,) = DeltaTable(str(tmp_path / "w" / "listing_rejects")).to_pyarrow_table().to_pylist()
    assert reject["reasons"] == ["missing_title"]
    assert set("abcdefghi") <= set(json.loads(reject["raw"]).values())


SCALARS = {"Farbe": "rot", "Gewicht": 1.5, "neu": True, "Watt": 7, "leer": None}
MAP = pa.map_(pa.string(), pa.string())
# Columns of one Parquet file each → the attributes that they give, or the field that is of a wrong type.
PARQUET = {
    "struct": ({"attributes": [SCALARS]}, [("Farbe", "rot"), ("Gewicht", "1.5"), ("Watt", "7"), ("neu", "true")]),
    "struct_of_null": ({"attributes": pa.array([None], pa.struct([("w", pa.float64())]))}, None),
    "struct_of_times": ({"attributes": [{"seit": datetime(2024, 5, 1)}]}, [("seit", "2024-05-01 00:00:00")]),
    "struct_of_decimals": ({"attributes": [{"Preis": Decimal("1.50")}]}, [("Preis", "1.50")]),
    "struct_of_nan": ({"attributes": [{"Farbe": "rot", "Gewicht": float("nan")}]}, "attributes"),
    "struct_of_bytes": ({"attributes": [{"Farbe": b"rot"}]}, "attributes"),
    "struct_of_lists": ({"attributes": [{"Farbe": ["rot"]}]}, "attributes"),
    "struct_of_structs": ({"attributes": [{"Farbe": {"name": "rot"}}]}, "attributes"),
    "map_of_numbers": ({"attributes": pa.array([[("w", 1.5)]], pa.map_(pa.string(), pa.float64()))}, [("w", "1.5")]),
    "map_of_infinities": ({"attributes": pa.array([[("w", -math.inf)]], pa.map_(pa.string(), pa.float32()))}, "attributes"),
    "map_of_lists": ({"attributes": pa.array([[("a", ["b"])]], pa.map_(pa.string(), pa.list_(pa.string())))}, "attributes"),
    "map_of_maps": ({"attributes": pa.array([[("a", [("b", "c")])]], pa.map_(pa.string(), MAP))}, "attributes"),
    "map_of_bytes": ({"attributes": pa.array([[("a", b"b")]], pa.map_(pa.string(), pa.binary()))}, "attributes"),
    "map_of_integers": ({"attributes": pa.array([[(1, "b")]], pa.map_(pa.int64(), pa.string()))}, "attributes"),
    "pairs": ({"attributes": [[{"name": "a", "value": "b"}]]}, "attributes"),
    "attributes_number": ({"attributes": [1.5]}, "attributes"),
    "bytes": ({"brand": [b"\xff\xfe"]}, "brand"),
    "date": ({"description": [date(2025, 1, 1)]}, "description"),
    "bullets_bytes": ({"bullets": [[b"soft"]]}, "bullets"),
    "bullets_nan": ({"bullets": [[float("nan")]]}, "bullets"),
    "bullets_struct": ({"bullets": [{"a": "b"}]}, "bullets"),
    "bullets_structs": ({"bullets": [[{"a": "b"}]]}, "bullets"),
    "title_list": ({"title": [["a title"]]}, "title"),
    "title_struct": ({"title": [{"de": "Lampe"}]}, "title"),
    "title_number": ({"title": [3.5]}, "title"),
    "infinite": ({"item_id": [math.inf]}, "item_id (an id is a text, or a whole number of 64 bits)"),
    "ignored": ({"image": [bytes(2 << 20)], "vector": [[0.5] * 8], "size": [3.5]}, None),
    "deleted_text": ({"deleted": [" false "]}, None),
    "deleted_number": ({"deleted": [1]}, "deleted"),
}


def test_columns_of_parquet_are_read_as_their_json_would_be_or_are_wrong_types(spark, tmp_path: Path) -> None:
    for name, (columns, _) in PARQUET.items():
        record = {"locale": ["US"], "item_id": [name], "language": ["en"], "title": ["a title"], **columns}
        pq.write_table(pa.table(record), tmp_path / f"{name}.parquet")
    workspace = Workspace(str(tmp_path / "w"))
    ingest_feed(spark, workspace, [str(tmp_path / "*.parquet")], run_id="one", max_reject_share=1)
    found = {name: row["attributes"] for name, row in _listings(workspace).items()}
    assert found == {name: expected for name, (_, expected) in PARQUET.items() if not isinstance(expected, str)}
    rejects = DeltaTable(workspace.table("listing_rejects")).to_pyarrow_table().to_pylist()
    assert {Path(row["source_file"]).stem: row["detail"] for row in rejects} == {
        name: f"wrong_type: {expected}" for name, (_, expected) in PARQUET.items() if isinstance(expected, str)
    }
    assert any(b"//4=" in row["raw"] for row in rejects), "bytes are kept, as base64"
    assert replay_rejects(spark, workspace, run_id="again").accounting.rejected == len(rejects)


def test_any_accepted_time_can_be_read_everywhere_and_is_found_by_its_bounds(spark, tmp_path: Path) -> None:
    times = ["1678-01-01T00:00:00Z", "1970-01-01T00:00:00.000001Z", "2261-12-31T23:59:59.999999Z"]
    workspace = Workspace(str(tmp_path / "w"))
    for run in ("new", "changed"):  # adopted files, then files that Spark wrote
        lines = [_line("k" * 40 + str(i), title=run, updated_at=time) for i, time in enumerate(times)]
        lines += [_line("gone", updated_at=times[0], deleted=run == "changed"), _line("bad", title=...)]
        (tmp_path / "feed.jsonl").write_bytes(b"\n".join(lines))
        ingest_feed(spark, workspace, [str(tmp_path / "feed.jsonl")], run_id=run, max_reject_share=1)
        listings = spark.read.format("delta").load(workspace.table("listings"))
        assert listings.where(f"item_id = '{'k' * 40}2'").count() == 1
        assert [listings.where(f"updated_at = timestamp'{time}'").count() for time in times[1:]] == [1, 1]
    frame = DeltaTable(workspace.table("listings")).to_pandas().sort_values("item_id")
    assert [time.isoformat() for time in frame["updated_at"]] == [
        str(datetime.fromisoformat(t)).replace(" ", "T") for t in times
    ]
    for name in ("listings", "listing_rejects", "listing_tombstones"):
        assert len(DeltaTable(workspace.table(name)).to_pandas())
        for file in Path(workspace.table(name)).rglob("*.parquet"):
            physical = pq.ParquetFile(file).schema
            assert "INT96" not in {physical.column(i).physical_type for i in range(len(physical))}, file


def test_a_table_of_an_older_version_gains_the_columns_of_today(spark, tmp_path: Path) -> None:
    workspace, feed = Workspace(str(tmp_path / "w")), tmp_path / "feed.jsonl"
    schema = LISTINGS.arrow_schema()
    old = pa.schema([field for field in schema if field.name != "lost_letters"])
    DeltaTable.create(workspace.table("listings"), old, partition_by=["locale"])
    for title, share in (("Gr\ufffd\ufffde", 2 / 5), ("a sound title", None), ("?ber Land", 1 / 8)):
        feed.write_bytes(_line("one", title=title))
        ingest_feed(spark, workspace, [str(feed)], run_id="one", max_reject_share=0)
        assert _listings(workspace)["one"]["lost_letters"] == (None if share is None else pytest.approx(share))
