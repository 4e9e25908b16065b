"""``projection``: trained maps of queries' and listings' vectors to a search index's dimensions; the encoder stays as it is.

The listings' map is what ``features/search`` applies, so that an index holds trained vectors; its first dimensions rank alone.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from m5model.partners.strategy import Given
from m5model.partners.towers import Towers, load_towers
from m5model.partners.vector_map import require_dimensions
from schemas.checks import at_least, is_number, is_whole, require

if TYPE_CHECKING:
    from m5model.partners.tower_training import TowerPlan

SUMMARY = "trained maps of queries' and listings' vectors to an index's dimensions"
NEEDS = "some hundred judged queries, a student bundle, torch (m5[train]) to train"
COSTS = "the encoding of every text once, then a minute; a matrix product a query afterwards"
GOOD_FOR = "search by an index of listings' vectors, in the query's language and across languages"
SERVES = ("relevance",)
USES_VECTORS = True
TRAINS_ENCODER = False


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Raises ConfigurationError that lists every problem at once."""

    dimensions: int = 256  # of the index: 256, 768 or 1,024, at most as many as the bundle's vectors have
    prefixes: tuple[int, ...] = (64, 128)  # first dimensions that are trained to rank by themselves
    rounds: int = 20  # over the queries that are learned from, at most
    queries: int = 128  # of a step
    learning_rate: float = 3e-4
    temperature: float = 0.05

    def __post_init__(self) -> None:
        rules = at_least(self, dimensions=2, rounds=0, queries=2)
        rules |= {
            f"{name} is {getattr(self, name)!r}, expected a number up to 1 above 0": is_number(getattr(self, name), 1e-9, 1)
            for name in ("learning_rate", "temperature")
        }
        rules[f"prefixes are {self.prefixes!r}, expected whole numbers of 2 or more"] = all(
            is_whole(one, 2) for one in self.prefixes
        )
        require("settings of towers", rules)


def fit(given: Given, settings: Settings) -> Towers:
    """The maps that rank validate best."""
    from m5model.partners.tower_fitting import fit_projection

    return fit_projection(given, plan_of(given, settings), settings.dimensions)


def plan_of(given: Given, settings: Settings) -> "TowerPlan":
    """Says how towers are trained. Raises ConfigurationError where the vectors have fewer dimensions than are asked for."""
    from m5model.partners.tower_training import TowerPlan

    if given.vectors is not None:
        require_dimensions(settings.dimensions, given.vectors.dimensions)
    return TowerPlan(
        rounds=settings.rounds,
        queries=settings.queries,
        learning_rate=settings.learning_rate,
        temperature=settings.temperature,
        prefixes=tuple(one for one in settings.prefixes if one < settings.dimensions),
    )


def load(folder: Path) -> Towers:
    return load_towers(folder)
