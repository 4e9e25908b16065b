"""BM25 as a model: how texts are taken apart and weighed. The index is built over the texts that are searched."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from m5model.partners.data import PartnerData
from m5model.partners.lexical_index import LexicalIndex, TextUnits, Unit
from m5model.partners.ranking import chunks_of, numbered
from m5model.partners.strategy import Scores
from m5model.partners.vectors import Vectors
from m5model.runtime.tokens import open_tokenizer

CHOICE_FILE = "bm25.json"
PIECES_FILE = "tokenizer.json"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Holds what an index is built with."""

    unit: Unit
    k1: float
    b: float


class Lexical:
    """An index is built over the texts that are searched; the last one is kept."""

    def __init__(self, choice: Choice, units: TextUnits) -> None:
        self.choice = choice
        self._units = units
        self._indexed: tuple[Sequence[str], LexicalIndex] | None = None

    def index(self, texts: Sequence[str]) -> LexicalIndex:
        if self._indexed is None or self._indexed[0] != texts:
            self._indexed = (texts, LexicalIndex(texts, self._units, k1=self.choice.k1, b=self.choice.b))
        return self._indexed[1]

    def scores(self, data: PartnerData, vectors: Vectors | None, rows: np.ndarray) -> Scores:
        """BM25 (k,) of the rows; the collection is every text of ``data``."""
        chosen, texts = data.select(rows), data.all_texts
        place = {text: number for number, text in enumerate(texts)}
        queries, query = numbered(chosen.column("query").tolist())
        item = np.asarray([place[text] for text in chosen.texts()], np.int64)
        values = np.zeros(len(rows))
        for part, found in self.score_collection(queries, texts, vectors):
            inside = np.flatnonzero((query >= part[0]) & (query <= part[-1]))
            values[inside] = found[""][query[inside] - part[0], item[inside]]
        return Scores(values=values)

    def score_collection(
        self, queries: Sequence[str], texts: Sequence[str], vectors: Vectors | None
    ) -> Iterator[tuple[np.ndarray, Mapping[str, np.ndarray]]]:
        """See m5model.partners.ranking."""
        index = self.index(texts)
        for part in chunks_of(len(queries)):
            yield part, {"": index.scores([queries[place] for place in part])}

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CHOICE_FILE).write_text(json.dumps(asdict(self.choice)), encoding="utf-8")
        if self._units.tokenizer is not None:
            (folder / PIECES_FILE).write_text(self._units.tokenizer.to_str(), encoding="utf-8")


def load_lexical(folder: Path) -> Lexical:
    choice = Choice(**json.loads((folder / CHOICE_FILE).read_text(encoding="utf-8")))
    file = folder / PIECES_FILE
    return Lexical(choice, TextUnits(choice.unit, open_tokenizer(file.read_bytes()) if file.is_file() else None))
