"""Resident memory of this process (the driver's Python) and of Spark's Python workers, from /proc."""

from pathlib import Path


def resident_mb() -> dict[str, float]:
    """Peak resident MB: "driver" is this process, "worker" the largest Python worker of Spark that lives."""
    workers = [_peak_kb(process) for process in python_workers()]
    return {"driver": _peak_kb(Path("/proc/self")) / 1_024, "worker": max(workers, default=0) / 1_024}


def python_workers() -> list[Path]:
    """Spark's Python workers on this machine, as folders of /proc."""
    return [process for process in Path("/proc").glob("[0-9]*") if b"pyspark.daemon" in _command(process)]


def _command(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:  # it ended meanwhile
        return b""


def _peak_kb(process: Path) -> int:
    try:
        lines = (process / "status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
