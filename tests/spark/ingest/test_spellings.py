"""Names of fields are compared as they are written, in every form; a reject says which name may have been meant."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from m5model.feeds.sources import find_feed_files
from m5model.feeds.splits import Split, read_split
from spark.ingest.judging.judge import judge_lines
from spark.ingest.judging.rules import Limits
from spark.ingest.reading.lines import JSON, Lines

FORMS = {
    "csv": b"LOCALE,Item ID,title,brand\nDE,1,a title,\n",
    "jsonl": b'{"LOCALE":"DE","Item ID":"1","title":"a title"}\n',
    "xml": b"<rss><channel><item><LOCALE>DE</LOCALE><Item-ID>1</Item-ID><title>a title</title></item></channel></rss>",
}


@pytest.mark.parametrize("form", [*FORMS, "parquet"])
def test_a_name_in_another_spelling_is_no_field_and_is_named_in_the_reject(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"a.{form}"
    if form == "parquet":
        pq.write_table(pa.table({"LOCALE": ["DE"], "Item ID": ["1"], "title": ["a title"]}), path)
    else:
        path.write_bytes(FORMS[form])
    (file,) = find_feed_files([str(path)]).files
    (block,) = [block for block in read_split(Split(file=file)) if len(block.records)]
    verdict = judge_lines(Lines(block.records, [JSON], [None], columns=block.columns), Limits()).verdicts[0]
    assert verdict.reasons == ["missing_item_id", "missing_locale"]
    assert verdict.detail is not None
    assert verdict.detail.endswith(
        f"the record has 'Item{'-' if form == 'xml' else ' '}ID', 'LOCALE': names are compared as they are written"
    )


@pytest.mark.parametrize(
    "raw", [b'{"item_id":"1","locale":"DE","brand":"b"}', b'{"item_id":"1","locale":"DE","title":""}', b"[]"]
)
def test_where_nothing_was_meant_nothing_is_said(raw: bytes) -> None:
    verdict = judge_lines(Lines([raw], [JSON], [None]), Limits()).verdicts[0]
    assert "written" not in (verdict.detail or "")


def test_an_id_that_a_spreadsheet_rounded_is_rejected_and_one_that_only_looks_odd_is_not() -> None:
    ids = ("4.00712E+12", "4,00712e+12", "4E+12", "4.00712E12", "E+12", "4.00712E-12", "40E+1x")
    raw = [b'{"locale":"DE","title":"a title","item_id":"%s"}' % item_id.encode() for item_id in ids]
    judged = judge_lines(Lines(raw, [JSON] * len(raw), [None] * len(raw)), Limits())
    assert [judged.verdicts[i].reasons for i in range(3)] == [["invalid_item_id"]] * 3
    assert all("a spreadsheet rounded it" in (judged.verdicts[i].detail or "") for i in range(3))
    assert sorted(judged.verdicts) == [0, 1, 2]
    assert judged.columns["item_id"] == [None] * 3 + list(ids[3:])
