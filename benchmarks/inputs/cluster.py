"""A real Spark standalone cluster on loopback: a master and worker processes, started by Spark's own ``spark-class``."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyspark

ROOT = Path(__file__).parents[2]
SPARK_HOME = Path(pyspark.__file__).parent
LOOPBACK = "127.0.0.1"
START_SECONDS = 60.0


class LocalCluster:
    """``with LocalCluster(folder) as cluster``: workers of ``cores`` cores each, one executor per worker and application."""

    def __init__(self, folder: Path, *, workers: int = 2, cores: int = 1, memory: str = "2g") -> None:
        self.folder, self.cores, self.memory = folder, cores, memory
        self.workers: list[subprocess.Popen[bytes] | None] = [None] * workers
        self.port = free_port()
        self.environment = {
            **{
                name: value for name, value in os.environ.items() if name != "PYTHONPATH"
            },  # executors get the code by --py-files
            "SPARK_HOME": str(SPARK_HOME),
            "SPARK_LOCAL_IP": LOOPBACK,
            "PYSPARK_PYTHON": sys.executable,
            "SPARK_NO_DAEMONIZE": "1",
        }

    @property
    def url(self) -> str:
        return f"spark://{LOOPBACK}:{self.port}"

    def __enter__(self) -> "LocalCluster":
        self.folder.mkdir(parents=True, exist_ok=True)
        ports = ["--host", LOOPBACK, "--port", str(self.port), "--webui-port", "0"]
        self._master = self._start("master", "org.apache.spark.deploy.master.Master", ports)
        wait_for_port(self.port)
        for number in range(len(self.workers)):
            self.start_worker(number)
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self.workers, self._master):
            if process is not None:
                _end_group(process)

    def start_worker(self, number: int) -> None:
        """Start the worker of that number, again where it was killed."""
        arguments = ["--host", LOOPBACK, "--cores", str(self.cores), "--memory", self.memory, "--webui-port", "0"]
        work = ["--work-dir", str(self.folder / f"work-{number}"), self.url]
        self.workers[number] = self._start(f"worker-{number}", "org.apache.spark.deploy.worker.Worker", [*arguments, *work])

    def kill_worker(self, number: int) -> None:
        """SIGKILL to the worker process and its executors."""
        process = self.workers[number]
        if process is not None:
            _end_group(process)

    def submit(self, job: str, *arguments: str, settings: Mapping[str, str] | None = None) -> "subprocess.Popen[bytes]":
        """``spark-submit`` of a job as README says, in a process group of its own; its output lies in ``folder``."""
        chosen = {
            "spark.driver.host": LOOPBACK,
            "spark.driver.bindAddress": LOOPBACK,
            "spark.executor.cores": str(self.cores),
            "spark.executor.memory": "1g",
            "spark.ui.enabled": "false",
            **(settings or {}),
        }
        flags = [part for name, value in chosen.items() for part in ("--conf", f"{name}={value}")]
        command = [str(SPARK_HOME / "bin" / "spark-submit"), "--master", self.url, "--py-files", str(self.pack_code()), *flags]
        command += [str(ROOT / job), *arguments]
        with (self.folder / "job.out").open("wb") as out, (self.folder / "job.err").open("wb") as err:
            return subprocess.Popen(
                command, env=self.environment, stdout=out, stderr=err, cwd=self.folder, start_new_session=True
            )

    def pack_code(self) -> Path:
        """m5.zip: the packages that executors import."""
        target = self.folder / "m5.zip"
        if not target.exists():
            with zipfile.ZipFile(target, "w") as archive:
                for package in ("schemas", "m5model", "spark", "jobs"):
                    for file in sorted((ROOT / package).rglob("*")):
                        if file.is_file() and "__pycache__" not in file.parts:
                            archive.write(file, file.relative_to(ROOT))
        return target

    def _start(self, name: str, main_class: str, arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
        command = [str(SPARK_HOME / "bin" / "spark-class"), main_class, *arguments]
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, seconds: float = START_SECONDS) -> None:
    """Until something listens on loopback; TimeoutError where nothing does."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as client:
            if client.connect_ex((LOOPBACK, port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port} after {seconds:.0f} s")


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    """SIGKILL to a process and all that it started."""
    with contextlib.suppress(ProcessLookupError):  # it ended by itself
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
