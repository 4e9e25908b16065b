"""``fusion``: BM25 and trained towers rank one collection together; how much each counts, the split validate decides."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from m5model.partners import fusion
from m5model.partners.ranking import judge_ranks
from m5model.partners.strategies import bm25
from m5model.partners.strategy import Given
from m5model.training.progress import say
from schemas.checks import is_whole, require

SUMMARY = "BM25 and trained towers together: a mix of scores or of ranks"
NEEDS = "some hundred judged queries, a student bundle, torch (m5[train]) to train"
COSTS = "those of its towers, and a lexical index beside the vectors' index"
GOOD_FOR = "the best ranking: names and numbers by words, meaning and other languages by vectors"
SERVES = ("relevance",)
USES_VECTORS = True
TRAINS_ENCODER = False

TOWERS = ("projection", "two-tower")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Raises ConfigurationError that lists every problem at once."""

    towers: str = "projection"  # the strategy that makes them
    dimensions: int = 256  # of the towers

    def __post_init__(self) -> None:
        require(
            "settings of fusion",
            {
                f"towers is {self.towers!r}, expected one of {', '.join(TOWERS)}": self.towers in TOWERS,
                f"dimensions is {self.dimensions!r}, expected 2 or more": is_whole(self.dimensions, 2),
            },
        )


def fit(given: Given, settings: Settings) -> fusion.Fusion:
    """Both models, and the mix that ranks validate best; the first of equals."""
    module = import_module(f"m5model.partners.strategies.{settings.towers.replace('-', '_')}")
    lexical = bm25.fit(given, bm25.Settings())
    towers = module.fit(given, module.Settings(dimensions=settings.dimensions))
    both = fusion.Fusion(lexical, towers, fusion.RECIPROCAL)
    rows = given.data.rows_of("validate")
    found = both.evidence(given.data, given.vectors, rows)
    values = {share: judge_ranks(given.data, rows, found.mix(share)) for share in fusion.SHARES}
    both.share = max(values, key=lambda share: values[share])
    how = "reciprocal ranks" if both.share == fusion.RECIPROCAL else f"{both.share:.0%} towers"
    say(f"fusion: {lexical.choice}, {how}, nDCG@10 on validate {values[both.share]:.4f}")
    return both


def load(folder: Path) -> fusion.Fusion:
    return fusion.load_fusion(folder)
