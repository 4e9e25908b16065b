"""Finds what publishing keeps to follow changes: neighbours and sums, tables whose versions name the source they are of."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from m5model.features.publications import Values, read_publications
from m5model.features.versions import list_views
from m5model.files import storage
from m5model.files.delta import open_delta
from m5model.files.delta_log import list_versions, read_commit
from schemas.features import FOLDER
from schemas.report import JsonValue
from schemas.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class ViewState:
    """Says what is kept in one folder of ``view_state``."""

    name: str  # of the folder
    table: str  # neighbours or sums
    space_id: str
    rows: int
    size: int  # bytes of its newest version
    committed_at: datetime
    used_by: tuple[str, ...]  # views that can follow changes by it

    def as_json(self) -> dict[str, JsonValue]:
        return {**asdict(self), "committed_at": self.committed_at.isoformat(), "used_by": list(self.used_by)}


def list_states(workspace: Workspace) -> list[ViewState]:
    """All of them, by name. A view can follow changes by a state that has a version of the source that the view is of."""
    views = {name: source for one in (workspace, workspace.next) for name, source in _sources(one)}
    folder = f"{workspace.root}/view_state"
    found = [(name, table) for name in storage.list_folders(folder) for table in storage.list_folders(f"{folder}/{name}")]
    paths = [(f"{folder}/{name}/{table}", name, table) for name, table in found]
    return [_describe(*one, views) for one in paths if storage.exists(f"{one[0]}/_delta_log")]


def _sources(workspace: Workspace) -> list[tuple[str, Values]]:
    """The views that readers have, with what they were made from."""
    prefix = "next/" if workspace.root.endswith("/next") else ""
    published = {name: read_publications(workspace.table(f"{FOLDER}/{name}")) for name in list_views(workspace)}
    return [(f"{prefix}{FOLDER}/{name}", versions[-1].source) for name, versions in published.items() if versions]


def _describe(path: str, name: str, table: str, views: "dict[str, Values]") -> ViewState:
    commits = [read_commit(path, version) for version in list_versions(path)]
    sources = _named_sources([commit.user_metadata for commit in commits])
    files = pa.table(open_delta(path).get_add_actions())
    return ViewState(
        name=name,
        table=table,
        space_id=str(sources[-1].get("space_id", "")) if sources else "",
        rows=pc.sum(files["num_records"]).as_py() or 0,
        size=pc.sum(files["size_bytes"]).as_py() or 0,
        committed_at=commits[-1].committed_at,
        used_by=tuple(sorted(view for view, source in views.items() if source in sources and _may_use(view, name, table))),
    )


def _may_use(view: str, name: str, table: str) -> bool:
    """Sums are those of the view that their folder is named after; neighbours are for all that search the space."""
    return table != "sums" or name.rpartition("-")[0] == view.rpartition("/")[2]


def _named_sources(texts: Sequence[str]) -> list[Values]:
    return [json.loads(text)["source"] for text in texts if text]
