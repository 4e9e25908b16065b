"""Drops the files of a view that nobody needs: neither its present rows nor a version that is kept."""

import math
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from m5model.features.publications import read_publications
from m5model.features.versions import list_readable
from m5model.files.delta import open_delta


def kept_versions(path: str, count: int, since: datetime) -> list[int]:
    """Published versions that stay readable, oldest first: the newest ``count``, and those that readers saw after ``since``."""
    published = read_publications(path)
    replaced = {one.version: after.committed_at for one, after in pairwise(published)}
    young = [one.version for one in published if one.version not in replaced or replaced[one.version] >= since]
    readable = [found.version for found in list_readable(path, published)]
    return sorted({*readable[max(0, len(readable) - count) :], *young} & set(readable))


def removable_files(path: str, hours: float, keep: Sequence[int]) -> list[str]:
    """Files that ``drop_files`` would delete."""
    return _vacuum(path, hours, keep, dry_run=True)


def drop_files(path: str, hours: float, keep: Sequence[int]) -> None:
    """Delete the files that no version of the last ``hours`` needs, nor one of ``keep``. Safe to repeat."""
    _vacuum(path, hours, keep, dry_run=False)


def _vacuum(path: str, hours: float, keep: Sequence[int], *, dry_run: bool) -> list[str]:
    return open_delta(path).vacuum(
        retention_hours=math.ceil(hours),
        dry_run=dry_run,
        enforce_retention_duration=False,
        full=True,  # files of commits that failed, too
        keep_versions=list(keep) or None,
    )
