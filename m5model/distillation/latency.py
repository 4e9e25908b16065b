"""Times one text through a student's graph and through its teachers, in turns, so that a busy machine slows both alike.

Student: the int8 graph that executors run, one thread. Teachers: fp32 in torch, one thread, on the CPU; of several, the sum.
Tensor suffixes: L tokens.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from m5model.data.vocabulary import SPECIAL_TOKENS
from m5model.distillation.student_graph import executor_graph
from m5model.distillation.teachers import Teacher
from m5model.encoders.encoder import TextEncoder, sentence_vectors
from m5model.encoders.kinds import load_encoder
from m5model.gates.intervals import Interval, bootstrap
from m5model.runtime.encoder import open_session, run_graph

SHORT, LONG = 32, 512  # tokens
ROUNDS = 9
# Large teachers take seconds for one text: no further round begins after this long, but three there are.
SECONDS = 15.0
FEWEST_ROUNDS = 3

Call = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Latency:
    """One text of so many tokens."""

    student_ms: float  # median over rounds
    teacher_ms: float | None  # None where a teacher does not take so many tokens
    times_quicker: Interval | None  # teacher by student, median over rounds
    rounds: int


def measure_latency(folder: Path, teachers: Sequence[Teacher], tokens: int, vocabulary_size: int) -> Latency:
    """Time a student's checkpoint folder beside its teachers; the student alone without any."""
    student = _student_call(folder, tokens, vocabulary_size)
    fits = bool(teachers) and all(tokens <= one.manifest.max_tokens for one in teachers)
    calls = [student, *(_teacher_call(one, tokens) for one in teachers if fits)]
    with one_torch_thread():
        taken = np.asarray(_time_in_turns(calls)) * 1e3
    student_ms, teacher_ms = taken[:, 0], taken[:, 1:].sum(axis=1)
    ratio = teacher_ms / student_ms
    return Latency(
        student_ms=statistics.median(student_ms),
        teacher_ms=statistics.median(teacher_ms) if fits else None,
        times_quicker=bootstrap(lambda rows: float(np.median(ratio[rows])), np.arange(len(ratio))) if fits else None,
        rounds=len(taken),
    )


def measure_milliseconds(folder: Path, tokens: int, vocabulary_size: int) -> float:
    """Time the student alone."""
    return measure_latency(folder, (), tokens, vocabulary_size).student_ms


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Let torch compute with one thread, as the student's graph does."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _time_in_turns(calls: Sequence[Call]) -> list[list[float]]:
    """Seconds of every call, a row a round. The first call of each allocates, and is not counted."""
    for call in calls:
        call()
    rounds: list[list[float]] = []
    began = time.perf_counter()
    while len(rounds) < ROUNDS and (len(rounds) < FEWEST_ROUNDS or time.perf_counter() - began < SECONDS):
        rounds.append([_seconds(call) for call in calls])
    return rounds


def _seconds(call: Call) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _student_call(folder: Path, tokens: int, vocabulary_size: int) -> Call:
    session = open_session(executor_graph(folder))
    ids_1L = np.random.default_rng(0).integers(len(SPECIAL_TOKENS), vocabulary_size, (1, tokens))
    mask_1L = np.ones_like(ids_1L)
    return lambda: run_graph(session, ids_1L, mask_1L)


def _teacher_call(teacher: Teacher, tokens: int) -> Call:
    """The teacher on the CPU; a copy where it computes elsewhere."""
    encoder: TextEncoder = teacher.encoder if teacher.encoder.device.type == "cpu" else load_encoder(teacher.folder)
    guessable = encoder.guessable_ids
    ids_1L = torch.from_numpy(guessable[np.random.default_rng(0).integers(0, len(guessable), (1, tokens))])
    mask_1L = torch.ones_like(ids_1L)

    @torch.inference_mode()
    def call() -> object:
        return sentence_vectors(encoder, ids_1L, mask_1L)

    return call
