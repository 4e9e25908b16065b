"""The report's facts are those of the tables."""

import json
from pathlib import Path

from schemas.workspace import Workspace
from spark.ingest.ingest import ingest_feed
from spark.reports.catalogue_facts import gather_facts


def test_facts_count_what_lies_in_the_tables(spark, tmp_path: Path) -> None:
    records = [{"locale": "US", "item_id": str(i), "title": f"red shirt {i}", "language": "en"} for i in range(40)]
    records += [{"locale": "SA", "item_id": str(i), "title": f"قميص  أحمر {i}", "language": "ar"} for i in range(10)]
    records += [{"locale": "XX", "item_id": "a", "title": "t"}, {"locale": "US", "item_id": "b"}]
    feed = tmp_path / "feed.jsonl"
    feed.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    workspace = Workspace(str(tmp_path / "workspace"))
    ingest_feed(spark, workspace, [str(feed)], run_id="r", max_reject_share=1)
    facts = gather_facts(spark, workspace)
    assert facts.rows_by_locale == {"SA": {"ar": 10}, "US": {"en": 40}}
    assert (facts.rows, facts.rejected_records) == (50, 2)
    assert facts.rejects == {"missing_title": 1, "unknown_locale": 1}
    assert facts.repairs == {"whitespace": 10}
    assert [(found.language, found.listings, sum(found.histogram)) for found in facts.lengths] == [
        ("ar", 10, 10),
        ("en", 40, 40),
    ]
    assert facts.unit == "characters" and facts.balance is None
    details = sorted(example.detail for example in facts.reject_examples)
    assert details[0] == "missing_title: title is absent or empty"
    assert details[1].startswith("unknown_locale: 'XX' is no store front; write one of AE, ")
    assert len(details) == 2
