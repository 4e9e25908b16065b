"""Some rows of each real catalogue through every stage. Runs where the catalogues are, and says so where not."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks.inputs.listings import REAL_CATALOGUE
from jobs import distill_student, embed_catalog, ingest_catalog, publish_features, sample_training_set, train_model

FILES = sorted(REAL_CATALOGUE.glob("*.parquet"))
ROWS_OF_EACH = 60

pytestmark = pytest.mark.skipif(not FILES, reason="no real catalogues here; M5_REAL_CATALOGUE names their folder")


def test_real_listings_go_the_whole_way_with_every_row_accounted_for(
    tmp_path: Path, report_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "feeds").mkdir()
    for file in FILES:
        pq.write_table(pq.read_table(file).slice(0, ROWS_OF_EACH), tmp_path / "feeds" / file.name)
    monkeypatch.setenv("M5_WORKSPACE", str(tmp_path / "workspace"))

    def lost(accounting: dict) -> int:
        outcomes = ("written", "unchanged", "superseded", "rejected")
        return accounting["rows_in"] - sum(accounting[k] for k in outcomes) - sum(accounting["left_out"].values())

    tiny = ("--preset", "tiny", "--steps", "20", "--threads", "1")
    ingested = report_of(ingest_catalog, "--feed", str(tmp_path / "feeds"))["accounting"]
    assert (ingested["rows_in"], lost(ingested)) == (ROWS_OF_EACH * len(FILES), 0)
    sampled = report_of(sample_training_set, "--plan", "natural")["accounting"]
    assert (sampled["rows_in"], lost(sampled)) == (ingested["written"], 0)
    assert report_of(train_model, *tiny)["rows_read"] == sampled["written"]
    assert report_of(distill_student, *tiny, "--min-correlation", "-1")["rows_read"] == sampled["written"]
    embedded = report_of(embed_catalog)["accounting"]
    assert (embedded["rows_in"], embedded["written"], lost(embedded)) == (ingested["written"], ingested["written"], 0)
    views = report_of(publish_features)["views"]
    assert {view["rows_read"] for view in views.values()} == {embedded["written"]}
    assert all(views[name]["rows_made"] == embedded["written"] for name in ("ctr", "search"))
