"""Opens a view for a reader: the version and the space that it declares, or an error that says what to do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from deltalake import DeltaTable

from m5model.features.publications import PublishedVersion, read_publications
from m5model.features.scanning import scan_files
from m5model.features.versions import find_as_of, list_readable, require_published, require_readable
from m5model.files.delta import open_delta
from schemas.errors import ConfigurationError, SpaceMismatchError
from schemas.features import FOLDER
from schemas.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class OpenedView:
    """One version of a view, ready to be read; what is published meanwhile does not touch it."""

    published: PublishedVersion
    table: DeltaTable

    def schema(self, columns: Sequence[str] | None = None) -> pa.Schema:
        """The columns, or all of them. Raises ConfigurationError naming those that there are not."""
        whole = self.table.to_pyarrow_dataset().schema
        unknown = [name for name in columns or () if name not in whole.names]
        if unknown:
            raise ConfigurationError(
                f"there is no column {', '.join(unknown)} in version {self.published.version}",
                next_step=f"give some of: {', '.join(whole.names)}",
            )
        return whole if columns is None else pa.schema([whole.field(name) for name in columns])

    def batches(self, columns: Sequence[str] | None = None, limit: int | None = None) -> Iterator[pa.RecordBatch]:
        """The rows, one batch in memory at a time; the first ``limit`` of them."""
        schema, left = self.schema(columns), limit
        for batch in scan_files(self.table, columns=schema.names):
            if left is not None:
                batch = batch.slice(0, left)
                left -= batch.num_rows
            yield batch
            if left == 0:
                return

    def reader(self, columns: Sequence[str] | None = None, limit: int | None = None) -> pa.RecordBatchReader:
        """The same for whoever takes Arrow: DuckDB, Polars, pandas."""
        return pa.RecordBatchReader.from_batches(self.schema(columns), self.batches(columns, limit))


def open_view(workspace: Workspace, view: str, *, space_id: str | None = None, as_of: int | str | None = None) -> OpenedView:
    """The version that readers see now, or that ``as_of`` (a version or a time, see ``find_as_of``) names.

    While a release's window is open, a reader that declares the space that is coming gets the views that are published beside.
    Raises SpaceMismatchError where it is of another space than ``space_id``, ConfigurationError where there is no such version
    or its files are gone.
    """
    path = _find_place(workspace, view, space_id).table(f"{FOLDER}/{view}")
    published = require_published(path, view)
    found = published[-1] if as_of is None else find_as_of(published, view, str(as_of))
    if space_id is not None and found.space_id != space_id:
        raise _of_another_space(path, view, found, published, space_id)
    if found is not published[-1]:
        require_readable(path, view, found, published)
    # The newest commit may be one that published nothing, over the same rows.
    return OpenedView(published=found, table=open_delta(path, found.version))


def _find_place(workspace: Workspace, view: str, space_id: str | None) -> Workspace:
    """The workspace itself, or its views of the space that is coming, where that is the space declared."""
    coming = read_publications(workspace.next.table(f"{FOLDER}/{view}")) if space_id is not None else []
    return workspace.next if coming and coming[-1].space_id == space_id else workspace


def _of_another_space(
    path: str, view: str, found: PublishedVersion, published: Sequence[PublishedVersion], space_id: str
) -> SpaceMismatchError:
    older = [one for one in list_readable(path, published) if one.space_id == space_id]
    advice = f"what was trained on {space_id} must not read it: train it anew on {found.space_id} and declare that"
    if older:
        versions = ", ".join(str(one.version) for one in older)
        advice += f"; until then read as of version {versions}, which do not follow the catalogue any more"
    return SpaceMismatchError(
        f"version {found.version} of {view} is of space {found.space_id}; this reader declares {space_id}", next_step=advice
    )
