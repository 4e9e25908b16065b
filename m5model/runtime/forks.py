"""A process may be forked while models are loaded (gunicorn --preload, multiprocessing): the child's first call must not hang.

A fork copies locks as they are and none of the threads. So a fork waits until no call is inside onnxruntime, and whoever has
threads asks for them anew in the child.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class ForkGate:
    """Calls pass through; a fork waits for those that are inside and keeps others out until it is done."""

    def __init__(self) -> None:
        self._reset()

    @contextmanager
    def call(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._forks)
            self._calls += 1
        try:
            yield
        finally:
            with self._changed:
                self._calls -= 1
                self._changed.notify_all()

    def register(self) -> None:
        """From now on, forks of this process and of its children wait."""
        os.register_at_fork(before=self._close, after_in_parent=self._open, after_in_child=self._reset)

    def _close(self) -> None:
        self._changed.acquire()
        self._forks += 1
        self._changed.wait_for(lambda: not self._calls)

    def _open(self) -> None:
        self._forks -= 1
        self._changed.notify_all()
        self._changed.release()

    def _reset(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._calls = 0
        self._forks = 0
