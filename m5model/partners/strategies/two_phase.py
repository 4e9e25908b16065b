"""``two-phase``: first a head on the vectors of ad and page with the categories, then its answer and the rates in a network.

What the second phase learns from is what the first one says of rows of other entities than it learned from, so that it is not
trusted more than it deserves. The encoder stays as it is: vectors are read once.
"""

from dataclasses import dataclass
from pathlib import Path

from m5model.partners.networks import NetworkSettings
from m5model.partners.strategy import Given
from m5model.partners.two_phases import TwoPhases, load_phases
from schemas.checks import is_whole, require

SUMMARY = "a head on the vectors of ad and page, then its answer and historical rates through three layers"
NEEDS = "clicks with the page's text, some thousand rows, a student bundle, torch (m5[train]) to train"
COSTS = "the encoding of every text once, then minutes; without torch afterwards"
GOOD_FOR = "ads and pages that are new, whose rates nobody knows yet"
SERVES = ("clicks",)
USES_VECTORS = True
TRAINS_ENCODER = False


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Raises ConfigurationError that lists every problem at once."""

    folds: int = 3  # of the first phase's answers
    components: int = 64  # main directions of the space that the head reads
    rounds: int = 30  # of either phase, at most
    dropout: float = 0.3  # of the first phase

    def __post_init__(self) -> None:
        counts = {"folds": 2, "components": 1, "rounds": 0}
        require(
            "settings of two-phase",
            {
                f"{name} is {getattr(self, name)!r}, expected {low} or more": is_whole(getattr(self, name), low)
                for name, low in counts.items()
            },
        )
        NetworkSettings(dropout=self.dropout)

    def first(self) -> NetworkSettings:
        return NetworkSettings(rounds=self.rounds, dropout=self.dropout)

    def second(self) -> NetworkSettings:
        return NetworkSettings(rounds=self.rounds, widths=(32, 16))


def fit(given: Given, settings: Settings) -> TwoPhases:
    """Both phases; the states with the lowest loss on validate."""
    from m5model.partners.phase_training import fit_phases

    return fit_phases(given, settings.first(), settings.second(), folds=settings.folds, components=settings.components)


def load(folder: Path) -> TwoPhases:
    return load_phases(folder)
