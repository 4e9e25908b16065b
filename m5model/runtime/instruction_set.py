"""Names the instructions that this machine's int8 products use. Families differ in the last bits, so reports name it."""

import platform
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")

# Best first, as onnxruntime's kernels choose: the flag that /proc/cpuinfo shows, and the family's name.
FAMILIES = (
    ("avx512_vnni", "avx512-vnni"),
    ("avx_vnni", "avx-vnni"),
    ("avx512bw", "avx512"),
    ("avx2", "avx2"),
    ("i8mm", "arm-i8mm"),
    ("asimddp", "arm-dot"),
)


def instruction_set(cpu_info: Path = CPU_INFO) -> str:
    """Name of the family, e.g. "avx512-vnni"; the machine's architecture where nothing better is known."""
    try:
        lines = cpu_info.read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    flags = next((set(line.partition(":")[2].split()) for line in lines if line.startswith(("flags", "Features"))), set())
    return next((family for flag, family in FAMILIES if flag in flags), platform.machine())
