"""Locales, workspace, accounting and vector spaces."""

from dataclasses import fields, replace

import pytest

from schemas.errors import GateRefusedError
from schemas.locales import LANGUAGES, LOCALES
from schemas.report import Accounting
from schemas.space import VectorSpace
from schemas.workspace import Workspace


def test_there_are_15_locales_and_all_10_languages_are_spoken_in_them() -> None:
    assert len(LOCALES) == 15
    assert {language for locale in LOCALES.values() for language in locale.languages} == set(LANGUAGES)


def test_a_lost_row_is_refused_and_a_whole_account_is_not() -> None:
    whole = Accounting(rows_in=10, written=4, unchanged=2, superseded=1, left_out={"balance:en": 2}, rejected=1)
    whole.verify("job")
    with pytest.raises(GateRefusedError, match="11 in, 10 accounted for"):
        replace(whole, rows_in=11).verify("job")


def test_the_workspace_is_the_flag_then_the_environment_then_the_default() -> None:
    assert Workspace.resolve("/a", {"M5_WORKSPACE": "/b"}).root == "/a"
    assert Workspace.resolve(None, {"M5_WORKSPACE": "s3://bucket/m5/"}).root == "s3a://bucket/m5"
    assert Workspace.resolve(None, {}).root.endswith("/workspace")


def test_every_part_of_a_space_changes_its_id() -> None:
    space = VectorSpace(
        rendering="r",
        vocabulary_sha256="v",
        max_tokens=128,
        pooling="mean",
        weights_sha256="w",
        quantization="none",
        runtime="r",
    )
    others = {replace(space, **{f.name: 9 if f.name == "max_tokens" else "other"}).space_id for f in fields(space)}
    assert len(others | {space.space_id}) == len(fields(space)) + 1
