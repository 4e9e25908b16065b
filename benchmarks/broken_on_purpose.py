"""Break the code on purpose, one place at a time, and see whether the test that is named for it fails.

    python benchmarks/broken_on_purpose.py [--only WORD] [--list]

Works on a copy of the tree. A break is a text that stands once in a file, and what replaces it (benchmarks/inputs/breaks.py).
The test must pass on the whole code and fail on the broken one. The last line of stdout is one JSON object; ``survived`` should
be empty.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from inputs.breaks import BREAKS, Break

ROOT = Path(__file__).parents[1]
COPIED = ("schemas", "m5model", "spark", "jobs", "schedules", "tests", "benchmarks", "pyproject.toml", "README.md", "docs")
PASSED, FAILED = 0, 1  # exit codes of pytest


def main() -> int:
    parser = argparse.ArgumentParser(description="Break the code on purpose and see whether the named tests fail.")
    parser.add_argument("--only", default="", metavar="WORD", help="breaks whose name or test holds this word")
    parser.add_argument("--list", action="store_true", help="print the breaks as a Markdown table and end")
    arguments = parser.parse_args()
    chosen = [entry for entry in BREAKS if arguments.only in f"{entry.name} {entry.test}"]
    if arguments.list:
        print("\n".join(f"| {entry.name} | `{entry.file}` | `{entry.test}` |" for entry in chosen))
        return 0
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="m5-broken-") as folder:
        tree = copy_tree(Path(folder))
        sound = run_tests(tree, sorted({entry.test for entry in chosen}))
        if sound.returncode != PASSED:
            print(sound.stdout[-3_000:], file=sys.stderr)
            raise SystemExit("the tests do not pass on the code as it is")
        outcomes = {entry.name: try_break(tree, entry) for entry in chosen}
    survived = [name for name, is_caught in outcomes.items() if not is_caught]
    figures = {"breaks": len(outcomes), "caught": len(outcomes) - len(survived), "survived": survived}
    print(json.dumps({**figures, "seconds": round(time.monotonic() - started)}))
    return 0


def copy_tree(folder: Path) -> Path:
    """The files that tests read, in a folder of their own."""
    for name in COPIED:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    return folder


def try_break(tree: Path, entry: Break) -> bool:
    """Is the break noticed by its test?"""
    file = tree / entry.file
    whole = file.read_text(encoding="utf-8")
    if whole.count(entry.find) != 1:
        found = whole.count(entry.find)
        raise SystemExit(f"{entry.name}: the text to break stands {found} times in {entry.file}, expected once")
    file.write_text(whole.replace(entry.find, entry.replace), encoding="utf-8")
    try:
        answer = run_tests(tree, [entry.test])
    finally:
        file.write_text(whole, encoding="utf-8")
    is_caught = answer.returncode == FAILED
    print(f"{'caught' if is_caught else 'SURVIVED'}: {entry.name} ({entry.test})", file=sys.stderr, flush=True)
    return is_caught


def run_tests(tree: Path, tests: list[str]) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main())
