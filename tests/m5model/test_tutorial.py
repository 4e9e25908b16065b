"""docs/tutorial.md is run, block by block."""

import re
import shutil
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", TUTORIAL.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def test_every_block_of_the_tutorial_runs(trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(trained.workspace.root, tmp_path / "workspace")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("M5_WORKSPACE", raising=False)
    names: dict[str, object] = {}
    for number, block in enumerate(BLOCKS, start=1):
        content = block.replace("TEACHER", trained.teacher.id)
        exec(compile(content, f"{TUTORIAL.name}, block {number}", "exec"), names)
    assert number == 9
