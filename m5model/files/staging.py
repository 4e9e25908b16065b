"""A place for what is not whole yet."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.workspace import Workspace


@contextmanager
def staging_folder(workspace: Workspace) -> Iterator[Path]:
    """An empty folder on the workspace's own filesystem (so that moving it is one step), gone afterwards.

    It is outside ``bundles/`` and ``experiments/``, so that nothing takes it for one.
    """
    parent = None
    if not workspace.is_remote:
        parent = Path(workspace.root) / ".staging"
        parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bundle-", dir=parent, ignore_cleanup_errors=True) as folder:
        content = Path(folder) / "content"
        content.mkdir()
        yield content
