"""Opens what an experiment is asked for: names first, then the labels, then the bundle."""

import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any

from m5model.bundles.find import find_bundle, look_up_bundle, read_manifest
from m5model.partners.experiment import Plan
from m5model.partners.reading import DataRequest, open_data
from m5model.partners.registry import find_partner, find_strategy
from m5model.partners.vectors import Engine, Vectors, open_vectors, read_vectors
from schemas.checks import require
from schemas.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class ExperimentRequest:
    """The flags of ``m5 finetune``."""

    partner: str
    labels: str
    strategy: str = "frozen"
    bundle: str | None = None  # id or path; the newest student, or for engine torch the newest teacher, if None
    engine: Engine = "int8"
    vectors: str | None = None  # a Parquet file of vectors
    allow_seen: bool = False
    notes: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()  # NAME=VALUE of the strategy
    seed: int = 0
    device: str = "auto"
    threads: int = 0


def open_plan(workspace: Workspace, request: ExperimentRequest) -> Plan:
    """Raises ConfigurationError for names and settings that there are not, BadDataError for labels with faults."""
    partner, strategy = find_partner(request.partner), find_strategy(request.strategy)
    settings = read_settings(strategy, request.settings)
    serves = f"the strategy {request.strategy} serves {', '.join(strategy.SERVES)}, labels of {partner.name} are "
    require("experiment", {f"{serves}{partner.labels.name}": partner.labels.name in strategy.SERVES})
    data = open_data(
        workspace,
        DataRequest(partner=partner, labels=request.labels, seed=request.seed, allow_seen=request.allow_seen),
    )
    threads = request.threads or os.cpu_count() or 1
    vectors, bundle, source = _open_vectors(workspace, request, strategy, threads)
    return Plan(
        data=data,
        vectors=vectors,
        strategy=request.strategy,
        settings=settings,
        bundle=bundle,
        engine=request.engine if bundle else "",
        seed=request.seed,
        threads=threads,
        device=request.device,
        source=source,
        scratch=Path(workspace.root) / "checkpoints" / "partners" if not workspace.is_remote else None,
        notes=request.notes,
    )


def read_settings(strategy: ModuleType, given: tuple[str, ...]) -> Any:
    """The strategy's settings with NAME=VALUE in place of defaults; a value is JSON, or a text where it is none."""
    known = [field.name for field in fields(strategy.Settings)]
    pairs = [text.partition("=") for text in given]
    rules = {f"{''.join(pair)!r} is no NAME=VALUE": bool(pair[0] and pair[1]) for pair in pairs}
    rules |= {f"there is no setting {name!r}, only {', '.join(known)}": name in known for name, _, _ in pairs}
    require("--set", rules)
    return strategy.Settings(**{name: _value(text) for name, _, text in pairs})


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _open_vectors(
    workspace: Workspace, request: ExperimentRequest, strategy: ModuleType, threads: int
) -> tuple[Vectors | None, str, str]:
    """Vectors where the strategy reads them, the bundle's id, and what an encoder begins with: its path, or the name given."""
    if not strategy.USES_VECTORS and not strategy.TRAINS_ENCODER:
        return None, "", ""
    if not strategy.USES_VECTORS and request.bundle is not None and look_up_bundle(workspace, request.bundle) is None:
        # "starter", a checkpoint folder, or a name of the hub: see m5model.bundles.sources.
        return None, request.bundle, request.bundle
    path = find_bundle(workspace, request.bundle, "teacher" if request.engine == "torch" else "student")
    manifest = read_manifest(path)
    if not strategy.USES_VECTORS:
        return None, manifest.id, path
    if request.vectors is not None:
        space_id = manifest.space_id if request.engine == "int8" else manifest.space_id_fp32
        return read_vectors(Path(request.vectors), space_id), manifest.id, path
    vectors, _ = open_vectors(workspace, path, engine=request.engine, threads=threads)
    return vectors, manifest.id, path
