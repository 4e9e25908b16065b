"""The job that brings labels in: it pins what keys name, and refuses bad feeds and flags."""

import json
from pathlib import Path

from jobs import import_labels as job
from m5model.data.label_sets import open_label_set
from m5model.data.set_versions import find_label_set
from schemas.workspace import Workspace


def test_the_job_pins_listings_by_key_and_a_later_ingest_changes_nothing(tmp_path: Path, spark, report_of) -> None:
    from spark.ingest.ingest import ingest_feed

    workspace, feed = Workspace(str(tmp_path / "w")), tmp_path / "listings.jsonl"

    def ingest(word: str, run: str) -> None:
        listings = [{"locale": "DE", "item_id": str(i), "language": "de", "title": f"{word} {i}"} for i in range(4)]
        feed.write_text("\n".join(map(json.dumps, listings)))
        ingest_feed(spark, workspace, [str(feed)], run_id=run)

    ingest("Schuh", "r1")
    labels = tmp_path / "labels.csv"
    labels.write_text("locale,item_id,label\nDE,0,shoe\nDE,1,shoe\nDE,9,shoe\n")
    flags = ["--kind", "classes", "--feed", str(labels), "--name", "set", "--workspace", workspace.root]
    report = report_of(job, *flags, "--set", "scheme=type", "--max-reject-share", "0.5")
    assert report["accounting"]["rejected_reasons"] == {"unknown_listing": 1}
    assert (report["listings"], report["is_new"], report["accounting"]["written"]) == (2, True, 2)
    before = open_label_set(find_label_set(workspace, "set"))
    ingest("Stiefel", "r2")
    after = open_label_set(find_label_set(workspace, "set"))
    texts = [sorted(row["text"] for split in opened.splits.values() for row in split) for opened in (before, after)]
    assert texts == [["Schuh 0", "Schuh 1"]] * 2


def test_the_job_ends_with_3_beyond_the_allowed_share_and_with_2_for_bad_flags(tmp_path: Path, capsys) -> None:
    feed = tmp_path / "pairs.jsonl"
    feed.write_text(json.dumps({"left_text": "a", "right_text": "a", "is_match": True}))
    flags = ["--kind", "pairs", "--feed", str(feed), "--name", "set", "--workspace", str(tmp_path / "w")]
    assert job.main(flags) == 3
    assert "same_listing_twice 1" in capsys.readouterr().err
    assert job.main([*flags, "--map", "nothing"]) == 2
