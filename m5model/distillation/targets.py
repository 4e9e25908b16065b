"""Finds whose vectors a bundle was taught to give: two students of one target may share a space.

A student whose imitation had one teacher of its own width was taught that teacher's vectors as they are, without a projection.
A bundle that is another one exported as it is, gives that one's vectors.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from m5model.distillation import imitation
from schemas.bundle import ONNX_INT8_FILE, BundleManifest
from schemas.checks import require


def targets_of(bundle: BundleManifest) -> frozenset[str]:
    """Ids of the bundles whose vectors it gives or was taught to give: itself, and one more where its recipe says so."""
    stages: Sequence[Mapping[str, Any]] = (bundle.recipe or {}).get("stages", ())  # type: ignore[assignment]
    learned = [share for stage in stages for share in stage.get("tasks", ())]
    taught = [share["settings"]["teachers"] for share in learned if share.get("task") == imitation.NAME]
    if len(taught) == 1 and len(taught[0]) == 1:
        return frozenset({bundle.id, taught[0][0]})
    begun = [stage["bundle"] for stage in stages if stage.get("stage") == "begin" and not stage.get("layers")]
    return frozenset({bundle.id, *(begun if not learned else ())})


def require_one_target(documents: BundleManifest, teachers: Sequence[BundleManifest], width: int) -> None:
    """Refuse, before anything is trained, a student that could not land in the space of ``documents``.

    Raises ConfigurationError naming everything that does not fit.
    """
    names = ", ".join(one.id for one in teachers)
    shared = len(teachers) == 1 and teachers[0].id in targets_of(documents)
    widths = {documents.hidden_size, width, *(one.hidden_size for one in teachers)}
    found = f"{documents.id} has {documents.hidden_size} dimensions, the student {width}"
    rules = {
        f"{documents.id} was not taught by {names}: expected one teacher for both, or {documents.id} as teacher": shared,
        f"{found}, its teachers {', '.join(str(one.hidden_size) for one in teachers)}: expected one number": len(widths) == 1,
        f"{documents.id} has no int8 graph: expected a student": ONNX_INT8_FILE in documents.files,
        f"{documents.id} is for queries itself": not documents.same_space,
    }
    require("--same-space-as", rules)
