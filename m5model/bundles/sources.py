"""Opens what ``--init`` names: a bundle of the workspace, the starter, a checkpoint folder, or a model of the hub."""

import os

from m5model.bundles.find import look_up_bundle, open_bundle
from m5model.encoders.sources import find_source
from m5model.runtime.rendering import Rendering
from m5model.training.starting import Source
from schemas.bundle import LICENCE_NOT_STATED, WEIGHTS_FILE, Origin
from schemas.workspace import Workspace


def open_source(workspace: Workspace, name: str) -> Source:
    """The checkpoint that ``name`` names, on local disk; every byte of a bundle is checked.

    A bundle brings its rendering, other checkpoints the prefix that their training put before every text. Raises
    ConfigurationError where there is no such checkpoint.
    """
    name = os.path.expanduser(name)
    path = look_up_bundle(workspace, name)
    if path is not None:
        folder, manifest = open_bundle(path)
        rendering = Rendering.from_json(manifest.rendering)
        origin = Origin(
            name=manifest.id,
            licence=manifest.origin.licence if manifest.origin else LICENCE_NOT_STATED,
            sha256=str(manifest.files[WEIGHTS_FILE]["sha256"]),
            prefix=rendering.prefix,
        )
        return Source(folder=folder, origin=origin, rendering=rendering)
    return Source.of(find_source(name), name)
