"""Decides which texts go through the model next: those of short requests are not kept waiting by long ones.

Fair queueing (Demers, Keshav and Shenker 1989; Goyal, Vin and Cheng 1996): every request has an equal share of the model. A
text's place is the virtual time at which its request came, plus the tokens that the same request put before it. The smallest
place goes first, and waiting texts of the same length go with it, whoever sent them: one call of the model holds texts of one
length. Virtual time goes on by the tokens that were taken, divided by the requests that wait.

Not thread-safe: m5model.serving.workers holds the lock.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Generic, TypeVar

import numpy as np

from m5model.runtime.batching import rows_of_a_call

Owner = TypeVar("Owner")


@dataclass(frozen=True, slots=True)
class Waiting(Generic[Owner]):
    """A text that waits: row ``row`` of what its owner asked for."""

    owner: Owner
    row: int
    ids_L: np.ndarray  # int64


@dataclass(slots=True)
class _Flow:
    """Counts what one request still has in the queue."""

    tokens: int
    texts: int


@dataclass
class FairQueue(Generic[Owner]):
    """Texts that wait, in lanes of one model and one length. ``Owner`` is a request, hashed by identity."""

    _lanes: dict[tuple[int, int], list[tuple[float, int, Waiting[Owner]]]] = field(default_factory=dict)
    _flows: dict[int, _Flow] = field(default_factory=dict)
    _clock: float = 0.0  # virtual time, in tokens
    _arrivals: Iterator[int] = field(default_factory=count)
    _texts: int = 0

    def __len__(self) -> int:
        return self._texts

    def push(self, model: int, owner: Owner, texts: Sequence[np.ndarray]) -> None:
        """Put the texts (token ids, each (L,)) of one request into the queue. Texts of two models never share a call."""
        place = self._clock
        for row, ids_L in enumerate(texts):
            entry = (place, next(self._arrivals), Waiting(owner, row, ids_L))
            heapq.heappush(self._lanes.setdefault((model, len(ids_L)), []), entry)
            place += len(ids_L)
        if texts:
            self._flows[id(owner)] = _Flow(sum(map(len, texts)), len(texts))
            self._texts += len(texts)

    def pop(self, token_budget: int) -> list[Waiting[Owner]]:
        """The texts of the next call: all of one model and one length, at least one, none where nothing waits."""
        if not self._lanes:
            return []
        key, lane = min(self._lanes.items(), key=lambda item: item[1][0])
        size = rows_of_a_call(key[1], token_budget)
        self._clock = max(self._clock, lane[0][0])
        taken = [heapq.heappop(lane)[2] for _ in range(min(size, len(lane)))]
        self._clock += len(taken) * key[1] / len(self._flows)
        if not lane:
            del self._lanes[key]
        for text in taken:
            self._leave(text.owner, len(text.ids_L))
        return taken

    def drop(self, owner: Owner) -> None:
        """Forget what is left of a request: nobody waits for it."""
        if id(owner) not in self._flows:
            return
        self._texts -= self._flows.pop(id(owner)).texts
        for key, lane in list(self._lanes.items()):
            kept = [entry for entry in lane if entry[2].owner is not owner]
            heapq.heapify(kept)
            if kept:
                self._lanes[key] = kept
            else:
                del self._lanes[key]

    def tokens_before(self, tokens: int) -> int:
        """Tokens that go through the model before a request of ``tokens`` that came now would be done.

        Under equal shares, a waiting request takes at most as much as the new one before that is done.
        """
        return sum(min(flow.tokens, tokens) for flow in self._flows.values())

    def _leave(self, owner: Owner, tokens: int) -> None:
        flow = self._flows[id(owner)]
        flow.tokens -= tokens
        flow.texts -= 1
        self._texts -= 1
        if not flow.texts:
            del self._flows[id(owner)]
