"""Finds finished experiments by their manifests alone: nothing that fits or scores is imported."""

from m5model.files import storage
from m5model.files.manifests import from_json
from schemas.errors import SpaceMismatchError
from schemas.experiment import CALIBRATION_FILE, MANIFEST_FILE, ExperimentManifest
from schemas.workspace import Workspace

# Their models read vectors that a catalogue has; others bring an encoder of their own, which executors do not run.
STRATEGIES = ("frozen",)


def find_finished(workspace: Workspace, partner: str, experiment: str) -> ExperimentManifest | None:
    """The manifest of that experiment; None where it was not finished."""
    where = f"{workspace.experiment(partner, experiment)}/{MANIFEST_FILE}"
    return from_json(ExperimentManifest, storage.read_bytes(where), where) if storage.exists(where) else None


def list_experiments(workspace: Workspace, partner: str) -> list[ExperimentManifest]:
    """Finished experiments of a partner, oldest first."""
    names = storage.list_folders(f"{workspace.experiments}/{partner}")
    found = (find_finished(workspace, partner, name) for name in names)
    return sorted((one for one in found if one is not None), key=lambda one: (one.created_at, one.id))


def require_published_space(experiment: str, reads: str, published: str) -> None:
    """Raise SpaceMismatchError where an experiment's model reads another space than the vectors that are published."""
    if reads != published:
        raise SpaceMismatchError(
            f"experiment {experiment} reads vectors of the space {reads}, published are those of {published}",
            next_step="run the experiment with the bundle of that space, or publish without one",
        )


def newest_scorer(workspace: Workspace, partner: str, space_id: str) -> str:
    """Id of the newest experiment whose model scores pairs of that space; empty where there is none."""
    fitting = [
        one.id
        for one in list_experiments(workspace, partner)
        if one.strategy in STRATEGIES and one.space_id == space_id and CALIBRATION_FILE in one.files
    ]
    return fitting[-1] if fitting else ""
