"""``tagging``: an encoder marks values in the text, similar listings vote, and trees weigh both with a dictionary's evidence.

Two taggers learn half of the listings each, and each reads the other half for the trees, so that these do not trust a tagger
where it knows the answer by heart. Afterwards both read. With ``steps=0`` there is no tagger: votes and the dictionary alone.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from m5model.partners.attributes.dictionary import Dictionary
from m5model.partners.attributes.questions import Questions
from m5model.partners.attributes.verified import (
    Reader,
    Sources,
    VerifiedValues,
    folds_by_entity,
    load_verified,
    names_by_use,
    verify,
)
from m5model.partners.attributes.votes import Voters
from m5model.partners.strategies import dictionary
from m5model.partners.strategy import Given
from schemas.checks import at_least, from_0_to_1, require

SUMMARY = "an encoder tags values, similar listings vote, and trees verify them with a dictionary's evidence"
NEEDS = "labels: some thousand listings with their attributes, a student bundle, torch (m5[train])"
COSTS = "two fine-tunings, 2 to 6 minutes of a CPU core per 100 steps, less on a GPU; no torch with steps=0"
GOOD_FOR = "attributes whose values are new in every listing, such as brands, models and flavours"
SERVES = ("attributes",)
USES_VECTORS = True
TRAINS_ENCODER = True

TAGGERS = 2


@dataclass(frozen=True, kw_only=True)
class Settings(dictionary.Settings):
    """Raises ConfigurationError that lists every problem at once."""

    steps: int = 120  # of each tagger; 0 for none
    tokens: int = 64  # of a text; the rest is not read
    step_tokens: int = 1_024
    names: int = 32  # attributes that are tagged, those that most texts state
    tagger_rate: float = 3e-4  # learning rate
    frozen_share: float = 0.5  # of the layers, from below, and the embedding, which keep their weights

    def __post_init__(self) -> None:
        super().__post_init__()
        rules = at_least(self, steps=0, tokens=8, step_tokens=16, names=1)
        require("settings of tagging", rules | from_0_to_1(self, "tagger_rate", "frozen_share"))


def fit(given: Given, settings: Settings) -> VerifiedValues:
    """Taggers, voters and a dictionary of the split learn, verified by folds of it."""
    read = Questions.read(given.data, given.learn())
    questions = read.all
    folds = folds_by_entity(questions, dictionary.FOLDS)
    taggers: list[Reader] = []
    if settings.steps:
        half = np.asarray(folds)[read.of_row] % TAGGERS
        taggers = [_train(given, given.learn()[half == number], settings) for number in range(TAGGERS)]
    voters = None if given.vectors is None else Voters.fit(questions, folds, given.vectors)
    sources = Sources(names_by_use(questions), Dictionary.fit(questions, folds), voters, taggers)
    return verify(given, questions, folds, sources, settings, TAGGERS)


def load(folder: Path) -> VerifiedValues:
    folders = sorted(folder.glob("tagger_*"))
    taggers: list[Reader] = []
    if folders:
        from m5model.partners.attributes.tagger import Tagger

        taggers = [Tagger.load(one) for one in folders]
    return load_verified(folder, taggers)


def _train(given: Given, rows: np.ndarray, settings: Settings) -> Reader:
    from m5model.partners.attributes.tagger import TaggerSettings, train_tagger

    chosen = TaggerSettings(
        steps=settings.steps,
        tokens=settings.tokens,
        step_tokens=settings.step_tokens,
        names=settings.names,
        learning_rate=settings.tagger_rate,
        frozen_share=settings.frozen_share,
    )
    return train_tagger(given, rows, chosen)
