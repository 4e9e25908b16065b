"""After a release was rolled back: views of the space that readers had are theirs again, byte for byte, without Spark."""

from collections.abc import Iterator

from m5model.bundles.released import served_bundles
from m5model.features.holds import release_view
from m5model.features.publications import read_publications
from m5model.features.rollback import roll_back
from m5model.features.versions import list_readable, list_views
from schemas.features import FOLDER
from schemas.workspace import Workspace


def restore_views(workspace: Workspace) -> Iterator[tuple[str, int | None]]:
    """Bring every view that is of another space than the champion's back to its newest version of that space.

    Returns each view with the version that readers see again; None where none of that space can be read any more, so that
    jobs/publish_features.py has to build it. The next publication goes on from that version. Safe to repeat.
    """
    (served, *_) = served_bundles(workspace)
    for view in list_views(workspace):
        path = workspace.table(f"{FOLDER}/{view}")
        published = read_publications(path)
        if not published or published[-1].space_id == served.space_id:
            continue
        readable = [one.version for one in list_readable(path, published) if one.space_id == served.space_id]
        if not readable:
            yield view, None
            continue
        roll_back(workspace, view, readable[-1], space_id=served.space_id)
        release_view(workspace, view)
        yield view, readable[-1]
