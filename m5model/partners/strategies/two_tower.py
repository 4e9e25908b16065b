"""``two-tower``: a query's vector from its letters alone (DSSM), in the space of the listings' vectors, which stay as they are.

No encoder runs where queries are answered. See ``projection`` for queries that are encoded.
"""

from dataclasses import dataclass
from pathlib import Path

from m5model.partners.strategies import projection
from m5model.partners.strategy import Given
from m5model.partners.towers import Towers, load_towers
from m5model.partners.vector_map import require_dimensions
from schemas.checks import is_whole, require

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
        require(
            "settings of two-tower",
            {
                f"{name} is {getattr(self, name)!r}, expected 2 or more": is_whole(getattr(self, name), 2)
                for name in ("buckets", "layer")
            },
        )


def fit(given: Given, settings: Settings) -> Towers:
    """The tower that ranks validate best."""
    from m5model.partners.tower_fitting import fit_letters
    from m5model.partners.tower_training import TowerPlan

    if given.vectors is not None:
        require_dimensions(settings.dimensions, given.vectors.dimensions)
    plan = TowerPlan(
        rounds=settings.rounds,
        queries=settings.queries,
        learning_rate=settings.learning_rate,
        temperature=settings.temperature,
        prefixes=tuple(one for one in settings.prefixes if one < settings.dimensions),
    )
    return fit_letters(given, plan, settings.dimensions, settings.buckets, settings.layer)


def load(folder: Path) -> Towers:
    return load_towers(folder)
