"""A full feed deletes only what it is sure to lack."""

import json
from collections import Counter

import pytest

from m5model.feeds.sources import FeedFiles, LeftOut
from spark.ingest.deciding.absence import find_complete_locales
from spark.ingest.judging.judge import judge_lines
from spark.ingest.judging.rules import Limits
from spark.ingest.reading.lines import CSV, JSON, Lines
from spark.ingest.staging.tally import Tally

GOOD = [{"locale": locale, "item_id": "1", "title": "a title", "language": "en"} for locale in ("US", "DE", "FR")]


def _tally(*raw: bytes, raw_format: str = JSON) -> Tally:
    lines = [*(json.dumps(record).encode() for record in GOOD), *raw]
    tally = Tally()
    formats = [*[JSON] * len(GOOD), *[raw_format] * len(raw)]
    tally.count(judge_lines(Lines(lines, formats, [None] * len(lines)), Limits()))
    return Tally.from_json(json.loads(json.dumps(tally.as_json())))


@pytest.mark.parametrize(
    ("record", "unknown"),
    [
        (b'{"locale":"DE","item_id":7.5,"title":"t"}', {"DE": 1}),
        (b'{"locale":"DE","item_id":{"id":1},"title":"t"}', {"DE": 1}),
        (b'{"locale":"DE","title":"t"}', {"DE": 1}),
        (b'{"locale":"DE","item_id":" ","title":"t"}', {"DE": 1}),
        (b'{"locale":"JP","item_id":null,"title":"t"}', {"JP": 1}),
        (b'{"locale":"DE","item_id":"\\ud800","title":"t"}', {"DE": 1}),
        (b'{"locale":"DE","item_id":"a\\ufffd","title":"t"}', {"DE": 1}),
        (b'{"locale":"ja","item_id":"2","title":"t"}', {"any": 1}),
        (b'{"locale":"AT","item_id":"2","title":"t"}', {"any": 1}),
        (b'{"locale":"\\ud800","item_id":"2","title":"t"}', {"any": 1}),
        (b'{"locale":"de","item_id":"2","title":"t"}', {}),
        (b'{"locale":["DE"],"item_id":"2","title":"t"}', {"any": 1}),
        (b'{"item_id":"2","title":"t"}', {"any": 1}),
        (b'{"locale":"DE","item_id":"2', {"any": 1}),
        (b'{"locale":"DE","item_id":"\xff"}', {"any": 1}),
        (b'{"locale":"DE","item_id":"2"}', {}),
        (b'{"locale":"DE","item_id":"2","title":5}', {}),
        (b'{"locale":"DE","item_id":"2","title":"t","updated_at":"9999-12-31"}', {}),
        (b'{"locale":"DE","item_id":"2","deleted":true}', {}),
    ],
)
def test_a_reject_of_unknown_key_spares_what_it_may_be(record: bytes, unknown: dict[str, int]) -> None:
    tally = _tally(record)
    assert tally.unknown_keys == Counter(unknown)
    absence = find_complete_locales(tally, FeedFiles())
    expected = () if "any" in unknown else tuple(sorted({"US", "DE", "FR"} - unknown.keys()))
    assert absence.locales == expected
    assert len(absence.warnings) == len(unknown)


def test_a_damaged_row_of_csv_spares_everything() -> None:
    absence = find_complete_locales(_tally(b"DE,2", raw_format=CSV), FeedFiles())
    assert (absence.locales, len(absence.warnings)) == ((), 1)


@pytest.mark.parametrize("reason", ["hidden", "unknown_ending", "empty", "no_file"])
def test_files_that_were_not_read_spare_everything_if_they_may_hold_records(reason: str) -> None:
    for may_hold_records, locales in ((True, ()), (False, ("DE", "FR", "US"))):
        left_out = LeftOut(path="feed/x.tsv", reason=reason, may_hold_records=may_hold_records)
        absence = find_complete_locales(_tally(), FeedFiles(left_out=[left_out]))
        assert absence.locales == locales
        assert ("feed/x.tsv" in "".join(absence.warnings)) == may_hold_records


def test_a_region_of_which_nothing_was_read_spares_everything() -> None:
    absence = find_complete_locales(_tally(), FeedFiles(unread_paths=["feed/region2"]))
    assert absence.locales == ()
    assert "feed/region2" in absence.warnings[0]
