"""Threads, the bound of waiting, and texts that the model fails on, with a model that can be made to wait."""

import threading
import time

import numpy as np
import pytest

from m5model.serving.refusals import Refusal
from m5model.serving.workers import Job, Workers

LIMIT_S = 60


class SlowEncoder:
    """Takes ``gate`` to go on, and fails on rows that begin with 13."""

    dimensions = 2

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.calls: list[np.ndarray] = []

    def encode_ids(self, ids_BL: np.ndarray) -> tuple[np.ndarray, dict[int, str]]:
        self.calls.append(ids_BL)
        assert self.gate.wait(LIMIT_S)
        failures = dict.fromkeys(np.flatnonzero(ids_BL[:, 0] == 13), "unlucky")
        return np.stack([ids_BL[:, 0], ids_BL.sum(axis=1)], axis=1).astype(np.float32), failures


def _submit(workers: Workers, encoder: SlowEncoder, rows: list[list[int]]) -> tuple[Job, threading.Event]:
    done = threading.Event()
    job = Job.of(encoder, len(rows), done.set)  # type: ignore[arg-type]
    workers.submit(job, [np.array(row) for row in rows])
    return job, done


def _workers(threads: int = 1, wait_ms: float = 1e6, queued_texts: int = 1_000) -> Workers:
    return Workers(threads, call_tokens=64, wait_ms=wait_ms, queued_texts=queued_texts)


def test_every_row_gets_its_own_vector_and_a_failure_costs_no_other_its_vector() -> None:
    encoder, workers = SlowEncoder(), _workers(threads=2)
    encoder.gate.set()
    jobs = [_submit(workers, encoder, [[i, 1, 1], [13, i, 0], [i]]) for i in range(20, 60)]
    for i, (job, done) in zip(range(20, 60), jobs, strict=True):
        assert done.wait(LIMIT_S)
        assert job.vectors_BD[[0, 2]].tolist() == [[i, i + 2], [i, i]] and job.failures == {1: "unlucky"}
    workers.close()


def test_texts_that_wait_go_in_one_call_and_those_that_do_not_wait_go_at_once() -> None:
    encoder, workers = SlowEncoder(), _workers()
    jobs = [_submit(workers, encoder, [[1, 2]])]
    while not encoder.calls:
        time.sleep(0.001)
    jobs += [_submit(workers, encoder, [[i, i]]) for i in range(5)]
    encoder.gate.set()
    assert all(done.wait(LIMIT_S) for _, done in jobs)
    assert [len(call) for call in encoder.calls] == [1, 5]
    workers.close()


def test_a_request_that_would_wait_too_long_is_refused_and_one_that_is_long_itself_waits_longer() -> None:
    encoder, workers = SlowEncoder(), _workers(wait_ms=3.0)  # ten tokens at the speed that is assumed at first
    _submit(workers, encoder, [[1] * 8])
    while not encoder.calls:
        time.sleep(0.001)
    _submit(workers, encoder, [[1] * 9, [1] * 9])
    with pytest.raises(Refusal) as refused:
        for _ in range(6):
            _submit(workers, encoder, [[1] * 4])
    assert refused.value.status == 429 and int(refused.value.headers["retry-after"]) >= 1
    _submit(workers, encoder, [[1] * 40])
    encoder.gate.set()
    workers.close()


def test_more_texts_than_the_queue_holds_are_refused_but_one_request_always_fits() -> None:
    encoder, workers = SlowEncoder(), _workers(queued_texts=3)
    _submit(workers, encoder, [[1]] * 10)
    with pytest.raises(Refusal, match="texts wait"):
        for _ in range(4):
            _submit(workers, encoder, [[2]])
    encoder.gate.set()
    workers.close()


def test_a_dropped_job_is_not_computed() -> None:
    encoder, workers = SlowEncoder(), _workers()
    _submit(workers, encoder, [[1]])
    while not encoder.calls:
        time.sleep(0.001)
    job, done = _submit(workers, encoder, [[2], [3, 3]])
    workers.drop(job)
    last = _submit(workers, encoder, [[4]])
    encoder.gate.set()
    assert last[1].wait(LIMIT_S) and not done.is_set() and workers.waiting == 0
    assert [call[0, 0] for call in encoder.calls] == [1, 4]
    workers.close()
