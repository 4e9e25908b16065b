"""Experiments on disk: written whole or not at all, found again by id, opened with every hash checked.

WORKSPACE/experiments/PARTNER/ID/manifest.json, report.html, scores.parquet, model/, calibration.json
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from m5model.files import storage
from m5model.files.checksums import hash_files, verify_files
from m5model.files.copies import local_copy
from m5model.files.staging import staging_folder
from m5model.partners.evaluation.calibration import Calibration
from m5model.partners.experiment import Outcome
from m5model.partners.finished import find_finished, list_experiments
from m5model.partners.registry import find_strategy
from m5model.partners.strategy import Fitted
from schemas.errors import ConfigurationError
from schemas.experiment import CALIBRATION_FILE, MANIFEST_FILE, MODEL_FOLDER, PAGE_FILE, SCORES_FILE, ExperimentManifest
from schemas.labels import SPLITS
from schemas.manifests import to_json
from schemas.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class OpenedExperiment:
    """A finished experiment, every byte checked, and its model."""

    manifest: ExperimentManifest
    fitted: Fitted
    calibration: Calibration | None


def write_experiment(workspace: Workspace, outcome: Outcome, page: str) -> ExperimentManifest:
    """Put everything into the experiment's folder at once; one that is there already stays as it is."""
    manifest = outcome.manifest
    with staging_folder(workspace) as folder:
        outcome.ours.fitted.save(folder / MODEL_FOLDER)
        if outcome.ours.calibration is not None:
            outcome.ours.calibration.save(folder / CALIBRATION_FILE)
        pq.write_table(_scores(outcome), folder / SCORES_FILE, compression="zstd")
        for name, table in outcome.tables.items():
            pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
        (folder / PAGE_FILE).write_text(page, encoding="utf-8")
        files = {name: str(entry["sha256"]) for name, entry in hash_files(folder, but=MANIFEST_FILE).items()}
        whole = replace(manifest, files=files)
        (folder / MANIFEST_FILE).write_text(to_json(whole), encoding="utf-8")
        is_new = storage.place_folder(folder, workspace.experiment(manifest.partner, manifest.id))
    return whole if is_new else find_finished(workspace, manifest.partner, manifest.id) or whole


def open_experiment(workspace: Workspace, partner: str, experiment: str) -> OpenedExperiment:
    """Raises ConfigurationError where there is no such experiment, DamagedFileError where a file is not what it was."""
    manifest = find_finished(workspace, partner, experiment)
    if manifest is None:
        known = ", ".join(one.id for one in list_experiments(workspace, partner)) or "none"
        raise ConfigurationError(
            f"there is no experiment {experiment!r} of {partner}; there is {known}",
            next_step="run it with m5 finetune, or give one of these",
        )
    path = workspace.experiment(partner, experiment)
    folder = local_copy(path, manifest.files)
    if not storage.is_remote(path):
        verify_files(folder, manifest.files, f"experiment {partner}/{experiment}")
    return OpenedExperiment(
        manifest=manifest, fitted=find_strategy(manifest.strategy).load(folder / MODEL_FOLDER), calibration=_calibration(folder)
    )


def _calibration(folder: Path) -> Calibration | None:
    file = folder / CALIBRATION_FILE
    return Calibration.load(file) if file.is_file() else None


def _scores(outcome: Outcome) -> pa.Table:
    """The rows of validate and test with the scores of the model and of the baseline."""
    parts = []
    for split in SPLITS[1:]:
        table = outcome.data.select(outcome.data.rows_of(split)).table
        for name, judged in (("score", outcome.ours), ("baseline", outcome.baseline)):
            scored = judged.validate if split == "validate" else judged.test
            table = table.append_column(name, _column(scored.scores))
            if scored.predictions is not None:
                table = table.append_column(f"{name}_says", pa.array(scored.predictions.tolist(), pa.string()))
        if outcome.ours.calibration is not None:
            scores = (outcome.ours.validate if split == "validate" else outcome.ours.test).scores
            table = table.append_column("probability", pa.array(outcome.ours.calibration.apply(scores)))
        parts.append(table)
    return pa.concat_tables(parts)


def _column(scores: np.ndarray) -> pa.Array:
    return pa.array(scores) if scores.ndim == 1 else pa.array(scores.max(axis=1))
