"""No number of any settings object takes what is no number, or is none that the work can be done with."""

import math
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest

from schemas.errors import ConfigurationError
from schemas.retention import RETENTION
from spark.embedding.embed import EmbedSettings
from spark.features.registry import load_recipes
from spark.neighbours import NeighbourSettings
from spark.sampling.plans import cap_floor
from spark.sampling.sample import SampleSettings

BROKEN = (math.nan, math.inf, -math.inf, True, "1", [1], 1e300, -(10**40), 10**40)


def _settings() -> Iterator[Any]:
    yield EmbedSettings(threads=1)
    yield SampleSettings(name="x", plan=cap_floor())
    yield cap_floor()
    yield NeighbourSettings()
    yield RETENTION[0]
    yield from (recipe.settings for recipe in load_recipes().values())


NUMBERS = [
    (settings, field.name)
    for settings in _settings()
    if settings is not None
    for field in fields(settings)
    if type(getattr(settings, field.name)) in (int, float)
]


@pytest.mark.parametrize(("settings", "name"), NUMBERS, ids=[f"{type(settings).__name__}.{name}" for settings, name in NUMBERS])
def test_a_broken_number_is_refused_by_its_name(settings: Any, name: str) -> None:
    for value in BROKEN:
        with pytest.raises(ConfigurationError, match=name):
            replace(settings, **{name: value})
