"""``dictionary``: values that were labelled are looked for in the text, and trees say which of them is right.

Runs of digits stand for any others, so that ``Pack of 12`` finds ``pack of 4``. It is what a good engineer ships without our
vectors: no encoder, no torch.
"""

from dataclasses import dataclass
from pathlib import Path

from m5model.partners.attributes.dictionary import Dictionary
from m5model.partners.attributes.questions import Questions
from m5model.partners.attributes.verified import Sources, VerifiedValues, folds_by_entity, load_verified, names_by_use, verify
from m5model.partners.boosting import TreeSettings
from m5model.partners.strategy import Given

SUMMARY = "learned values are looked for in texts; gradient-boosted trees say which one is right"
NEEDS = "labels: some hundred listings with their attributes"
COSTS = "seconds; no vectors, no torch"
GOOD_FOR = "attributes with few values, a first answer, and a baseline"
SERVES = ("attributes",)
USES_VECTORS = False
TRAINS_ENCODER = False

FOLDS = 4


@dataclass(frozen=True, kw_only=True)
class Settings(TreeSettings):
    """The trees that verify."""

    trees: int = 250
    learning_rate: float = 0.05
    min_rows: int = 10


def fit(given: Given, settings: Settings) -> VerifiedValues:
    """A dictionary of the split learn, verified by folds of it."""
    questions = Questions.read(given.data, given.learn()).all
    folds = folds_by_entity(questions, FOLDS)
    sources = Sources(names_by_use(questions), Dictionary.fit(questions, folds), None, ())
    return verify(given.without_vectors(), questions, folds, sources, settings)


def load(folder: Path) -> VerifiedValues:
    return load_verified(folder)
