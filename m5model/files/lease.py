"""One writer at a time where the storage has no locks, or where two must not meet: a file that only its holder writes.

Leases of a table are numbered files. Taking one is creating the next number (a conditional PUT, which only one can win);
the holder renews its own file, and marks it as released in the end. A holder that stops renewing has lost its lease after
LEASE_SECONDS. Clocks of the machines must agree to within some seconds.
"""

import json
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


@dataclass(frozen=True, kw_only=True)
class LeaseRecord:
    """What a lease's file says."""

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
    """Held while its ``with`` block runs."""

    def __init__(self, folder: str, holder: str) -> None:
        self._folder = folder
        self._holder = holder
        self._path = ""
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
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        storage.write_bytes(self._path, self._record(released=True))

    def check(self) -> None:
        """Raise ConfigurationError where another has taken over: this process was silent for too long."""
        number, last = _newest(self._folder)
        if last is not None and f"{self._folder}/{number:08}.json" != self._path:
            raise _refusal(self._folder, last)

    def _renew(self) -> None:
        while not self._stop.wait(LEASE_SECONDS / 5):
            storage.write_bytes(self._path, self._record())

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
    holder = f"{last.holder} (process {last.process} on {last.host})" if last else "another run"
    return ConfigurationError(
        f"{folder.rpartition('/')[2]} is being written by {holder}",
        next_step=f"wait for it to end; if it was killed, start again {LEASE_SECONDS:.0f} s later",
    )
