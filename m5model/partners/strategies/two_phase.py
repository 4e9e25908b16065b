"""``two-phase``: first a head on the vectors of ad and page with the categories, then its answer and the rates in a network.

What the second phase learns from is what the first one says of rows of other entities than it learned from, so that it is not
trusted more than it deserves. With ``steps`` the encoder is fine-tuned on clicks before; else vectors are read once.
"""

from dataclasses import dataclass
from pathlib import Path

from m5model.partners.networks import NetworkSettings
from m5model.partners.strategy import Given
from m5model.partners.two_phases import TwoPhases, load_phases
from schemas.checks import at_least, from_0_to_1, require

SUMMARY = "a head on the vectors of ad and page, then its answer and historical rates through three layers"
NEEDS = "clicks with the page's text, some thousand rows, a student bundle, torch (m5[train]) to train"
COSTS = "the encoding of every text once, then minutes, without torch afterwards; with steps as much as bi-encoder, and torch"
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
    steps: int = 0  # of the encoder's fine-tuning; 0 leaves it as it is
    tokens: int = 64  # of a text, where the encoder is fine-tuned; the rest is not read
    learning_rate: float = 5e-5  # of the encoder

    def __post_init__(self) -> None:
        rules = at_least(self, folds=2, components=1, rounds=0, steps=0, tokens=8)
        require("settings of two-phase", rules | from_0_to_1(self, "learning_rate"))
        NetworkSettings(dropout=self.dropout)


def fit(given: Given, settings: Settings) -> TwoPhases:
    """Both phases; the states with the lowest loss on validate."""
    from m5model.partners.phase_training import PhasePlan, fit_phases

    plan = PhasePlan(
        first=NetworkSettings(rounds=settings.rounds, dropout=settings.dropout),
        second=NetworkSettings(rounds=settings.rounds, widths=(32, 16)),
        folds=settings.folds,
        components=settings.components,
        steps=settings.steps,
        tokens=settings.tokens,
        learning_rate=settings.learning_rate,
    )
    return fit_phases(given, plan)


def load(folder: Path) -> TwoPhases:
    return load_phases(folder)
