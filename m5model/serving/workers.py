"""Threads that take texts from the queue and put them through the model, and the rule that keeps the queue short.

A thread that has nothing to do takes what is there at once: calls hold several requests' texts only where those wait anyway.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from m5model.runtime.encoder import Encoder
from m5model.serving.fair_queue import FairQueue, Waiting
from m5model.serving.refusals import overloaded

# Weight of the last call in the running mean of seconds per token: some twenty calls decide it.
SMOOTHING = 0.05
# Until a call was measured: a student of 12 layers on one core.
FIRST_SECONDS_PER_TOKEN = 3e-4


@dataclass(eq=False, slots=True)
class Job:
    """The texts of one request that are not in the cache, and where their vectors go."""

    encoder: Encoder
    vectors_BD: np.ndarray  # float32, filled in by the threads
    done: Callable[[], None]  # called once, by the thread that computed the last vector
    failures: dict[int, str] = field(default_factory=dict)  # row → what the model said of its text
    left: int = 0

    @classmethod
    def of(cls, encoder: Encoder, texts: int, done: Callable[[], None]) -> "Job":
        return cls(encoder, np.zeros((texts, encoder.dimensions), np.float32), done, left=texts)


class Workers:
    """``threads`` threads that share one queue. Start it in the process that uses it: threads do not survive a fork."""

    def __init__(self, threads: int, *, call_tokens: int, wait_ms: float, queued_texts: int) -> None:
        self._queue: FairQueue[Job] = FairQueue()
        self._changed = threading.Condition()
        self._is_open = True
        self._call_tokens = call_tokens
        self._wait_s = wait_ms / 1_000
        self._queued_texts = queued_texts
        self._seconds_per_token = FIRST_SECONDS_PER_TOKEN
        self.on_call: Callable[[int, int, float], None] = lambda texts, tokens, seconds: None
        self._threads = [threading.Thread(target=self._work, name=f"m5-serve-{i}", daemon=True) for i in range(threads)]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Texts that wait now."""
        return len(self._queue)

    @property
    def are_alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def submit(self, job: Job, texts: Sequence[np.ndarray]) -> None:
        """Queue the texts (token ids) of a job. Raises Refusal (429) where it would wait too long; then nothing is queued."""
        with self._changed:
            self._admit(sum(map(len, texts)), len(texts))
            self._queue.push(id(job.encoder), job, texts)
            self._changed.notify(min(len(texts), len(self._threads)))

    def drop(self, job: Job) -> None:
        """Forget the texts of a job that still wait: its client is gone."""
        with self._changed:
            self._queue.drop(job)

    def close(self) -> None:
        """End the threads; what is still queued is not computed."""
        with self._changed:
            self._is_open = False
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _admit(self, tokens: int, texts: int) -> None:
        """A request may wait ``wait_ms`` for others, and as long as it takes itself: long requests can expect no less."""
        each_s = self._seconds_per_token / len(self._threads)
        wait_s = self._queue.tokens_before(tokens) * each_s
        if len(self._queue) and len(self._queue) + texts > self._queued_texts:
            raise overloaded(f"{len(self._queue):,} texts wait, {self._queued_texts:,} may", wait_s)
        if wait_s > self._wait_s + tokens * each_s:
            raise overloaded(f"the request would wait {wait_s * 1_000:.0f} ms for others", wait_s)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: len(self._queue) or not self._is_open)
                if not self._is_open:
                    return
                texts = self._queue.pop(self._call_tokens)
            self._call(texts)

    def _call(self, texts: list[Waiting[Job]]) -> None:
        began = time.perf_counter()
        ids_BL = np.stack([text.ids_L for text in texts])
        found_BD, failures = texts[0].owner.encoder.encode_ids(ids_BL)
        seconds = time.perf_counter() - began
        for place, text in enumerate(texts):
            text.owner.vectors_BD[text.row] = found_BD[place]
            if place in failures:
                text.owner.failures[text.row] = failures[place]
        with self._changed:
            self._seconds_per_token += SMOOTHING * (seconds / ids_BL.size - self._seconds_per_token)
            finished = [owner for owner in (text.owner for text in texts) if _is_last(owner)]
        for job in finished:
            job.done()
        self.on_call(len(texts), ids_BL.size, seconds)


def _is_last(job: Job) -> bool:
    """Count one text of the job as done; was it the last?"""
    job.left -= 1
    return job.left == 0
