"""Letters of which only a mark is left are counted, warned of, and too many of them reject a title."""

import json

import pytest

from schemas.reject import MAX_LOST_LETTERS
from spark.ingest.cleaning.lost_letters import share_lost
from spark.ingest.judging.judge import Judged, judge_lines
from spark.ingest.judging.rules import Limits
from spark.ingest.reading.lines import JSON, Lines


def _judge(**fields: object) -> Judged:
    raw = json.dumps({"locale": "DE", "item_id": "1", "language": "de"} | fields).encode()
    return judge_lines(Lines([raw], [JSON], [None]), Limits())


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("Gr\ufffd\ufffde", 2 / 5),
        ("Cï¿½mera", 1 / 6),
        ("Gr??e", 2 / 5),
        ("??? ????? 500", 1.0),
        ("Fum?e ? Bio", 2 / 9),
        ("Caf? au lait", 1 / 10),
        ("Sound text", 0.0),
    ],
)
def test_the_share_of_lost_letters_is_counted(text: str, share: float) -> None:
    assert share_lost(text, is_name=True) == pytest.approx(share)


@pytest.mark.parametrize("text", ["What is it? A lamp.", "Really???", "https://a.b/c?d=e&f", "Why? Because (ok?)."])
def test_questions_and_addresses_in_prose_are_no_lost_letters(text: str) -> None:
    assert share_lost(text) == 0


def test_few_lost_letters_are_a_warning_with_their_share() -> None:
    judged = _judge(title="Stehlampe gr\ufffd\ufffdn", description="Sch?n")
    assert judged.verdicts == {}
    assert judged.columns["warnings"] == [["letters_lost"]]
    assert judged.columns["lost_letters"] == [pytest.approx(1 / 5)]
    assert judged.damaged_fields == {0: ["title:letters_lost", "description:letters_lost"]}
    assert judged.columns["repairs"] == [[]]


def test_too_many_lost_letters_of_the_title_are_a_reject() -> None:
    assert MAX_LOST_LETTERS == 0.5
    assert _judge(title="???? ???").verdicts[0].reasons == ["letters_lost"]
    assert _judge(title="Lampe", description="???? ???").verdicts == {}
    assert _judge(title="???? ???", deleted=True).verdicts == {}


def test_half_of_a_surrogate_pair_is_a_named_repair_and_a_lost_letter() -> None:
    judged = _judge(title="Lampe \ud83d kaputt")
    assert judged.columns["title"] == ["Lampe \ufffd kaputt"]
    assert judged.columns["repairs"] == [["surrogates"]]
    assert judged.columns["warnings"] == [["letters_lost"]]


def test_repairs_are_counted_by_field() -> None:
    judged = _judge(title="GrÃ¶Ãe", brand="CafÃ©", attributes={"LÃ¤nge": "5KG"})
    assert judged.repaired_fields == {0: ["attributes:mojibake", "attributes:units", "brand:mojibake", "title:mojibake"]}
