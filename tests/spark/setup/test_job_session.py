"""A job's session is stopped on every way out."""

import pytest
from py4j.protocol import Py4JNetworkError

from schemas.errors import BadDataError, StorageFullError
from spark.setup import session


class FakeSession:
    """Counts how often it is stopped."""

    stopped = 0

    def __init__(self, failure: Exception | None = None) -> None:
        self._failure = failure

    def stop(self) -> None:
        self.stopped += 1
        if self._failure:
            raise self._failure


def _use(monkeypatch: pytest.MonkeyPatch, fake: FakeSession) -> FakeSession:
    monkeypatch.setattr(session, "build_session", lambda *args, **kwargs: fake)
    monkeypatch.setattr(session.SparkContext, "_active_spark_context", None)
    return fake


@pytest.mark.parametrize("way", [ValueError("defect"), BadDataError("bad"), SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_a_session_is_stopped_whatever_ends_the_job(monkeypatch: pytest.MonkeyPatch, way: BaseException) -> None:
    fake = _use(monkeypatch, FakeSession())
    with pytest.raises(type(way)) as raised, session.job_session("test"):
        raise way
    assert (fake.stopped, raised.value) == (1, way)
    with session.job_session("test"):
        pass
    assert fake.stopped == 2


def test_a_jvm_that_is_gone_hides_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    _use(monkeypatch, FakeSession(Py4JNetworkError("Answer from Java side is empty")))
    with pytest.raises(StorageFullError, match="no space left"), session.job_session("test"):
        raise RuntimeError("java.io.IOException: No space left on device")


def test_a_session_that_was_there_before_the_job_is_left_running(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = _use(monkeypatch, FakeSession())
    monkeypatch.setattr(session.SparkContext, "_active_spark_context", object())
    with session.job_session("test"):
        pass
    assert fake.stopped == 0
