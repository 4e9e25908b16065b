"""Measures what a process and all below it take, from /proc."""

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
    tree = {root}
    while below := {process for process, parent in parents.items() if parent in tree} - tree:
        tree |= below
    return sum(sizes.get(process, 0) for process in tree) / 1_024
