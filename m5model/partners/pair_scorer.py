"""A finished experiment's model, carried as bytes to where pairs of a catalogue are scored: without torch or a workspace.

Tensor suffixes: P pairs, D dimensions.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from m5model.files import storage
from m5model.partners.data import DataSource, PartnerData, data_schema
from m5model.partners.evaluation.calibration import Calibration
from m5model.partners.finished import STRATEGIES, require_published_space
from m5model.partners.records import open_experiment
from m5model.partners.registry import find_partner, find_strategy
from m5model.partners.vectors import given_vectors
from schemas.errors import ConfigurationError
from schemas.experiment import CALIBRATION_FILE, MODEL_FOLDER
from schemas.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class ScorerBytes:
    """All that scoring needs, small enough to broadcast."""

    experiment: str
    partner: str
    strategy: str
    space_id: str
    files: Mapping[str, bytes]  # path below the experiment's folder → content


def read_scorer(workspace: Workspace, partner: str, experiment: str, space_id: str) -> ScorerBytes:
    """The model's bytes, every hash checked. Raises SpaceMismatchError where it reads another space."""
    manifest = open_experiment(workspace, partner, experiment).manifest
    if manifest.strategy not in STRATEGIES or CALIBRATION_FILE not in manifest.files:
        raise ConfigurationError(
            f"experiment {experiment} ({manifest.strategy}) gives no probability that executors can compute",
            next_step=f"give one of the strategy {', '.join(STRATEGIES)}, with ten matches or more in its split validate",
        )
    require_published_space(experiment, manifest.space_id, space_id)
    folder = workspace.experiment(partner, experiment)
    wanted = [name for name in manifest.files if name.startswith(f"{MODEL_FOLDER}/") or name == CALIBRATION_FILE]
    files = {name: storage.read_bytes(f"{folder}/{name}") for name in wanted}
    return ScorerBytes(experiment=experiment, partner=partner, strategy=manifest.strategy, space_id=space_id, files=files)


class PairScorer:
    """Calibrated probabilities of pairs of listings."""

    def __init__(self, model: ScorerBytes) -> None:
        self.partner = find_partner(model.partner)
        self._space_id = model.space_id
        with tempfile.TemporaryDirectory(prefix="m5-scorer-") as name:
            folder = Path(name)
            for path, content in model.files.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content)
            self._fitted = find_strategy(model.strategy).load(folder / MODEL_FOLDER)
            self._calibration = Calibration.load(folder / CALIBRATION_FILE)

    def probabilities(self, columns: Mapping[str, Sequence[object]], left_PD: np.ndarray, right_PD: np.ndarray) -> np.ndarray:
        """Probabilities (P,) float64. ``columns`` are left_text, right_text and the partner's evidence that there is."""
        left, right = list(columns["left_text"]), list(columns["right_text"])
        known = dict(zip(map(str, (*left, *right)), (*left_PD, *right_PD), strict=True))
        schema = data_schema(self.partner)
        arrays = [
            pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(len(left), field.type)
            for field in schema
        ]
        source = DataSource(name="catalogue", version="", content_hash="")
        data = PartnerData(partner=self.partner, table=pa.table(arrays, schema=schema), source=source)
        scores = self._fitted.scores(data, given_vectors(known, self._space_id), np.arange(len(left)))
        return self._calibration.apply(scores.values)
