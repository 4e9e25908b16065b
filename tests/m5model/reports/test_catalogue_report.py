"""The report's page: one file with all figures in it, seller's text escaped, right-to-left text marked."""

import json
import re
from html.parser import HTMLParser

from m5model.reports.catalogue.facts import Balance, CatalogueFacts, Example, Lengths, RejectExample
from m5model.reports.catalogue.page import render_page

LENGTHS = Lengths(
    language="en",
    listings=900,
    characters=100.0,
    mean=25.0,
    median=24,
    p95=60,
    longest=130,
    truncated_share=0.02,
    histogram=[800, 90, 10],
)
FACTS = CatalogueFacts(
    workspace="/data/m5",
    made_at="2026-03-01T00:00:00+00:00",
    listings_version=7,
    rows=1_234,
    rows_by_locale={"US": {"en": 900}, "SA": {"ar": 300, "en": 34}},
    language_sources={"declared": 1_000, "detected": 234},
    warnings={"language_disagrees": 3},
    repairs={"mojibake": 5},
    rejects={"unknown_locale": 2},
    rejected_records=2,
    unit="tokens of student-x",
    max_tokens=128,
    histogram_edges=[0, 50, 100],
    lengths=[LENGTHS, Lengths(**{**LENGTHS.__dict__, "language": "ar", "mean": 50.0})],
    examples=[
        Example(locale="SA", language="ar", item_id="1", title="قميص أحمر"),
        Example(locale="US", language="en", item_id="2", title="<script>alert(1)</script>"),
    ],
    reject_examples=[RejectExample(reasons=["unknown_locale"], detail="XX", raw='{"locale": "XX"}', occurrences=2)],
    balance=Balance(
        name="base/v7-1",
        plan={"name": "cap-floor", "floor": 0.05, "cap": 0.25, "exponent": 1.0, "unit": "rows"},
        available={"en": 934, "ar": 300},
        rows={"en": 300, "ar": 300},
        tokens={"en": 7_500, "ar": 15_000},
        token_unit="tokens of student-x",
        duplicates={"US": {"rows": 900, "exact_duplicate": 9, "near_duplicate": 18}},
    ),
)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)


def test_the_page_is_one_file_that_shows_every_figure() -> None:
    page = render_page(FACTS)
    for shown in ("1,234", "unknown_locale", "mojibake", "language_disagrees", "base/v7-1", "2.00", "130", "15,000"):
        assert shown in page, shown
    assert not re.search(r"(?:src|href)\s*=|url\(|@import", page), "nothing is loaded from elsewhere"


def test_text_of_sellers_is_escaped_and_arabic_runs_from_the_right() -> None:
    page = render_page(FACTS)
    parser = _Tags()
    parser.feed(page)
    assert "script" not in parser.tags
    assert '<td lang="ar" dir="rtl">قميص أحمر</td>' in page


def test_without_a_training_set_the_page_says_what_makes_one() -> None:
    page = render_page(CatalogueFacts(**{**FACTS.__dict__, "balance": None, "rejects": {}, "reject_examples": []}))
    assert "jobs/sample_training_set.py" in page
    assert "No record was rejected." in page


def test_premium_is_tokens_a_character_over_the_cheapest_language() -> None:
    found = json.loads(json.dumps(FACTS.as_json()))
    assert found["token_premium"] == {"en": 1.0, "ar": 2.0}
    assert found["rows_by_language"] == {"ar": 300, "en": 934}
