"""Who may import whom: schemas ← m5model ← spark ← jobs, and inside a room only what stands earlier in its list.

The lists are those of docs/rooms.md. Modules that lie directly in a room (``m5model/toolkit.py``) come after all its folders.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FORBIDDEN = {
    "schemas": {"m5model", "spark", "jobs", "pyspark", "torch"},
    "m5model": {"spark", "jobs", "pyspark"},
    "m5model/feeds": {"spark", "jobs", "pyspark", "torch", "transformers", "datasets", "deltalake"},
    "m5model/runtime": {"spark", "jobs", "pyspark", "torch", "transformers", "datasets"},
    "m5model/serving": {"spark", "jobs", "pyspark", "torch", "transformers", "datasets", "argparse"},
    "spark": {"jobs", "torch", "argparse"},
}

# From the ground up: a folder imports only itself and folders before it.
ORDER = {
    "m5model": (
        "files",
        "feeds",
        "runtime",
        "data",
        "labels",
        "encoders",
        "tasks",
        "training",
        "bundles",
        "gates",
        "export",
        "distillation",
        "partners",
        "features",
        "releases",
        "serving",
        "planning",
        "reports",
        "sample_catalogue",
        "commands",
    ),
    "spark": (
        "setup",
        "delta",
        "vectors",
        "ingest",
        "sampling",
        "labels",
        "embedding",
        "neighbours",
        "features",
        "retention",
        "reports",
    ),
    "spark/ingest": ("reading", "mapping", "cleaning", "judging", "staging", "deciding"),
}


def _imports(file: Path) -> set[str]:
    """Full names of all that ``file`` imports, inside functions too."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    members = {
        f"{node.module}.{alias.name}"
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module and not node.level
        for alias in node.names
    }
    return plain | members


def _upward_imports(room: str) -> Iterator[str]:
    """What imports against the order, as ``FILE imports NAME``."""
    order = ORDER[room]
    for place, folder in enumerate(order):
        later = {f"{room.replace('/', '.')}.{name}" for name in order[place + 1 :]}
        for file in sorted((ROOT / room / folder).rglob("*.py")):
            for name in sorted(_imports(file)):
                if any(name == module or name.startswith(f"{module}.") for module in later):
                    yield f"{file.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_imports_only_what_lies_below_it(room: str) -> None:
    files = list((ROOT / room).rglob("*.py"))
    assert files
    found = {str(file.relative_to(ROOT)): {name.split(".")[0] for name in _imports(file)} & FORBIDDEN[room] for file in files}
    assert {name: imports for name, imports in found.items() if imports} == {}


@pytest.mark.parametrize("room", ORDER)
def test_a_folder_imports_only_folders_before_it(room: str) -> None:
    assert list(_upward_imports(room)) == []


@pytest.mark.parametrize("room", ORDER)
def test_every_folder_of_a_room_has_its_place(room: str) -> None:
    folders = {file.parent.name for file in (ROOT / room).glob("*/__init__.py")}
    assert folders <= set(ORDER[room])
