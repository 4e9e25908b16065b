"""Reads how many of a vector's first dimensions may be used by themselves: those that imitation was trained for."""

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.bundle import BundleManifest


def trained_prefixes(manifest: BundleManifest) -> tuple[int, ...]:
    """Numbers of dimensions, ascending, without the whole vector; none where no stage trained any.

    A stage that was trained for no step does not count.
    """
    steps = {one.stage: one.steps for one in manifest.trained}
    found = {
        width
        for stage in (manifest.recipe or {}).get("stages", ())  # type: ignore[attr-defined]
        if steps.get(stage.get("stage"))
        for width in _prefixes(stage)
    }
    return tuple(sorted(width for width in found if width < manifest.hidden_size))


def _prefixes(stage: Mapping[str, Any]) -> Iterator[int]:
    for share in stage.get("tasks", ()):
        yield from (share.get("settings") or {}).get("prefixes", ())
