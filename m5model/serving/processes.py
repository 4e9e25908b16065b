"""Several processes answer on one port. They share the listening socket, so that nothing that has connected is lost when one of
them ends: with a socket for each (SO_REUSEPORT), the connections that wait at the one that is closed are reset.
"""

import logging
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import time
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType

from m5model.serving.server import Settings, check, serve
from schemas.errors import ConfigurationError, M5Error

log = logging.getLogger(__name__)

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # where prometheus-client's processes share their counts
BACKLOG = 2_048
QUICK_S = 10.0  # a process that ends so early did not get to serve
QUICK_ENDS = 5  # of these, one after the other, and the service gives up
RESTART_S = 1.0  # between a process that ended by itself and its successor, so that a fault does not burn the CPU


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ConfigurationError where the address is taken, or is none."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {error}", next_step="give another --port or --host"
        ) from error
    return listening


def serve_together(settings: Settings, listening: socket.socket, processes: int) -> None:
    """Answer with ``processes`` processes until SIGTERM or SIGINT; SIGHUP goes to all of them. One that ends is replaced.

    Raises ConfigurationError or DamagedFileError, before any is started, where the bundle or the keys cannot be opened, and
    M5Error where processes end as soon as they are started.
    """
    check(settings)
    with tempfile.TemporaryDirectory(prefix="m5-metrics-") as folder:
        os.environ[METRICS_FOLDER] = folder  # for the processes that are started
        try:
            _Supervisor(settings, listening, processes).run()
        finally:
            del os.environ[METRICS_FOLDER]


class _Supervisor:
    """Starts processes, passes signals on, and replaces what ends."""

    def __init__(self, settings: Settings, listening: socket.socket, processes: int) -> None:
        self._settings = settings
        self._listening = listening
        self._number = processes
        self._processes: dict[SpawnProcess, float] = {}  # and when they were started, on the monotonic clock
        self._quick_ends = 0
        self._is_stopping = False

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, lambda number, frame: self._tell(signal.SIGHUP))
        for _ in range(self._number):
            self._start()
        while self._processes:
            wait([process.sentinel for process in self._processes], timeout=1.0)
            for process in [one for one in self._processes if one.exitcode is not None]:
                self._replace(process, time.monotonic() - self._processes.pop(process))
        if self._quick_ends >= QUICK_ENDS:
            raise M5Error("processes end as soon as they are started", next_step="see the log above for why the last one ended")

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would share locks of threads
        process = context.Process(target=_serve_child, args=(self._settings, self._listening))
        process.start()
        self._processes[process] = time.monotonic()

    def _replace(self, process: SpawnProcess, lived_s: float) -> None:
        _forget_metrics(process.pid)
        if self._is_stopping:
            return
        self._quick_ends = self._quick_ends + 1 if lived_s < QUICK_S else 0
        if self._quick_ends >= QUICK_ENDS:
            self._stop(signal.SIGTERM, None)
            return
        log.error("process %s ended with %s and is replaced", process.pid, process.exitcode)
        time.sleep(RESTART_S)
        self._start()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._is_stopping = True
        self._tell(signal.SIGTERM)

    def _tell(self, number: int) -> None:
        for process in self._processes:
            if process.pid is not None and process.exitcode is None:
                os.kill(process.pid, number)


def _serve_child(settings: Settings, listening: socket.socket) -> None:
    """One process. It stops when its parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's goes to all; the parent passes it on as SIGTERM
    threading.Thread(target=_follow_parent, daemon=True).start()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    serve(settings, listening)


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _forget_metrics(pid: int | None) -> None:
    """Stop counting what a process that ended had waiting or served; what it has done still counts."""
    for file in Path(os.environ[METRICS_FOLDER]).glob(f"gauge_live*_{pid}.db"):
        file.unlink()
