"""One encoder in several threads, after a fork, and in another process."""

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import m5model
from m5model.runtime.encoder import Encoder
from m5model.runtime.forks import ForkGate
from schemas.errors import ModelInputError

TEXTS = ["red cotton shirt", "赤い 綿 シャツ", "blau [MASK] leder"]
LIMIT_S = 60

FORK = """
import os, sys
import m5model
encoder = m5model.load(sys.argv[1], threads=2)
expected = encoder.encode(["lamp", "red shirt"])
child = os.fork()
if child == 0:
    os._exit(0 if (encoder.encode(["lamp", "red shirt"]) == expected).all() else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

ENCODE = "import sys, m5model; m5model.load(sys.argv[1]).encode(['lamp'])"


@pytest.fixture(scope="module")
def encoder(trained) -> Encoder:
    return m5model.load(str(trained.student_folder), threads=2)


@pytest.fixture(scope="module")
def expected(encoder: Encoder) -> np.ndarray:
    return encoder.encode(TEXTS)


def test_a_child_that_was_forked_after_the_first_call_gives_the_same_vectors(trained) -> None:
    command = [sys.executable, "-c", FORK, str(trained.student_folder)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert answer.returncode == 0, answer.stderr


def test_a_pool_of_forked_processes_may_use_the_parents_encoder(encoder: Encoder, expected: np.ndarray) -> None:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.map_async(encoder.encode, [TEXTS] * 3).get(LIMIT_S)
    assert all(np.array_equal(vectors, expected) for vectors in found)


def test_several_threads_may_use_one_encoder_at_once(encoder: Encoder, expected: np.ndarray) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(vectors, expected) for vectors in pool.map(encoder.encode, [TEXTS] * 8))


def test_a_pickle_and_a_copy_give_the_same_vectors(encoder: Encoder, expected: np.ndarray) -> None:
    for other in (pickle.loads(pickle.dumps(encoder)), copy.deepcopy(encoder)):
        assert np.array_equal(other.encode(TEXTS), expected)


def test_a_fork_waits_until_no_call_is_inside() -> None:
    gate = ForkGate()
    inside, leave, order = threading.Event(), threading.Event(), []

    def call() -> None:
        with gate.call():
            inside.set()
            leave.wait(LIMIT_S)
            order.append("call")

    def fork() -> None:
        gate._close()
        order.append("fork")
        gate._open()

    threads = [threading.Thread(target=call)]
    threads[0].start()
    inside.wait(LIMIT_S)
    threads.append(threading.Thread(target=fork))
    threads[1].start()
    leave.set()
    for thread in threads:
        thread.join(LIMIT_S)
    assert order == ["call", "fork"]
    with gate.call():
        pass


def test_a_fork_while_other_threads_encode_leaves_a_child_that_can_encode(encoder: Encoder, expected: np.ndarray) -> None:
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            encoder.encode(TEXTS)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        child = os.fork()
        if child == 0:
            os._exit(0 if np.array_equal(encoder.encode(TEXTS), expected) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        stop.set()
        worker.join()


def test_the_row_that_cannot_be_encoded_is_named(encoder: Encoder) -> None:
    for row, problem in (("Lampe \ud83d", "surrogate"), ({"title": 3}, "title is a int"), (None, "NoneType"), ("", "empty")):
        with pytest.raises(ModelInputError, match=f"row 2.*{problem}"):
            encoder.encode(["a", "b", row])


def test_a_table_gives_one_vector_a_row_and_an_empty_list_none(encoder: Encoder) -> None:
    import pyarrow as pa

    vectors = encoder.encode(pa.table({"title": ["a", "b", "c"], "price": [1, 2, 3]}))
    assert np.array_equal(vectors, encoder.encode(["a", "b", "c"]))
    assert encoder.encode([]).shape == (0, encoder.dimensions)


def test_encoding_leaves_nothing_in_the_home_folder(trained, tmp_path) -> None:
    # Where CI is set, onnxruntime keeps nothing by itself.
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    command = [sys.executable, "-c", ENCODE, str(trained.student_folder)]
    subprocess.run(command, check=True, timeout=LIMIT_S, env={**environment, "HOME": str(tmp_path)})
    assert not list(tmp_path.rglob("*"))
