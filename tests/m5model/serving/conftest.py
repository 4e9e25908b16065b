"""A service in a process of its own, on a free port of loopback, with the tiny student."""

import contextlib
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

pytest.importorskip("uvicorn", reason="the service needs the extra m5[serve]")

LIMIT_S = 60
COMMAND = "import sys; from m5model.cli import main; sys.exit(main(['serve', *sys.argv[1:]]))"


@dataclass
class Running:
    """A service that runs, and its log."""

    process: subprocess.Popen[str]
    url: str = ""
    log: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def post(self, path: str, body: object, **options: object) -> httpx.Response:
        return httpx.post(self.url + path, json=body, timeout=LIMIT_S, **options)  # type: ignore[arg-type]

    def get(self, path: str, **options: object) -> httpx.Response:
        return httpx.get(self.url + path, timeout=LIMIT_S, **options)  # type: ignore[arg-type]

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        lines = self.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(rf"{name}[ {{]", line))

    def wait_for_log(self, text: str, times: int = 1) -> None:
        end = time.monotonic() + LIMIT_S
        while sum(text in line for line in self.log) < times:
            assert time.monotonic() < end and self.process.poll() is None, self.log
            time.sleep(0.02)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LIMIT_S)


def _start(*arguments: str, processes: int = 1) -> Running:
    command = [sys.executable, "-c", COMMAND, *arguments, "--port=0", f"--processes={processes}"]
    running = Running(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
    threading.Thread(target=_read_log, args=(running,), daemon=True).start()
    running.wait_for_log("serving ", times=processes)
    found = re.search(r"listening on (\S+)", "\n".join(running.log))
    assert found
    running.url = found[1]
    return running


def _read_log(running: Running) -> None:
    assert running.process.stderr
    for line in running.process.stderr:
        running.log.append(line)


@pytest.fixture(scope="module")
def start() -> Iterator[Callable[..., Running]]:
    """``start(BUNDLE, flags…)`` starts a service; all of them end with the module."""
    with contextlib.ExitStack() as stack:

        def start(*arguments: str, processes: int = 1) -> Running:
            running = _start(*arguments, processes=processes)
            stack.callback(running.process.wait, LIMIT_S)
            stack.callback(running.process.terminate)
            return running

        yield start


@pytest.fixture(scope="module")
def service(trained, start) -> Running:
    """One that all tests of a module share."""
    return start(str(trained.student_folder))


@pytest.fixture(scope="session")
def other_student(trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second bundle: the same weights, another prefix, so other vectors in another space."""
    folder = tmp_path_factory.mktemp("other") / "student-tiny-other"
    shutil.copytree(trained.student_folder, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest |= {"id": folder.name, "space_id": "0123456789abcdef"}
    manifest["rendering"]["prefix"] = "steel "
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
