from dataclasses import dataclass

import pytest

from m5model.runtime.rendering import DEFAULT_RENDERING
from schemas.canonical import canonical_json, identify


@dataclass(frozen=True)
class Settings:
    steps: int
    rate: float
    names: tuple[str, ...] = ()


def test_equal_values_give_equal_text_whatever_they_are_made_of() -> None:
    expected = '{"names":["ä"],"rate":1,"steps":2}'
    assert canonical_json(Settings(2, 1.0, ("ä",))) == expected
    assert canonical_json({"steps": 2, "rate": 1, "names": ["ä"]}) == expected
    assert canonical_json({"names": ("ä",), "rate": 1.0, "steps": 2}) == expected


def test_other_values_give_other_ids() -> None:
    ids = {identify(value) for value in (1, 1.5, "1", True, None, [1], {"a": 1}, {"a": [1]}, {"a": {}})}
    assert len(ids) == 9


@pytest.mark.parametrize("value", [object(), {1: "a"}, {"a": {2, 3}}, b"a"])
def test_what_json_does_not_hold_gets_no_id(value: object) -> None:
    with pytest.raises(TypeError):
        identify(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_gets_no_id(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        identify({"a": value})


def test_the_rendering_keeps_its_id() -> None:
    """Fingerprints of all vectors hang on it: whoever changes it embeds every catalogue again."""
    assert DEFAULT_RENDERING.rendering_id == "44c59d8fe25a"
