"""``bi-encoder``: the encoder is fine-tuned so that listings of one product lie near and others far, then pairs are cosines.

Contrast over products with given and mined hard negatives, by the recipes' own stage. Its cosine stands alone (``alone``), or
is weighed with trees on lexical and structured evidence.
"""

from dataclasses import dataclass
from pathlib import Path

from m5model.partners.pair_ensemble import READER_FOLDER, PairEnsemble, load_ensemble, weigh
from m5model.partners.strategy import Given
from schemas.checks import at_least, from_0_to_1, require, true_or_false

SUMMARY = "the encoder is fine-tuned by contrast on pairs; its cosine is weighed with the partner's evidence"
NEEDS = "labelled pairs with some hundred matches, a bundle or checkpoint to begin with, torch (m5[train])"
COSTS = "5 to 15 minutes of a CPU core per 200 steps, a minute on a GPU; a cosine a pair afterwards"
GOOD_FOR = "duplicates and candidates by neighbour search: the vectors themselves get better"
SERVES = ("pairs",)
USES_VECTORS = False
TRAINS_ENCODER = True


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Raises ConfigurationError that lists every problem at once."""

    steps: int = 160  # three texts a product: two offers and a hard negative
    products: int = 24  # of a step
    tokens: int = 64  # of a text; the rest is not read
    learning_rate: float = 1e-4
    frozen_share: float = 0.5  # of the layers, from below, and the embedding, which keep their weights
    alone: bool = False  # the cosine by itself: a drop-in replacement

    def __post_init__(self) -> None:
        rules = at_least(self, steps=1, products=2, tokens=8) | from_0_to_1(self, "learning_rate", "frozen_share")
        require("settings of bi-encoder", rules | true_or_false(self, "alone"))


def fit(given: Given, settings: Settings) -> PairEnsemble:
    """Fine-tune on learn, weigh on validate."""
    from m5model.partners.cosine_reader import CosineReader, fine_tune

    return weigh(given, CosineReader(fine_tune(given, settings)), alone=settings.alone)


def load(folder: Path) -> PairEnsemble:
    from m5model.partners.cosine_reader import CosineReader

    return load_ensemble(folder, CosineReader.load(folder / READER_FOLDER))
