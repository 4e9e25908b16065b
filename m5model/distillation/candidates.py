"""Candidates for a student: how many of the bundle's layers to take. Each is distilled briefly and measured; one goes on.

    6x384    six layers of a bundle that is 384 wide, those that are missed least (m5model.distillation.layer_choice)

A trial is kept beside the checkpoints, so that a run started again tries none twice.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from m5model.distillation.thresholds import Cost
from m5model.files import storage
from m5model.training.progress import say
from schemas.bundle import BundleManifest
from schemas.checks import require
from schemas.errors import GateRefusedError
from schemas.figure import Figure

TRIAL_SHARE = 0.2  # of the steps of the whole distillation


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """So many layers of a bundle."""

    name: str
    layers: tuple[int, ...]  # by number from 0; empty for all


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A candidate, distilled briefly, as int8."""

    name: str
    agreement: float  # of its similarities with the teachers', see m5model.distillation.agreement
    ms_at_32_tokens: float
    ms_at_512_tokens: float | None  # None where it takes no such text
    int8_mb: float

    def is_within(self, limits: Cost) -> bool:
        """Does it cost no more than a gate allows?"""
        costs = ((self.int8_mb, limits.max_int8_mb), (self.ms_at_32_tokens, limits.max_ms_at_32_tokens))
        long = (self.ms_at_512_tokens or 0.0, limits.max_ms_at_512_tokens)
        return all(limit is None or cost <= limit for cost, limit in (*costs, long))

    def figures(self) -> tuple[Figure, ...]:
        """Returns what a manifest states of it."""
        values = {name: value for name, value in asdict(self).items() if name != "name"}
        return tuple(Figure(name=f"candidate_{self.name}_{name}", value=value) for name, value in values.items())


def read_candidates(names: str, bundle: BundleManifest) -> dict[str, int]:
    """``12x384,6x384`` as name → layers. Raises ConfigurationError naming those that this bundle cannot give."""
    found, rules = {}, {}
    for name in dict.fromkeys(part.strip() for part in names.split(",")):
        match = re.fullmatch(r"([1-9]\d{0,2})x([1-9]\d{0,4})", name)
        count, width = (int(match[1]), int(match[2])) if match else (0, 0)
        fits = 0 < count <= bundle.layers and width == bundle.hidden_size
        rules[f"{name!r} is no candidate of {bundle.id}, which has {bundle.layers}x{bundle.hidden_size}"] = fits
        if fits:
            found[name] = count
    require("--candidates", rules)
    return found


def choose(candidates: Sequence[Candidate], limits: Cost, attempt: Callable[[Candidate], Trial], folder: str) -> list[Trial]:
    """All trials, that which goes on first: the best agreement among those within the limits, of equals the quicker one.

    ``folder`` keeps trials. Raises GateRefusedError where none is within the limits.
    """
    trials = [_kept(candidate, attempt, f"{folder}/{candidate.name}.json") for candidate in candidates]
    for trial in trials:
        say(f"candidate {trial.name}: agreement {trial.agreement:.4f}, {trial.ms_at_32_tokens:.2f} ms, {trial.int8_mb:.1f} MB")
    within = [trial for trial in trials if trial.is_within(limits)]
    if not within:
        least = min(trials, key=lambda trial: trial.int8_mb)
        raise GateRefusedError(
            f"no candidate is within the gate's limits; the smallest, {least.name}, has {least.int8_mb:.1f} MB and takes "
            f"{least.ms_at_32_tokens:.2f} ms at 32 tokens",
            next_step="name smaller candidates, or raise the limits under [cost]",
        )
    best = max(within, key=lambda trial: (round(trial.agreement, 3), -trial.ms_at_32_tokens))
    return [best, *(trial for trial in trials if trial != best)]


def _kept(candidate: Candidate, attempt: Callable[[Candidate], Trial], path: str) -> Trial:
    if storage.exists(path):
        return Trial(**json.loads(storage.read_bytes(path)))
    trial = attempt(candidate)
    storage.write_bytes(path, json.dumps(asdict(trial)).encode())
    return trial
