"""Two rankings of one collection become one: a mix of their scores, or of their ranks. Which, the split validate decides.

Tensor suffixes: Q queries, N texts of the collection.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from m5model.partners.data import PartnerData
from m5model.partners.lexical import Lexical, load_lexical
from m5model.partners.ranking import numbered
from m5model.partners.strategy import Scores
from m5model.partners.towers import Towers, frozen_cosines, load_towers
from m5model.partners.vectors import Vectors

RANK_OFFSET = 60  # of reciprocal ranks (Cormack, Clarke and Büttcher 2009)
RECIPROCAL = -1.0  # instead of a share
SHARE_FILE, LEXICAL_FOLDER, TOWERS_FOLDER = "fusion.json", "lexical", "towers"
SHARES = (RECIPROCAL, *(tenth / 10 for tenth in range(1, 10)))  # of the towers in a mix


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Holds what both models say of rows (k), beside its whole collection: scores from 0 (usual) to 1 (best), and ranks."""

    lexical: np.ndarray
    dense: np.ndarray
    lexical_rank: np.ndarray
    dense_rank: np.ndarray

    def mix(self, share: float) -> np.ndarray:
        """(k,) float64; ``share`` is the towers' part, or RECIPROCAL."""
        if share == RECIPROCAL:
            return 1 / (RANK_OFFSET + self.lexical_rank) + 1 / (RANK_OFFSET + self.dense_rank)
        return share * self.dense + (1 - share) * self.lexical


class Fusion:
    """BM25 and towers over one collection."""

    def __init__(self, lexical: Lexical, towers: Towers, share: float) -> None:
        self.lexical = lexical
        self.towers = towers
        self.share = share

    def scores(self, data: PartnerData, vectors: Vectors | None, rows: np.ndarray) -> Scores:
        """Mixed scores (k,); the collection is every text of ``data``."""
        return Scores(values=self.evidence(data, vectors, rows).mix(self.share))

    def parts(self, data: PartnerData, vectors: Vectors | None, rows: np.ndarray) -> dict[str, Scores]:
        """The towers alone, and the bundle's vectors as they are; BM25 is what a report compares with anyway."""
        given = self.towers.require(vectors)
        return {
            "the towers": self.towers.scores(data, given, rows),
            "the bundle's cosine": frozen_cosines(data, given, rows),
        }

    def evidence(self, data: PartnerData, vectors: Vectors | None, rows: np.ndarray) -> Evidence:
        """Of the rows (k,), query by query."""
        chosen, texts = data.select(rows), data.all_texts
        place = {text: number for number, text in enumerate(texts)}
        queries, query = numbered(chosen.column("query").tolist())
        item = np.asarray([place[text] for text in chosen.texts()], np.int64)
        found = np.zeros((4, len(rows)))
        for part, lexical_QN, dense_QN in self._both(queries, texts, vectors):
            for names, scores_QN in (((0, 2), lexical_QN), ((1, 3), dense_QN)):
                scaled_QN = _scale(scores_QN)
                inside = np.flatnonzero((query >= part[0]) & (query <= part[-1]))
                found[names[0], inside] = scaled_QN[query[inside] - part[0], item[inside]]
                for row in inside:
                    found[names[1], row] = (
                        1 + (scores_QN[query[row] - part[0]] > scores_QN[query[row] - part[0], item[row]]).sum()
                    )
        return Evidence(lexical=found[0], dense=found[1], lexical_rank=found[2], dense_rank=found[3])

    def score_collection(
        self, queries: Sequence[str], texts: Sequence[str], vectors: Vectors | None
    ) -> Iterator[tuple[np.ndarray, Mapping[str, np.ndarray]]]:
        """See m5model.partners.ranking."""
        for part, lexical_QN, dense_QN in self._both(queries, texts, vectors):
            found = Evidence(
                lexical=_scale(lexical_QN),
                dense=_scale(dense_QN),
                lexical_rank=_rank(lexical_QN) if self.share == RECIPROCAL else lexical_QN,
                dense_rank=_rank(dense_QN) if self.share == RECIPROCAL else dense_QN,
            )
            yield part, {"": found.mix(self.share), "bm25": lexical_QN, "towers": dense_QN}

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SHARE_FILE).write_text(json.dumps({"share": self.share}), encoding="utf-8")
        self.lexical.save(folder / LEXICAL_FOLDER)
        self.towers.save(folder / TOWERS_FOLDER)

    def _both(
        self, queries: Sequence[str], texts: Sequence[str], vectors: Vectors | None
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        dense = self.towers.score_collection(queries, texts, vectors)
        lexical = self.lexical.score_collection(queries, texts, None)
        for (part, one), (_, other) in zip(dense, lexical, strict=True):
            yield part, other[""], one[""]


def load_fusion(folder: Path) -> Fusion:
    share = float(json.loads((folder / SHARE_FILE).read_text(encoding="utf-8"))["share"])
    return Fusion(load_lexical(folder / LEXICAL_FOLDER), load_towers(folder / TOWERS_FOLDER), share)


def _scale(scores_QN: np.ndarray) -> np.ndarray:
    """From 0, the mean over the collection, to 1, the best of the query; all 0 where all scores are equal."""
    mean_Q1 = scores_QN.mean(axis=1, keepdims=True)
    range_Q1 = scores_QN.max(axis=1, keepdims=True) - mean_Q1
    return np.asarray(np.where(range_Q1 > 0, (scores_QN - mean_Q1) / np.where(range_Q1 > 0, range_Q1, 1), 0.0))


def _rank(scores_QN: np.ndarray) -> np.ndarray:
    """1 is best; equal scores have the rank of the first of them, as ``evidence`` counts."""
    both = zip(np.sort(-scores_QN, axis=1), scores_QN, strict=True)
    return np.stack([np.searchsorted(ordered, -scores, side="left") + 1 for ordered, scores in both])
