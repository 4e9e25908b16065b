"""Seconds of a call of the engine and of a step of training on one core, as a sum over kinds of counted work.

Work is counted from the geometry; ``m5 plan calibrate`` measures how long a unit of each kind takes. All coefficients are 0 or
more, so more work never takes less time. No torch.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from m5model.planning.operations import Texts, count_operations, layer_tokens
from m5model.planning.shape import Shape
from schemas.errors import ConfigurationError

CALIBRATION_FILE = "calibration.json"
# What comes with M5, for users who have calibrated nothing: a machine with AVX-512 VNNI. See docs/decisions on planning.
REFERENCE_FILE = Path(__file__).with_name(CALIBRATION_FILE)

CALL_WORK = ("operators", "weights", "products", "attention", "scores", "elements")
STEP_WORK = ("operators", "products", "attention", "scores", "elements", "logits", "parameters")


@dataclass(frozen=True, kw_only=True)
class Point:
    """One measurement: a geometry and a shape of call or step, and the seconds of one core that it took."""

    shape: Shape
    rows: int
    length: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Seconds a unit of each kind of work, on one core."""

    seconds_per: Mapping[str, float]
    worst_fit: float  # largest relative error on the points that it was fitted to
    points: int

    def of(self, work: Mapping[str, float]) -> float:
        """Seconds of that much work."""
        return sum(self.seconds_per[kind] * amount for kind, amount in work.items())


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """States what ``m5 plan calibrate`` found, and where."""

    instructions: str  # family of the int8 products, see runtime.instruction_set
    dated: str  # ISO 8601
    embedding: Speed
    training: Speed | None  # None where only the engine was measured
    tokenizing: float  # seconds a token, on one core

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def count_call(shape: Shape, rows: int, length: int) -> dict[str, float]:
    """Work of one call of the int8 engine: ``rows`` texts of ``length`` tokens."""
    tokens = rows * length
    matrices = 4 * shape.hidden_size**2 + 2 * shape.hidden_size * shape.intermediate_size
    return {
        "operators": shape.layers,
        "weights": shape.layers * matrices,  # read once a call
        "products": shape.layers * matrices * tokens,
        "attention": shape.layers * 2 * shape.hidden_size * tokens * length,
        "scores": shape.layers * shape.heads * tokens * length,
        "elements": shape.layers * tokens * (8 * shape.hidden_size + 2 * shape.intermediate_size),
    }


def count_step(shape: Shape, rows: int, length: int, structured_share: float = 0.0) -> dict[str, float]:
    """Work of one step of masked language modelling in fp32: forward, backward and the optimizer."""
    texts = Texts(length=length, structured_share=structured_share)
    operations = count_operations(shape, texts)
    own_tokens = rows * layer_tokens(shape, texts)
    crossing = shape.fused_layers * rows * length * 5 * shape.hidden_size
    return {
        "operators": shape.all_layers + shape.fused_sides,
        "products": rows * 3 * (operations.forward - operations.attention),
        "attention": rows * 3 * operations.attention,
        "scores": shape.heads * own_tokens * length,
        "elements": own_tokens * (8 * shape.hidden_size + 2 * shape.intermediate_size) + crossing,
        "logits": rows * length * texts.mask_share * shape.vocabulary_size,
        "parameters": shape.parameters,
    }


def fit_speed(points: Sequence[tuple[Mapping[str, float], float]]) -> Speed:
    """The coefficients, none below 0, whose relative errors on (work, seconds) have the least squares."""
    from scipy.optimize import nnls

    kinds = list(points[0][0])
    seconds = np.asarray([taken for _, taken in points])
    work = np.asarray([[counted[kind] for kind in kinds] for counted, _ in points])
    scale = work.max(axis=0)
    found, _ = nnls(work / scale / seconds[:, None], np.ones(len(points)))
    errors = np.abs(work / scale @ found / seconds - 1)
    return Speed(
        seconds_per=dict(zip(kinds, (found / scale).tolist(), strict=True)),
        worst_fit=float(errors.max()),
        points=len(points),
    )


def read_calibration(path: str | None) -> Calibration:
    """The calibration of that file; without one, what ``m5 plan calibrate`` has kept, else the one that comes with M5."""
    from m5model.files.caches import cache_folder

    kept = cache_folder() / CALIBRATION_FILE
    file = Path(path) if path else kept if kept.is_file() else REFERENCE_FILE
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        training = found["training"]
        return Calibration(
            instructions=str(found["instructions"]),
            dated=str(found["dated"]),
            embedding=_speed(found["embedding"], CALL_WORK),
            training=_speed(training, STEP_WORK) if training else None,
            tokenizing=float(found["tokenizing"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"the calibration {file} cannot be read: {type(error).__name__} {error}", next_step="make one: m5 plan calibrate"
        ) from error


def write_calibration(file: Path, calibration: Calibration) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(calibration.as_json(), indent=1) + "\n", encoding="utf-8")


def _speed(found: Mapping[str, object], kinds: Sequence[str]) -> Speed:
    given = found["seconds_per"]
    if not isinstance(given, dict) or set(given) != set(kinds):
        raise ValueError(f"seconds_per has other kinds of work than {', '.join(kinds)}")
    return Speed(
        seconds_per={kind: float(given[kind]) for kind in kinds},
        worst_fit=float(str(found["worst_fit"])),
        points=int(str(found["points"])),
    )
