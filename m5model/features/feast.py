"""Writes a Feast repository of the published views: definitions, and rows as Feast reads them.

Feast joins by time, so every row must say since when it holds; a view's rows do not. So each published version becomes a
Parquet file with one column more, when it was published. Written again after a publication, the repository gains that version
alone; a training set that Feast makes for a moment in the past gets the version that readers saw then.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq

from m5model.features.profiles import describe_key
from m5model.features.publications import PublishedVersion
from m5model.features.reading import OpenedView, open_view
from m5model.features.tags import describe_tags
from m5model.features.versions import list_readable, require_published, require_readable
from m5model.files import storage
from schemas.errors import ConfigurationError
from schemas.features import FOLDER
from schemas.workspace import Workspace

PUBLISHED_AT = "published_at"
DEFINITIONS, SETTINGS = "views.py", "feature_store.yaml"
_INSTANT = pa.timestamp("us", tz="UTC")
_TYPES = {
    "string": "String",
    "float": "Float32",
    "double": "Float64",
    "int32": "Int32",
    "int64": "Int64",
    "bool": "Bool",
    "list<element: float>": "Array(Float32)",
    "list<item: float>": "Array(Float32)",
}
_STORE = """project: m5
registry: data/registry.db
provider: local
offline_store:
  type: file
online_store:
  type: sqlite
  path: data/online.db
entity_key_serialization_version: 3
"""

_HEAD = f'''"""M5's feature views for Feast, written by `m5 features feast`: do not edit, it is written anew.

Rows hold from the time at which they were published ({PUBLISHED_AT}).
"""

from datetime import timedelta

from feast import Entity, FeatureView, Field, FileSource
from feast.types import Array, Bool, Float32, Float64, Int32, Int64, String
from feast.value_type import ValueType
'''


@dataclass(frozen=True, kw_only=True)
class WrittenView:
    """Holds what the repository has of one view."""

    name: str
    versions: tuple[int, ...]  # oldest first
    added: tuple[int, ...]  # those that were written now


def write_repository(workspace: Workspace, views: Sequence[str], out: str, versions: int = 1) -> list[WrittenView]:
    """Write or renew the repository in the folder ``out``: of each view the newest ``versions`` published ones of its space.

    Safe to repeat: files of versions that are there already are left as they are, those of others go. Raises
    ConfigurationError for a column that Feast has no type for.
    """
    kept = {view: _choose_versions(workspace, view, versions) for view in views}
    opened = [open_view(workspace, view, as_of=found[-1].version) for view, found in kept.items()]
    defined = [_define(workspace, view, one) for view, one in zip(views, opened, strict=True)]
    written = [_write_rows(workspace, view, found, f"{out}/data/{view}") for view, found in kept.items()]
    storage.write_bytes(f"{out}/{DEFINITIONS}", "\n".join([_HEAD, _entities(opened), "", *defined]).encode())
    if not storage.exists(f"{out}/{SETTINGS}"):  # who changed the stores keeps them
        storage.write_bytes(f"{out}/{SETTINGS}", _STORE.encode())
    return written


def _choose_versions(workspace: Workspace, view: str, count: int) -> list[PublishedVersion]:
    """Rows of two spaces never mix, so versions of another space than the newest one's stay out."""
    path = workspace.table(f"{FOLDER}/{view}")
    published = require_published(path, view)
    require_readable(path, view, published[-1], published)
    of_space = [one for one in list_readable(path, published) if one.space_id == published[-1].space_id]
    return of_space[-count:]


def _write_rows(workspace: Workspace, view: str, kept: Sequence[PublishedVersion], folder: str) -> WrittenView:
    names = {f"{one.version:08d}.parquet": one for one in kept}
    there = set(storage.list_files(folder))
    added = [one for name, one in names.items() if name not in there]
    for one in added:
        _write_version(open_view(workspace, view, as_of=one.version), f"{folder}/{one.version:08d}.parquet")
    for name in there - names.keys():
        storage.delete_file(f"{folder}/{name}")
    return WrittenView(name=view, versions=tuple(one.version for one in kept), added=tuple(one.version for one in added))


def _write_version(opened: OpenedView, file: str) -> None:
    schema = opened.schema().append(pa.field(PUBLISHED_AT, _INSTANT))
    with storage.open_output(file) as stream, pq.ParquetWriter(stream, schema) as writer:
        for batch in opened.batches():
            writer.write_batch(_with_time(batch, opened.published.committed_at, schema))


def _with_time(batch: pa.RecordBatch, moment: datetime, schema: pa.Schema) -> pa.RecordBatch:
    times = pa.repeat(pa.scalar(moment, _INSTANT), batch.num_rows)
    return pa.RecordBatch.from_arrays([*batch.columns, times], schema=schema)


def _entities(opened: Sequence[OpenedView]) -> str:
    """An entity for each column of a key: Feast's entities have one column each."""
    meanings = {name: meaning for one in opened for name, meaning in _key_meanings(one.published)}
    return "\n".join(_entity(name, meaning) for name, meaning in meanings.items())


def _entity(name: str, meaning: str) -> str:
    named = f"name={name!r}, join_keys=[{name!r}]"
    return f"{_identifier(name)} = Entity({named}, value_type=ValueType.STRING, description={meaning!r})"


def _key_meanings(published: PublishedVersion) -> Iterator[tuple[str, str]]:
    """The columns of the view's key with what they mean, as far as that is declared."""
    columns = published.declaration.get("columns")
    declared = [one for one in columns if isinstance(one, dict)] if isinstance(columns, list) else []
    meanings = {str(one["name"]): str(one["meaning"]) for one in declared}
    yield from ((name, meanings.get(name, "")) for name in describe_key(published))


def _identifier(name: str) -> str:
    return re.sub(r"\W", "_", name)


def _define(workspace: Workspace, view: str, opened: OpenedView) -> str:
    published = opened.published
    key = describe_key(published)
    tags = describe_tags(workspace, published)
    fields = "\n".join(_fields(view, opened.schema(), key))
    return f"""{_identifier(view)}_view = FeatureView(
    name={view!r},
    description={str(published.declaration.get("description", ""))!r},
    owner={str(published.declaration.get("owner", ""))!r},
    entities=[{", ".join(map(_identifier, key))}],
    ttl=timedelta(0),
    schema=[
{fields}
    ],
    source=FileSource(name={f"{view}_rows"!r}, path={f"data/{view}"!r}, timestamp_field={PUBLISHED_AT!r}),
    tags={tags!r},
)
"""


def _fields(view: str, schema: pa.Schema, key: Sequence[str]) -> Iterator[str]:
    for field in schema:
        kind = _TYPES.get(str(field.type))
        if kind is None:
            raise ConfigurationError(
                f"column {field.name} of {view} is {field.type}: Feast has no such type",
                next_step="name the views to write with --view, without this one",
            )
        yield f"        Field(name={field.name!r}, dtype={kind}),"
