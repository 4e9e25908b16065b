"""Identity of an experiment: a hash of what decides its outcome, the code of this folder among it."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import m5model
from schemas.canonical import identify
from schemas.partner import Partner
from schemas.space import sha256_hex


def experiment_id(
    *,
    partner: Partner,
    labels: str,
    space_id: str,
    bundle: str,
    strategy: str,
    settings: Mapping[str, object],
    seed: int,
    notes: tuple[str, ...] = (),
) -> str:
    """STRATEGY-HASH. ``labels`` is the content hash of the labels."""
    declared = {
        "name": partner.name,
        "kind": partner.labels.name,
        "metric": partner.metric,
        "baseline": partner.baseline,
        "groups": list(partner.groups),
        "evidence": [[column.name, str(column.type)] for column in partner.evidence],
    }
    decides = {
        "partner": declared,
        "labels": labels,
        "space": space_id,
        "bundle": bundle,
        "strategy": strategy,
        "settings": dict(settings),
        "seed": seed,
        "notes": list(notes),
        "code": code_version(),
    }
    return f"{strategy}-{identify(decides)}"


@cache
def code_version(folder: Path = Path(__file__).parent) -> str:
    """VERSION+HASH: the version of M5, and a hash of the code in ``folder``, here that which fits and judges."""
    code = "".join(
        f"{file.relative_to(folder).as_posix()}\n{file.read_text(encoding='utf-8')}" for file in sorted(folder.rglob("*.py"))
    )
    return f"{m5model.__version__}+{sha256_hex(code.encode())[:8]}"
