"""Labels come in: every row is judged, split by entity and accounted for, and the same feed gives the same version."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from m5model.cli import main
from m5model.data.label_sets import open_label_set
from m5model.data.set_versions import find_label_set
from m5model.feeds.sources import find_feed_files
from m5model.labels.judging import judge
from m5model.labels.reading import ColumnMap, read_columns, read_rows
from m5model.labels.splitting import SplitPlan, read_shares
from schemas.errors import BadDataError, ConfigurationError, DamagedFileError
from schemas.labels import LABEL_KINDS, PINNED_LISTINGS
from schemas.workspace import Workspace
from spark.labels.import_labels import ImportResult, ImportSettings, Pinned, import_labels


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path / "workspace"))


def _never(keys):
    raise AssertionError(f"asked for {keys}")


def _import(workspace: Workspace, kind: str, rows, *, pin=_never, **values) -> ImportResult:
    kind_of = LABEL_KINDS[kind]
    settings = {"name": "set", "kind": kind_of, "columns": ColumnMap(kind=kind_of), "max_reject_share": 1.0, **values}
    return import_labels(workspace, ImportSettings(**settings), rows, pin)


def _pair(left: str, right: str, is_match: object = False, **more) -> dict:
    return {"left_text": left, "right_text": right, "is_match": is_match, **more}


def _products(count: int) -> list[dict]:
    """Three offers of every product match each other; the first one also stands beside the next product's."""
    rows = []
    for i in range(count):
        a, b, c = (f"product {i} offer {k}" for k in "abc")
        rows += [_pair(a, b, True), _pair(b, c, True), _pair(a, f"product {(i + 1) % count} offer a")]
    return rows


def _open(workspace: Workspace):
    return open_label_set(find_label_set(workspace, "set"))


def test_the_same_feed_in_any_order_gives_the_same_version_which_is_written_once(workspace) -> None:
    first = _import(workspace, "pairs", _products(30))
    again = _import(workspace, "pairs", reversed(_products(30)))
    assert first.is_new and not again.is_new
    assert again.manifest == first.manifest
    other = _import(workspace, "pairs", _products(30), split=SplitPlan(seed=1))
    assert other.is_new and other.manifest.version != first.manifest.version


def test_products_are_the_components_of_matches_and_none_that_is_learned_from_is_in_another_split_unless_half_seen(
    workspace,
) -> None:
    manifest = _import(workspace, "pairs", _products(200)).manifest
    splits = _open(workspace).splits
    learned = {row[side] for row in splits["learn"] for side in ("left_entity", "right_entity")}
    counts = Counter()
    for row in splits["test"]:
        seen = len({row["left_entity"], row["right_entity"]} & learned)
        assert seen == 0 or (seen == 1 and row["left_entity"] != row["right_entity"])
        counts["half_seen" if seen else "unseen"] += 1
    assert dict(manifest.novelty["test"]) == {**counts, "seen": 0} and min(counts.values()) > 10
    assert manifest.entities_by_split["learn"] < 200
    texts = {row[side] for row in splits["learn"] for side in ("left_text", "right_text")}
    matches = [row for row in splits["test"] if row["is_match"]]
    assert matches and not texts & {row["left_text"] for row in matches}


def test_every_fault_has_its_reason_and_every_row_is_accounted_for(workspace) -> None:
    rows = [
        _pair("a", "b", True),
        _pair("b", "a", True),
        _pair("c", "d", True),
        _pair("d", "c", False),
        _pair("e", "e", True),
        _pair("f", "g", "perhaps"),
        _pair("h", "i", None),
        {**_pair("j", "k", 1), "left_locale": "US", "left_item_id": "1"},
        {"left_locale": "XX", "left_item_id": "1", "right_text": "l", "is_match": 0},
        {"right_text": "m", "is_match": "true"},
        _pair("n\ud800", "o", True),
        None,
    ]
    result = _import(workspace, "pairs", rows)
    assert dict(result.accounting.rejected_reasons) == {
        "contradictory": 2,
        "same_listing_twice": 1,
        "is_match_wrong_type": 1,
        "is_match_missing": 1,
        "left_key_and_text": 1,
        "left_unknown_locale": 1,
        "left_no_listing": 2,
        "left_text_wrong_type": 1,
        "unreadable": 1,
    }
    assert (result.accounting.written, dict(result.accounting.left_out)) == (1, {"duplicate": 1})
    result.accounting.verify("test")
    assert dict(result.manifest.rejected) == dict(result.accounting.rejected_reasons)


@pytest.mark.parametrize(
    ("kind", "row", "faults"),
    [
        ("classes", {"text": "a", "scheme": "brand", "label": 7}, []),
        ("classes", {"text": "a", "label": "x"}, ["scheme_missing"]),
        ("attributes", {"text": "a", "name": " ", "value": None}, ["name_blank"]),
        ("relevance", {"query": "q", "text": "a", "gain": "1.5"}, ["gain_out_of_range"]),
        ("relevance", {"query": "q", "text": "a", "gain": float("inf")}, ["gain_wrong_type"]),
        ("clicks", {"text": "a", "impressions": 0, "clicks": 2, "position": 0},
         ["impressions_below_one", "clicks_above_impressions", "position_below_one"]),
        ("clicks", {"text": "a", "impressions": 3.5, "clicks": 2}, ["impressions_wrong_type"]),
        ("sessions", {"session": "s", "step": "1", "text": "a", "event": "stare"}, ["unknown_event"]),
        ("sessions", {"session": "s", "step": 0, "text": "a", "event": "view", "at": "soon"},
         ["at_wrong_type", "step_below_one"]),
    ],
)  # fmt: skip
def test_a_row_is_judged_by_what_its_kind_means(kind: str, row: dict, faults: list[str]) -> None:
    assert judge(row, LABEL_KINDS[kind], keep_splits=False)[1] == faults


