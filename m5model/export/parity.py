"""The gate of an export: torch and the ONNX graphs must agree on texts that nothing was learned or calibrated from.

Tensor suffixes: B rows, L tokens, D dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from m5model.encoders.bert import load_encoder
from m5model.encoders.encoder import sentence_vectors
from m5model.export.text_batches import TextBatch
from m5model.gates.evidence import judge, refuse_unless_all_hold
from m5model.runtime.encoder import open_session, run_graph
from schemas.bundle import ONNX_ENGINE_FILE, ONNX_FP32_FILE, ONNX_INT8_FILE
from schemas.checks import is_number, is_whole, require
from schemas.figure import Figure

# Of what a threshold allows: calibration texts must stay within it, so that held-out texts meet the threshold.
SPARE = 0.8

SIMILARITIES = ("int8_mean_cosine", "int8_min_cosine", "int8_pair_correlation")


@dataclass(frozen=True, kw_only=True)
class ParityThresholds:
    """The thresholds that an export must meet. Raises ConfigurationError listing those that make no sense."""

    fp32_max_difference: float = 1e-4  # largest absolute difference of any component, torch against ONNX fp32
    int8_mean_cosine: float = 0.99  # int8 against fp32, mean over texts
    int8_min_cosine: float = 0.95  # of the worst text
    # Vectors of one encoder may all point one way, and then any two have a high cosine: so also the correlation, over pairs
    # of texts, of the similarities that int8 and fp32 give.
    int8_pair_correlation: float = 0.95
    # Texts to which the engine's graph and model_int8.onnx may give other bytes. None, because a space is named by
    # model_int8.onnx; and because one lost bias moves a cosine by no more than 0.00002.
    engine_vectors_differing: int = 0

    def __post_init__(self) -> None:
        cosines = {name: getattr(self, name) for name in SIMILARITIES}
        rules = {f"{name} is {value}, expected -1 to 1": is_number(value, -1, 1) for name, value in cosines.items()}
        rules[f"fp32_max_difference is {self.fp32_max_difference}, expected 0 or more"] = is_number(self.fp32_max_difference, 0)
        differing = f"engine_vectors_differing is {self.engine_vectors_differing}, expected 0 or more"
        require("parity thresholds", rules | {differing: is_whole(self.engine_vectors_differing)})


@dataclass(frozen=True, kw_only=True)
class Parity:
    """The measured values, in the same terms as the thresholds."""

    texts: int
    fp32_max_difference: float
    int8_mean_cosine: float
    int8_min_cosine: float
    int8_pair_correlation: float
    engine_vectors_differing: int | None  # None where there is no graph of the engine's own


def measure_parity(folder: Path, batches: Sequence[TextBatch]) -> Parity:
    """Run a student's checkpoint and its graphs over the batches."""
    exact_BD = torch_vectors(folder, batches)
    fp32_BD = onnx_vectors(folder / ONNX_FP32_FILE, batches)
    int8_BD = onnx_vectors(folder / ONNX_INT8_FILE, batches)
    engine = folder / ONNX_ENGINE_FILE
    return Parity(
        texts=len(exact_BD),
        fp32_max_difference=float(np.abs(exact_BD - fp32_BD).max()),
        **compare_vectors(fp32_BD, int8_BD),
        engine_vectors_differing=count_differing(int8_BD, onnx_vectors(engine, batches)) if engine.is_file() else None,
    )


def is_near(thresholds: ParityThresholds, exact_BD: np.ndarray, int8_BD: np.ndarray) -> bool:
    """Do these vectors meet the thresholds, with something to spare for texts that are not these?"""
    measured = compare_vectors(exact_BD, int8_BD)
    return all(1 - value <= SPARE * (1 - getattr(thresholds, name)) for name, value in measured.items())


def compare_vectors(exact_BD: np.ndarray, int8_BD: np.ndarray) -> dict[str, float]:
    """The SIMILARITIES of vectors of the same texts, by name."""
    cosines_B = (exact_BD * int8_BD).sum(axis=1)
    values = (float(cosines_B.mean()), float(cosines_B.min()), pair_correlation(exact_BD, int8_BD))
    return dict(zip(SIMILARITIES, values, strict=True))


def figures_of(parity: Parity, thresholds: ParityThresholds) -> tuple[Figure, ...]:
    """The figures beside their thresholds."""
    measured_on = f"{parity.texts:,} held-out texts"
    names = ["fp32_max_difference", *SIMILARITIES]
    if parity.engine_vectors_differing is not None:
        names.append("engine_vectors_differing")
    return tuple(
        judge(
            name,
            getattr(parity, name),
            "at least" if name in SIMILARITIES else "at most",
            getattr(thresholds, name),
            measured_on,
        )
        for name in names
    )


def refuse_unless_equal(parity: Parity, thresholds: ParityThresholds) -> tuple[Figure, ...]:
    """The figures. Raises GateRefusedError naming every one that misses its threshold; NaN misses any."""
    figures = figures_of(parity, thresholds)
    refuse_unless_all_hold(
        figures,
        "the exported graphs do not give the checkpoint's vectors",
        "nothing was released; calibrate on more texts, or find what changed the graph",
    )
    return figures


def torch_vectors(folder: Path, batches: Sequence[TextBatch]) -> np.ndarray:
    """Vectors (n, D) float32 of the checkpoint in torch, on CPU."""
    encoder = load_encoder(folder)
    with torch.inference_mode():
        vectors = [
            sentence_vectors(encoder, torch.from_numpy(batch.ids_BL), torch.from_numpy(batch.mask_BL)).numpy()
            for batch in batches
        ]
    return np.concatenate(vectors)


def onnx_vectors(graph: Path, batches: Sequence[TextBatch]) -> np.ndarray:
    """Vectors (n, D) float32 of a graph in the session that executors use."""
    return graph_vectors(graph.read_bytes(), batches)


def graph_vectors(graph: bytes, batches: Sequence[TextBatch]) -> np.ndarray:
    """The same for the bytes of a graph."""
    session = open_session(graph)
    return np.concatenate([run_graph(session, batch.ids_BL, batch.mask_BL) for batch in batches])


def count_differing(first_BD: np.ndarray, second_BD: np.ndarray) -> int:
    """Rows of one float32 array whose bytes are not those of the other."""
    return int((first_BD.view(np.int32) != second_BD.view(np.int32)).any(axis=1).sum())


def pair_correlation(first_BD: np.ndarray, second_BE: np.ndarray) -> float:
    """Pearson correlation, over all pairs of rows, of the similarities in one space and in another (dimensions may differ)."""
    upper = np.triu_indices(len(first_BD), k=1)
    return float(np.corrcoef((first_BD @ first_BD.T)[upper], (second_BE @ second_BE.T)[upper])[0, 1])
