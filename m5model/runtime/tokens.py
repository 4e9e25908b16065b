"""Token ids of many texts as one flat array, so that batches are cut out of it by numpy and not row by row."""

from dataclasses import dataclass
from itertools import chain

import numpy as np
from tokenizers import Tokenizer


@dataclass(frozen=True, kw_only=True)
class TokenizedTexts:
    """Tensor suffixes: N texts, B rows of a batch, L tokens."""

    ids: np.ndarray  # int64, all texts' ids behind each other, not truncated
    starts_N: np.ndarray  # int64: where a text's ids begin
    full_counts_N: np.ndarray  # int64: tokens before truncation
    max_tokens: int

    @property
    def counts_N(self) -> np.ndarray:
        """Tokens after truncation, int64."""
        return np.minimum(self.full_counts_N, self.max_tokens)

    @property
    def truncated_N(self) -> np.ndarray:
        return self.full_counts_N > self.max_tokens

    def cut_batch(self, rows: np.ndarray, length: int) -> np.ndarray:
        """Ids of ``rows``, all of which have ``length`` tokens after truncation: int64 (B, L)."""
        ids_BL = self.ids[self.starts_N[rows][:, None] + np.arange(length)]
        cut = np.flatnonzero(self.full_counts_N[rows] > self.max_tokens)
        if len(cut):  # a truncated text keeps its closing special token, as Hugging Face tokenizers do
            ids_BL[cut, -1] = self.ids[self.starts_N[rows[cut]] + self.full_counts_N[rows[cut]] - 1]
        return ids_BL


def tokenize(tokenizer: Tokenizer, texts: list[str], max_tokens: int) -> TokenizedTexts:
    """Every text's ids, special tokens included; the tokenizer must neither pad nor truncate."""
    token_ids = [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]
    counts_N = np.fromiter(map(len, token_ids), np.int64, len(token_ids))
    ids = np.fromiter(chain.from_iterable(token_ids), np.int64, int(counts_N.sum()))
    return TokenizedTexts(ids=ids, starts_N=np.cumsum(counts_N) - counts_N, full_counts_N=counts_N, max_tokens=max_tokens)
