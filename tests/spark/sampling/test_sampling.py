"""Training sets: the same rows anywhere, pinned for good."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from delta.tables import DeltaTable

from schemas.errors import GateRefusedError
from schemas.training_set import DATA_FOLDER
from schemas.workspace import Workspace
from spark.delta.tables import vacuum_table
from spark.ingest.ingest import ingest_feed
from spark.sampling import sample as sample_module
from spark.sampling.draw import draw_rows, shape_training_rows
from spark.sampling.duplicates import EXACT, NEAR, label_duplicates
from spark.sampling.minhash import signatures
from spark.sampling.plans import BalancePlan
from spark.sampling.sample import SampleResult, SampleSettings, sample_training_set, take_stock
from spark.sampling.versions import hash_content

PLAN = BalancePlan(name="p", cap=0.5, floor=0.2)


def name(locale: str, number: int) -> str:
    """Titles that are no near duplicates of each other."""
    return f"title {hashlib.sha256(f'{locale}{number}'.encode()).hexdigest()}"


def _feed(folder: Path) -> str:
    """Listings of three locales, and one more that repeats the text of another."""
    shares = {("US", "en"): 60, ("DE", "de"): 25, ("JP", "ja"): 12}
    fixed = {"attributes": {"b": "2", "a": "1"}}
    lines = [
        json.dumps({"locale": locale, "language": language, "item_id": str(i), "title": name(locale, i), **fixed})
        for (locale, language), count in shares.items()
        for i in range(count)
    ]
    lines.append(json.dumps({"locale": "US", "language": "en", "item_id": "copy", "title": name("US", 0), **fixed}))
    file = folder / "feed.jsonl"
    file.write_text("\n".join(lines))
    return str(file)


def _sample(spark, workspace: Workspace, **options: object) -> SampleResult:
    values: dict = {"name": "set", "plan": PLAN, **options}
    return sample_training_set(spark, workspace, SampleSettings(**values))


@pytest.fixture(scope="module")
def workspace(spark, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("sampling")
    workspace = Workspace(str(folder / "workspace"))
    ingest_feed(spark, workspace, [_feed(folder)], run_id="r")
    return workspace


def test_the_same_plan_gives_the_same_version_and_nothing_is_written_twice(spark, workspace: Workspace) -> None:
    first, again = _sample(spark, workspace), _sample(spark, workspace)
    assert first.manifest.rows == 60
    assert first.manifest.rows_by_language == {"de": 18, "en": 30, "ja": 12}
    assert (again.is_new, again.manifest) == (False, first.manifest)
    first.accounting.verify("sample")
    assert _sample(spark, workspace, seed=1).manifest.content_hash != first.manifest.content_hash


def test_rows_and_hash_do_not_depend_on_how_the_table_is_laid_out(spark, workspace: Workspace) -> None:
    listings = spark.read.format("delta").load(workspace.table("listings"))
    wanted = {("en", "US"): 30, ("de", "DE"): 18, ("ja", "JP"): 12}
    available = {("en", "US"): 60, ("de", "DE"): 25, ("ja", "JP"): 12}
    listings = listings.where("item_id <> 'copy'")
    drawn = [shape_training_rows(draw_rows(listings.repartition(n), wanted, available, seed=3)) for n in (1, 2, 7)]
    assert drawn[0].count() == 60
    assert hash_content(drawn[0]) == hash_content(drawn[1]) == hash_content(drawn[2])


def test_a_training_set_survives_what_happens_to_the_listings(spark, tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path / "w"))
    ingest_feed(spark, workspace, [_feed(tmp_path)], run_id="r")
    manifest = _sample(spark, workspace).manifest
    data = Path(workspace.training_set("set", manifest.version)) / DATA_FOLDER
    before = {file.name: file.read_bytes() for file in data.glob("*.parquet")}
    listings = DeltaTable.forPath(spark, workspace.table("listings"))
    listings.update(set={"title": "'overwritten'"})
    vacuum_table(spark, workspace.table("listings"), 0)
    assert {file.name: file.read_bytes() for file in data.glob("*.parquet")} == before
    opened = load_dataset("parquet", data_files=[str(file) for file in data.glob("*.parquet")], cache_dir=str(tmp_path / "hf"))
    rows = opened["train"]
    assert rows.num_rows == manifest.rows
    assert all(title.startswith("title ") for title in rows["title"])
    assert rows[0]["attributes"] == [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]


def test_a_draw_that_breaks_the_plan_is_refused(spark, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def draw_too_few(*arguments):
        return draw_rows(*arguments).where("locale <> 'JP'")

    monkeypatch.setattr(sample_module, "draw_rows", draw_too_few)
    with pytest.raises(GateRefusedError, match="ja in JP: 0, planned 12"):
        _sample(spark, workspace)


def test_what_a_small_language_lacks_is_repeated_and_counted(spark, workspace: Workspace) -> None:
    result = _sample(spark, workspace, plan=BalancePlan(name="even", exponent=0.0, rows=90, max_repeats=3))
    assert result.manifest.rows_by_language == {"de": 30, "en": 30, "ja": 30}
    assert result.manifest.listings_by_language == {"de": 25, "en": 30, "ja": 12}
    result.accounting.verify("sample")
    folder = Path(workspace.training_set("set", result.manifest.version))
    rows = pq.read_table(folder / DATA_FOLDER).to_pylist()
    assert len({(row["locale"], row["item_id"], row["copy"]) for row in rows}) == 90
    assert max(row["copy"] for row in rows if row["language"] == "ja") == 2


def test_shares_can_be_counted_in_tokens(spark, workspace: Workspace) -> None:
    plan = BalancePlan(name="tokens", exponent=0.0, rows=1_500, unit="tokens", max_repeats=4)
    manifest = _sample(spark, workspace, plan=plan).manifest
    longest = len(name("US", 1)) + 20
    assert all(500 - longest <= tokens <= 500 for tokens in manifest.tokens_by_language.values())


def test_duplicates_are_left_out_of_the_stock_unless_they_are_to_be_kept(spark, workspace: Workspace) -> None:
    listings = spark.read.format("delta").load(workspace.table("listings"))
    for keep, rows in ((False, 60), (True, 61)):
        stock = take_stock(listings, SampleSettings(name="set", plan=PLAN, keep_duplicates=keep))
        assert stock.available("rows")["en", "US"] == rows
        assert stock.counts.get(("en", "US", EXACT), 0) == 61 - rows
        stock.labelled.unpersist()


def test_exact_and_near_duplicates_are_left_out_by_name_and_one_of_each_group_stays(spark) -> None:
    base = name("US", 1) + name("US", 2) + name("US", 3)
    texts = {"a": base, "b": base, "c": base + " xl", "d": name("US", 4), "e": base.upper()}
    rows = [("US", key, "en", text, None, None, text.lower()) for key, text in texts.items()]
    keys = "locale string, item_id string, language string"
    texts_of = "title string, bullets array<string>, description string, text_hash string"
    labelled = label_duplicates(spark.createDataFrame(rows, f"{keys}, {texts_of}"))
    found = {row["item_id"]: row["duplicate"] for row in labelled.collect()}
    assert found["d"] is None
    assert Counter(found.values())[EXACT] == 2
    assert sorted(found[key] or "" for key in "abce") in (["", EXACT, EXACT, NEAR],)


def test_signatures_estimate_the_similarity_of_texts() -> None:
    base = "".join(name("US", i) for i in range(10))
    near, far = base[: len(base) * 9 // 10], "".join(name("UK", i) for i in range(10))
    signed = signatures([base, near, far, "", "ab"])
    equal = [float((signed[0] == other).mean()) for other in signed]
    assert equal[0] == 1
    assert 0.75 < equal[1] < 1
    assert equal[2] < 0.2
    assert np.array_equal(signatures([near])[0], signed[1])
