"""A confidence from which on answers are given out, with a promise: the share of right ones among them is at least so much.

Learn then Test (Angelopoulos et al. 2021) by mapie: the thresholds of a fixed grid are tested from the strictest on, each by
the exact binomial tail of the right ones among the answers that it lets through; with a stated probability all that pass keep
the promise. It holds over draws of the rows that it was made on, for rows drawn as those were; nothing may have been learned
from them.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from mapie.risk_control import BinaryClassificationController, FWERFixedSequenceTesting

from schemas.checks import is_number, require

# Strictest first. The grid may not depend on the rows; a threshold of 0.3 answers nearly all that trees call likely.
GRID = np.round(np.arange(0.98, 0.28, -0.02), 2)
STARTS = 3  # places in the grid where testing begins, each at a third of the error: the strictest let few rows through
MIN_ROWS = 20  # no threshold can be proved on fewer


@dataclass(frozen=True, kw_only=True)
class Promise:
    """Raises ConfigurationError that lists every problem at once."""

    precision: float = 0.85
    confidence: float = 0.9  # probability that a threshold keeps its promise

    def __post_init__(self) -> None:
        values = {"precision": self.precision, "confidence": self.confidence}
        require(
            "promise",
            {
                f"{name} is {value!r}, expected above 0 and below 1": is_number(value, 0, 1) and 0 < value < 1
                for name, value in values.items()
            },
        )


def promised_threshold(confidence: np.ndarray, right: np.ndarray, promise: Promise) -> float | None:
    """The threshold that answers most and keeps the promise; None where none can be proved.

    ``confidence`` (n,) in 0 to 1 and ``right`` (n,) bool are of independent rows: one of an entity.
    """
    if len(confidence) < MIN_ROWS or not right.any():
        return None
    controller = BinaryClassificationController(
        predict_function=_as_probabilities,
        risk="precision",
        target_level=float(promise.precision),
        confidence_level=promise.confidence,
        best_predict_param_choice="recall",
        list_predict_params=GRID,
        fwer_method=FWERFixedSequenceTesting(n_starts=STARTS),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that no threshold can be proved, which is an answer here
        controller.calibrate(np.clip(confidence, 0, 1)[:, None], right.astype(np.int64))
    found = controller.best_predict_param
    return None if found is None else float(np.min(found))


def _as_probabilities(confidence_N1: np.ndarray) -> np.ndarray:
    """(N, 2): of a wrong answer and of a right one."""
    return np.concatenate([1 - confidence_N1, confidence_N1], axis=1)
