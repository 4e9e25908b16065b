"""Which rows a step learns from: a pure function of (content hash, seed, step). And rows as padded arrays.

Tensor suffixes: B rows, L tokens.
"""

from dataclasses import dataclass

import numpy as np
from datasets import Dataset
from tokenizers import Tokenizer

from m5model.data.randomness import generator_for
from m5model.data.vocabulary import PAD_ID
from schemas.errors import ConfigurationError

# Rows that are sorted by length together. Within an epoch every row comes once; larger pools pad less and mix less.
POOL_ROWS = 2_048


@dataclass(frozen=True)
class TokenRows:
    """Tokenised texts: a dataset with ``ids`` (lists of int32), and per row its length and its key."""

    dataset: Dataset
    lengths: np.ndarray  # (n,) int64 tokens
    keys: np.ndarray  # (n,) int64, see training_sets.key_hash

    def padded(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """ids_BL int64 padded with 0 and mask_BL int64 of the rows (B,)."""
        return pad_ids(self.dataset[[int(row) for row in rows]]["ids"])


def tokenize_rows(rows: Dataset, tokenizer: Tokenizer, max_tokens: int) -> TokenRows:
    """Tokenise the ``text`` of every row, special tokens included, cut to ``max_tokens``."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)

    def tokenize(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        return {"ids": [encoding.ids for encoding in tokenizer.encode_batch_fast(batch["text"])]}

    unused = [name for name in rows.column_names if name != "key"]
    purpose = f"{rows._fingerprint}{tokenizer.to_str()}{max_tokens}"
    fingerprint = generator_for(purpose).bytes(16).hex()
    dataset = rows.map(tokenize, batched=True, remove_columns=unused, new_fingerprint=fingerprint)
    lengths = [len(ids) for batch in dataset.select_columns("ids").iter(1_000) for ids in batch["ids"]]
    return TokenRows(dataset, np.asarray(lengths, np.int64), np.asarray(dataset["key"], np.int64))


def pad_ids(token_ids: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Lists of token ids → ids_BL int64 padded with 0, mask_BL int64."""
    lengths = np.asarray([len(ids) for ids in token_ids])
    ids_BL = np.full((len(token_ids), int(lengths.max())), PAD_ID, np.int64)
    for i, ids in enumerate(token_ids):
        ids_BL[i, : len(ids)] = ids
    return ids_BL, (np.arange(ids_BL.shape[1]) < lengths[:, None]).astype(np.int64)


class BatchOrder:
    """The rows of every step. Keeps one epoch's plan; asking for any step gives the same rows in any process.

    With a token budget, batches hold rows of like length; with ``batch_rows``, that many rows of any lengths.
    """

    def __init__(
        self, lengths: np.ndarray, *, content_hash: str, seed: int, token_budget: int = 0, batch_rows: int = 0
    ) -> None:
        if not len(lengths):
            raise ConfigurationError("there are no rows to learn from", next_step="sample a larger training set")
        self._lengths = lengths
        self._content_hash = content_hash
        self._seed = seed
        self._token_budget = token_budget
        self._batch_rows = batch_rows
        self._epoch = 0
        self._first_step = 0  # of the epoch that is planned
        self._batches = self._plan(0)

    def rows(self, step: int) -> np.ndarray:
        """Rows (B,) int64 of ``step``, which counts from 0."""
        if step < self._first_step:
            self._epoch, self._first_step, self._batches = 0, 0, self._plan(0)
        while step >= self._first_step + len(self._batches):
            self._first_step += len(self._batches)
            self._epoch += 1
            self._batches = self._plan(self._epoch)
        return self._batches[step - self._first_step]

    def _plan(self, epoch: int) -> list[np.ndarray]:
        generator = generator_for("order", self._content_hash, self._seed, epoch)
        shuffled = generator.permutation(len(self._lengths))
        if self._batch_rows:
            size = min(self._batch_rows, len(shuffled))
            return [shuffled[start : start + size] for start in range(0, len(shuffled) - size + 1, size)]
        pools = [shuffled[start : start + POOL_ROWS] for start in range(0, len(shuffled), POOL_ROWS)]
        batches = [batch for pool in pools for batch in self._by_length(pool)]
        return [batches[i] for i in generator.permutation(len(batches))]

    def _by_length(self, pool: np.ndarray) -> list[np.ndarray]:
        """Cut a pool, longest rows first, into batches whose padded size stays within the budget."""
        ordered = pool[np.argsort(-self._lengths[pool], kind="stable")]
        batches, start = [], 0
        while start < len(ordered):
            size = max(1, self._token_budget // int(self._lengths[ordered[start]]))
            batches.append(ordered[start : start + size])
            start += size
        return batches
