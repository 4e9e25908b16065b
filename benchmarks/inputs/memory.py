"""Resident memory of this process (the driver's Python) and of Spark's Python workers, from /proc; and the JVM's live heap."""

from pathlib import Path

from pyspark.sql import SparkSession


def resident_mb() -> dict[str, float]:
    """Peak resident MB: "driver" is this process, "worker" the largest Python worker of Spark that lives."""
    workers = [_peak_kb(process) for process in python_workers()]
    return {"driver": _peak_kb(Path("/proc/self")) / 1_024, "worker": max(workers, default=0) / 1_024}


def live_heap_mb(spark: SparkSession) -> float:
    """What lives on the heap of the JVM, which is driver and executor on one machine, after a collection."""
    runtime = spark._jvm.java.lang.Runtime.getRuntime()  # type: ignore[union-attr]
    runtime.gc()
    return float(runtime.totalMemory() - runtime.freeMemory()) / (1 << 20)


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
