"""The one test of whether vectors of two spaces may be compared."""

import pytest

from schemas.errors import SpaceMismatchError
from schemas.space import ComparableSpaces, SameSpace

EVIDENCE = ComparableSpaces.of([("small", (SameSpace(bundle="student-large", space_id="large"),)), ("other", ())])


def test_spaces_are_one_where_they_are_the_same_or_evidence_says_so_whichever_is_named_first() -> None:
    EVIDENCE.require_one(["small"])
    EVIDENCE.require_one(["large", "small", "large"])
    assert EVIDENCE.are_one("other", "other")
    ComparableSpaces().require_one([])


def test_two_spaces_are_refused_by_an_error_that_names_both_and_says_what_would_make_them_one() -> None:
    for spaces, named in ((["small", "other"], "other and small"), (["large", "small", "other"], "large and other")):
        with pytest.raises(SpaceMismatchError, match=rf"(?s)spaces {named} .*m5 distill --same-space-as"):
            EVIDENCE.require_one(spaces)


def test_two_query_spaces_of_one_document_space_are_not_one_by_that() -> None:
    large = SameSpace(bundle="student-large", space_id="large")
    evidence = ComparableSpaces.of([("first", (large,)), ("second", (large,))])
    with pytest.raises(SpaceMismatchError, match="first and second"):
        evidence.require_one(["first", "large", "second"])
