"""``cross-encoder``: both texts of a pair are read as one, so that tokens are compared: exact, and a pass for every pair.

It begins with contrast over products, then learns pairs. It stands alone (``alone``), or is weighed with trees on evidence.
"""

from dataclasses import dataclass
from pathlib import Path

from m5model.partners.pair_ensemble import READER_FOLDER, PairEnsemble, load_ensemble, weigh
from m5model.partners.strategies import bi_encoder
from m5model.partners.strategy import Given
from schemas.checks import at_least, from_0_to_1, require, true_or_false

SUMMARY = "both texts of a pair are read as one; the answer is weighed with the partner's evidence"
NEEDS = "labelled pairs with some hundred matches, a bundle or checkpoint to begin with, torch (m5[train])"
COSTS = "half an hour of a CPU core per 600 steps, minutes on a GPU; a pass of the encoder for every pair afterwards"
GOOD_FOR = "the last decision on candidates that something cheaper has found"
SERVES = ("pairs",)
USES_VECTORS = False
TRAINS_ENCODER = True


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Raises ConfigurationError that lists every problem at once."""

    steps: int = 300  # on pairs
    token_budget: int = 2_048  # tokens a step, padding included
    tokens: int = 64  # of each text; the rest is not read
    learning_rate: float = 5e-5
    frozen_share: float = 0.5  # of the layers, from below, and the embedding, which keep their weights
    contrast_steps: int = 80  # before, see bi-encoder
    alone: bool = False  # the answer by itself

    def __post_init__(self) -> None:
        rules = at_least(self, steps=1, token_budget=16, tokens=8, contrast_steps=0)
        rules |= from_0_to_1(self, "learning_rate", "frozen_share") | true_or_false(self, "alone")
        require("settings of cross-encoder", rules)

    def contrast(self) -> bi_encoder.Settings:
        """Of the stage before."""
        return bi_encoder.Settings(steps=self.contrast_steps, tokens=self.tokens, frozen_share=self.frozen_share)


def fit(given: Given, settings: Settings) -> PairEnsemble:
    """Fine-tune on learn, weigh on validate."""
    from m5model.partners.cross_reader import fine_tune_pairs

    return weigh(given, fine_tune_pairs(given, settings), alone=settings.alone)


def load(folder: Path) -> PairEnsemble:
    from m5model.partners.cross_reader import CrossReader

    return load_ensemble(folder, CrossReader.load(folder / READER_FOLDER))
