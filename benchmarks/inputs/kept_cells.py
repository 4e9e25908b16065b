"""Keeps the results of a long benchmark, one JSON object a line, so that a run goes on with what a file of them lacks."""

import json
from pathlib import Path
from typing import Any

Cell = dict[str, Any]


def read_cells(file: Path | None) -> list[Cell]:
    """The results so far; none without a file."""
    if file is None or not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def keep_cell(file: Path | None, cell: Cell) -> None:
    """Add a result to the file, where one was named."""
    if file:
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(cell) + "\n")
