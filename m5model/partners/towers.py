"""Two towers: vectors of queries and of listings in one space, whose inner product ranks. Encoder outputs stay as they are.

Tensor suffixes: Q queries, N texts, P dimensions.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from m5model.partners.data import PartnerData
from m5model.partners.ranking import chunks_of, numbered
from m5model.partners.strategy import Fitted, Scores
from m5model.partners.trigram_tower import TrigramTower
from m5model.partners.vector_map import VectorMap, to_unit
from m5model.partners.vectors import Vectors
from schemas.errors import ConfigurationError, SpaceMismatchError

TOWERS_FILE, QUERY_FILE, ITEMS_FILE = "towers.json", "query.npz", "items.npz"


@dataclass(frozen=True, kw_only=True)
class Towers:
    """A map of listings' vectors, and the tower of queries: a map of their vectors, or their letter trigrams."""

    items: VectorMap
    query: VectorMap | TrigramTower
    space_id: str
    prefixes: tuple[int, ...] = ()  # first dimensions that were trained to rank by themselves

    def query_vectors(self, queries: Sequence[str], vectors: Vectors) -> np.ndarray:
        """(Q, P) float32."""
        if isinstance(self.query, TrigramTower):
            return self.query.apply(queries)
        return self.query.apply(self.require(vectors).of(queries))

    def item_vectors(self, texts: Sequence[str], vectors: Vectors) -> np.ndarray:
        """(N, P) float32."""
        return self.items.apply(self.require(vectors).of(texts))

    def require(self, vectors: Vectors | None) -> Vectors:
        """Raises ConfigurationError where there are none, SpaceMismatchError where they are of another space."""
        if vectors is None:
            raise ConfigurationError("the towers read vectors, and there are none", next_step="give the bundle")
        if vectors.space_id != self.space_id:
            raise SpaceMismatchError(
                f"the towers read vectors of the space {self.space_id}, given are those of {vectors.space_id}",
                next_step="give the bundle that they were fitted with, or fit them again",
            )
        return vectors

    def scores(self, data: PartnerData, vectors: Vectors | None, rows: np.ndarray) -> Scores:
        """Cosines (k,) of the rows."""
        return self._cosines(data, self.require(vectors), rows, None)

    def parts(self, data: PartnerData, vectors: Vectors | None, rows: np.ndarray) -> dict[str, Scores]:
        """By the first dimensions alone, and by the bundle's vectors as they are."""
        given = self.require(vectors)
        found = {f"first {first} dimensions": self._cosines(data, given, rows, first) for first in self.prefixes}
        return found | {"the bundle's cosine": frozen_cosines(data, given, rows)}

    def _cosines(self, data: PartnerData, vectors: Vectors, rows: np.ndarray, first: int | None) -> Scores:
        chosen = data.select(rows)
        queries, query = numbered(chosen.column("query").tolist())
        texts, item = numbered(chosen.texts())
        query_QP = to_unit(self.query_vectors(queries, vectors), first)
        item_NP = to_unit(self.item_vectors(texts, vectors), first)
        return Scores(values=(query_QP[query] * item_NP[item]).sum(axis=1).astype(np.float64))

    def score_collection(
        self, queries: Sequence[str], texts: Sequence[str], vectors: Vectors | None
    ) -> Iterator[tuple[np.ndarray, Mapping[str, np.ndarray]]]:
        """See m5model.partners.ranking."""
        given = self.require(vectors)
        query_QP, item_NP = self.query_vectors(queries, given), self.item_vectors(texts, given)
        for part in chunks_of(len(queries)):
            found = {"": query_QP[part] @ item_NP.T}
            for first in self.prefixes:
                found[f"first_{first}"] = to_unit(query_QP[part], first) @ to_unit(item_NP, first).T
            yield part, found

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        kind = "trigrams" if isinstance(self.query, TrigramTower) else "vectors"
        said = {"query": kind, "space_id": self.space_id, "prefixes": self.prefixes}
        (folder / TOWERS_FILE).write_text(json.dumps(said), encoding="utf-8")
        self.query.save(folder / QUERY_FILE)
        self.items.save(folder / ITEMS_FILE)


def load_towers(folder: Path) -> Towers:
    said = json.loads((folder / TOWERS_FILE).read_text(encoding="utf-8"))
    tower = TrigramTower if said["query"] == "trigrams" else VectorMap
    return Towers(
        items=VectorMap.load(folder / ITEMS_FILE),
        query=tower.load(folder / QUERY_FILE),
        space_id=said["space_id"],
        prefixes=tuple(said["prefixes"]),
    )


def frozen_cosines(data: PartnerData, vectors: Vectors, rows: np.ndarray) -> Scores:
    """Cosines (k,) of the bundle's vectors as they are."""
    chosen = data.select(rows)
    left, right = vectors.of(chosen.column("query").tolist()), vectors.of(chosen.texts())
    return Scores(values=(left * right).sum(axis=1).astype(np.float64))


def towers_of(fitted: Fitted) -> Towers | None:
    """The towers of a model, where it has some."""
    found = fitted if isinstance(fitted, Towers) else getattr(fitted, "towers", None)
    return found if isinstance(found, Towers) else None
