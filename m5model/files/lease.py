"""One writer at a time where the storage has no locks, or where two must not meet: a file that only its holder writes.

Leases of a table are numbered files. Taking one is creating the next number (a conditional PUT, which only one can win);
the holder renews its own file, and marks it as released in the end. A holder that stops renewing has lost its lease after
LEASE_SECONDS. Clocks of the machines must agree to within some seconds.
"""

import json
import logging
import os
import socket
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from m5model.files import storage
from schemas.errors import ConfigurationError

# A killed job can be started again after this long; renewals come five times as often.
LEASE_SECONDS = 60.0
# After this share of its life without a renewal the holder stops: a commit takes some seconds, and clocks differ.
SURE_SHARE = 0.75

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LeaseRecord:
    """Holds what a lease's file says."""

    holder: str  # the run's name
    host: str
    process: int
    renewed_at: float  # seconds since 1970
    released: bool = False

    def is_held(self, now: float) -> bool:
        return not self.released and now - self.renewed_at < LEASE_SECONDS and not self._is_dead_here()

    def _is_dead_here(self) -> bool:
        """True where the holder ran on this machine and is gone: no need to wait for it."""
        processes = Path("/proc")
        return self.host == socket.gethostname() and processes.exists() and not (processes / str(self.process)).exists()


class Lease:
    """Held while its ``with`` block runs. A holder calls ``check`` before every commit."""

    def __init__(self, folder: str, holder: str) -> None:
        self._folder = folder
        self._holder = holder
        self._path = ""
        self._renewed = 0.0  # time.monotonic of the last write that went well
        self._failure: OSError | None = None  # of the last renewal
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="m5-lease", daemon=True)

    def __enter__(self) -> "Lease":
        """Take the lease. Raises ConfigurationError naming the holder where there is one."""
        number, last = _newest(self._folder)
        if last is not None and last.is_held(time.time()):
            raise _refusal(self._folder, last)
        self._path = f"{self._folder}/{number + 1:08}.json"
        if not storage.write_new(self._path, self._record()):
            raise _refusal(self._folder, _newest(self._folder)[1])
        self._renewed = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Release it. Where that fails, it runs out by itself, and the work done under it counts all the same."""
        self._stop.set()
        self._thread.join()
        try:
            storage.write_bytes(self._path, self._record(released=True))
        except OSError as failure:
            log.warning("the lease %s could not be released and runs out in %.0f s: %s", self._path, LEASE_SECONDS, failure)

    def check(self) -> None:
        """Raise ConfigurationError unless the lease is surely ours for some seconds more.

        It is lost where another took over, and as good as lost where it could not be renewed for so long that another may.
        """
        silent = time.monotonic() - self._renewed
        if silent > LEASE_SECONDS * SURE_SHARE:
            raise self._lost(f"it could not be renewed for {silent:.0f} s: {self._failure or 'this process was halted'}")
        try:
            number, last = _newest(self._folder)
        except OSError as error:
            raise self._lost(f"its files cannot be read: {error}") from error
        if last is not None and f"{self._folder}/{number:08}.json" != self._path:
            raise self._lost(f"{_name(last)} has taken over, because it was not renewed for {LEASE_SECONDS:.0f} s")

    def _lost(self, reason: str) -> ConfigurationError:
        return ConfigurationError(
            f"the lease of {self._holder} on {self._folder.rpartition('/')[2]} was lost: {reason}",
            next_step="nothing was committed after that; see that the storage can be reached, and start the job again",
        )

    def _renew(self) -> None:
        """Renew it five times in its life; after a failure try again soon, until ``check`` gives up."""
        wait = LEASE_SECONDS / 5
        while not self._stop.wait(wait):
            try:
                storage.write_bytes(self._path, self._record())
            except OSError as error:
                log.warning("the lease %s could not be renewed, trying again: %s", self._path, error)
                self._failure, wait = error, LEASE_SECONDS / 20
            else:
                self._renewed, self._failure, wait = time.monotonic(), None, LEASE_SECONDS / 5

    def _record(self, released: bool = False) -> bytes:
        record = LeaseRecord(
            holder=self._holder, host=socket.gethostname(), process=os.getpid(), renewed_at=time.time(), released=released
        )
        return json.dumps(asdict(record)).encode()


def _newest(folder: str) -> tuple[int, LeaseRecord | None]:
    files = [name for name in storage.list_files(folder) if name.endswith(".json")]
    if not files:
        return 0, None
    return int(files[-1].removesuffix(".json")), LeaseRecord(**json.loads(storage.read_bytes(f"{folder}/{files[-1]}")))


def _refusal(folder: str, last: LeaseRecord | None) -> ConfigurationError:
    return ConfigurationError(
        f"{folder.rpartition('/')[2]} is being written by {_name(last) if last else 'another run'}",
        next_step=f"wait for it to end; if it was killed, start again {LEASE_SECONDS:.0f} s later",
    )


def _name(record: LeaseRecord) -> str:
    return f"{record.holder} (process {record.process} on {record.host})"
