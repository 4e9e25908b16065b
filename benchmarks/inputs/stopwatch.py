"""Seconds of some work, and the share of the cores that other processes took meanwhile, from /proc: where it is large, the
seconds say little."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from m5model.training.progress import say

TICKS = os.sysconf("SC_CLK_TCK")
BUSY_COLUMNS = (0, 1, 2, 5, 6, 7)  # of /proc/stat: user, nice, system, irq, softirq, steal


class Stopwatch:
    """Call it with the work to be timed."""

    def __init__(self) -> None:
        self.others_share = 0.0  # the largest of all timings: 1 is all cores

    def __call__(self, work: Callable[[], object]) -> float:
        """Seconds of ``work``."""
        busy, own, started = _busy_seconds(), _own_seconds(), time.perf_counter()
        work()
        seconds = time.perf_counter() - started
        # By process: one that ended meanwhile would take the seconds of its whole life out of a sum.
        ours = sum(spent - own.get(process, 0.0) for process, spent in _own_seconds().items())
        others = _busy_seconds() - busy - ours
        share = others / seconds / len(os.sched_getaffinity(0))
        say(f"{seconds:.1f} s; other processes took {share:.0%} of the cores")
        self.others_share = max(self.others_share, share)
        return seconds


def _busy_seconds() -> float:
    columns = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    return sum(int(columns[column]) for column in BUSY_COLUMNS) / TICKS


def _own_seconds() -> dict[int, float]:
    """User and system seconds of this process and of all below it that live, by process."""
    parents, seconds = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        parents[int(folder.name)] = int(fields[1])
        seconds[int(folder.name)] = (int(fields[11]) + int(fields[12])) / TICKS
    own = {os.getpid()}
    while below := {process for process, parent in parents.items() if parent in own} - own:
        own |= below
    return {process: seconds[process] for process in own}
