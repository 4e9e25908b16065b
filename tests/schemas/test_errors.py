"""Errors keep their class, message and advice on the way through pickles and through the text of other processes."""

import pickle
import traceback

import pytest

from schemas.errors import BadDataError, ConfigurationError, DamagedFileError, GateRefusedError, M5Error, find_error

ERRORS = [
    BadDataError("feed.gz cannot be read to its end: „Ende“", next_step="compress the file anew"),
    ConfigurationError("two lines:\n  the second", next_step="correct\nboth"),
    GateRefusedError("refused"),
    DamagedFileError("damaged", next_step="x"),
]


def _same(error: M5Error | None, other: M5Error) -> bool:
    return error is not None and (type(error), str(error), error.next_step) == (type(other), str(other), other.next_step)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling_with_its_advice(error: M5Error) -> None:
    assert _same(pickle.loads(pickle.dumps(error)), error)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_found_in_a_traceback_and_in_a_java_stack_trace_around_it(error: M5Error) -> None:
    try:
        try:
            raise KeyError("what came first")
        except KeyError as first:
            raise error from first
    except M5Error:
        python = traceback.format_exc()
    assert _same(find_error(python), error)
    java = f"org.apache.spark.SparkException: Job aborted\n\tat org.X.y(Z.java:1)\nCaused by: PythonException: {python}\n"
    assert _same(find_error(f"{java} SQLSTATE: 38000\n\tat org.apache.spark.api.python.X(Y.scala:2)\n\t... 1 more\n"), error)


def test_a_text_without_such_an_error_holds_none() -> None:
    assert find_error("ValueError: no M5Error: here\n  What to do: nothing") is None
