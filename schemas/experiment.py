"""An experiment of a partner: what went in, what was measured, and the hash of every file that it wrote."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from schemas.figure import Figure

MANIFEST_FILE = "manifest.json"
PAGE_FILE = "report.html"
SCORES_FILE = "scores.parquet"
MODEL_FOLDER = "model"
CALIBRATION_FILE = "calibration.json"

Verdict = Literal["better", "worse", "not shown"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two models on the same rows: ``ours`` minus ``theirs`` of one metric, with its interval over entities."""

    metric: str
    ours: str  # what each model is, in words
    theirs: str
    our_value: float | None
    their_value: float | None
    difference: float | None
    low: float | None  # of the 95% interval of the difference
    high: float | None
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class GroupFigure:
    """The primary metric of the rows that have a value in a column."""

    column: str  # e.g. language
    value: str  # e.g. de
    rows: int
    positives: int | None  # of yes or no labels
    figure: Figure


@dataclass(frozen=True, kw_only=True)
class ExperimentManifest:
    """The manifest of a finished experiment. Its id is a hash of what decides it."""

    id: str
    partner: str
    strategy: str
    settings: Mapping[str, object]
    seed: int
    labels: Mapping[str, str]  # name, version, content_hash
    bundle: str  # id; empty where the strategy reads no vectors
    space_id: str
    engine: str
    code: str  # version of M5, and a hash of the code of partners' experiments
    created_at: str  # ISO 8601, UTC
    seconds: float
    rows_by_split: Mapping[str, int]
    threshold: float | None  # from which score on a row is a yes, chosen on validate
    figures: tuple[Figure, ...]  # the primary metric first
    comparisons: tuple[Comparison, ...]  # the first one is the lift over the partner's baseline
    groups: tuple[GroupFigure, ...]
    files: Mapping[str, str] = field(default_factory=dict)  # path below the experiment's folder → SHA-256
    notes: tuple[str, ...] = ()  # what readers must know, e.g. that clicks are simulated
