"""Run a Python program as on a machine with AVX2 and neither AVX-512 nor VNNI: libraries then choose their AVX2 kernels.

    python benchmarks/inputs/plain_avx2.py benchmarks/instruction_sets.py --family avx2
    python benchmarks/inputs/plain_avx2.py benchmarks/int8_student.py --rows 5 --tokens 75

Linux on x86, a processor that can make CPUID fault, and a C compiler. Not for programs that start Java. What bytes come out is
what an AVX2 machine would write; how fast they come is this processor's speed at AVX2.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("without_avx512.c")
CPU_INFO = Path("/proc/cpuinfo")


def main() -> int:
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    if "cpuid_fault" not in CPU_INFO.read_text(encoding="utf-8"):
        print(f"this processor or kernel cannot make CPUID fault: {CPU_INFO} shows no cpuid_fault", file=sys.stderr)
        return 2
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        print("a C compiler is needed, and neither cc nor gcc is on PATH", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "without_avx512.so"
        subprocess.run([compiler, "-O2", "-shared", "-fPIC", str(SOURCE), "-o", str(library)], check=True)
        return subprocess.run([sys.executable, *sys.argv[1:]], env={**os.environ, "LD_PRELOAD": str(library)}).returncode


if __name__ == "__main__":
    raise SystemExit(main())
