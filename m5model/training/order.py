"""Says which rows a step learns from: a pure function of (content hash, seed, step)."""

import numpy as np

from m5model.data.randomness import generator_for
from schemas.errors import ConfigurationError

# Rows that are sorted by length together. Within an epoch every row comes once; larger pools pad less and mix less.
POOL_ROWS = 2_048


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

    @property
    def batches_per_epoch(self) -> int:
        """Steps until every row has come once; those of the epoch that is planned, for all have about as many."""
        return len(self._batches)

    def rows(self, step: int) -> np.ndarray:
        """Returns rows (B,) int64 of ``step``, which counts from 0."""
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
