"""A PostgreSQL server of one's own on loopback, for as long as it is needed."""

import glob
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def postgresql() -> Iterator[str]:
    """The URI of a fresh database. Raises FileNotFoundError where PostgreSQL is not installed."""
    binaries = next(iter(sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)), None)
    if binaries is None:
        found = shutil.which("initdb")
        if found is None:
            raise FileNotFoundError("PostgreSQL is not installed")
        binaries = str(Path(found).parent)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tempfile.mkdtemp(prefix="m5-postgresql-")
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    _as_server_user(f"{binaries}/initdb", "-D", f"{folder}/data", "-U", "m5", "--auth=trust", "-E", "UTF8")
    _as_server_user(f"{binaries}/pg_ctl", "-D", f"{folder}/data", "-w", "-l", f"{folder}/log", "-o", options, "start")
    try:
        _as_server_user(f"{binaries}/createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "m5", "m5")
        yield f"postgresql://m5:secret@127.0.0.1:{port}/m5"
    finally:
        _as_server_user(f"{binaries}/pg_ctl", "-D", f"{folder}/data", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def _as_server_user(*command: str) -> None:
    """PostgreSQL refuses to run as root; Debian's package brings the user postgres."""
    prefix = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    subprocess.run([*prefix, *command], check=True, capture_output=True, text=True, cwd="/")
