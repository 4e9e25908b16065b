"""Splits by entity: every entity belongs to one split, by a hash, and a row to the latest split of its entities.

So what is learned from names no product of the other splits. A pair of two products lies in the test split where either does:
if the other is one to learn from, the pair is half seen, else unseen; the set's manifest counts both.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate

from m5model.labels.reading import Row
from schemas.checks import MAX_WHOLE, is_number, is_whole, require
from schemas.labels import SPLIT, SPLITS, LabelKind
from schemas.space import sha256_hex

NOVELTY = ("unseen", "half_seen", "seen")
SHARES: Mapping[str, float] = {"learn": 0.8, "validate": 0.1, "test": 0.1}


@dataclass(frozen=True, kw_only=True)
class SplitPlan:
    """Says how rows are split. Raises ConfigurationError that lists every problem at once."""

    keep: bool = False  # the splits that the feed brings
    seed: int = 0
    shares: Mapping[str, float] = field(default_factory=lambda: dict(SHARES))  # of entities

    def __post_init__(self) -> None:
        values = [share for share in self.shares.values() if is_number(share, 0, 1)]
        require(
            "split",
            {
                f"seed is {self.seed!r}, expected a whole number": is_whole(self.seed, -MAX_WHOLE),
                f"shares are of {', '.join(self.shares)}, expected of {', '.join(SPLITS)}": set(self.shares) <= set(SPLITS),
                f"shares are {dict(self.shares)}, expected numbers from 0 to 1 that add up to 1": len(values)
                == len(self.shares)
                and abs(sum(values) - 1) < 1e-9,
            },
        )

    def split_of(self, entity: str) -> str:
        """The split of an entity: a function of the seed and its name alone."""
        place = int(sha256_hex(f"{self.seed}\x1f{entity}".encode())[:13], 16) / 16**13
        names = [name for name in SPLITS if self.shares.get(name)]
        ends = accumulate(self.shares[name] for name in names)
        return next((name for name, end in zip(names, ends, strict=True) if place < end), names[-1])


def read_shares(text: str) -> dict[str, float]:
    """``learn=.8,validate=.1,test=.1``. Raises ConfigurationError for what is none."""
    parts = [part.partition("=") for part in text.split(",")]
    is_number_text = [part[2].replace(".", "", 1).isdigit() for part in parts]
    require("--shares", {f"{text!r} is not like learn=.8,validate=.1,test=.1": all(is_number_text)})
    return {name.strip(): float(value) for name, _, value in parts}


def assign_splits(rows: list[Row], kind: LabelKind, plan: SplitPlan) -> None:
    """Fill in the split of every row, in place, unless the feed's own are kept."""
    if plan.keep:
        return
    split_of: dict[str, str] = {}
    for row in rows:
        for name in kind.entities:
            split_of.setdefault(row[name], plan.split_of(row[name]))
        row[SPLIT.name] = latest([split_of[row[name]] for name in kind.entities])


def latest(splits: list[str]) -> str:
    """The split that a row is in which could be in any of these."""
    return max(splits, key=SPLITS.index)


def entities_by_split(rows: list[Row], kind: LabelKind) -> dict[str, int]:
    """Different entities that the rows of each split name."""
    found: dict[str, set[str]] = {split: set() for split in SPLITS}
    for row in rows:
        found[row[SPLIT.name]].update(row[name] for name in kind.entities)
    return {split: len(names) for split, names in found.items()}


def count_novelty(rows: list[Row], kind: LabelKind) -> dict[str, dict[str, int]]:
    """Rows of the splits after the first, by how many of their entities the first has, too."""
    learned = learned_entities(rows, kind)
    counts = {split: Counter(dict.fromkeys(NOVELTY, 0)) for split in SPLITS[1:]}
    for row in rows:
        if row[SPLIT.name] in counts:
            counts[row[SPLIT.name]][novelty_of(row, kind, learned)] += 1
    return {split: dict(found) for split, found in counts.items()}


def learned_entities(rows: list[Row], kind: LabelKind) -> set[str]:
    """The entities that the split to learn from names."""
    return {row[name] for row in rows if row[SPLIT.name] == SPLITS[0] for name in kind.entities}


def novelty_of(row: Row, kind: LabelKind, learned: set[str]) -> str:
    """Are all of the row's entities learned from, one of two, or none?"""
    named = {row[name] for name in kind.entities}
    seen = len(named & learned)
    return "unseen" if not seen else "seen" if seen == len(named) else "half_seen"
