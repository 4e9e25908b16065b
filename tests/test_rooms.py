"""Who may import whom: schemas ← m5model ← spark ← jobs."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FORBIDDEN = {
    "schemas": {"m5model", "spark", "jobs", "pyspark", "torch"},
    "m5model": {"spark", "jobs", "pyspark"},
    "m5model/runtime": {"spark", "jobs", "pyspark", "torch", "transformers", "datasets"},
    "spark": {"jobs", "torch", "argparse"},
}


def _imports(file: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    from_modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.split(".")[0] for name in plain | from_modules}


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_imports_only_what_lies_below_it(room: str) -> None:
    files = list((ROOT / room).rglob("*.py"))
    assert files
    found = {str(file.relative_to(ROOT)): _imports(file) & FORBIDDEN[room] for file in files}
    assert {name: imports for name, imports in found.items() if imports} == {}