def test_splits_of_the_feed_are_kept_on_demand_and_a_row_of_two_splits_stays_in_the_later_one(workspace) -> None:
    rows = [
        _pair("a", "b", True, split="train"),
        _pair("b", "a", True, split="test"),
        _pair("a", "c", False, split="valid"),
        _pair("d", "e", True, split="dev"),
        _pair("f", "g", True, split="elsewhere"),
        _pair("h", "i", True),
        _pair("c", "k", False, split="train"),
    ]
    result = _import(workspace, "pairs", rows, split=SplitPlan(keep=True))
    assert result.manifest.rows_by_split == {"learn": 1, "validate": 2, "test": 1}
    assert dict(result.accounting.rejected_reasons) == {"unknown_split": 1, "split_missing": 1}
    assert result.manifest.novelty["validate"] == {"unseen": 1, "half_seen": 1, "seen": 0}


def test_too_many_rejects_or_no_row_at_all_is_refused_and_nothing_is_written(workspace) -> None:
    with pytest.raises(BadDataError, match="1 of 2 rows are rejected, more than 10.0%: same_listing_twice 1"):
        _import(workspace, "pairs", [_pair("a", "a"), _pair("a", "b")], max_reject_share=0.1)
    with pytest.raises(BadDataError, match="no row of 0 is left"):
        _import(workspace, "pairs", [])
    assert not Path(workspace.label_sets).exists()


def _listing(item: str, title: str) -> dict:
    return {"locale": "US", "item_id": item, "language": "en", "title": title, "attributes": [], "content_hash": title}


def test_what_keys_name_is_kept_with_the_set_and_other_content_is_another_version(workspace) -> None:
    rows = [{"locale": "US", "item_id": item, "scheme": "type", "label": "shoe"} for item in ("1", "2", "gone")]

    def pin(title: str):
        listed = [_listing("1", title), _listing("2", "boot")]
        return lambda keys: Pinned(version=7, listings=pa.Table.from_pylist(listed, PINNED_LISTINGS.arrow_schema()))

    result = _import(workspace, "classes", rows, pin=pin("sandal"))
    assert dict(result.accounting.rejected_reasons) == {"unknown_listing": 1}
    assert (result.manifest.listings_version, result.manifest.listings) == (7, 2)
    opened = _open(workspace)
    kept = [row for split in opened.splits.values() for row in split]
    assert sorted(row["text"] for row in kept) == ["boot", "sandal"]
    assert {opened.listing(row)["title"] for row in kept} == {"boot", "sandal"}
    assert _import(workspace, "classes", rows, pin=pin("clog")).manifest.version != result.manifest.version


def test_m5_sets_lists_label_sets_too(workspace, capsys) -> None:
    manifest = _import(workspace, "pairs", _products(30)).manifest
    assert main(["sets", "list", "--workspace", workspace.root]) == 0
    line = capsys.readouterr().out.splitlines()[-1].split()
    assert line[0] == f"set/{manifest.version}" and "pairs" in line and line[-1] == "texts"
    assert main(["sets", "list", "--json", "--workspace", workspace.root]) == 0
    assert json.loads(capsys.readouterr().out)["content_hash"] == manifest.content_hash


def test_a_damaged_label_set_is_refused(workspace) -> None:
    result = _import(workspace, "pairs", _products(3))
    path = workspace.label_set("set", result.manifest.version)
    next(Path(path).rglob("*.parquet")).write_bytes(b"PAR1")
    with pytest.raises(DamagedFileError, match="label set set/"):
        open_label_set(path)
    with pytest.raises(ConfigurationError, match="no label set 'other'.*set/"):
        find_label_set(workspace, "other")


def test_the_same_rows_are_read_from_json_csv_and_parquet_plain_or_compressed(tmp_path: Path) -> None:
    rows = [{"a": "1", "b": "x, y"}, {"a": "2", "b": None}]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\nno json\n")
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(b'\xef\xbb\xbfa,b\r\n1,"x, y"\r\n2,\r\n3,y,too many\r\n'))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    for name, expected in {"rows.jsonl": [*rows, None], "rows.csv.gz": [*rows, None], "rows.parquet": rows}.items():
        assert list(read_rows(find_feed_files([str(tmp_path / name)]))) == expected, name


def test_columns_are_renamed_joined_and_set(tmp_path: Path) -> None:
    columns = read_columns(LABEL_KINDS["classes"], ["text=title+brand", "label=brand"], ["scheme=brand"])
    absent = dict.fromkeys(("locale", "item_id", "entity", "split"))
    assert columns.apply({"title": "Shoe", "brand": "Acme"}) == {
        **absent,
        "text": "Shoe | Acme",
        "scheme": "brand",
        "label": "Acme",
    }
    with pytest.raises(ConfigurationError, match=r"no column 'labl'.*no column 'b'.*label has both"):
        read_columns(LABEL_KINDS["classes"], ["labl=a", "label=c"], ["b=1", "label=2"])
    with pytest.raises(ConfigurationError, match="'text' is no NAME=VALUE"):
        read_columns(LABEL_KINDS["classes"], ["text"], [])


def test_shares_that_make_no_sense_are_named_together() -> None:
    assert read_shares("learn=.5,test=.5") == {"learn": 0.5, "test": 0.5}
    with pytest.raises(ConfigurationError, match=r"shares are of learn, rest.*add up to 1"):
        SplitPlan(shares=read_shares("learn=.5,rest=.2"))
    with pytest.raises(ConfigurationError, match="'half' is not like"):
        read_shares("half")
