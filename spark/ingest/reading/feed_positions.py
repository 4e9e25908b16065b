"""Remembers up to which version each table of Delta was ingested into a workspace."""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256

from m5model.files import storage
from schemas.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class FeedPosition:
    """A version of a table."""

    root: str
    table_id: str  # a table that is made anew in the same place has another
    version: int


def find_position(workspace: Workspace, root: str) -> FeedPosition | None:
    """The version of the table that was ingested last; None where none was."""
    try:
        return FeedPosition(**json.loads(storage.read_bytes(_path_of(workspace, root))))
    except FileNotFoundError:
        return None


def keep_position(workspace: Workspace, position: FeedPosition) -> None:
    """To be called once all that the version holds is in ``listings``."""
    storage.write_bytes(_path_of(workspace, position.root), json.dumps(asdict(position)).encode())


def _path_of(workspace: Workspace, root: str) -> str:
    return workspace.feed_position(sha256(root.encode()).hexdigest()[:32])
