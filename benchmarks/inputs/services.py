"""Services of vectors over HTTP that benchmarks start on loopback: ``m5 serve``, and the plain endpoints beside it."""

import contextlib
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from inputs.commands import M5
from m5model.bundles.find import find_bundle
from m5model.training.progress import say
from schemas.errors import ConfigurationError
from schemas.workspace import Workspace

START_S = 120.0
PATHS = {"m5": "/v1/queries:encode", "plain": "/encode", "sentence_transformers": "/encode"}


@dataclass(frozen=True, kw_only=True)
class Running:
    """A service that answers."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def find_student(named: str | None, scratch: Path) -> str:
    """Path of the student that was named; else of the workspace's newest, else of one with random weights in ``scratch``."""
    try:
        return find_bundle(Workspace.resolve(None), named, "student")
    except ConfigurationError:
        if named:
            raise
    from inputs.listings import read_texts
    from inputs.students import publish_student

    say("no student in the workspace: making a student-70m with random weights")
    workspace = Workspace(str(scratch / "workspace"))
    return workspace.bundle(publish_student(workspace, "student-70m", read_texts(20_000, seed=1)[0]).id)


@contextlib.contextmanager
def running(name: str, bundle: str, *flags: str) -> Iterator[Running]:
    """The service ``name`` on a port of loopback, until the end of the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    if name == "m5":
        command = [*M5, "serve", bundle, "--port", str(port), "--cache-mb=0", *flags]
    else:
        kind = "onnx" if name == "plain" else "sentence-transformers"
        command = [sys.executable, str(Path(__file__).with_name("plain_endpoints.py")), kind, bundle, str(port)]
    process = subprocess.Popen(command)
    try:
        _wait_until_ready(port, process)
        yield Running(port=port, pid=process.pid)
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5):
            return
        time.sleep(0.1)
    raise RuntimeError(f"the service on port {port} did not start")
