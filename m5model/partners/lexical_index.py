"""BM25 of queries on a collection of texts: words, runs of three letters, or the pieces of a bundle's own vocabulary."""

import logging
import re
import unicodedata
from collections.abc import Sequence
from typing import Literal

import bm25s
import numpy as np
from tokenizers import Tokenizer

logging.getLogger("bm25s").setLevel(logging.WARNING)  # importing it sets DEBUG

Unit = Literal["words", "trigrams", "pieces"]
UNITS: tuple[Unit, ...] = ("words", "trigrams", "pieces")
WORD = re.compile(r"\w+")


class TextUnits:
    """Takes texts apart, without their case. Pieces need a tokenizer."""

    def __init__(self, unit: Unit, tokenizer: Tokenizer | None = None) -> None:
        self.unit = unit
        self.tokenizer = tokenizer

    def of(self, texts: Sequence[str]) -> list[list[str]]:
        plain = [unicodedata.normalize("NFKC", text).casefold() for text in texts]
        if self.unit == "pieces" and self.tokenizer is not None:
            self.tokenizer.no_padding()
            self.tokenizer.no_truncation()
            return [encoding.tokens for encoding in self.tokenizer.encode_batch_fast(plain, add_special_tokens=False)]
        words = [WORD.findall(text) for text in plain]
        return words if self.unit == "words" else [[run for word in found for run in letter_trigrams(word)] for found in words]


def letter_trigrams(word: str) -> list[str]:
    """Runs of three letters of a word between marks: ``#me``, ``mel``, … (Huang et al. 2013)."""
    marked = f"#{word}#"
    return [marked[start : start + 3] for start in range(max(1, len(marked) - 2))]


class LexicalIndex:
    """BM25 (Lucene's form) over texts (N)."""

    def __init__(self, texts: Sequence[str], units: TextUnits, *, k1: float, b: float) -> None:
        self._units = units
        self._size = len(texts)
        self._index = bm25s.BM25(k1=k1, b=b)
        self._index.index(units.of(texts), show_progress=False)

    def scores(self, queries: Sequence[str]) -> np.ndarray:
        """(Q, N) float32; 0 where a text shares nothing with a query."""
        scores_QN = np.zeros((len(queries), self._size), np.float32)
        for place, tokens in enumerate(self._units.of(queries)):
            known = [token for token in tokens if token in self._index.vocab_dict]
            if known:
                scores_QN[place] = self._index.get_scores(known)
        return scores_QN
