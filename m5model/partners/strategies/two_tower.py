"""``two-tower``: a query's vector from its letters alone (DSSM), in the space of the listings' vectors, which stay as they are.

No encoder runs where queries are answered. See ``projection`` for queries that are encoded.
"""

from dataclasses import dataclass
from pathlib import Path

from m5model.partners.strategies import projection
from m5model.partners.strategy import Given
from m5model.partners.towers import Towers, load_towers
from schemas.checks import at_least, require

SUMMARY = "a query's letter trigrams through dense layers into the space of the listings' vectors (DSSM)"
NEEDS = "many judged queries (thousands: it knows no word that it did not see), a student bundle, torch (m5[train]) to train"
COSTS = "the encoding of every listing once, then minutes; less than a millisecond a query afterwards, without an encoder"
GOOD_FOR = "head queries under a tight latency; beside BM25 in a fusion"
SERVES = ("relevance",)
USES_VECTORS = True
TRAINS_ENCODER = False


@dataclass(frozen=True, kw_only=True)
class Settings(projection.Settings):
    """Raises ConfigurationError that lists every problem at once."""

    rounds: int = 30
    learning_rate: float = 2e-3
    buckets: int = 16_384  # that letter trigrams are hashed to
    layer: int = 300  # width of the dense layer

    def __post_init__(self) -> None:
        super().__post_init__()
        require("settings of two-tower", at_least(self, buckets=2, layer=2))


def fit(given: Given, settings: Settings) -> Towers:
    """The tower that ranks validate best."""
    from m5model.partners.tower_fitting import fit_letters

    plan = projection.plan_of(given, settings)
    return fit_letters(given, plan, settings.dimensions, settings.buckets, settings.layer)


def load(folder: Path) -> Towers:
    return load_towers(folder)
