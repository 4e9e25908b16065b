"""What is broken on purpose fits the code of today; benchmarks/broken_on_purpose.py breaks it and runs the tests."""

from pathlib import Path

import pytest

from benchmarks.inputs.breaks import BREAKS, Break

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("one", BREAKS, ids=lambda one: one.name)
def test_the_text_stands_once_in_its_file_and_the_named_test_exists(one: Break) -> None:
    assert (ROOT / one.file).read_text(encoding="utf-8").count(one.find) == 1
    file, _, name = one.test.partition("::")
    assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text(encoding="utf-8")


def test_there_are_25_at_least_and_no_two_of_one_name() -> None:
    assert len({one.name for one in BREAKS}) == len(BREAKS) >= 25
