"""Measures what a process and all below it take, from /proc."""

import os
from collections.abc import Mapping
from pathlib import Path


def resident_mb_of_tree(root: int) -> float:
    """Resident MB now, the sum over ``root`` and its descendants; pages that they share count for each."""
    parents, sizes = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            lines = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        except OSError:  # it ended meanwhile
            continue
        parents[int(folder.name)] = int(lines["PPid"])
        sizes[int(folder.name)] = int(lines.get("VmRSS", "0 kB").split()[0])
    return sum(sizes.get(process, 0) for process in _tree_of(root, parents)) / 1_024


def cpu_seconds_of_tree(root: int) -> float:
    """Seconds of a core that ``root`` and its descendants took up to now, those that have ended among them."""
    parents, ticks = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        parents[int(folder.name)] = int(fields[1])
        ticks[int(folder.name)] = sum(map(int, fields[11:15]))  # its own and its ended children's
    return sum(ticks.get(process, 0) for process in _tree_of(root, parents)) / os.sysconf("SC_CLK_TCK")


def _tree_of(root: int, parents: Mapping[int, int]) -> set[int]:
    tree = {root}
    while below := {process for process, parent in parents.items() if parent in tree} - tree:
        tree |= below
    return tree
