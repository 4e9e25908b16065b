"""``bm25``: what a search engine ranks by without any vector, and the baseline of search.

Words, runs of three letters or the bundle's own pieces: what ranks the split validate best.
"""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

from tokenizers import Tokenizer

from m5model.bundles.find import open_bundle
from m5model.data.vocabulary import load_vocabulary
from m5model.files import storage
from m5model.partners.lexical import Choice, Lexical, load_lexical
from m5model.partners.lexical_index import UNITS, TextUnits
from m5model.partners.ranking import judge_ranks
from m5model.partners.strategy import Given
from schemas.bundle import MANIFEST_FILE
from schemas.checks import is_number, require

SUMMARY = "BM25 over words, letter trigrams or the bundle's pieces, whichever ranks validate best"
NEEDS = "queries and judged listings; no bundle"
COSTS = "seconds; no torch"
GOOD_FOR = "what every search must beat, and half of a fusion"
SERVES = ("relevance",)
USES_VECTORS = False
TRAINS_ENCODER = False


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Raises ConfigurationError that lists every problem at once."""

    k1: float = 1.2  # how soon a repeated word adds nothing
    b: tuple[float, ...] = (0.3, 0.75)  # how much long texts are marked down; the best one is taken
    units: tuple[str, ...] = UNITS  # that are tried

    def __post_init__(self) -> None:
        require(
            "settings of bm25",
            {
                f"k1 is {self.k1!r}, expected 0 or more": is_number(self.k1, 0),
                f"b is {self.b!r}, expected numbers from 0 to 1": bool(self.b) and all(is_number(one, 0, 1) for one in self.b),
                f"units are {self.units!r}, expected some of {', '.join(UNITS)}": bool(self.units)
                and {*self.units} <= {*UNITS},
            },
        )


def fit(given: Given, settings: Settings) -> Lexical:
    """The choice of units and ``b`` that ranks validate best; the first of equals."""
    tokenizer = _tokenizer(given.source) if "pieces" in settings.units else None
    units = [unit for unit in UNITS if unit in settings.units and (unit != "pieces" or tokenizer is not None)]
    rows = given.data.rows_of("validate")
    best, best_value = None, -1.0
    for unit, b in product(units or UNITS[:1], settings.b):
        model = Lexical(Choice(unit=unit, k1=settings.k1, b=b), TextUnits(unit, tokenizer if unit == "pieces" else None))
        value = judge_ranks(given.data, rows, model.scores(given.data, None, rows).values)
        if best is None or value > best_value:
            best, best_value = model, value
    return best or Lexical(Choice(unit="words", k1=settings.k1, b=settings.b[0]), TextUnits("words"))


def _tokenizer(source: str) -> Tokenizer | None:
    """That of the bundle which the experiment is given; None where it is given none."""
    if not source or not storage.exists(f"{source}/{MANIFEST_FILE}"):
        return None
    return load_vocabulary(open_bundle(source)[0])


def load(folder: Path) -> Lexical:
    return load_lexical(folder)
